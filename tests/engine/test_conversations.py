"""Actions on conversations: what they leave, when later events see it, and what the engine tells of it."""

from collections.abc import MutableMapping
from typing import Any

import msgspec
import pytest

from heliograph import testing
from heliograph.core import effects, ids, notices, plans
from heliograph.core import segments as core_segments
from heliograph.store import definitions, imports, rows, segments, telling
from tests import tables
from tests.engine import acts

ACTIONS: tuple[dict[str, Any], ...] = (
    {"type": "assign_agent", "agent_id": "{{ payload.agent }}"},
    {"type": "assign_division", "division_id": "billing"},
    {"type": "set_status", "status": "pending"},
    {"type": "set_priority", "priority": "urgent"},
    {"type": "add_tags", "tags": ["refund", "vip"]},
    {"type": "remove_tags", "tags": ["vip"]},
    {"type": "add_note", "text": "Wants {{ payload.amount }} back"},
)


@pytest.fixture(autouse=True)
def team(world: testing.World) -> None:
    """Somebody who can take care of conversations."""
    world.agent("maya")
    world.division("billing")


def told(world: testing.World, event_type: str) -> list[tables.Row]:
    """The events of a type that the engine let come in."""
    return [row for row in tables.rows(world.app.store, "events") if row["event_type"] == event_type]


def listen(world: testing.World, event_type: str, **definition: Any) -> str:
    """A rule that waits for events of the engine's own."""
    actions = [{"type": "notify", "emails": ["staff@example.com"], "text": "{{ payload.status }}"}]
    return world.rule(trigger_type=event_type, **{"actions": actions, **definition})


def refused(world: testing.World, action: dict[str, Any], **event: Any) -> str:
    """Why an action fails."""
    world.rule(trigger_type="custom.refused", actions=[action])
    happened = world.event("custom.refused", **{"conversation_id": "k1", **event})
    world.run_until_idle()
    ((_, status, error),) = acts.actions(world, happened)[0]
    assert status == "failed"
    return str(error)


@pytest.mark.parametrize("contact_id", [None, "ana"])
def test_actions_leave_a_conversation_as_they_say(world: testing.World, contact_id: str | None) -> None:
    """Whether the conversation is decided with its event or is owed the change: it is made, and stands as they say."""
    world.rule(trigger_type="custom.a", actions=list(ACTIONS))
    payload = {"agent": "maya", "amount": 12.5}
    event = world.event("custom.a", conversation_id="k1", contact_id=contact_id, payload=payload)
    world.run_until_idle()
    assert acts.outcomes(world, event) == ["executed"]
    stands = world.stored_conversation("k1")
    assert stands.fields == {
        "contact_id": contact_id,
        "channel": None,
        "status": "pending",
        "priority": "urgent",
        "agent_id": "maya",
        "division_id": "billing",
        "attributes": {},
        "tags": ["refund"],
    }
    assert world.notes("k1") == ["Wants 12.5 back"]
    outputs = [action.output for action in world.explain(event).runs[0].result.actions]
    assert outputs[0] == {"conversation_id": "k1", "agent_id": "maya"}
    assert outputs[-1] == {"conversation_id": "k1", "note": "Wants 12.5 back"}


def test_unassign_takes_a_conversation_from_whoever_has_it(world: testing.World) -> None:
    """`unassign` leaves neither agent nor division, and all else as it was."""
    world.conversation("k1", agent_id="maya", division_id="billing", status="snoozed")
    world.rule(trigger_type="custom.a", actions=[{"type": "unassign"}])
    world.event("custom.a", conversation_id="k1")
    world.run_until_idle()
    stands = world.stored_conversation("k1")
    assert (stands.agent_id, stands.division_id, stands.status) == (None, None, "snoozed")


def test_what_is_owed_is_worked_in_the_order_in_which_it_was_decided(world: testing.World) -> None:
    """Of many changes that one turn owes a conversation, by several rules and events, the last one stands."""
    for priority, words in ((1, ("pending", "closed")), (2, ("snoozed", "resolved"))):
        world.rule(
            trigger_type="custom.a",
            priority=priority,
            actions=[
                *({"type": "set_status", "status": word} for word in words),
                {"type": "add_note", "text": "{{ payload.n }}" + words[1]},
                {"type": "set_priority", "priority": "{{ payload.priority }}"},
            ],
        )
    ranks = ("low", "high", "urgent", "low", "normal")
    world.events(
        [
            {
                "event_type": "custom.a",
                "contact_id": "ana",
                "conversation_id": "k1",
                "payload": {"n": n, "priority": rank},
            }
            for n, rank in enumerate(ranks)
        ]
    )
    world.run_until_idle()
    stands = world.stored_conversation("k1")
    assert (stands.status, stands.priority) == ("resolved", "normal")
    assert sorted(world.notes("k1")) == sorted(
        f"{n}{word}" for n in range(5) for word in ("closed", "resolved")
    )


