"""Plays: rules, people and waves of events, drawn at random, and a stage on which one play is given again and again.

A play leaves nothing to chance: its rules and events have fixed ids and its clock is moved by hand, so two
performances that differ in nothing leave the same rows to the byte.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast
from unittest import mock

import msgspec
import sqlalchemy as sa
from hypothesis import strategies as st

from heliograph import channels, testing
from heliograph.core import campaigns, communication_groups, ids, notices, reports, rules, segments
from heliograph.core import dates as core_dates
from heliograph.engine import turn
from heliograph.store import automations, database, dates, rows, schema
from heliograph.store import campaigns as stored_campaigns
from heliograph.store import communication_groups as stored_groups
from heliograph.store import reports as stored_reports
from heliograph.store import segments as stored_segments
from heliograph.store.hot_postgres import taking
from tests import tables
from tests.engine import acts

KEPT = ("workspaces", "partitions")
SECOND = 1_000_000


class Play(NamedTuple):
    """What is given."""

    rules: tuple[Mapping[str, Any], ...]
    waves: tuple[tuple[int, tuple[Mapping[str, Any], ...]], ...]
    """(seconds that pass before it, its events)"""
    dates: tuple[Mapping[str, Any], ...] = ()
    """Date automations."""
    campaigns: tuple[tuple[int, int, int, int], ...] = ()
    """(after which wave it is activated, the segment that it includes, the one that it excludes, how many actions)"""
    cancels: tuple[tuple[int, int], ...] = ()
    """(after which wave, whether of the journeys for an odd `n`)"""
    policy: Mapping[str, Any] | None = None
    """Quiet hours and caps."""
    reports: tuple[tuple[int, int, Mapping[str, Any], int], ...] = ()
    """(after which wave, of which message, what is told of it, how many seconds ago it happened)"""


# ── drawing ─────────────────────────────────────────────────────────────────────────────────────────

TYPES = ("custom.a", "custom.b")
PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "ana": {"email": "ana@example.com", "plan": "free", "birthdate": "1990-01-01"},
    "bob": {"email": "refused@example.com", "birthdate": "0000-01-01"},
    "cid": {"plan": "pro"},
    "dot": {"email": "later@example.com", "plan": "pro"},
}
CONDITIONS: tuple[Any, ...] = (
    None,
    [{"field": "payload.n", "operator": "greater_than", "value": 4}],
    {"any": [{"field": "contact.plan", "operator": "equals", "value": "pro"}]},
    {"none": [{"field": "contact.tags", "operator": "contains", "value": "seen"}]},
    {
        "all": [
            {"field": "contact.score", "operator": "exists"},
            {"field": "n", "operator": "less_than", "value": 8},
        ]
    },
)
_NOTHING_TOLD: st.SearchStrategy[Any] = st.just(())
_on_error = st.sampled_from(("continue", "stop"))
_step = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("update_contact"),
            "fields": st.sampled_from(
                ({"plan": "pro"}, {"plan": "{{payload.plan}}"}, {"score": "{{payload.n}}"})
            ),
            "on_error": _on_error,
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("add_tags"),
            "tags": st.sampled_from((["seen"], ["n{{payload.n}}", "seen"])),
            "target": st.sampled_from((None, "contact", "conversation")),
            "on_error": _on_error,
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("emit_event"),
            "event_type": st.sampled_from(("custom.b", "custom.c")),
            "payload": st.just({"n": "{{payload.n}}", "plan": "gold"}),
            "contact_id": st.sampled_from((None, None, "dot")),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("add_to_list"),
            "list_id": st.sampled_from(("l{{contact.score}}", "l{{payload.n}}", "l3")),
            "on_error": _on_error,
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("send_message"),
            "text": st.just("{{contact.plan}} {{payload.n}} {{contact.score}}"),
            "on_error": _on_error,
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("notify"),
            "emails": st.just(["staff@example.com", "refused@example.com"]),
            "text": st.just("{{contact.plan}}"),
            "on_error": _on_error,
        }
    ),
)
# What a journey sends depends on its own data alone: whether a person changes before or after its step is a matter of
# the turns' size.
JOURNEYS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "short": (
        {
            "action": "send",
            "ref": "first",
            "message": {
                "to": {"email": "${['later', 'later', 'j', 'j', 'j', 'j'][data.n] || 'refused'}@example.com"},
                "content": {"title": "t", "body": "{n} {plan}"},
            },
        },
        {"action": "delay", "duration": "30 minutes"},
        {
            "action": "send",
            "if": "refs.first.status === 'SENT'",
            "message": {"to": {"email": "j@example.com"}, "content": {"title": "u", "body": "{n}"}},
        },
    ),
    "digest": (
        {
            "action": "add-to-batch",
            "batch_id": {"$ref": "data.of"},
            "wait_period": "PT10M",
            "max_wait_period": "PT15M",
            "max_items": 3,
            "retain": {"type": "last", "count": 2},
        },
        {
            "action": "send",
            "message": {
                "to": {"email": "j@example.com"},
                "content": {"title": "refs.data.batch.count", "body": "refs.data.batch.items[0].n"},
            },
        },
    ),
    "chain": (
        {"action": "delay", "duration": "2 seconds"},
        {
            "action": "fetch-data",
            "webhook": {"url": "https://crm.example/", "params": {"n": "${data.n}"}},
            "merge_strategy": "overwrite",
        },
        {"action": "update-profile", "recipient_id": "fay", "profile": {"n": 1}, "merge": "overwrite"},
        {"action": "get-profile", "user_id": "bob", "path": "data.friend"},
        {"action": "invoke", "template": "short"},
    ),
}
CANCEL = "custom.stop"
# Of one subject alone: there is no order between subjects (engine.md E26), so none between two who want one key.
KEY = "{{contact.id}}|{{conversation.id}}|{{payload.n}}"
AGENTS = ("maya", "noor")
_of_conversations = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("assign_agent"),
            "agent_id": st.sampled_from((*AGENTS, "nobody", "{{payload.agent_id}}")),
            "on_error": _on_error,
        }
    ),
    st.just({"type": "assign_division", "division_id": "billing"}),
    st.just({"type": "unassign"}),
    st.fixed_dictionaries(
        {
            "type": st.just("set_status"),
            "status": st.sampled_from(("open", "pending", "closed", "{{payload.plan}}")),
            "on_error": _on_error,
        }
    ),
    st.just({"type": "set_priority", "priority": "{% if payload.n > 4 %}high{% else %}low{% endif %}"}),
    st.just({"type": "add_note", "text": "{{event_type}} {{payload.n}} {{payload.status}}"}),
    st.fixed_dictionaries(
        {
            "type": st.just("remove_tags"),
            "tags": st.sampled_from((["seen"], ["n{{payload.n}}"])),
            "target": st.sampled_from((None, "contact", "conversation")),
        }
    ),
)
TOLD = (
    "conversation_assigned",
    "conversation_status_changed",
    "conversation_tagged",
    "contact_created",
    "contact_updated",
    "message_failed",
)
"""Types of the engine's own."""
_start = st.fixed_dictionaries(
    {
        "type": st.just("invoke_automation"),
        "template": st.sampled_from(("short", "chain", "unknown")),
        "once": st.booleans(),
        "entry_key": st.sampled_from((None, KEY)),
        "on_error": _on_error,
    }
)
_rule = st.fixed_dictionaries(
    {
        "name": st.just("A rule"),
        "trigger_type": st.sampled_from((*TYPES, *TYPES, *TYPES, *TOLD)),
        "conditions": st.sampled_from(CONDITIONS),
        "actions": st.lists(st.one_of(_step, _of_conversations, _start), min_size=1, max_size=3),
        "priority": st.integers(0, 2),
        "cooldown_secs": st.sampled_from((0, 0, 2, 3600)),
        "rollout_percentage": st.sampled_from((100, 100, 100, 60, 0)),
        "stop_on_match": st.sampled_from((False, False, True)),
        "alert_settings": st.sampled_from(
            (None, {"min_matched_runs": 1, "channels": {"emails": ["ops@example.com"]}})
        ),
    }
)
WHOSE: Mapping[str | None, str] = {"k1": "ana", "k2": "cid"}
"""Where several people's events change one conversation, who was first is a matter of the turns' size."""


