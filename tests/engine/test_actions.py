"""What becomes of a rule's actions: pending until the outside has answered, then succeeded, failed or skipped."""

from typing import Any

import msgspec
import pytest

from heliograph import channels, testing
from heliograph.core import effects, ids, plans
from heliograph.store import held, rows, suppressions
from tests import tables
from tests.engine import acts

MAIL = {"type": "send_message", "text": "Hello {{contact.name}}"}
CALL = {"type": "call_webhook", "url": "https://example.com/hook", "body": {"who": "{{contact.email}}"}}


@pytest.fixture(autouse=True)
def ana(world: testing.World) -> None:
    """A contact with an address and something else."""
    world.contact("ana", email="ana@example.com", name="Ana", shoe_size=38)


def rule(world: testing.World, *actions: dict[str, Any], trigger_type: str = "custom.a") -> str:
    return world.rule(trigger_type=trigger_type, actions=list(actions))


def happen(world: testing.World, **fields: Any) -> str:
    return world.event("custom.a", **{"contact_id": "ana", **fields})


def statuses(world: testing.World, event: str) -> list[str]:
    """How each action of the first rule stands."""
    return [status for _, status, _ in acts.actions(world, event)[0]]


def test_a_message_is_pending_until_it_was_accepted(world: testing.World) -> None:
    """`send_message` waits for the provider's word; then it has succeeded and the run is executed."""
    rule(world, MAIL)
    event = happen(world)
    world.turns.take()
    assert acts.actions(world, event) == [[("send_message", "pending", None)]]
    assert acts.outcomes(world, event) == ["pending"]
    world.run_until_idle()
    assert acts.actions(world, event) == [[("send_message", "succeeded", None)]]
    assert acts.outcomes(world, event) == ["executed"]
    assert [mail.text for mail in world.mailbox.to("ana@example.com")] == ["Hello Ana"]


def test_what_the_provider_refuses_has_failed(world: testing.World) -> None:
    """A permanent refusal is the action's failure, with the provider's words, and is not tried again."""
    world.mailbox.answer = acts.refused
    rule(world, MAIL)
    event = happen(world)
    world.pass_time(days=1)
    assert acts.actions(world, event) == [[("send_message", "failed", "550: no such mailbox")]]
    assert acts.outcomes(world, event) == ["failed"]
    (message,) = world.explain(event).messages
    assert (message.state, len(message.attempts)) == ("failed", 1)


def test_who_has_no_address_is_told_of(world: testing.World) -> None:
    """A contact without an address fails the action with the reason, and nothing is handed over."""
    world.contact("bob", name="Bob")
    rule(world, MAIL)
    event = happen(world, contact_id="bob")
    world.run_until_idle()
    assert acts.actions(world, event) == [[("send_message", "failed", "contact 'bob' has no e-mail address")]]
    assert [message.state for message in world.explain(event).messages] == ["unroutable"]
    assert world.mailbox.received == []


def test_what_an_operator_drops_is_skipped_and_no_failure(world: testing.World) -> None:
    """A message that was held and then dropped leaves its action `skipped`; the run counts as executed."""
    rule(world, MAIL)
    event = happen(world)
    world.turns.take()
    world.clock.move(25 * 3600 * 1_000_000)
    world.run_until_idle()
    (message,) = world.explain(event).messages
    assert message.state == "held"
    identity = ids.parse(message.id)
    assert identity is not None
    with world.app.store.writing() as connection:
        assert held.drop(connection, world.workspace_id, [identity], world.clock.now()) == 1
    world.run_until_idle()
    assert acts.actions(world, event) == [[("send_message", "skipped", "dropped by an operator")]]
    assert acts.outcomes(world, event) == ["executed"]
    assert world.mailbox.received == []


def test_what_is_not_wanted_is_skipped_and_says_why(world: testing.World) -> None:
    """Who opted out, or whose address is suppressed, is not written to: no failure, and the run tells the reason."""
    rule(world, MAIL)
    world.contact("bob", email="bob@example.com")
    world.opt_out("ana")
    with world.app.store.writing() as connection:
        suppressions.put(
            connection, world.workspace_id, None, [("bob@example.com", "manual")], world.clock.now()
        )
    for contact, why in (("ana", "opted_out"), ("bob", "suppressed")):
        event = happen(world, contact_id=contact)
        world.run_until_idle()
        assert acts.actions(world, event) == [[("send_message", "skipped", why)]]
        assert acts.outcomes(world, event) == ["executed"]
    assert world.mailbox.received == []


