"""How behaviour is broken: for each item, the names in the code that are replaced.

Modules are imported whole (`from heliograph.core import rules`), so replacing a module's name breaks it for every
caller. A replacement is made from the original: `always(True)`, `lambda original: …`.
"""

import importlib
import itertools
import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import campaigns, conditions, dates, exposures, expressions, plans, segments
from heliograph.store import schema
from tests.sabotage import wire


class Code(NamedTuple):
    """`place` (`package.module:name`, `package.module:Class.name`) is replaced by what `made` makes of it."""

    place: str
    made: Callable[[Any], Any]

    def __str__(self) -> str:
        return f"{self.place} replaced"


def always(answer: object) -> Callable[[Any], Any]:
    """A function that gives this answer whatever it is asked."""
    return lambda _original: lambda *_args, **_kwargs: answer


def always_raising(fault: type[Exception]) -> Callable[[Any], Any]:
    """A function that refuses whatever it is asked."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise fault

    return lambda _original: refuse


def answering(change: Callable[..., Any]) -> Callable[[Any], Any]:
    """A function that gives `change(what the original gives, *what it was asked)`."""
    return lambda original: lambda *asked: change(original(*asked), *asked)


def rules_with(**fields: Any) -> Code:
    """Every rule is read with these fields, whatever is stored."""
    return Code("heliograph.core.rules:ready", answering(lambda rule, *_: rule._replace(**fields)))


def closed(change: Callable[[Any, int], tuple[Any, int]]) -> Code:
    """The first gates judge another rule or another instant."""
    return Code("heliograph.core.rules:closed_by", lambda original: lambda *asked: original(*change(*asked)))


def state(change: Callable[[Any, bool], tuple[Any, bool]]) -> Code:
    """The effective state is that of another rule or pause."""
    return Code(
        "heliograph.core.rules:effective_state",
        lambda original: lambda rule, paused, now: original(*change(rule, paused), now),
    )


def _drawn_anew(_original: object) -> Callable[..., int]:
    numbers = itertools.count()
    return lambda *_: next(numbers) * 7919 % 10_000


_ORDER = "heliograph.core.rules:order"
_ROLLED_OUT = "heliograph.core.rules:rolled_out"

_DATES = "heliograph.core.dates:"


def due(change: Callable[[Any, str, int], tuple[Any, str, int]]) -> Code:
    """What is due for another rule, zone or birthday."""
    return Code(f"{_DATES}_due_at", lambda original: lambda *asked: original(*change(*asked)))


def dated(**fields: Any) -> Code:
    """Every new date automation says this, whatever was given."""
    return Code(f"{_DATES}define", answering(lambda made, *_: msgspec.structs.replace(made, **fields)))


_NO_TIME_FAULTS = Code(f"{_DATES}_time_faults", always([]))
_NO_ACTION_FAULTS = Code(f"{_DATES}_action_faults", always([]))
_AT_WEEKENDS = due(lambda rule, zone, birth: (rule._replace(on_weekend=True), zone, birth))


def _elapsed_from_noon(original: Callable[[str, int, int], int]) -> Callable[[str, int, int], int]:
    return lambda zone, day, minutes: original(zone, day, 720) + (minutes - 720) * 60_000_000


def _no_leap_days(original: Callable[..., int | None]) -> Callable[..., int | None]:
    return lambda birthday, year, _policy: original(birthday, year, dates.LeapDay.SKIP)


_SEGMENTS, _CAMPAIGNS = "heliograph.core.segments:", "heliograph.core.campaigns:"
_NOT_MOVED = Code(f"{_CAMPAIGNS}at_time", lambda _original: lambda standing, *_: standing)
_NOT_ENDED = Code(f"{_CAMPAIGNS}progressed", lambda _original: lambda standing, *_: standing)
_TWICE = Code(
    "heliograph.engine.fanout:as_they_are",
    lambda original: lambda *given, **how: [*original(*given, **how)] * 2,
)


def audience(change: Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]]) -> Code:
    """Other segments are included and excluded than was said."""
    return Code(
        f"{_SEGMENTS}audience",
        lambda original: lambda include, exclude: original(*change(include, exclude)),
    )


_NOBODY_INCLUDED = audience(lambda _, exclude: ([], exclude))
_EVERYBODY = audience(lambda _, exclude: ([segments.condition(())], exclude))
_NOBODY_EXCLUDED = audience(lambda include, _: (include, []))


def set_anyway(state: campaigns.State) -> Code:
    """A campaign that a client sets to this state is active all the same."""
    active = campaigns.State.ACTIVE
    return Code(
        f"{_CAMPAIGNS}set_by_people",
        lambda original: (
            lambda before, wanted, due_at, now: original(
                before, active if wanted is state else wanted, due_at, now
            )
        ),
    )


def turned(operator: str) -> Code:
    """An operator says the opposite."""
    return Code(
        "heliograph.core.operators:meaning",
        answering(
            lambda meaning, name, *_: (
                meaning._replace(negative=not meaning.negative) if name == operator else meaning
            )
        ),
    )


def seen_with(**fields: Any) -> Code:
    """Segments see these fields of everybody."""
    return Code(f"{_SEGMENTS}view", answering(lambda seen, *_: {**seen, **fields}))


def _as_first_seen(original: Callable[..., Any]) -> Callable[..., Any]:
    first: dict[str, Any] = {}
    return lambda user_id, *rest: first.setdefault(user_id, original(user_id, *rest))


_AS_FIRST_SEEN = Code(f"{_SEGMENTS}view", _as_first_seen)
_ANY_CONDITION = Code(
    f"{_SEGMENTS}condition",
    answering(lambda made, *_: made._replace(root=made.root._replace(kind="any")) if made.leaves else made),
)


_BATCHES, _ITEMS = "heliograph.core.batches:", "heliograph.core.batch_items:"


def _retaining(kind: str) -> Code:
    """Whatever is to be retained, it is these."""
    return Code("heliograph.core.steps.batching:_retained", answering(lambda retain, *_: (kind, *retain[1:])))


def _automation_without(field: str) -> wire.Wire:
    return wire.Wire(wire.Act.DROP, frozenset({("PATCH", "/api/automations/{id}")}), field)


_NOBODY = Code("heliograph.core.dates:beginning", always([]))


def merged(strategy: str, otherwise: str) -> Code:
    """What is to be merged by one strategy is merged by another."""
    return Code(
        "heliograph.core.people:merge",
        lambda original: lambda name, *rest: original(otherwise if name == strategy else name, *rest),
    )


def _never_paused(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(stored: Any) -> Any:
        book = original(stored)
        return book._replace(rules={key: rule._replace(is_paused=False) for key, rule in book.rules.items()})

    return read


def _drawn_keys(original: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    return lambda *asked: (
        start._replace(key=f"{start.key}:{secrets.token_hex(8)}") for start in original(*asked)
    )


def _leaving_a_cooldown(original: Callable[..., Any]) -> Callable[..., Any]:
    def rehearse(connection: Any, workspace_id: int, rule: Any, *rest: Any) -> Any:
        made = original(connection, workspace_id, rule, *rest)
        cooldown = (workspace_id, rule.id, "contact:ana", 0)
        connection.execute(sa.insert(schema.cooldowns).values(cooldown))
        connection.commit()
        return made

    return rehearse


def _dropped(field: str) -> tuple[wire.Wire, ...]:
    """A field is missing from every schema definition that is answered."""
    return (wire.Wire(wire.Act.DROP, _SCHEMAS, field),)


_SCHEMAS = frozenset(
    (method, path)
    for method in ("GET", "POST")
    for path in ("/partner/schema-definitions", "/partner/schema-definitions/{id}")
)
wire.know(_SCHEMAS)

SABOTAGE: dict[str, tuple[wire.Wire | Code, ...]] = {
    "S0-01": (Code("heliograph.web.reach:tenant_of", always(None)),),
    "S0-08": (_automation_without("include_segments"),),
    "S0-09": (_automation_without("exclude_segments"),),
    "S0-11": (set_anyway(campaigns.State.DRAFT),),
    "S0-12": (_NOT_MOVED,),
    "S0-13": (
        Code(
            f"{_CAMPAIGNS}progressed",
            answering(lambda standing, *_: standing._replace(state=campaigns.State.COMPLETED)),
        ),
    ),
    "S0-15": (_NOT_ENDED,),
    "S0-16": (Code(f"{_CAMPAIGNS}stopped", lambda _original: lambda standing, _: standing),),
    "S0-17": (set_anyway(campaigns.State.DEACTIVATED),),
    "S0-19": (_NOT_MOVED, _NOT_ENDED),
    "S0-20": (_NOT_MOVED,),
    "S0-21": (Code(f"{_CAMPAIGNS}due_at", always(None)),),
    "S0-22": (_NOBODY_INCLUDED,),
    "S0-23": (_NOBODY_INCLUDED,),
    "S0-24": (_TWICE,),
    "S0-27": (_EVERYBODY,),
    "S0-28": (_NOBODY_EXCLUDED,),
    "S0-29": (_EVERYBODY, _NOBODY_EXCLUDED),
    "S0-30": (_TWICE,),
    "S0-33": (Code(f"{_CAMPAIGNS}SEND", lambda _original: "other"),),
    "S0-34": (_automation_without("communication_group_id"),),
    "S0-35": (Code("heliograph.core.communication_groups:content", always({"text": "-"})),),
    "S0-36": (Code(f"{_CAMPAIGNS}groups_of", answering(lambda groups, *_: groups[::-1])),),
    "S0-38": (Code("heliograph.engine.campaign:_EMAIL", lambda _original: "sms"),),
    "S0-39": (Code("heliograph.core.communication_groups:_sms", always(None)),),
    "S0-41": (_NOT_MOVED, _NOBODY_EXCLUDED),
    "S1-01": (_NOBODY,),
    "S1-02": (_NOBODY,),
    "S1-03": (Code("heliograph.engine.dates:_is_gone", always(True)),),
    "S1-04": (Code("heliograph.engine.dates:_is_gone", always(False)),),
    "S1-05": (Code("heliograph.engine.calendar:book", _never_paused),),
    "S1-06": (Code("heliograph.engine.calendar:_starts", _drawn_keys),),
    "S1-46": (Code("heliograph.core.steps.dates:Enlist.take", always(plans.done())),),
    "S1-67": (Code("heliograph.store.dates:message", always("birthday")),),
    "S1-78": (Code("heliograph.web.routes.dates:_refuse_unpausing", always_raising(errors.DependentGone)),),
    "S1-81": (dated(summary="said otherwise"),),
    "S1-47": (Code("heliograph.core.steps.dates:Autorespond.take", always(plans.done())),),
    "S1-48": (Code("heliograph.core.steps.dates:Tell.take", always(plans.done())),),
    "S1-49": (Code("heliograph.core.steps.dates:Autorespond.take", always(plans.done())),),
    "S1-51": (_NO_TIME_FAULTS,),
    "S1-52": (dated(actiononweekend=False),),
    "S1-54": (_NO_TIME_FAULTS, Code(f"{_DATES}_is_soon", always(True))),
    "S1-55": (Code("heliograph.core.dates:queued_at", always(None)),),
    "S1-56": (_NO_TIME_FAULTS,),
    "S1-57": (_NO_TIME_FAULTS,),
    "S1-58": (due(lambda rule, zone, birth: (rule._replace(offset=abs(rule.offset)), zone, birth)),),
    "S1-59": (_NO_TIME_FAULTS,),
    "S1-60": (due(lambda rule, zone, birth: (rule._replace(offset=rule.offset // 60), zone, birth)),),
    "S1-61": (due(lambda rule, _zone, birth: (rule, "UTC", birth)),),
    "S1-62": (Code(f"{_DATES}_HOUR", lambda _original: re.compile(".*", re.DOTALL)),),
    "S1-63": (_AT_WEEKENDS,),
    "S1-64": (_AT_WEEKENDS,),
    "S1-65": (Code("heliograph.core.schedule:resolve", _elapsed_from_noon),),
    "S1-66": (Code(f"{_DATES}_celebrated", _no_leap_days),),
    "S1-68": (Code("heliograph.store.dates:close_message", always(None)),),
    "S1-69": (Code("heliograph.store.dates:close_message", always(None)),),
    "S1-79": (Code("heliograph.store.dates:pause_senders", always([])),),
    "S1-80": (due(lambda rule, zone, birth: (rule._replace(offset=0), zone, birth)), _NOBODY),
    "S1-72": (Code("heliograph.core.folders:holds", always(True)),),
    "S1-73": (Code("heliograph.core.folders:holds", always(True)),),
    "S1-70": (_NO_ACTION_FAULTS,),
    "S1-71": (_NO_ACTION_FAULTS,),
    "S2-03": (Code("heliograph.core.expressions:judge", always(expressions.Judgement(True))),),
    "S2-04": (Code(f"{_ITEMS}gained", always({})),),
    "S2-05": (Code("heliograph.core.steps.batching:AddToBatch.take", always(plans.done())),),
    "S2-06": (Code("heliograph.engine.batch_words:note", always(None)),),
    "S2-08": (Code(f"{_BATCHES}group_of", always(bytes(16))),),
    "S2-09": (Code(f"{_BATCHES}due_at", answering(lambda _, batch: batch.opened_at + batch.wait)),),
    "S2-10": (Code(f"{_BATCHES}due_at", answering(lambda _, batch: batch.last_at + batch.wait)),),
    "S2-11": (Code("heliograph.core.delays:LONGEST_PERIOD", lambda longest: 2 * longest),),
    "S2-12": (
        Code(f"{_BATCHES}due_at", answering(lambda _, batch: batch.last_at + batch.wait)),
        Code(
            f"{_BATCHES}due_at", answering(lambda _, batch: batch.last_at + max(batch.wait, batch.max_wait))
        ),
    ),
    "S2-13": (Code(f"{_BATCHES}is_full", always(False)),),
    "S2-14": (Code("heliograph.core.steps.batching:_retained", always(("first", 100, None))),),
    "S2-15": (Code(f"{_ITEMS}retained", answering(lambda items, *_: items[::-1])), _retaining("last")),
    "S2-16": (_retaining("first"),),
    "S2-17": (_retaining("lowest"),),
    "S2-18": (_retaining("highest"),),
    "S2-19": (
        Code(f"{_BATCHES}MOST_RETAINED", lambda _original: 9),
        Code(f"{_ITEMS}retained", answering(lambda items, *_: items[:9])),
    ),
    "S2-20": (Code("heliograph.core.values:at", always(None)),),
    "S2-21": (
        Code("heliograph.core.steps.batching:_category", always("batch")),
        Code("heliograph.core.steps.batching:DEFAULT_CATEGORY", lambda _original: "items"),
    ),
    "S2-22": (Code("heliograph.core.steps.batching:AddToBatch.take", always(plans.failed("no"))),),
    "S2-23": (Code("heliograph.engine.askings:cancel", always(None)),),
    "S2-26": (Code("heliograph.core.journey_starts:_token", always(None)),),
    "S2-28": (
        Code("heliograph.core.frames:Run._left", always({"status": "ENQUEUED"})),
        Code("heliograph.core.expressions:judge", always(expressions.Judgement(True))),
    ),
    "S2-34": (Code("heliograph.core.frames:Reader.fault", always(None)),),
    "S2-30": (Code("heliograph.core.delays:after", lambda _original: lambda now, *_: now),),
    "S2-37": (Code("heliograph.core.steps.fetching:Fetch.left", lambda _: lambda _, context, __: context),),
    "S2-43": (merged("replace", "overwrite"), merged("replace", "none")),
    "S2-44": (
        merged("soft-merge", "overwrite"),
        merged("soft-merge", "replace"),
        merged("soft-merge", "none"),
    ),
    "S2-45": (merged("overwrite", "replace"), merged("overwrite", "soft-merge")),
    "S2-46": (merged("none", "replace"), merged("none", "soft-merge"), merged("none", "overwrite")),
    "S2-54": (
        Code("heliograph.core.steps.profiles:GetProfile.left", lambda _: lambda _, context, __: context),
    ),
    "S2-59": (Code("heliograph.core.steps.flow:Invoke.take", always(plans.done())),),
    "S2-70": (Code("heliograph.core.steps.sending:Send.take", always(plans.done())),),
    "S2-81": (Code("heliograph.engine.journey:_People.__getitem__", always({})),),
    "S2-107": (Code("heliograph.core.steps.profiles:UpdateProfile.take", always(plans.done())),),
    "S2-111": (merged("replace", "overwrite"), merged("replace", "none")),
    "S2-112": (
        merged("soft-merge", "overwrite"),
        merged("soft-merge", "replace"),
        merged("soft-merge", "none"),
    ),
    "S2-113": (merged("overwrite", "replace"), merged("overwrite", "soft-merge")),
    "S2-114": (merged("none", "replace"), merged("none", "soft-merge"), merged("none", "overwrite")),
    "S2-118": (
        merged("overwrite", "replace"),
        merged("overwrite", "none"),
        merged("soft-merge", "overwrite"),
        merged("none", "soft-merge"),
        merged("replace", "overwrite"),
    ),
    "S2-89": (Code("heliograph.core.steps.listing:SendList.take", always(plans.done())),),
    "S2-90": (Code("heliograph.core.steps.listing:Ask.left", lambda _: lambda _, context, __: context),),
    "S2-96": (merged("replace", "overwrite"), merged("replace", "none")),
    "S2-97": (merged("soft-merge", "overwrite"), merged("soft-merge", "replace")),
    "S2-98": (merged("overwrite", "replace"), merged("overwrite", "soft-merge")),
    "S2-99": (merged("none", "replace"), merged("none", "soft-merge"), merged("none", "overwrite")),
    "S2-83": (Code("heliograph.core.steps.sending:SendMessage.take", always(plans.done())),),
    "S3-01": (_NOBODY_INCLUDED, _EVERYBODY),
    "S3-02": (_NOBODY_INCLUDED,),
    "S3-03": (_AS_FIRST_SEEN,),
    "S3-04": (_AS_FIRST_SEEN,),
    "S3-12": (seen_with(user_id=None),),
    "S3-13": (seen_with(email=None),),
    "S3-14": (seen_with(phone=None),),
    "S3-15": (seen_with(first_name=None),),
    "S3-16": (seen_with(last_name=None),),
    "S3-17": (Code("heliograph.store.definitions:exposed", always(exposures.NOTHING)),),
    "S3-18": (Code("heliograph.core.exposures:_type", always(None)),),
    "S3-19": (Code(f"{_SEGMENTS}_along", lambda _original: lambda test, _path: test),),
    "S3-20": (Code("heliograph.core.exposures:Exposed.fault", always(None)),),
    "S3-21": (Code("heliograph.core.exposures:Exposed.fault", always(None)),),
    "S3-22": (
        Code("heliograph.core.exposures:Exposed.fault", always("is not exposed")),
        Code("heliograph.engine.campaign:_merged", always({})),
    ),
    "S3-23": _dropped("name"),
    "S3-24": _dropped("description"),
    "S3-25": _dropped("json_path"),
    "S3-26": _dropped("exposure"),
    "S3-27": (
        Code(f"{_SEGMENTS}_any_holds", always(True)),
        Code("heliograph.core.exposures:Reading.found", always([])),
    ),
    "S3-29": (turned("equals"),),
    "S3-30": (turned("not_equals"),),
    "S3-31": (turned("greater_than"),),
    "S3-32": (turned("less_than"),),
    "S3-34": (Code("heliograph.web.documentation:encoded", always(b"{}")),),
    "S3-35": (_ANY_CONDITION,),
    "S3-36": (
        Code(f"{_SEGMENTS}view", answering(lambda seen, *_: {**seen, "points": seen.get("points", 12)})),
    ),
    "S3-37": (_EVERYBODY,),
    "S3-38": (_NOBODY_EXCLUDED,),
    "S3-41": (Code(f"{_CAMPAIGNS}dangling", always([])),),
    "S4-72": (
        Code("heliograph.core.conditions:holds", always(True)),
        Code("heliograph.core.conditions:holds", always(False)),
    ),
    "S4-73": (Code("heliograph.engine.rehearsal:rehearse", _leaving_a_cooldown),),
    "S4-01": (Code("heliograph.web.auth:authorize", always(None)),),
    "S4-101": (
        closed(lambda rule, now: (rule._replace(snoozed_until=None), now)),
        closed(lambda rule, now: (rule, 0 if rule.snoozed_until else now)),
    ),
    "S4-102": (
        Code(
            "heliograph.core.rules:snooze",
            lambda original: lambda rule, until, now: rule if until is None else original(rule, until, now),
        ),
    ),
    "S4-111": (state(lambda rule, paused: (rule._replace(snoozed_until=None), paused)),),
    "S4-112": (state(lambda rule, _: (rule, False)),),
    "S4-113": (state(lambda rule, paused: (rule._replace(schedule=None), paused)),),
    "S4-128": (closed(lambda rule, now: (rule._replace(schedule=None), now)),),
    "S4-132": (
        Code(_ROLLED_OUT, always(True)),
        Code(_ROLLED_OUT, always(False)),
        Code("heliograph.core.rules:bucket", _drawn_anew),
    ),
    "S4-134": (Code("heliograph.core.schedule:windows", always([])),),
    "S4-157": (
        Code("heliograph.core.control:is_paused", lambda original: lambda control, _: original(control, 0)),
    ),
    "S4-287": (
        closed(lambda rule, now: (rule._replace(snoozed_until=None), now)),
        closed(lambda rule, now: (rule._replace(schedule=None), now)),
        Code("heliograph.core.statistics:verdict", always(None)),
    ),
    "S4-159": (Code("heliograph.web.lists:place", answering(lambda at, *_: at._replace(offset=0))),),
    "S4-169": (
        Code("heliograph.web.lists:place", answering(lambda at, *_: at._replace(after=None))),
        Code("heliograph.store.listings:walk", answering(lambda page, *_: (page[0][:-1], page[1]))),
    ),
    "S4-288": (rules_with(is_active=True),),
    "S4-289": (
        Code(_ORDER, answering(lambda place, _: (-place[0], *place[1:]))),
        Code(_ORDER, answering(lambda place, _: (place[0], -place[1], place[2]))),
    ),
    "S4-290": (rules_with(stop_on_match=False),),
    "S4-291": (Code("heliograph.core.rules:cooling", always(False)),),
    "S4-292": (
        rules_with(condition=conditions.parse(None)),
        rules_with(condition=conditions.parse([{"field": "event_type", "operator": "equals", "value": "-"}])),
    ),
    "S4-293": (
        Code("heliograph.core.steps:parse", answering(lambda steps, *_: tuple(reversed(steps)))),
        Code("heliograph.core.runs:write", always(b"[]")),
    ),
    "S4-294": (Code("heliograph.core.ids:of_run", lambda _original: lambda *_: secrets.token_bytes(16)),),
    "S4-295": (Code("heliograph.core.schedule:event_retry_at", answering(lambda _, _tries, now: now)),),
    "S4-296": (
        wire.Wire(wire.Act.DROP, frozenset({("GET", "/api/automation/events/{id}")}), "processed_at"),
    ),
    "S4-297": (
        Code("heliograph.core.statistics:Counts.failure_rate", lambda _original: 75.0),
        Code("heliograph.core.statistics:verdict", always(None)),
        Code(
            "heliograph.core.statistics:verdict",
            answering(lambda found, *_: found and found._replace(level="warning")),
        ),
    ),
    "S4-299": (Code("heliograph.core.alert_notices:follow", always((None, None))),),
    "S4-298": (
        Code(
            "heliograph.core.events:fingerprint",
            lambda _original: lambda payload: sha256(json.dumps(payload).encode()).hexdigest(),
        ),
    ),
}
"""By item, each way of breaking it; the item's tests must notice every one."""


@contextmanager
def replaced(code: Code) -> Iterator[None]:
    """Replace the name for a while; LookupError where there is no such name (any more)."""
    module, _, path = code.place.partition(":")
    *owners, name = path.split(".")
    try:
        owner = importlib.import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        original = owner.__dict__[name]
    except (ModuleNotFoundError, AttributeError, KeyError) as missing:
        if isinstance(missing, ModuleNotFoundError) and missing.name != module:
            raise
        raise LookupError(f"there is no {code.place} to break") from None
    setattr(owner, name, code.made(original))
    try:
        yield
    finally:
        setattr(owner, name, original)
