"""Strategies, topics, lists and audiences of `heliograph apply` (a chapter of applying.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heliograph.cli.applied_change import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from heliograph.cli import definition_files


def put_strategy(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    """Let a routing strategy say what a file says."""
    from heliograph.core import routing_strategies as core
    from heliograph.store import routing_strategies

    before = routing_strategies.lock(connection, owner, str(one.id))
    if before is None:
        routing_strategies.create(connection, owner, one.content, now, str(one.id))
        return Change(one.kind, one.name, "created")
    if not before.definition.same(one.content):
        routing_strategies.change(connection, owner, before, one.content, now)
    return _change(one, core.WRITABLE, before.definition, one.content)


def put_section(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    """Let a section say what a file says; its topics stay."""
    from heliograph.core import preference_topics as core
    from heliograph.store import preference_topics

    found = (row for row in preference_topics.sections(connection, owner) if row.id == one.id)
    before = next(found, None)
    if before is None or before.definition != one.content:
        preference_topics.put_section(connection, owner, str(one.id), one.content, now, "apply")
    return _change(one, core.SECTION, before and before.definition, one.content)


def put_topic(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    """Let a topic say what a file says. Raises errors.InvalidInput where its section is not there."""
    from heliograph import errors
    from heliograph.core import preference_topics as core
    from heliograph.store import preference_topics

    section_id, definition = one.content
    if section_id not in {row.id for row in preference_topics.sections(connection, owner)}:
        raise errors.InvalidInput.at("section", f"there is no section {section_id!r}")
    found = (row for row in preference_topics.topics(connection, owner) if row.id == one.id)
    before = next(found, None)
    if before is None or (before.section_id, before.definition) != (section_id, definition):
        preference_topics.put_topic(connection, owner, section_id, str(one.id), definition, now, "apply")
    return _change(one, core.TOPIC, before and before.definition, definition)


def put_list(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    """Let a list say what a file says; who is on it stays."""
    from heliograph.store import lists

    before = lists.read(connection, owner, None, str(one.id))
    wanted = {"name": one.name, "preferences": one.content or None}
    was = None if before is None else {"name": before.name, "preferences": before.preferences or None}
    if was != wanted:
        lists.put(connection, owner, None, str(one.id), one.name, one.content, now)
    return _change(one, tuple(wanted), was, wanted)


def put_audience(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    """Let an audience say what a file says."""
    from heliograph.core import documents
    from heliograph.store import courier_audiences

    before = courier_audiences.read(connection, owner, None, str(one.id))
    was = None if before is None else {name: getattr(before, name) for name in one.content}
    if not documents.is_same(was, one.content):
        courier_audiences.put(connection, owner, None, str(one.id), one.content, now)
    return _change(one, tuple(one.content), was, one.content)


def _change(one: definition_files.Definition, names: Sequence[str], before: Any, after: Any) -> Change:
    """What became of a definition whose fields are these."""
    from heliograph.core import documents

    if before is None:
        return Change(one.kind, one.name, "created")
    fields = [name for name in names if not documents.is_same(_of(before, name), _of(after, name))]
    return Change(one.kind, one.name, f"changed: {', '.join(fields)}" if fields else "unchanged")


def _of(said: Any, name: str) -> Any:
    return said[name] if isinstance(said, dict) else getattr(said, name)