def test_actions_on_our_own_records_succeed_in_their_turn(world: testing.World) -> None:
    """Profile, tags and events are there as soon as the event is decided."""
    rule(
        world,
        {"type": "update_contact", "fields": {"plan": "pro"}},
        {"type": "add_tags", "tags": ["vip"]},
        {"type": "emit_event", "event_type": "custom.made"},
    )
    event = happen(world)
    world.turns.take()
    assert acts.outcomes(world, event) == ["executed"]
    assert statuses(world, event) == ["succeeded"] * 3
    stored = acts.contact(world, "ana")
    assert msgspec.json.decode(stored["profile"])["plan"] == "pro"
    assert stored["tags"] == '["vip"]'
    assert {row["event_type"] for row in tables.rows(world.app.store, "events")} == {
        "custom.a",
        "custom.made",
    }


def test_the_next_action_does_not_wait(world: testing.World) -> None:
    """With `on_error: continue` the actions after a pending one happen at once, even when it fails later."""
    world.mailbox.answer = acts.refused
    rule(world, MAIL, {"type": "add_tags", "tags": ["after"]})
    event = happen(world)
    world.turns.take()
    assert statuses(world, event) == ["pending", "succeeded"]
    world.run_until_idle()
    assert statuses(world, event) == ["failed", "succeeded"]
    assert acts.outcomes(world, event) == ["failed"]


def test_on_error_stop_waits_and_goes_on_after_a_success(world: testing.World) -> None:
    """With `on_error: stop` the next action waits for the answer, and happens once when it was good."""
    rule(
        world,
        {**MAIL, "on_error": "stop"},
        {**MAIL, "text": "second"},
        {"type": "add_tags", "tags": ["after"]},
    )
    event = happen(world)
    world.turns.take()
    assert statuses(world, event) == ["pending", "not_attempted", "not_attempted"]
    world.run_until_idle()
    assert statuses(world, event) == ["succeeded"] * 3
    assert [mail.text for mail in world.mailbox.received] == ["Hello Ana", "second"]
    assert acts.contact(world, "ana")["tags"] == '["after"]'


def test_on_error_stop_ends_the_run_after_a_failure(world: testing.World) -> None:
    """With `on_error: stop` nothing after a failed action happens, and the run has failed."""
    world.mailbox.answer = acts.refused
    rule(world, {**MAIL, "on_error": "stop"}, {"type": "add_tags", "tags": ["after"]})
    event = happen(world)
    world.run_until_idle()
    assert statuses(world, event) == ["failed", "not_attempted"]
    assert acts.outcomes(world, event) == ["failed"]
    assert acts.contact(world, "ana")["tags"] == "[]"


def test_an_action_that_cannot_begin_stops_alike(world: testing.World) -> None:
    """A failure in the turn itself (nobody to send to) ends a run whose action says `stop`."""
    rule(world, {**MAIL, "on_error": "stop"}, {"type": "emit_event", "event_type": "custom.made"})
    event = happen(world, contact_id=None)
    world.run_until_idle()
    assert statuses(world, event) == ["failed", "not_attempted"]
    assert "no contact_id" in str(acts.actions(world, event)[0][0][2])
    assert len(tables.rows(world.app.store, "events")) == 1


def test_a_notification_is_pending_until_every_address_was_answered(world: testing.World) -> None:
    """`notify` to three people has failed when one of them was refused, but waits for all three."""

    def answer(outgoing: channels.Outgoing) -> channels.Answer:
        return acts.refused(outgoing) if outgoing.address == "b@example.com" else testing.accepted(outgoing)

    world.mailbox.answer = answer
    rule(
        world,
        {"type": "notify", "emails": ["a@example.com", "b@example.com", "c@example.com"], "text": "Look"},
    )
    event = happen(world)
    world.turns.take()
    assert acts.outcomes(world, event) == ["pending"]
    world.run_until_idle()
    assert acts.actions(world, event) == [[("notify", "failed", "550: no such mailbox")]]
    assert {mail.recipient for mail in world.mailbox.received} == {"a@example.com", "c@example.com"}


def test_a_notification_goes_to_whom_its_texts_name(world: testing.World) -> None:
    """An address may be a text: who is named is known when the rule acts, and nobody is written to if one is none."""
    named = "{{ contact.email }}"
    notify = {"type": "notify", "emails": ["desk@example.com", named, "{{ payload.owner }}"], "text": "x"}
    rule(world, {**notify, "emails": ["desk@example.com", named]})
    event = happen(world)
    world.run_until_idle()
    assert statuses(world, event) == ["succeeded"]
    assert len(world.mailbox.to("ana@example.com")) == len(world.mailbox.to("desk@example.com")) == 1
    world.rule(trigger_type="custom.b", actions=[notify])
    event = world.event("custom.b", contact_id="ana", payload={"owner": "nobody"})
    world.run_until_idle()
    ((action,),) = acts.actions(world, event)
    assert action[:2] == ("notify", "failed")
    assert action[2] is not None
    assert action[2].startswith("emails[2]: is no e-mail address")
    assert len(world.mailbox.received) == 2