def _of_its_own(drawn: dict[str, Any]) -> dict[str, Any]:
    return {**drawn, "contact_id": WHOSE.get(drawn["conversation_id"], drawn["contact_id"])}


happening = st.fixed_dictionaries(
    {
        "event_type": st.sampled_from(TYPES),
        # A crowd of few: what one event leaves, the next one meets.
        "contact_id": st.sampled_from((*PEOPLE, "ana", "ana", "eve", None)),
        "conversation_id": st.sampled_from((None, None, "k1", "k2")),
        "payload": st.fixed_dictionaries(
            {"n": st.integers(0, 9), "plan": st.sampled_from(("free", "pro", 7, None))}
        ),
    }
).map(_of_its_own)
_waves = st.lists(
    st.tuples(st.sampled_from((0, 1, 3, 4_000)), st.lists(happening, min_size=3, max_size=9).map(tuple)),
    min_size=1,
    max_size=3,
)
SEGMENTS: tuple[tuple[Mapping[str, Any], ...], ...] = (
    ({"field": "plan", "operator": "equals", "value": "pro"},),
    ({"field": "score", "operator": "less_than", "value": 8},),
    ({"field": "user_id", "operator": "not_equals", "value": ["ana", "dot"]},),
)
_place = st.integers(0, len(SEGMENTS) - 1)
_campaigns = st.lists(st.tuples(st.integers(0, 2), _place, _place, st.integers(1, 2)), max_size=2)
_date = st.fixed_dictionaries(
    {
        "name": st.just("A birthday"),
        "actiontype": st.just("notify"),
        "actiontarget": st.sampled_from(("staff@example.com", "refused@example.com")),
        "actiontimediff": st.sampled_from((0, 1, 60, -1380, 1440)),
        "actiononweekend": st.just(True),
        "summary": st.none(),
    }
)
_set_birthday = st.fixed_dictionaries(
    {
        "name": st.just("A rule"),
        "trigger_type": st.sampled_from(TYPES),
        "actions": st.sampled_from((None, "1990-01-01", "1990-01-02")).map(
            lambda birthdate: [{"type": "update_contact", "fields": {"birthdate": birthdate}}]
        ),
    }
)
_cancels = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), max_size=3, unique=True)
# What a conversation's own events meet is the conversation as it stands: nobody else's turn is in between.
_of_a_conversation = st.fixed_dictionaries(
    {
        "event_type": st.sampled_from(TYPES),
        "contact_id": st.none(),
        "conversation_id": st.sampled_from(("k1", "k1", "k2")),
        "payload": st.fixed_dictionaries(
            {"n": st.integers(0, 9), "plan": st.sampled_from(("open", "closed", "none"))}
        ),
    }
)
_standing = st.sampled_from(
    (
        None,
        [{"field": "conversation.status", "operator": "not_equals", "value": "closed"}],
        {"any": [{"field": "conversation.agent_id", "operator": "equals", "value": "maya"}]},
        {"none": [{"field": "conversation.tags", "operator": "contains", "value": "seen"}]},
        [{"field": "status", "operator": "changed_to", "value": "pending"}],
        [{"field": "agent_id", "operator": "changed"}],
    )
)
_care = st.fixed_dictionaries(
    {
        "name": st.just("A rule"),
        "trigger_type": st.sampled_from((*TYPES, *TYPES, *TOLD[:3])),
        "conditions": _standing,
        "actions": st.lists(
            st.one_of(
                _of_conversations,
                _of_conversations,
                st.just({"type": "add_tags", "tags": ["seen", "n{{payload.n}}"]}),
                st.just({"type": "emit_event", "event_type": "custom.b", "conversation_id": "k2"}),
                st.just({"type": "notify", "emails": ["refused@example.com"], "text": "{{payload.n}}"}),
            ),
            min_size=1,
            max_size=4,
        ),
        "cooldown_secs": st.sampled_from((0, 0, 0, 2)),
        "stop_on_match": st.sampled_from((False, False, True)),
    }
)
LISTENERS = tuple(
    {
        "name": "A listener",
        "trigger_type": event_type,
        "actions": [{"type": "add_note", "text": "{{event_type}} {{payload.status}} {{previous.status}}"}],
    }
    for event_type in TOLD[:3]
)
"""Rules that note down what the engine tells of conversations."""
care = st.builds(
    Play,
    st.lists(_care, min_size=2, max_size=6).map(lambda drawn: (*drawn, *LISTENERS)),
    st.lists(
        st.tuples(st.sampled_from((0, 3)), st.lists(_of_a_conversation, min_size=3, max_size=9).map(tuple)),
        min_size=1,
        max_size=2,
    ).map(tuple),
    st.just(()),
    st.just(()),
    st.just(()),
    st.none(),
    _NOTHING_TOLD,
)
"""Conversations that rules take care of, looking at how they stand."""
plays = st.builds(
    Play,
    st.lists(_rule, min_size=3, max_size=6).map(tuple),
    _waves.map(tuple),
    st.just(()),
    _campaigns.map(tuple),
    _cancels.map(tuple),
    st.none(),
    _NOTHING_TOLD,
)
_noise = st.fixed_dictionaries(
    {
        "name": st.just("A rule"),
        "trigger_type": st.sampled_from(TYPES),
        "actions": st.lists(
            st.one_of(
                st.just({"type": "send_message", "text": "{{payload.n}}"}),
                st.just({"type": "send_message", "text": "{{payload.n}}"}),
                st.sampled_from(("Pacific/Auckland", "America/New_York", "UTC")).map(
                    lambda zone: {"type": "update_contact", "fields": {"zoneinfo": zone}}
                ),
            ),
            min_size=1,
            max_size=3,
        ),
    }
)
_WRITES = {
    "name": "A letter",
    "trigger_type": "custom.a",
    "actions": [{"type": "send_message", "text": "{{payload.n}}"}],
}
_calm = st.fixed_dictionaries(
    {
        "quiet_hours": st.sampled_from(([], [{"start": "21:00", "end": "08:00"}])),
        "caps": st.sampled_from(
            (
                [{"limit": 2, "period": "P1D"}],
                [{"limit": 1, "period": "PT2S", "channel": "email"}, {"limit": 3, "period": "PT20H"}],
            )
        ),
    }
)
noises = st.builds(
    Play,
    st.lists(_noise, min_size=1, max_size=3).map(tuple),
    _waves.map(tuple),
    st.just(()),
    st.just(()),
    st.just(()),
    _calm,
    _NOTHING_TOLD,
)
"""People who move about, and are written to more often than they are to be."""
WHAT: tuple[Mapping[str, Any], ...] = (
    {"what": "delivered"},
    {"what": "delivered"},
    {"what": "opened"},
    {"what": "clicked", "link": "https://shop.example/shoes"},
    {"what": "clicked", "link": "https://shop.example/hats"},
    {"what": "bounced", "bounce": "hard"},
    {"what": "bounced", "bounce": "soft"},
    {"what": "bounced", "bounce": "soft"},
    {"what": "bounced", "bounce": "soft"},
    {"what": "complained"},
)
# They write to staff alone, of whom nothing is told: whether a suppression or what a rule sends comes first, where both
# follow from reports of one moment, is a matter of the turns' size.
_hearing = st.fixed_dictionaries(
    {
        "name": st.just("A rule"),
        "trigger_type": st.sampled_from(notices.OF_REPORTS),
        "actions": st.lists(
            st.sampled_from(
                (
                    {"type": "add_tags", "tags": ["{{event_type}}", "{{payload.link}}"], "target": "contact"},
                    {"type": "notify", "emails": ["staff@example.com"], "text": "{{event_type}}"},
                )
            ),
            min_size=1,
            max_size=3,
        ),
        "cooldown_secs": st.sampled_from((0, 3600)),
    }
)
_reports = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 9), st.sampled_from(WHAT), st.sampled_from((0, 1, 60))),
    min_size=5,
    max_size=25,
)
_letters = st.lists(
    st.tuples(
        st.sampled_from((0, 1, 3, 4_000)),
        st.lists(
            happening.map(
                lambda drawn: {**drawn, "event_type": "custom.a", "contact_id": drawn["contact_id"] or "dot"}
            ),
            min_size=3,
            max_size=9,
        ).map(tuple),
    ),
    min_size=1,
    max_size=3,
)
tellings = st.builds(
    Play,
    st.lists(_hearing, min_size=2, max_size=4).map(lambda drawn: (*drawn, _WRITES)),
    _letters.map(tuple),
    st.just(()),
    st.just(()),
    st.just(()),
    st.none(),
    # What is told comes again.
    _reports.map(lambda drawn: (*drawn, *drawn[::3])),
)
"""Providers that tell of messages, in any order and more than once, and rules that hear of it."""
birthdays = st.builds(
    Play,
    st.lists(_set_birthday, max_size=2).map(tuple),
    _waves.map(tuple),
    st.lists(_date, min_size=1, max_size=3).map(tuple),
    st.just(()),
    st.just(()),
    st.none(),
    _NOTHING_TOLD,
)
"""Birthdays that come and go, and what is done around them."""


