"""Starts of journeys: with what a run begins, whoever asks for it (J15).

Law: everything that can be wrong with an invocation is found before the run starts, each fault with its place. What a
run holds is written down at its start and stays.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from heliograph import errors
from heliograph.core import (
    effects,
    expressions,
    fields,
    frames,
    ids,
    journey_checks,
    outgoing,
    plans,
    schedule,
)
from heliograph.core.journeys import Journey, read_steps
from heliograph.core.steps import listing

MAX_DEPTH = 5
"""How many runs may start each other one after the other within an hour of each other."""
OWN = bytes(16)
"""What stands for the automation of a run that brought its steps with it."""


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run was started with."""

    source: tuple[str, ...]
    data: dict[str, Any] = {}
    profile: dict[str, Any] = {}
    brand: str | None = None
    template: str | None = None
    recipient: str | None = None
    depth: int = 0
    above: tuple[str, ...] = ()
    """The journeys whose runs have started each other before it, the first one first."""
    steps: list[dict[str, Any]] | None = None
    """The steps that it brought with it."""
    journey: str | None = None
    """The id of its journey."""
    event_id: str | None = None
    mailing: str | None = None
    """The id of the fan-out whose recipient this is the run of, which hears of its end."""
    request: dict[str, Any] | None = None
    """What is asked about the recipient."""
    strategy: str = "replace"
    template_version: int = 0
    look: dict[str, Any] | None = None
    override: dict[str, Any] | None = None
    """What is said of the e-mail to the recipient instead."""
    topic: str | None = None
    """What that is about."""
    letter: outgoing.Letter | None = None
    """What is said to the recipient, where it goes by more than e-mail."""


_body = msgspec.json.Decoder(Body)


_REMEMBERED, _SHORT = 1_024, 2_048
"""So many bodies are remembered, of so many characters at most: a turn reads the same one again and again."""


def read_body(stored: bytes | str) -> Body:
    """What a stored run was started with: values, which nobody changes."""
    return _remembered(stored) if len(stored) <= _SHORT else _body.decode(stored)


_remembered = functools.lru_cache(_REMEMBERED)(_body.decode)


def may_be_of_many(stored: bytes | str) -> bool:
    """Whether a stored run may have been started for one recipient of many: most say plainly that they were not."""
    return (b'"mailing"' if isinstance(stored, bytes) else '"mailing"') in stored  # type: ignore[operator]


def own_plan(body: Body, evaluator: expressions.Evaluator) -> plans.Plan:
    """The steps of a run that brought them with it, read again: they were checked when they came in."""
    if body.request is not None:
        said: dict[str, Any] = {"look": body.look, "override": body.override, "topic": body.topic}
        pinned: dict[str, Any] = {"template_id": body.template, "template_version": body.template_version}
        letter = body.letter or outgoing.Letter(**pinned, **said)
        return listing.of_recipient(body.request, body.strategy, letter, ids.parse(body.mailing or ""))
    return read_steps(body.steps, evaluator)


def context_of(body: Body) -> expressions.Context:
    """What its steps read of it."""
    return expressions.Context(body.data, body.profile, body.brand, body.template, body.recipient)


def start(
    journey: Journey | None,
    body: Body,
    token: Any,
    evaluator: expressions.Evaluator,
    now: int,
    start_key: str | None = None,
) -> effects.Start:
    """The start of a run; `token` is as it was written. Raises InvalidInput where the token cannot be told."""
    automation, version = (OWN, 0) if journey is None else (journey.automation_id, journey.version)
    return effects.Start(
        effects.Door.JOURNEY,
        automation,
        version,
        start_key,
        body.recipient,
        _token(token, body, evaluator, now),
        msgspec.to_builtins(body),
    )


def _token(given: Any, body: Body, evaluator: expressions.Evaluator, now: int) -> str | None:
    if given in (None, ""):
        return None
    path = "cancelation_token"
    field = fields.parse(given, path, evaluator)
    try:
        value = fields.resolve(field, expressions.Scope(context_of(body), evaluator, now, 0), path)
        return None if value in (None, "") else frames.name(value, path)
    except errors.RenderFailed as fault:
        raise errors.InvalidInput(faults=fault.faults) from None


_OF_ITS_OWN = "(steps of its own)"


def _path(*names: str) -> str:
    return " -> ".join(names)


def child(
    journey: Journey | None,
    template: str,
    given: Mapping[str, Any],
    parent: tuple[bytes, Body],
    evaluator: expressions.Evaluator,
    now: int,
) -> effects.Start | str:
    """The start that an `invoke` step asks for, or why there is none."""
    if journey is None:
        return f"there is no published journey {template!r}"
    run_id, before = parent
    depth, above = 0, tuple[str, ...]()
    if now - ids.created_at(run_id) < schedule.HOUR:
        depth, above = before.depth + 1, (*before.above, before.journey or _OF_ITS_OWN)
    identity = journey.definition.id
    if depth > MAX_DEPTH:
        told = f"depth: runs have started each other {MAX_DEPTH} times already, and {template!r} would be one more"
        if identity not in above:
            return f"{told}: {_path(*above, identity)}"
        *_, since = (place for place, name in enumerate(above) if name == identity)
        return f"{told}, in a cycle: {_path(*above[since:], identity)}"
    source = (f"invoke/{identity}", f"run/{ids.wire(run_id)}")
    body = Body(source, **given, depth=depth, above=above, journey=identity)
    return start(journey, body, journey.definition.cancelation_token, evaluator, now)


# ── invocations ─────────────────────────────────────────────────────────────────────────────────────


def of_own(
    steps: Any,
    token: Any,
    given: Mapping[str, Any],
    evaluator: expressions.Evaluator,
    now: int,
    *,
    allowed_hosts: Collection[str] = (),
    providers: journey_checks.Providers | None = None,
) -> effects.Start:
    """The start of a run that brings its steps with it, checked whole. Raises InvalidInput.

    `providers` reads those of the workspace, where they are to be looked for.
    """
    checks = [journey_checks.of_sends(given), journey_checks.of_addresses(allowed_hosts)]
    if providers is not None:
        checks.append(journey_checks.of_providers(providers))
    try:
        read_steps(steps, evaluator, checks=checks)
    except errors.InvalidInput as refusal:
        raise errors.InvalidInput(f"Invalid Steps Definition: {refusal}", faults=refusal.faults) from None
    return start(None, Body(("invoke",), **given, steps=steps), token, evaluator, now)


def of_template(
    journey: Journey, given: Mapping[str, Any], evaluator: expressions.Evaluator, now: int
) -> effects.Start:
    """The start of a run of a journey that somebody invokes. Raises InvalidInput."""
    definition = journey.definition
    read_steps(definition.steps, evaluator, checks=[journey_checks.of_sends(given)])
    body = Body((f"invoke/{definition.id}",), **given, journey=definition.id)
    return start(journey, body, definition.cancelation_token, evaluator, now)
