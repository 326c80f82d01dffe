"""Keys, workspaces, the schema, and what the program says when something is wrong."""

import contextlib
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from heliograph.store import database, keys, migrations
from tests.cli import program


def known(url: str, text: str) -> keys.Key | None:
    """The key of this text, where it counts."""
    store = database.Database(url)
    with store.reading() as connection:
        found = keys.find(connection, text)
    store.close()
    return found


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_is_alone_on_the_last_line(house: str, tell: program.Tell) -> None:
    """Whoever makes a key in a script finds it with `tail -1`, and it opens what its role may."""
    told = tell(
        "key", "create", "--workspace", "default", "--role", "ingest", "--tenant", "t-1", "--name", "till"
    )
    key = known(house, told.lines[-1])
    assert told.code == 0
    assert key is not None
    assert (key.role, key.tenant_id, key.name) == ("ingest", "t-1", "till")
    assert told.lines[-1] not in "\n".join(told.lines[:-1])


def test_keys_are_listed_and_revoked_by_their_number(house: str, tell: program.Tell) -> None:
    """A revoked key counts no more and says so in the list; the text of a key is nowhere."""
    first, second = (tell("key", "create", "--role", role).lines[-1] for role in ("admin", "agent"))
    assert tell("key", "revoke", 1).out == "Key 1 (admin key) is revoked.\n"
    assert tell("key", "revoke", 1).out == "Key 1 (admin key) was revoked before.\n"
    listed = tell("key", "list")
    assert known(house, first) is None
    assert known(house, second) is not None
    assert [line.split()[:2] for line in listed.lines if "key" in line] == [["1", "admin"], ["2", "agent"]]
    assert first[:20] not in listed.out


def test_a_role_that_does_not_exist_is_a_fault_of_typing(lone_house: str, tell: program.Tell) -> None:
    """The complaint names the role that may be meant, and no key is made."""
    told = tell("key", "create", "--role", "admn")
    assert (told.code, told.out) == (2, "")
    assert 'did you mean "admin"?' in told.err
    assert "no keys" in tell("workspace", "create", "default").out + tell("key", "list").out


def test_workspaces_are_made_and_listed(house: str, tell: program.Tell) -> None:
    """A workspace is there once it is made, however often that is said; keys are its own."""
    assert tell("workspace", "create", "north").out == "The workspace north is made.\n"
    assert tell("workspace", "create", "north").out == "The workspace north was there already.\n"
    tell("key", "create", "--role", "admin", "--workspace", "north")
    tell("key", "create", "--role", "admin")
    assert tell("workspace", "list").lines == ["north", "default"]
    assert tell("workspace", "create", "no such name").code == 2


def test_a_workspace_that_is_not_there_is_named(lone_house: str, tell: program.Tell) -> None:
    """A slip in a name makes no workspace: the complaint says which there are."""
    tell("workspace", "create", "north")
    told = tell("key", "create", "--role", "admin", "--workspace", "nort")
    assert told.code == 1
    assert told.err == "heliograph: there is no workspace 'nort', did you mean \"north\"?\n"


def test_a_company_has_a_zone(house: str, tell: program.Tell) -> None:
    """`workspace set` changes what date automations go by, and shows it; what is no zone is refused."""
    tell("workspace", "create", "default")
    assert tell("workspace", "set").out == "The workspace default: timezone UTC, leap day feb28.\n"
    told = tell("workspace", "set", "default", "--timezone", "Europe/London", "--leap-day", "mar1")
    assert told.out == "The workspace default: timezone Europe/London, leap day mar1.\n"
    told = tell("workspace", "set", "--leap-day", "skip")
    assert told.out == "The workspace default: timezone Europe/London, leap day skip.\n"
    wrong = tell("workspace", "set", "--timezone", "Europe/Londn")
    assert (wrong.code, 'did you mean "Europe/London"?' in wrong.err) == (2, True)
    wrong = tell("workspace", "set", "--leap-day", "never")
    assert (wrong.code, "unknown policy" in wrong.err) == (2, True)


def test_folders_of_lists_are_kept_apart(house: str, tell: program.Tell) -> None:
    """`workspace set` says so and takes it back, a key says which it sees; what is no folder is refused."""
    tell("workspace", "create", "default")
    told = tell("workspace", "set", "--keep-folders")
    assert told.out.endswith("leap day feb28, folders of lists are kept apart.\n")
    assert tell("workspace", "set", "--open-folders").out.endswith("leap day feb28.\n")
    tell("key", "create", "--role", "supervisor", "--folder", "spring", "--folder", "autumn.old")
    assert "spring, autumn.old" in tell("key", "list").out
    wrong = tell("key", "create", "--role", "supervisor", "--folder", "spring.")
    assert (wrong.code, "has a dot only between two parts" in wrong.err) == (2, True)


# ── the schema ──────────────────────────────────────────────────────────────────────────────────────


def test_migrate_says_what_it_did(empty_database_url: str, tell: program.Tell) -> None:
    """The first time it brings an empty database up to date, the second time there is nothing to do."""
    first, second = (tell("migrate", "--database", empty_database_url) for _ in range(2))
    assert first.out == f"{empty_database_url} went from empty to {migrations.LATEST}\n"
    assert second.out == f"{empty_database_url} stands at {migrations.LATEST} already: nothing to do\n"