_CANCELS = {
    "name": "A cancel",
    "trigger_type": CANCEL,
    "actions": [{"type": "cancel_automation", "cancelation_token": "n{{payload.n}}"}],
}


def _cancel(n: int) -> Mapping[str, Any]:
    return {"event_type": CANCEL, "contact_id": None, "conversation_id": None, "payload": {"n": n}}


# ── giving ──────────────────────────────────────────────────────────────────────────────────────────


def answered(outgoing: channels.Outgoing) -> channels.Answer:
    """What the mailbox answers: by the address alone, so that it is the same in every performance.

    Some are refused for what is said, which tells nothing of their addresses: one that is given up (five soft bounces)
    is given up for what is tried later, and what that is differs with the size of the turns, and with kills.
    """
    if outgoing.address.startswith("refused"):
        return channels.Answer(channels.Outcome.PERMANENT, "stage", None, "550 5.7.1", "not these words")
    if outgoing.address.startswith("later"):
        return channels.Answer(channels.Outcome.TEMPORARY, "stage", None, "450", "busy")
    return channels.Answer(channels.Outcome.ACCEPTED, "stage", outgoing.message_id, "250", "ok")


class _InOrder:
    """Turns of one input each, in the order in which a turn of many takes them.

    On PostgreSQL a turn begins at a partition drawn at random, and between two partitions nothing is promised: what one
    of them asks of a third may come before or after what the other asks.
    """

    def __init__(self, turns: turn.Turns, store: database.Database):
        self._turns, self._store = turns, store

    def take(self) -> turn.Report:
        """One turn that begins at the partition of the oldest event."""
        with self._store.reading() as connection:
            query = sa.select(schema.due.c.partition).order_by(schema.due.c.event_id).limit(1)
            first = connection.execute(query).scalar_one_or_none() or 0
        order = [(first + number) % ids.PARTITIONS for number in range(ids.PARTITIONS)]
        with mock.patch.object(taking, "_shuffled", return_value=order):
            return self._turns.take()