def test_rules_of_an_event_see_the_conversation_before_it(world: testing.World) -> None:
    """What the first rule does to a conversation, the second does not see; the next event does (E9)."""
    world.conversation("k1", channel="whatsapp", attributes={"plan": "pro"})
    is_open = [{"field": "conversation.status", "operator": "equals", "value": "open"}]
    is_pro = {
        "all": [{"field": "conversation.attributes.plan", "operator": "equals", "value": "pro"}, *is_open]
    }
    change = [{"type": "set_status", "status": "pending"}]
    world.rule(trigger_type="custom.a", priority=1, conditions=is_open, actions=change)
    world.rule(trigger_type="custom.a", priority=2, conditions=is_pro, actions=change)
    first, second = world.events([{"event_type": "custom.a", "conversation_id": "k1"}] * 2)
    world.turns.take()
    assert acts.outcomes(world, first) == ["executed", "executed"]
    assert acts.outcomes(world, second) == ["not_matched", "not_matched"]


def test_an_event_comes_by_its_conversations_channel(world: testing.World) -> None:
    """`channel_source` is the event's, else the conversation's, else what the payload says (R8)."""
    world.conversation("k1", channel="whatsapp")
    by = [{"field": "channel_source", "operator": "in", "value": ["whatsapp", "sms"]}]
    world.rule(trigger_type="custom.a", conditions=by, actions=[{"type": "add_tags", "tags": ["chat"]}])
    given: tuple[dict[str, Any], ...] = (
        {"conversation_id": "k1"},
        {"conversation_id": "k1", "channel_source": "email"},
        {"conversation_id": "k2", "payload": {"channel_source": "sms"}},
        {"conversation_id": "k2"},
    )
    made = world.events([{"event_type": "custom.a", **one} for one in given])
    world.run_until_idle()
    assert [acts.outcomes(world, event) for event in made] == [
        ["executed"], ["not_matched"], ["executed"], ["not_matched"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ({"type": "assign_agent", "agent_id": "nora"}, "there is no agent 'nora'"),
        ({"type": "assign_agent", "agent_id": "{{ payload.nobody }}"}, "agent_id: it is empty"),
        ({"type": "assign_division", "division_id": "maya"}, "there is no division 'maya'"),
        ({"type": "set_status", "status": "{{ 'opne' }}"}, 'unknown status "opne", did you mean "open"?'),
        ({"type": "set_priority", "priority": "{{ 'max' }}"}, 'unknown priority "max" (known: low'),
        ({"type": "add_note", "text": "{{ payload.nothing }}"}, "takes a text of 1 to 10000 characters"),
    ],
)
def test_what_is_not_known_fails_the_action(
    lone_world: testing.World, action: dict[str, Any], error: str
) -> None:
    """An agent, a division, a status or a text that is none when the rule acts: the action says so (R40)."""
    lone_world.agent("maya")
    assert error in refused(lone_world, action)
    assert tables.rows(lone_world.app.store, "conversations") == []


def test_an_event_without_a_conversation_changes_none(lone_world: testing.World) -> None:
    """Without a conversation_id there is nothing to change, and the action says so."""
    error = refused(lone_world, {"type": "set_status", "status": "closed"}, conversation_id=None)
    assert error == "the event has no conversation_id, so there is nothing to change"


def test_tags_are_taken_off_contacts_too(world: testing.World) -> None:
    """`remove_tags` goes by R37: the conversation where there is one, else the contact, or what `target` says."""
    for name in ("ana", "bob"):
        world.contact(name)
    tag = {"tags": ["a", "b"]}
    world.rule(trigger_type="custom.put", actions=[{"type": "add_tags", "target": "contact", **tag}])
    world.rule(trigger_type="custom.off", actions=[{"type": "remove_tags", "tags": ["{{ payload.tag }}"]}])
    for name in ("ana", "bob"):
        world.event("custom.put", contact_id=name, conversation_id="k1")
    world.event("custom.off", contact_id="ana", payload={"tag": "a"})
    world.event("custom.off", contact_id="bob", conversation_id="k1", payload={"tag": "a"})
    world.run_until_idle()
    assert [acts.contact(world, name)["tags"] for name in ("ana", "bob")] == ['["b"]', '["a","b"]']


