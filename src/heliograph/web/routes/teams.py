"""Agents and divisions: `/api/agents`, `/api/divisions`, those whom conversations are assigned to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from litestar import delete, get, put

from heliograph import errors
from heliograph.core import conversations, documents, explain, people, schedule
from heliograph.store import teams
from heliograph.web.calls import Call, in_thread

TAG = "Agents and divisions"
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class AgentBody(msgspec.Struct, kw_only=True):
    """What an agent is called, and where mail reaches them."""

    name: Name
    email: str | None = None


class DivisionBody(msgspec.Struct, kw_only=True):
    """What a division is called."""

    name: Name


class Division(msgspec.Struct, kw_only=True):
    """A group of agents that takes care of conversations."""

    id: str
    name: str
    created_at: explain.Instant
    updated_at: explain.Instant


class Agent(Division, kw_only=True):
    """Somebody who takes care of conversations."""

    email: str | None


class AgentList(msgspec.Struct):
    """All agents, by their ids."""

    data: list[Agent]
    total: int


class DivisionList(msgspec.Struct):
    """All divisions, by their ids."""

    data: list[Division]
    total: int


@get("/api/agents", opt={"tag": TAG})
@in_thread
def list_agents(request: Call) -> AgentList:
    """List agents."""
    found = [_agent(one) for one in _listed(request, teams.AGENTS)]
    return AgentList(found, len(found))


@put("/api/agents/{agent_id:str}", opt={"tag": TAG, "body": AgentBody})
@in_thread
def put_agent(request: Call) -> Agent:
    """Let there be an agent of this id who is called so."""
    return _agent(_put(request, teams.AGENTS, "agent_id", ("name", "email")))


@delete("/api/agents/{agent_id:str}", opt={"tag": TAG})
@in_thread
def delete_agent(request: Call) -> None:
    """Let an agent go; conversations keep the name of whoever had them."""
    _delete(request, teams.AGENTS, "agent_id")


@get("/api/divisions", opt={"tag": TAG})
@in_thread
def list_divisions(request: Call) -> DivisionList:
    """List divisions."""
    found = [_division(one) for one in _listed(request, teams.DIVISIONS)]
    return DivisionList(found, len(found))


@put("/api/divisions/{division_id:str}", opt={"tag": TAG, "body": DivisionBody})
@in_thread
def put_division(request: Call) -> Division:
    """Let there be a division of this id that is called so."""
    return _division(_put(request, teams.DIVISIONS, "division_id", ("name",)))


@delete("/api/divisions/{division_id:str}", opt={"tag": TAG})
@in_thread
def delete_division(request: Call) -> None:
    """Let a division go; conversations keep the name of whichever had them."""
    _delete(request, teams.DIVISIONS, "division_id")


# ── what they have in common ────────────────────────────────────────────────────────────────────────


def _listed(request: Call, table: sa.Table) -> list[teams.Member]:
    request.refuse_query()
    who = request.principal
    with request.services.database.reading() as connection:
        return teams.listed(connection, who.workspace_id, who.tenant_id, table)


def _put(request: Call, table: sa.Table, part: str, known: tuple[str, ...]) -> teams.Member:
    request.refuse_query()
    identity, who, given = request.part(part), request.principal, request.read_object()
    faults = documents.unknown_keys(given, known, "")
    fault = conversations.id_fault(identity)
    if fault is not None:
        faults.append(errors.Fault(part, fault))
    values = _values(given, known, faults)
    now = request.services.now()
    with request.services.database.writing() as connection:
        made, _ = teams.put(connection, who.workspace_id, who.tenant_id, table, identity, values, now)
    request.wake()
    return made


def _values(given: Mapping[str, Any], known: tuple[str, ...], faults: list[errors.Fault]) -> dict[str, Any]:
    """What is written. Raises errors.InvalidInput with these faults and its own."""
    name = given.get("name")
    values: dict[str, Any] = {}
    if isinstance(name, str) and 1 <= len(name.strip()) <= 255 and "\x00" not in name:
        values["name"] = name.strip()
    else:
        faults.append(errors.Fault("name", "takes a text of 1 to 255 characters, none of them NUL"))
    if "email" in known:
        try:
            email = given.get("email")
            values["email"] = None if email is None else people.check_email(email)
        except errors.InvalidInput as refusal:
            faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    return values


def _delete(request: Call, table: sa.Table, part: str) -> None:
    request.refuse_query()
    identity, who = request.part(part), request.principal
    with request.services.database.writing() as connection:
        if not teams.delete(connection, who.workspace_id, who.tenant_id, table, identity):
            raise errors.NotFound(f"there is no {part.removesuffix('_id')} {identity!r}")
    request.wake()


def _division(one: teams.Member) -> Division:
    return Division(**_fields(one))


def _agent(one: teams.Member) -> Agent:
    return Agent(**_fields(one), email=one.email)


def _fields(one: teams.Member) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "created_at": schedule.write_instant(one.created_at),
        "updated_at": schedule.write_instant(one.updated_at),
    }


HANDLERS = (list_agents, put_agent, delete_agent, list_divisions, put_division, delete_division)