class Stage:
    """One database on which plays are given, each on an empty stage."""

    def __init__(self, world: testing.World):
        self.world = world
        world.mailbox.answer = answered
        world.calls.answer = testing.answering({"plan": "fetched"})

    def give(self, play: Play, inputs: int) -> dict[str, list[tables.Row]]:
        """What a play leaves in all tables when a turn takes at most so many inputs."""
        self.clear()
        world = self.world
        world.turns = self.turns(inputs)
        # Before anybody listens to people being made.
        for name, profile in PEOPLE.items():
            world.contact(name, **profile)
        for name in AGENTS:
            world.agent(name)
        world.division("billing")
        for number in range(5):
            world.subscribe(f"l{number}", "dot")
        self._define([*play.rules, _CANCELS])
        for name, steps in JOURNEYS.items():
            world.journey(name, *steps, cancelation_token="n${data.n}")
        self._define_dates(play.dates)
        if play.policy is not None:
            world.sending_policy(**play.policy)
        for number, (seconds, events) in enumerate(play.waves):
            world.pass_time(seconds=seconds)
            self.accept(number, events)
            world.clock.move(1_000)
            world.run_until_idle()
            # By themselves too: a step that is due comes before an event that is not taken yet.
            odd = [odd for after, odd in play.cancels if after == number]
            self.accept(90 + number, [_cancel(n) for n in range(10) if n % 2 in odd])
            world.run_until_idle()
            # By themselves: whether a person changes before or after they are judged is a matter of the turns' size.
            for which, (after, include, exclude, actions) in enumerate(play.campaigns):
                if after == number:
                    self._activate(which, include, exclude, actions)
            world.run_until_idle()
            self._report([one[1:] for one in play.reports if one[0] == number])
            world.run_until_idle()
        world.pass_time(hours=1 if play.policy is None else 30)
        return _plain(tables.content(world.app.store))

    def give_both(self, play: Play) -> dict[str, list[tables.Row]]:
        """What a play leaves, which is the same to the byte whether turns take one input each or all that are there."""
        one_by_one, all_at_once = self.give(play, 1), self.give(play, 500)
        for name, left in one_by_one.items():
            assert all_at_once[name] == left, name
        return all_at_once

    def turns(self, inputs: int) -> turn.Turns:
        """A new process's turns, which take at most so many inputs."""
        made = self.world.app.turns(self.world._session)
        acts.sized(made, inputs)
        if inputs == 1 and not self.world.app.store.is_sqlite:
            return cast(turn.Turns, _InOrder(made, self.world.app.store))
        return made

    def clear(self) -> None:
        """Empty the database, and set the clock back."""
        self.world.clock.at = testing.START
        with self.world.app.store.writing() as connection:
            for name, table in schema.metadata.tables.items():
                if name not in KEPT:
                    connection.execute(sa.delete(table))
            connection.execute(sa.update(schema.partitions).values(last_now=0))
            connection.execute(sa.update(schema.workspaces).values(definitions_version=1, settings=b"{}"))

    def _define(self, given: Sequence[Mapping[str, Any]]) -> None:
        for number, one in enumerate(given):
            with self.world.app.store.writing() as connection:
                automations.create_rule(
                    connection,
                    self.world.workspace_id,
                    None,
                    rules.define(one),
                    self.world.clock.now(),
                    None,
                    ids.mint(testing.START, number, 0, number),
                )

    def _define_dates(self, given: Sequence[Mapping[str, Any]]) -> None:
        for number, one in enumerate(given):
            with self.world.app.store.writing() as connection:
                dates.create(
                    connection,
                    self.world.workspace_id,
                    None,
                    core_dates.define(one),
                    self.world.clock.now(),
                    0,
                    ids.mint(testing.START, 100 + number, 0, number),
                )

    def _report(self, given: Sequence[tuple[int, Mapping[str, Any], int]]) -> None:
        """What providers tell, all of it at once, of messages to people as they stand in the ledger."""
        world = self.world
        there = [sent.row.id for sent in world.ledger() if sent.row.contact_id is not None]
        now = world.clock.now()
        told = [
            (
                there[which % len(there)],
                reports.Report(at=now - ago * SECOND, **{**what, "what": reports.What(what["what"])}),
            )
            for which, what, ago in given
            if there
        ]
        stored_reports.take_in(world.app.store, world.workspace_id, told, now)

    def _activate(self, number: int, include: int, exclude: int, actions: int) -> None:
        world = self.world
        now, owner = world.clock.now(), world.workspace_id
        made = [ids.mint(testing.START, number, 0, 1_000 + place) for place in range(4)]
        with world.app.store.writing() as connection:
            for identity, place in zip(made, (include, exclude), strict=False):
                definition = segments.define({"name": "S", "conditions": list(SEGMENTS[place])})
                stored_segments.create(connection, owner, None, definition, now, identity)
            email = {"subject": "{{ plan }}", "text_body": "{{ contact.score }}"}
            group = communication_groups.define({"name": "G", "email": email})
            group_id = ids.text(made[2])
            stored_groups.create(connection, owner, None, group, now, group_id)
            action = {
                "action_type": "send_communication",
                "action_metadata": {"communication_group_id": group_id},
            }
            given = {
                "name": "C",
                "include_segments": [ids.text(made[0])],
                "exclude_segments": [ids.text(made[1])],
                "action_data": [action] * actions,
            }
            stored_campaigns.create(connection, owner, None, campaigns.define(given), now, made[3])
        world.change_campaign(ids.text(made[3]), status="active")

    def accept(self, wave: int, given: Sequence[Mapping[str, Any]]) -> None:
        """Let the events of a wave come in, under ids of their own."""
        made = [self._event(100 * wave + number, one) for number, one in enumerate(given)]
        session = self.world._session
        with session.transaction() as connection:
            session.hot.accept(connection, made, [])

    def _event(self, number: int, given: Mapping[str, Any]) -> rows.Event:
        subject = rules.cooldown_subject(given["contact_id"], given["conversation_id"])
        partition = ids.partition_of_subject(self.world.workspace_id, subject)
        return rows.Event(
            self.world.workspace_id,
            ids.mint(self.world.clock.now(), number, partition, number),
            partition,
            None,
            given["event_type"],
            given["contact_id"],
            given["conversation_id"],
            "api",
            None,
            None,
            0,
            msgspec.json.encode(given["payload"]),
            None,
        )