# ── what the engine tells ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("contact_id", [None, "ana"])
def test_a_change_is_told_with_what_was_before(world: testing.World, contact_id: str | None) -> None:
    """Assignment, status and tags are events of the engine's own about the conversation, with `previous` (E10)."""
    for event_type in ("conversation_assigned", "conversation_status_changed", "conversation_tagged"):
        listen(world, event_type)
    world.rule(trigger_type="custom.a", actions=list(ACTIONS[:5]))
    event = {"conversation_id": "k1", "contact_id": contact_id, "channel_source": "email"}
    world.event("custom.a", payload={"agent": "maya"}, **event)
    world.run_until_idle()
    (tagged,), (changed,) = told(world, "conversation_tagged"), told(world, "conversation_status_changed")
    assert msgspec.json.decode(tagged["payload"]) == {
        "tags": ["refund", "vip"], "added": ["refund", "vip"], "removed": [],
    }  # fmt: skip
    assert (changed["payload"], changed["previous"]) == ('{"status":"pending"}', '{"status":"open"}')
    about = ("source", "contact_id", "conversation_id", "channel_source", "depth")
    assert [changed[name] for name in about] == ["engine", contact_id, "k1", "email", 1]
    assigned = [msgspec.json.decode(row["payload"]) for row in told(world, "conversation_assigned")]
    assert assigned == [
        {"agent_id": "maya", "division_id": None},
        {"agent_id": "maya", "division_id": "billing"},
    ]


def test_rules_can_wait_for_the_change_itself(world: testing.World) -> None:
    """`changed` and `changed_to` look at what was before, by the payload's name and by the conversation's."""
    named = {"field": "status", "operator": "changed_to", "value": "resolved"}
    rooted = {"field": "conversation.status", "operator": "changed_to", "value": "resolved"}
    listen(world, "conversation_status_changed", conditions=[named, rooted])
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "set_status", "status": "{{ payload.to }}"}])
    for word in ("pending", "resolved", "resolved"):
        world.event("custom.a", contact_id="ana", conversation_id="k1", payload={"to": word})
        world.run_until_idle()
    assert [mail.text for mail in world.mailbox.to("staff@example.com")] == ["resolved"]


def test_nothing_is_told_where_nobody_listens_or_nothing_changed(world: testing.World) -> None:
    """Without a rule or journey that waits for it, or with an idle rule, or where all stays as it was, no event."""
    listen(world, "conversation_status_changed", is_active=False)
    listen(world, "conversation_assigned")
    world.conversation("k1", agent_id="maya", status="pending")
    before = len(told(world, "conversation_assigned"))
    world.rule(trigger_type="custom.a", actions=[*ACTIONS[2:5], {"type": "assign_agent", "agent_id": "maya"}])
    world.event("custom.a", conversation_id="k1")
    world.run_until_idle()
    assert world.stored_conversation("k1").priority == "urgent"
    types = [row["event_type"] for row in tables.rows(world.app.store, "events")]
    assert sorted(types) == sorted(["conversation_assigned"] * before + ["custom.a"])


def test_contacts_are_told_of(world: testing.World) -> None:
    """A contact that is made, changed or tagged is an event with the attributes that differ, and what they were."""
    for event_type in ("contact_created", "contact_updated"):
        listen(world, event_type)
    world.rule(
        trigger_type="custom.a",
        actions=[
            {"type": "update_contact", "fields": {"plan": "{{ payload.plan }}", "city": "Oslo"}},
            {"type": "add_tags", "target": "contact", "tags": ["seen"]},
        ],
    )
    for plan in ("free", "pro", "pro"):
        world.event("custom.a", contact_id="eve", payload={"plan": plan})
        world.run_until_idle()
    (created,) = told(world, "contact_created")
    assert msgspec.json.decode(created["payload"]) == {"plan": "free", "city": "Oslo", "tags": []}
    found = [(row["payload"], row["previous"]) for row in told(world, "contact_updated")]
    assert found == [
        ('{"tags":["seen"]}', '{"tags":[]}'),
        ('{"plan":"pro"}', '{"plan":"free"}'),
    ]


