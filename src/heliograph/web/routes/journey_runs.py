"""Runs of journeys: `/automations/runs`, in Courier's shape (journeys.md 1.1, J14, J19).

Law: a run is told from what stands in the tables. A cancel takes hold before it is answered: no turn has the run's
partition while it is written.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from litestar import Response, get, post

from heliograph import errors
from heliograph.core import (
    batches,
    frames,
    ids,
    journey_accounts,
    journey_starts,
    journeys,
    plans,
    runs,
    schedule,
)
from heliograph.engine import askings, desk, mailing
from heliograph.store import batches as stored_batches
from heliograph.store import definitions, journey_runs, listings, rows
from heliograph.web import lists, moments, paging
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Journeys"
_RUN = "/automations/runs/{run_id:str}"
_MOST_RUNS, _USUAL_RUNS = 50, 20


class RunsQuery(msgspec.Struct):
    """Which runs are listed."""

    status: str | None = None
    """One status, or several with commas between them."""
    template_id: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    limit: str | None = None
    """1 to 50; 20 where it is no number."""
    cursor: str | None = None


class JourneyRun(msgspec.Struct):
    """A run."""

    run_id: str
    status: str
    source: list[str]
    template_id: str | None
    created_at: str


class Runs(msgspec.Struct, omit_defaults=True):
    """Runs, newest first."""

    runs: list[JourneyRun]
    next_cursor: str | None = None


class Steps(msgspec.Struct):
    """Every step of a run, in order, reached or not."""

    steps: list[journey_accounts.StepAccount]


class Canceled(msgspec.Struct):
    """How the run stands now."""

    run_id: str
    status: str


_definition = msgspec.json.Decoder(journeys.Definition)


@get("/automations/runs", opt={"tag": TAG, "query": RunsQuery})
@in_thread
def list_journey_runs(request: Call) -> Response[Runs]:
    """List runs, newest first."""
    query, ignored = request.read_courier_query(RunsQuery)
    who = request.principal
    statuses = [one.strip().upper() for one in query.status.split(",")] if query.status else None
    limit = paging.limit_of(query.limit, _USUAL_RUNS, _MOST_RUNS)
    wanted = journey_runs.Filter(
        None if statuses is None else journey_accounts.wanted(statuses),
        _automations(who.workspace_id, query.template_id),
        moments.read(query.start_date, "start_date"),
        moments.read(query.end_date, "end_date", last=True),
        _cursor(request, query.cursor) if query.cursor else None,
    )
    # PROCESSING and WAITING are one state in the tables: which of them it is stands in the records.
    is_split = statuses is not None and ("PROCESSING" in statuses) != (frames.WAITING in statuses)
    passes = (lambda run: _told(run).status in (statuses or ())) if is_split else None
    with listings.looking(request.services.database) as connection:
        found, after = journey_runs.listed(connection, who.workspace_id, who.tenant_id, wanted, limit, passes)
    following = None if after is None else _following(request, found, after)
    return Response(Runs([_told(one) for one in found], following), headers=ignored_header(ignored))


@get(_RUN, opt={"tag": TAG})
@in_thread
def read_journey_run(request: Call) -> Response[JourneyRun]:
    """Read one run."""
    ignored = request.ignore_query()
    return Response(_told(_stored(request)), headers=ignored_header(ignored))


@get(f"{_RUN}/steps", opt={"tag": TAG})
@in_thread
def list_run_steps(request: Call) -> Response[Steps]:
    """List the steps of a run: what became of each, and why."""
    ignored = request.ignore_query()
    found = _stored(request)
    records = runs.read(found.run.state)
    sent = [
        [ids.text(one) for one in askings.known_by(found.start, found.run.id, visit, record)]
        for visit, record in enumerate(records)
    ]
    told = journey_accounts.steps_of(_steps(request, found), found.run.status, records, sent)
    if found.run.status == runs.Status.WAITING:
        _tell_of_batch(request, told[len(records) - 1 :])
    return Response(Steps(told), headers=ignored_header(ignored))


def _tell_of_batch(request: Call, last: Sequence[journey_accounts.StepAccount]) -> None:
    """Add to the step that waits for its batch how large that is now, and when it is released."""
    told = last[0].explain.get(plans.BATCH, {}) if last else {}
    identity = ids.parse(told.get("id", ""))
    if identity is None:
        return
    who = request.principal
    with request.services.database.reading() as connection:
        batch = stored_batches.read(connection, who.workspace_id, who.tenant_id, identity)
    if batch is not None and batch.state == batches.State.OPEN:
        told |= {"size": batch.size, "releases_at": schedule.write_instant(batches.due_at(batch))}


def _steps(request: Call, found: journey_runs.Stored) -> list[journey_accounts.Named]:
    if found.body.request is not None:
        plan = journey_starts.own_plan(found.body, request.services.evaluator)
        steps = [step for step in plan.steps if isinstance(step, frames.Step)]
        return [journey_accounts.Named(step.kind, step.ref) for step in steps]
    if found.run.automation_id == journey_starts.OWN:
        return journey_accounts.as_written(found.body.steps or [])
    with request.services.database.reading() as connection:
        stored = definitions.version_of(connection, found.run.automation_id, found.run.version)
    assert stored is not None
    return journey_accounts.as_written(_definition.decode(stored).steps)


@post(f"{_RUN}/cancel", status_code=200, opt={"tag": TAG})
@in_thread
def cancel_run(request: Call) -> Response[Canceled]:
    """Cancel a run: no step of it begins any more, and of its messages none goes out that nobody holds.

    A run that has ended stays as it is.
    """
    ignored = request.ignore_query()
    before, services = _stored(request), request.services
    key, partition = (before.run.workspace_id, before.run.id), before.start.partition
    with services.database.writing() as connection:
        services.database.lock_partitions(connection, (partition,))
        hot, driver = services.database.hot, connection.connection.driver_connection
        found = journey_runs.read(connection, before.run.workspace_id, None, before.run.id)
        assert found is not None
        if found.run.status in runs.IN_PROGRESS:
            board = desk.Desk(services.now())
            askings.cancel(board, found.run, found.start)
            mailing.ended(board, found.start, found.run.id, found.body, ())
            tokens = {one for one in board.writes.launches if isinstance(one, rows.TokenCancel)}
            hot.cancel_by_token(driver, tokens)
            hot.cancel_messages(driver, board.now, board.writes.canceled)
            hot.write(driver, board.writes, (partition,), board.now)
            found = found._replace(run=board.runs[key])
    request.wake()
    told = _told(found)
    return Response(Canceled(told.run_id, told.status), headers=ignored_header(ignored))


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def _stored(request: Call) -> journey_runs.Stored:
    written, who = request.part("run_id"), request.principal
    identity = ids.of_wire(written) or ids.parse(written)
    found = None
    if identity is not None:
        with request.services.database.reading() as connection:
            found = journey_runs.read(connection, who.workspace_id, who.tenant_id, identity)
    if found is None:
        raise errors.NotFound(f"there is no run {written!r}")
    return found


def _told(stored: journey_runs.Stored) -> JourneyRun:
    body = stored.body
    return JourneyRun(
        ids.wire(stored.run.id),
        journey_accounts.status_of(stored.run.status, runs.read(stored.run.state)),
        list(body.source),
        body.journey,
        schedule.write_instant(ids.created_at(stored.run.id)),
    )


def _automations(workspace_id: int, given: str | None) -> list[bytes] | None:
    if not given:
        return None
    return [journeys.automation_id(workspace_id, one.strip()) for one in given.split(",")]


def _following(request: Call, found: Sequence[journey_runs.Stored], after: bytes) -> str:
    hides = lists.veil(request)
    is_shown = bool(found) and found[-1].run.id == after
    return ids.wire(after) if is_shown or hides is None else hides.hide(after)


def _cursor(request: Call, given: str) -> bytes:
    hides = lists.veil(request)
    identity = ids.of_wire(given) or (None if hides is None else hides.find(given))
    if identity is None:
        raise errors.InvalidQuery(
            "Invalid cursor format", faults=[errors.Fault("cursor", "is none of a list")]
        )
    return identity


HANDLERS = (list_journey_runs, read_journey_run, list_run_steps, cancel_run)