# ── comparing ───────────────────────────────────────────────────────────────────────────────────────


def _plain(found: dict[str, list[tables.Row]]) -> dict[str, list[tables.Row]]:
    """Without what may differ: how statistics are spread over partitions, and in which order people were numbered."""
    found["rule_statistics"] = _summed(found["rule_statistics"], ("total", "matched", "executed", "pending"))
    found["event_statistics"] = _summed(found["event_statistics"], ("total", "processed", "failed"))
    found["partitions"] = [{"last_now": max(row["last_now"] for row in found["partitions"])}]
    for name in ("contacts", "conversations"):
        numbers = [row.pop("number") for row in found[name]]
        assert len(set(numbers)) == len(numbers), "a number is given once"
    del found["counters"]
    for row in found["conversations"]:
        # Tags come by way of other people's partitions, between which there is no order (engine.md E26).
        row["tags"] = sorted(msgspec.json.decode(row["tags"]))
    return found


def _summed(found: Sequence[tables.Row], counts: Sequence[str]) -> list[tables.Row]:
    sums: Counter[tuple[Any, ...]] = Counter()
    for row in found:
        key = tuple(
            (name, value) for name, value in row.items() if name not in counts and name != "partition"
        )
        sums.update({(*key, name): row[name] for name in counts})
    return [{"key": key, "count": sums[key]} for key in sorted(sums, key=str)]