def test_a_journey_is_started_by_what_the_engine_tells(world: testing.World) -> None:
    """A journey whose trigger waits for a type of the engine's own is reason enough to write it."""
    send = {
        "action": "send",
        "message": {"to": {"email": "ana@example.com"}, "content": {"title": "t", "body": "How was it?"}},
    }
    world.journey("survey", send, trigger={"event_type": "conversation_status_changed", "once": True})
    world.conversation("k1", contact_id="ana")
    world.rule(trigger_type="custom.a", actions=[{"type": "set_status", "status": "resolved"}])
    world.event("custom.a", conversation_id="k1")
    world.run_until_idle()
    assert [mail.text for mail in world.mailbox.to("ana@example.com")] == ["How was it?"]


def test_a_message_that_fails_for_good_is_told(world: testing.World) -> None:
    """`message_failed` says which message it was, where to and why, and is about the event's contact."""
    world.mailbox.answer = acts.refused
    listen(world, "message_failed", actions=[{"type": "add_tags", "tags": ["unreachable"]}])
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hi"}])
    event = world.event("custom.a", contact_id="ana", conversation_id="k1")
    world.run_until_idle()
    (failed,) = told(world, "message_failed")
    (message,) = world.explain(event).messages
    assert msgspec.json.decode(failed["payload"]) == {
        "message_id": message.id,
        "channel": "email",
        "address": "ana@example.com",
        "template_id": None,
        "automation_id": world.explain(event).runs[0].rule_id,
        "run_id": message.run_id,
        "error": "550: no such mailbox",
    }
    assert (failed["contact_id"], failed["conversation_id"], failed["depth"]) == ("ana", "k1", 1)
    assert world.stored_conversation("k1").tags == ["unreachable"]


def test_journeys_that_fail_because_of_failures_end(world: testing.World) -> None:
    """A journey that writes to whom it cannot reach, whenever that fails, is started six times and no more."""
    world.mailbox.answer = acts.refused
    send = {
        "action": "send",
        "message": {"to": {"email": "gone@example.com"}, "content": {"title": "t", "body": "b"}},
    }
    world.journey("again", send, trigger={"event_type": "message_failed"})
    world.rule(
        trigger_type="custom.a", actions=[{"type": "notify", "emails": ["gone@example.com"], "text": "Hi"}]
    )
    world.event("custom.a")
    world.run_until_idle()
    depths = sorted(row["depth"] for row in told(world, "message_failed"))
    assert depths == list(range(1, plans.MAX_DEPTH + 1))


def test_changes_that_cause_each_other_end(
    world: testing.World, told: list[MutableMapping[str, Any]]
) -> None:
    """Two rules that undo each other stop at the fifth generation: the change is made, and told in the log alone."""
    for was, word in (("open", "pending"), ("pending", "open")):
        world.rule(
            trigger_type="conversation_status_changed",
            conditions=[{"field": "status", "operator": "equals", "value": was}],
            actions=[{"type": "set_status", "status": word}],
        )
    world.rule(trigger_type="custom.a", actions=[{"type": "set_status", "status": "pending"}])
    world.event("custom.a", conversation_id="k1")
    world.run_until_idle()
    depths = [row["depth"] for row in tables.rows(world.app.store, "events")]
    assert sorted(depths) == list(range(plans.MAX_DEPTH + 1))
    assert [entry["event"] for entry in told] == ["notice_too_deep"]
    assert world.stored_conversation("k1").status == "open"


def test_what_people_write_is_told_too(world: testing.World) -> None:
    """Profiles and conversations that are written by hand are told as those that rules write, one event a write."""
    for event_type in ("contact_created", "contact_updated", "conversation_status_changed"):
        listen(world, event_type)
    for plan in ("free", "pro", "pro"):
        world.contact("ana", plan=plan)
        world.clock.move(1)
    world.conversation("k1", contact_id="ana")
    world.conversation("k1", status="resolved")
    assert [row["payload"] for row in tables.rows(world.app.store, "events")] == [
        '{"plan":"free","tags":[]}', '{"plan":"pro"}', '{"status":"resolved"}',
    ]  # fmt: skip
    world.run_until_idle()
    assert len(world.mailbox.received) == 3


