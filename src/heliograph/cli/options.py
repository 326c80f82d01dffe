"""Options that many commands take, and what they open."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from heliograph import clock, errors, settings
from heliograph.core import ids, schedule

if TYPE_CHECKING:
    import sqlalchemy as sa

    from heliograph.store import database

    Store = database.Database

One = TypeVar("One")
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="sqlite:///file.db or postgresql://user@host/name; else HELIOGRAPH_DATABASE_URL.",
        show_default=False,
    ),
]
Workspace = Annotated[str, typer.Option("--workspace", metavar="NAME", help="The workspace it is about.")]


@contextlib.contextmanager
def opened(url: str | None, *, must_exist: bool = True) -> Iterator[database.Database]:
    """The database that is meant, its schema this program's; an empty SQLite file is made ready.

    Raises errors.DatabaseUnreachable where there is no SQLite file and it `must_exist`.
    """
    from heliograph.store import database, safe

    chosen = settings.load(database_url=url)
    opening = safe.opened(chosen.secret_key, chosen.secret_key_file)
    store = database.Database(chosen.database_url, must_exist=must_exist, safe=opening)
    try:
        store.check()
        yield store
    finally:
        store.close()


def moment(store: Store) -> int:
    """The present instant (µs) by the clock that a database runs on: of a played one, its last turn."""
    played = _played(store)
    return _real(store) if played is None else played


def _real(store: Store) -> int:
    """The real time (µs): where processes share a database its own, by which they all go."""
    return clock.WallClock().now() if store.is_sqlite else store.told_time()


def _played(store: Store) -> int | None:
    """The last turn's instant (µs) by a clock that is played; None where the database runs on the real time."""
    from heliograph.store import facts

    with store.reading() as connection:
        if facts.clock(connection) != "scaled":
            return None
    with contextlib.closing(store.session()) as session:
        return int(session.hot.last_now(session.connection))


def workspace_id(connection: sa.Connection, name: str) -> int:
    """The id of the workspace of this name. Raises errors.NotFound, with the names there are."""
    from heliograph.store import workspaces

    found = workspaces.find(connection, name)
    if found is None:
        known = workspaces.names(connection)
        hint = errors.did_you_mean(name, known) or f": there is {', '.join(known) or 'none yet'}"
        raise errors.NotFound(f"there is no workspace {name!r}{hint}")
    return found


def read_in(
    workspace: str, database: str | None, read: Callable[[sa.Connection, int], Sequence[One]]
) -> Sequence[One]:
    """What `read` finds, given a connection and the id of the workspace of this name. Raises errors.NotFound."""
    with opened(database) as store, store.reading() as connection:
        return read(connection, workspace_id(connection, workspace))


def shown(url: str) -> str:
    """A URL without its password, for people to read."""
    scheme, mark, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    user = credentials.partition(":")[0]
    return f"{scheme}{mark}{user}{at}{place}" if at else url


def file_there(path: Path) -> Path:
    """A file that can be read. Raises errors.NotFound."""
    if not path.is_file():
        raise errors.NotFound(f"there is no file {path}")
    return path


def parse_id(text: str, what: str) -> bytes:
    """The id of an event or message as it was typed. Raises BadParameter."""
    identity = ids.parse(text.strip())
    if identity is None:
        raise typer.BadParameter(
            f"takes an id such as 0199b2a4-0d3c-7000-8000-000000000000, not {text!r}", param_hint=what
        )
    return identity


def json_object(text: str, what: str) -> dict[str, Any]:
    """A JSON object as it was typed. Raises BadParameter."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as fault:
        raise typer.BadParameter(f"is no JSON: {fault}", param_hint=what) from None
    if not isinstance(found, dict):
        raise typer.BadParameter('takes an object such as {"order": 7}', param_hint=what)
    return found


def second(at: int | None) -> str | None:
    """An instant (µs) to the second, for people to read."""
    return None if at is None else schedule.write_instant(at)[:19].replace("T", " ") + "Z"