def test_a_call_succeeds_with_what_was_answered(world: testing.World) -> None:
    """`call_webhook` keeps the answer as the action's output, and its texts see the contact."""

    def answer(outgoing: channels.Outgoing) -> channels.Answer:
        return testing.accepted(outgoing)._replace(detail={"status": 201, "headers": {}, "body": "made"})

    world.calls.answer = answer
    rule(world, CALL)
    event = happen(world)
    world.run_until_idle()
    ((address, request),) = world.calls.received
    assert address == "https://example.com/hook"
    assert msgspec.json.decode(request.body) == {"who": "ana@example.com"}
    (action,) = world.explain(event).runs[0].result.actions
    assert (action.status, action.output) == ("succeeded", {"status": 201, "headers": {}, "body": "made"})


def test_an_answer_counts_once(world: testing.World) -> None:
    """The same answer laid down again, after the run has gone on, changes nothing."""
    rule(world, {**MAIL, "on_error": "stop"}, {"type": "emit_event", "event_type": "custom.made"})
    event = happen(world)
    world.run_until_idle()
    (run,) = tables.rows(world.app.store, "runs")
    names = ("runs", "events", "messages", "rule_statistics", "inbox", "due")
    before = tables.content(world.app.store, *names)
    again = rows.Inbox(
        ids.partition_of(run["id"]),
        world.workspace_id,
        run["id"],
        effects.Inbox.REPLY,
        run["id"],
        b"[0,0,%d,null,null]" % plans.Status.FAILED,
        0,
    )
    writes = rows.Writes()
    writes.inbox = [again]
    with world._session.transaction() as connection:
        world._session.hot.write(connection, writes, (0,), world.clock.now())
    world.run_until_idle()
    assert tables.content(world.app.store, *names) == before
    assert acts.outcomes(world, event) == ["executed"]


def test_a_waiting_run_keeps_its_version_of_the_rule(world: testing.World) -> None:
    """A rule that is edited while a run waits: the run does what the rule said when it began."""
    rule(world, {**MAIL, "on_error": "stop"}, {"type": "add_tags", "tags": ["old"]})
    event = happen(world)
    world.turns.take()
    definition = tables.rows(world.app.store, "automations")[0]["definition"]
    acts.change(world, "automations", definition=definition.replace("old", "new").encode(), version=2)
    acts.change(world, "workspaces", definitions_version=50)
    world.run_until_idle()
    assert acts.contact(world, "ana")["tags"] == '["old"]'
    happen(world)
    world.run_until_idle()
    assert acts.contact(world, "ana")["tags"] == '["old","new"]'
    assert acts.outcomes(world, event) == ["executed"]


def test_a_waiting_run_of_a_deleted_rule_goes_on(world: testing.World) -> None:
    """A rule that is deleted while a run waits: the run finishes, and the contact keeps all it had."""
    rule(world, {**MAIL, "on_error": "stop"}, {"type": "update_contact", "fields": {"plan": "pro"}})
    event = happen(world)
    world.turns.take()
    acts.change(world, "automations", deleted_at=world.clock.now())
    acts.change(world, "workspaces", definitions_version=50)
    world.run_until_idle()
    assert acts.outcomes(world, event) == ["executed"]
    assert msgspec.json.decode(acts.contact(world, "ana")["profile"]) == {
        "email": "ana@example.com",
        "name": "Ana",
        "shoe_size": 38,
        "plan": "pro",
    }


def test_statistics_follow_a_run_to_its_end(world: testing.World) -> None:
    """A run counts as pending while it waits and as executed when it is, on the day it was made."""
    rule(world, MAIL)
    happen(world)
    world.turns.take()
    counts = ("total", "matched", "executed", "pending")

    def summed() -> list[int]:
        return [sum(row[name] for row in tables.rows(world.app.store, "rule_statistics")) for name in counts]

    assert summed() == [1, 1, 0, 1]
    world.clock.move(20 * 3600 * 1_000_000)
    world.run_until_idle()
    assert summed() == [1, 1, 1, 0]
    assert {row["day"] for row in tables.rows(world.app.store, "rule_statistics")} == {
        testing.START // 86_400_000_000
    }