def test_an_import_is_told_too(world: testing.World) -> None:
    """People who come in by the thousand are told where a rule waits, each who is new or differs, with the rows."""
    for event_type in ("contact_created", "contact_updated"):
        listen(world, event_type)
    world.contact("ana", plan="free")
    world.contact("bob", plan="pro")
    world.clock.move(1)
    before = len(tables.rows(world.app.store, "events"))
    with world.app.store.reading() as connection:
        listens = telling.listening(connection, world.workspace_id, notices.OF_CONTACTS)
    given = {name: {"plan": "pro"} for name in ("ana", "bob", "eve")}
    imports.merge_profiles(world._session, world.workspace_id, given, world.clock.now(), listens=listens)
    found = {row["contact_id"]: row for row in tables.rows(world.app.store, "events")[before:]}
    assert {name: (row["event_type"], row["payload"], row["previous"]) for name, row in found.items()} == {
        "ana": ("contact_updated", '{"plan":"pro"}', '{"plan":"free"}'),
        "eve": ("contact_created", '{"plan":"pro","tags":[]}', None),
    }
    world.run_until_idle()
    assert len(world.mailbox.received) == before + 2


def test_an_import_moves_people_too(world: testing.World) -> None:
    """Who enters or leaves a segment with an import is told of, with the rows."""
    for event_type in notices.OF_SEGMENTS:
        listen(world, event_type)
    is_pro = {"field": "plan", "operator": "equals", "value": "pro"}
    with world.app.store.writing() as connection:
        pros = core_segments.define({"name": "Pros", "conditions": [is_pro]})
        segments.create(connection, world.workspace_id, None, pros, world.clock.now())
    world.contact("ana", plan="free")
    world.contact("bob", plan="pro")
    world.clock.move(1)
    before = len(tables.rows(world.app.store, "events"))
    with world.app.store.reading() as connection:
        listens = telling.listening(connection, world.workspace_id, notices.OF_SEGMENTS)
        moving = definitions.moving(connection, world.workspace_id)
    given = {"ana": {"plan": "pro"}, "bob": {"plan": "none"}, "eve": {"plan": "free"}}
    imports.merge_profiles(
        world._session, world.workspace_id, given, world.clock.now(), None, listens, moving
    )
    told = tables.rows(world.app.store, "events")[before:]
    assert sorted((row["contact_id"], row["event_type"]) for row in told) == [
        ("ana", "segment_entered"),
        ("bob", "segment_left"),
    ]


# ── tenants and older rows ──────────────────────────────────────────────────────────────────────────


def test_another_tenants_conversation_does_not_exist(world: testing.World) -> None:
    """An event of a tenant sees and changes no conversation of another one, and the action says so."""
    world.conversation("k1", status="pending")
    acts.change(world, "conversations", tenant_id="other")
    world.rule(
        trigger_type="custom.a",
        conditions=[{"field": "conversation.status", "operator": "not_exists"}],
        actions=[{"type": "set_status", "status": "closed"}, {"type": "add_tags", "tags": ["mine"]}],
    )
    batch = world.app.ingest.read(
        b'{"event_type": "custom.a", "conversation_id": "k1"}', "application/json", world.workspace_id, "shop"
    )
    (event,) = world._loop.run_until_complete(world.app.ingest.accept(batch))
    world.run_until_idle()
    found = acts.actions(world, ids.text(event))[0]
    assert found == [(kind, "failed", "there is no conversation 'k1'") for kind in ("set_status", "add_tags")]
    assert world.stored_conversation("k1").status == "pending"


def test_tags_that_an_older_program_owed_still_arrive(world: testing.World) -> None:
    """An inbox row of before conversations had a state is worked as it was meant."""
    world.conversation("k1", tags=["old"])
    partition = ids.partition_of_subject(world.workspace_id, "conversation:k1")
    identity = ids.mint(world.clock.now(), 0, partition, 0)
    body = b'["conversation","k1",["new"],["old"],null]'
    writes = rows.Writes()
    writes.inbox = [rows.Inbox(partition, world.workspace_id, identity, effects.Inbox.TAG, None, body, 0)]
    with world._session.transaction() as connection:
        world._session.hot.write(connection, writes, (0,), world.clock.now())
    world.run_until_idle()
    assert world.stored_conversation("k1").tags == ["new"]
