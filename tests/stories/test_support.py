"""A support team's day: letters are sorted, handed to whoever can help, and nobody is forgotten."""

from collections.abc import Iterator
from typing import Any

import pytest

from heliograph import testing
from tests.engine import acts

REFUND = {"message": {"text": "I want a refund for order 7"}}


@pytest.fixture
def desk() -> Iterator[testing.World]:
    """A team of two, a division, and the rules they have agreed on."""
    with testing.World() as world:
        for agent in ("maya", "noor"):
            world.agent(agent, agent.title())
        world.division("billing", "Billing")
        world.contact("ana", email="ana@example.com", given_name="Ana", plan="pro")
        agree(world)
        yield world


def agree(world: testing.World) -> None:
    """What shall happen by itself."""
    world.rule(
        name="Refunds go to billing",
        trigger_type="message_received",
        conditions=[
            {"field": "message.text", "operator": "matches", "value": "(?i)refund"},
            {"field": "conversation.division_id", "operator": "not_exists"},
        ],
        actions=[
            {"type": "add_tags", "tags": ["refund"]},
            {"type": "assign_division", "division_id": "billing"},
            {
                "type": "set_priority",
                "priority": "{% if contact.plan == 'pro' %}high{% else %}normal{% endif %}",
            },
            {"type": "add_note", "text": "{{ contact.given_name }} wrote: {{ message.text }}"},
        ],
    )
    world.rule(
        name="Who writes again is not done",
        trigger_type="message_received",
        conditions=[{"field": "conversation.status", "operator": "in", "value": ["pending", "resolved"]}],
        actions=[{"type": "set_status", "status": "open"}],
    )
    world.rule(
        name="Tell whoever gets it",
        trigger_type="conversation_assigned",
        conditions=[
            {"field": "agent_id", "operator": "changed"},
            {"field": "agent_id", "operator": "exists"},
        ],
        actions=[
            {
                "type": "notify",
                "emails": ["team@example.com"],
                "text": "{{ agent_id }}: {{ conversation.id }}",
            }
        ],
    )
    survey = [
        {"action": "delay", "duration": "1 hour"},
        {
            "action": "send",
            "message": {
                "to": {"email": "ana@example.com"},
                "content": {"title": "How was it?", "body": "Tell us about {conversation}"},
            },
        },
    ]
    world.rule(
        name="Ask how it was",
        trigger_type="conversation_status_changed",
        conditions=[{"field": "conversation.status", "operator": "changed_to", "value": "resolved"}],
        actions=[
            {
                "type": "invoke_automation",
                "steps": survey,
                "data": {"conversation": "{{ conversation.id }}"},
                "entry_key": "{{ conversation.id }}",
            }
        ],
    )
    world.rule(
        name="Win them back",
        trigger_type="csat_submitted",
        conditions=[{"field": "payload.score", "operator": "less_or_equal", "value": 2}],
        actions=[
            {"type": "set_status", "status": "open"},
            {"type": "set_priority", "priority": "urgent"},
            {"type": "unassign"},
            {"type": "assign_agent", "agent_id": "noor"},
            {"type": "remove_tags", "tags": ["refund"]},
            {"type": "update_contact", "fields": {"last_score": "{{ payload.score }}"}},
        ],
    )
    world.rule(
        name="Somebody whom mail does not reach",
        trigger_type="message_failed",
        actions=[{"type": "add_tags", "target": "contact", "tags": ["unreachable"]}],
    )


def writes(world: testing.World, **payload: Any) -> str:
    """Ana writes on WhatsApp."""
    event = world.event(
        "message_received",
        contact_id="ana",
        conversation_id="wa-1",
        channel_source="whatsapp",
        payload=payload or REFUND,
    )
    world.run_until_idle()
    return event


def told(world: testing.World) -> list[str]:
    """What the team was told."""
    return [mail.text for mail in world.mailbox.to("team@example.com")]


def test_a_refund_finds_its_way(desk: testing.World) -> None:
    """A letter about a refund is tagged, handed to billing, ranked by the customer's plan, and noted down, once."""
    event = writes(desk)
    stands = desk.stored_conversation("wa-1")
    assert (stands.tags, stands.division_id, stands.priority) == (["refund"], "billing", "high")
    assert (stands.contact_id, stands.channel, stands.status) == ("ana", "whatsapp", "open")
    assert desk.notes("wa-1") == ["Ana wrote: I want a refund for order 7"]
    (sorted_by,) = (run for run in desk.explain(event).runs if run.rule_name == "Refunds go to billing")
    done = [(action.type, action.output) for action in sorted_by.result.actions]
    assert done[:2] == [
        ("add_tags", {"target": "conversation", "tags": ["refund"]}),
        ("assign_division", {"conversation_id": "wa-1", "division_id": "billing"}),
    ]
    writes(desk)
    assert len(desk.notes("wa-1")) == 1, "billing has it already"


def test_whoever_gets_a_conversation_is_told(desk: testing.World) -> None:
    """Maya takes the conversation by hand and the team hears of it; taking it again, or leaving it, is no news."""
    writes(desk)
    desk.conversation("wa-1", agent_id="maya")
    desk.conversation("wa-1", agent_id="maya", status="pending")
    desk.conversation("wa-1", agent_id=None)
    desk.run_until_idle()
    assert told(desk) == ["maya: wa-1"]


def test_a_customer_who_writes_again_is_not_done(desk: testing.World) -> None:
    """What was pending or resolved is open again when the customer writes; what was closed stays closed."""
    for status, becomes in (("pending", "open"), ("resolved", "open"), ("closed", "closed")):
        desk.conversation("wa-1", contact_id="ana", status=status)
        writes(desk, message={"text": "Hello?"})
        assert desk.stored_conversation("wa-1").status == becomes


def test_an_unhappy_customer_is_won_back(desk: testing.World) -> None:
    """An hour after it is resolved Ana is asked once how it was; a bad mark brings it back to the best agent."""
    writes(desk)
    desk.conversation("wa-1", agent_id="maya", status="resolved")
    desk.pass_time(minutes=59)
    assert desk.mailbox.to("ana@example.com") == []
    desk.pass_time(minutes=2)
    assert [mail.text for mail in desk.mailbox.to("ana@example.com")] == ["Tell us about wa-1"]
    desk.event("csat_submitted", contact_id="ana", conversation_id="wa-1", payload={"score": 1})
    desk.run_until_idle()
    stands = desk.stored_conversation("wa-1")
    assert (stands.status, stands.priority, stands.agent_id) == ("open", "urgent", "noor")
    assert (stands.division_id, stands.tags) == (None, [])
    assert told(desk) == ["maya: wa-1", "noor: wa-1"]
    desk.conversation("wa-1", status="resolved")
    desk.pass_time(hours=2)
    assert len(desk.mailbox.to("ana@example.com")) == 1, "she was asked before"


def test_whom_mail_does_not_reach_is_marked(desk: testing.World) -> None:
    """When a letter to Ana is refused by her mail server, her contact says so for everybody to see."""
    desk.mailbox.answer = acts.refused
    desk.conversation("wa-1", contact_id="ana", status="pending")
    desk.rule(
        trigger_type="conversation_status_changed",
        actions=[{"type": "send_message", "text": "We are on it."}],
    )
    desk.conversation("wa-1", status="open")
    desk.run_until_idle()
    assert acts.contact(desk, "ana")["tags"] == '["unreachable"]'
