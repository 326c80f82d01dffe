"""What the engine tells of a change: what differs, before and after, and nothing of what stays."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import conversations, events, notices

_profiles = st.dictionaries(st.sampled_from("abcd"), st.sampled_from((None, 1, "x", [1])))
_tags = st.lists(st.sampled_from("uvw"), unique=True)
_conversations = st.fixed_dictionaries(
    {
        **{name: st.just(value) for name, value in conversations.FRESH.items()},
        "agent_id": st.sampled_from((None, "maya", "noor")),
        "division_id": st.sampled_from((None, "billing")),
        "status": st.sampled_from(conversations.STATUSES),
        "priority": st.sampled_from(conversations.PRIORITIES),
        "tags": _tags,
    }
)


@given(_profiles, _profiles, _tags, _tags)
def test_an_update_of_a_contact_is_what_differs(
    before: dict[str, Any], after: dict[str, Any], tags_before: list[str], tags_after: list[str]
) -> None:
    """What was before, changed as the event says, is what is now; nothing is told where nothing differs."""
    told = notices.of_contact(before, after, tags_before, tags_after)
    whole_before, whole_after = {**before, "tags": tags_before}, {**after, "tags": tags_after}
    payload = dict(told[0].payload) if told else {}
    assert {name: value for name, value in {**whole_before, **payload}.items() if value is not None} == {
        name: value for name, value in whole_after.items() if value is not None
    }
    assert all(
        whole_before.get(name) == value for one in told for name, value in (one.previous or {}).items()
    )
    assert all(one.payload[name] != value for one in told for name, value in (one.previous or {}).items())


def test_an_attribute_that_becomes_true_is_told() -> None:
    """What is 1 and becomes true differs, as conditions see it; what is 1 and becomes 1.0 does not."""
    (told,) = notices.of_contact({"vip": 1, "points": 1}, {"vip": True, "points": 1.0})
    assert (told.payload, told.previous) == ({"vip": True}, {"vip": 1})
    assert told.payload["vip"] is True


@given(_conversations, _conversations)
def test_a_conversation_is_told_of_by_what_differs(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Who has it, how it stands and its tags are told, each where it differs and no other; priority is not."""
    told = {one.event_type: one for one in notices.of_conversation(before, after)}
    differs = {name for name in before if before[name] != after[name]}
    assert told.keys() == {
        event_type
        for event_type, names in (
            (notices.ASSIGNED, {"agent_id", "division_id"}),
            (notices.STATUS_CHANGED, {"status"}),
            (notices.TAGGED, {"tags"}),
        )
        if names & differs
    }
    for one in told.values():
        assert one.previous == {name: before[name] for name in one.previous or {}}
        assert all(one.payload[name] == after[name] for name in one.previous or {})


def test_a_new_contact_is_told_whole() -> None:
    """`contact_created` has the whole profile and nothing before it; a new conversation is told as a change."""
    assert notices.of_contact(None, {"a": 1}) == [
        notices.Notice(notices.CONTACT_CREATED, {"a": 1, "tags": []}, None)
    ]
    (told,) = notices.of_conversation(None, {**conversations.FRESH, "status": "pending"})
    assert told == notices.Notice(notices.STATUS_CHANGED, {"status": "pending"}, {"status": "open"})


def test_what_is_told_is_known() -> None:
    """Every type that the engine tells is one of its own, so a rule that waits for it is not warned of it."""
    told = (*notices.OF_CONTACTS, *notices.OF_CONVERSATIONS, notices.MESSAGE_FAILED)
    assert set(told) <= set(events.ENGINE_TYPES)