def test_a_full_disk_is_told_to_whoever_migrates(sqlite_url: str, tell: program.Tell) -> None:
    """One line says what became of the schema and what to do; nothing was sent that could be sent again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        told = tell("migrate", "--database", sqlite_url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (told.code, told.out) == (1, "")
    assert told.err == (
        "heliograph: The disk of the database is full: what was under way was undone; free some space and try again.\n"
    )
    assert tell("migrate", "--database", sqlite_url).code == 0


def test_another_programs_database_is_left_alone(empty_database_url: str, tell: program.Tell) -> None:
    """A database that has tables of the same names is refused in one line that says why."""
    with contextlib.closing(database.Database(empty_database_url)) as store, store.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE contacts (name TEXT)")
    told = tell("migrate", "--database", empty_database_url)
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("heliograph: the database holds another program's table contacts: ")
    assert told.err.count("\n") == 1


def test_an_empty_postgresql_database_asks_for_migrate(postgres_url: str, tell: program.Tell) -> None:
    """Nothing makes tables on a server of others unasked."""
    told = tell("key", "create", "--role", "admin", "--database", postgres_url)
    assert (told.code, told.out) == (1, "")
    assert "run `heliograph migrate`" in told.err


def test_the_first_key_makes_a_sqlite_database(sqlite_url: str, tell: program.Tell) -> None:
    """From an empty folder the first command that needs a database has one."""
    told = tell("key", "create", "--role", "admin", "--database", sqlite_url)
    assert told.code == 0
    assert known(sqlite_url, told.lines[-1]) is not None


def test_looking_makes_no_database(tmp_path: Path, tell: program.Tell) -> None:
    """A slip in a path is told, instead of an empty list from a file that was just made."""
    told = tell("key", "list", "--database", f"sqlite:///{tmp_path}/slip/heliograph.db")
    assert told.code == 1
    assert "there is no database at" in told.err
    assert list(tmp_path.iterdir()) == []


# ── complaints ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (("srve",), 2, "Did you mean 'serve'?"),
        (("serve", "--prot", "1"), 2, "--port"),
        (("serve", "--port", "no"), 2, "--port"),
        (("key", "revoke", "x"), 2, "integer"),
        (("explain", "x"), 1, "there is no"),
        (("serve", "--clock", "yesterday,1"), 2, "START"),
        (("serve", "--clock", "2026-01-01T00:00:00Z,fast"), 2, "SPEED"),
        (("serve", "--port", "70000"), 1, "HELIOGRAPH_PORT"),
        (("key", "list", "--database", "mysql://host/name"), 1, "HELIOGRAPH_DATABASE_URL"),
        (("apply", "nowhere"), 1, "there is no nowhere"),
        (("import", "contacts", "nobody.csv"), 1, "there is no file nobody.csv"),
        (("serve", "--workers", "2"), 1, "PostgreSQL"),
        (("worker",), 1, "PostgreSQL"),
        (("held", "release"), 2, "--all"),
    ],
)
def test_a_complaint_is_one_line(
    typed: tuple[str, ...], code: int, said: str, lone_house: str, tell: program.Tell
) -> None:
    """Whatever is wrong is one line on stderr that says what to do; typing ends with 2, the rest with 1."""
    told = tell(*typed)
    assert (told.code, told.out) == (code, "")
    assert said in told.err
    assert told.err.startswith("heliograph: ")
    assert told.err.count("\n") == 1


_INTERRUPTED = """
import os, signal, sys
# As at a terminal: what a script starts in the background does not hear of it.
signal.signal(signal.SIGINT, signal.default_int_handler)
class Finder:
    def find_spec(self, name, *_):
        if name == "heliograph.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from heliograph.__main__ import main
main()
"""


def test_an_interrupted_start_says_nothing() -> None:
    """Whoever interrupts the program while it is being loaded is not told where it stood."""
    ended = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED],
        check=False,
        capture_output=True,
        timeout=program.ENDS_WITHIN,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("typed", [(), ("key",), ("workspace",), ("import",), ("held",)])
def test_a_family_named_alone_says_what_it_can_do(typed: tuple[str, ...], tell: program.Tell) -> None:
    """Whoever types a part of a command sees the rest."""
    told = tell(*typed)
    assert told.code == 0
    assert "Commands:" in told.out


def test_the_version_is_told(tell: program.Tell) -> None:
    """`--version` names program and version."""
    assert tell("--version").out == "heliograph 0.1.0\n"


def test_what_nobody_foresaw_is_a_line_too(
    lone_house: str, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of our own is no traceback, and says what kind it is."""
    monkeypatch.setattr(keys, "listed", lambda *_: 1 / 0)
    tell("workspace", "create", "default")
    told = tell("key", "list")
    assert told.code == 1
    assert told.err == "heliograph: this should not have happened: ZeroDivisionError: division by zero\n"


def test_a_workspaces_webhook_secret_is_shown_and_replaced(house: str, tell: program.Tell) -> None:
    """A workspace has a secret from its beginning, shown again and again, and another one when it is replaced."""
    tell("workspace", "create", "north")
    first = tell("workspace", "webhook-secret", "north").out.strip()
    assert first.startswith("whsec_")
    assert tell("workspace", "webhook-secret", "north").out.strip() == first
    second = tell("workspace", "webhook-secret", "north", "--replace").out.strip()
    assert second != first
    assert tell("workspace", "webhook-secret", "north").out.strip() == second
    assert tell("workspace", "webhook-secret", "south").code == 1