def test_tags_for_another_subject_arrive_through_its_inbox(world: testing.World) -> None:
    """What a contact's event does to a conversation is done in the conversation's own partition, once."""
    rule(world, {"type": "add_tags", "tags": ["urgent"]})
    event = happen(world, conversation_id="k1")
    world.turns.take()
    assert acts.outcomes(world, event) == ["executed"]
    world.run_until_idle()
    assert [(row["id"], row["tags"]) for row in tables.rows(world.app.store, "conversations")] == [
        ("k1", '["urgent"]')
    ]
    assert tables.rows(world.app.store, "inbox") == []


def test_rules_of_one_event_see_the_state_before_it(world: testing.World) -> None:
    """What the first rule writes, the second does not see; the next event does."""
    world.rule(
        trigger_type="custom.a", priority=1, actions=[{"type": "update_contact", "fields": {"plan": "pro"}}]
    )
    world.rule(
        trigger_type="custom.a",
        priority=2,
        conditions=[{"field": "contact.plan", "operator": "equals", "value": "pro"}],
        actions=[{"type": "add_tags", "tags": ["seen"]}],
    )
    first, second = world.events([{"event_type": "custom.a", "contact_id": "ana"}] * 2)
    world.turns.take()
    assert acts.outcomes(world, first) == ["executed", "not_matched"]
    assert acts.outcomes(world, second) == ["executed", "executed"]


def test_events_that_cause_each_other_end(world: testing.World) -> None:
    """A rule that starts itself stops at the fifth generation, and says so."""
    rule(world, {"type": "emit_event", "event_type": "custom.a"})
    happen(world)
    world.run_until_idle()
    made = tables.rows(world.app.store, "events")
    assert sorted(row["depth"] for row in made) == list(range(plans.MAX_DEPTH + 1))
    last = max(made, key=lambda row: row["depth"])
    ((only,),) = acts.actions(world, ids.text(last["id"]))
    assert only[1] == "failed"
    assert "depth" in str(only[2])


# ── what an action may make of a record ─────────────────────────────────────────────────────────────


def test_a_profile_that_rules_add_to_stays_within_its_bounds(world: testing.World) -> None:
    """What would make more than 256 KiB of a profile fails, also by several actions together, and writes nothing."""
    add = [{"type": "update_contact", "fields": {name: "{{payload.text}}"}} for name in "bcd"]
    rule(world, *add[:2])
    world.rule(trigger_type="custom.a", actions=[add[2]], priority=101)
    event = happen(world, payload={"text": "x" * 100_000})
    world.run_until_idle()
    done, too_large = ("update_contact", "succeeded", None), "a profile takes at most 256 KiB"
    assert acts.actions(world, event) == [[done, done], [("update_contact", "failed", too_large)]]
    stored = msgspec.json.decode(acts.contact(world, "ana")["profile"])
    assert {"b", "c"} < stored.keys()
    assert "d" not in stored
    event = happen(world, payload={"text": "less"})
    world.run_until_idle()
    assert acts.actions(world, event) == [[done, done], [done]]


def test_a_profile_is_nested_no_deeper_by_rules_than_by_others(world: testing.World) -> None:
    """A rule that puts what a contact has into itself fails at the depth to which JSON is read, and says where."""
    rule(world, {"type": "update_contact", "fields": {"was": {"was": "{{contact.was}}"}}})
    events = [happen(world) for _ in range(70)]
    world.run_until_idle()
    (last,) = acts.actions(world, events[-1])
    assert last == [("update_contact", "failed", f"fields{'.was' * 63}: is nested deeper than 63 levels")]
    assert acts.outcomes(world, events[60]) == ["executed"]


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        ({"one": "{{payload.text}}", "two": "{{payload.text}}"}, "is larger than 262144 bytes"),
        ({"deep": {"er": "{{payload}}"}}, "is nested deeper than 63 levels"),
    ],
)
def test_an_emitted_event_keeps_the_bounds_of_those_sent_in(
    world: testing.World, payload: dict[str, Any], fault: str
) -> None:
    """An event of a rule's own is no larger and no deeper than one over HTTP: its action fails, and none comes in."""
    rule(world, {"type": "emit_event", "event_type": "custom.b", "payload": payload})
    deep: dict[str, Any] = {}
    for _ in range(60):
        deep = {"d": deep}
    event = happen(world, payload={"text": "x" * 140_000, "deep": deep})
    world.run_until_idle()
    assert acts.actions(world, event) == [[("emit_event", "failed", f"payload: {fault}")]]
    assert [row["event_type"] for row in tables.rows(world.app.store, "events")] == ["custom.a"]
