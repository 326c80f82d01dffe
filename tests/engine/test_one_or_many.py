"""The law of the turn: n inputs in one turn leave the same rows as n turns of one."""

import hypothesis
import pytest

from heliograph import testing
from heliograph.core import messages
from tests import environment
from tests.engine import plays

EXAMPLES = 300 if environment.is_torture() else 7
CARES = 300 if environment.is_torture() else 6
CALMS = 300 if environment.is_torture() else 3
TELLINGS = 300 if environment.is_torture() else 5
# A play is small as it is; shrinking one takes minutes.
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)


CHAINS = plays.Play(
    tuple(
        {
            "name": "A rule",
            "trigger_type": trigger_type,
            "conditions": {"any": [{"field": "contact.score", "operator": "not_equals", "value": 9}]},
            "actions": [
                {"type": "update_contact", "fields": {"score": "{{payload.n}}"}},
                {
                    "type": "emit_event",
                    "event_type": "custom.b",
                    "payload": {"n": "{{payload.n}}"},
                    "contact_id": "dot",
                },
            ],
        }
        for trigger_type in plays.TYPES
    ),
    (
        (
            0,
            tuple(
                {
                    "event_type": "custom.a",
                    "contact_id": name,
                    "conversation_id": None,
                    "payload": {"n": number, "plan": None},
                }
                for number, name in enumerate(plays.PEOPLE)
            ),
        ),
    ),
)
"""What one event causes, and what that causes, must not overtake what another one caused before."""


CANCELED = plays.Play(
    (
        {
            "name": "A rule",
            "trigger_type": "custom.a",
            "actions": [{"type": "invoke_automation", "template": "short"}],
        },
    ),
    (
        (
            0,
            tuple(
                {
                    "event_type": "custom.a",
                    "contact_id": name,
                    "conversation_id": "k1",
                    "payload": {"n": number, "plan": None},
                }
                for number, name in enumerate(plays.PEOPLE)
            ),
        ),
    ),
    cancels=((0, 1),),
)
"""Of people who wait in a journey, some are called back."""


MOVED = plays.Play(
    (
        {
            "name": "A rule",
            "trigger_type": "custom.a",
            "actions": [{"type": "send_message", "text": "{{payload.n}}"}],
        },
        {
            "name": "A rule",
            "trigger_type": "custom.b",
            "actions": [{"type": "update_contact", "fields": {"zoneinfo": "{{payload.plan}}"}}],
        },
    ),
    (
        (
            0,
            tuple(
                {
                    "event_type": event_type,
                    "contact_id": "ana",
                    "conversation_id": None,
                    "payload": {"n": number, "plan": "Pacific/Auckland" if number < 3 else "UTC"},
                }
                for number, event_type in enumerate(
                    ("custom.a", "custom.b", "custom.a", "custom.b", "custom.a")
                )
            ),
        ),
    ),
    policy={"quiet_hours": [{"start": "21:00", "end": "08:00"}], "caps": [{"limit": 2, "period": "P1D"}]},
)
"""Somebody sleeps, is on the other side of the world, and sleeps again, all at once."""


TENDED = plays.Play(
    (
        {
            "name": "A rule",
            "trigger_type": "custom.a",
            "actions": [
                {"type": "assign_agent", "agent_id": "maya"},
                {"type": "set_status", "status": "pending"},
            ],
        },
        {
            "name": "A rule",
            "trigger_type": "custom.b",
            "actions": [{"type": "unassign"}, {"type": "set_status", "status": "{{payload.plan}}"}],
        },
        *plays.LISTENERS,
    ),
    (
        (
            0,
            tuple(
                {
                    "event_type": event_type,
                    "contact_id": None,
                    "conversation_id": conversation_id,
                    "payload": {"n": number, "plan": "open"},
                }
                for number, event_type in enumerate(("custom.a", "custom.b", "custom.a"))
                for conversation_id in ("k1", "k2")
            ),
        ),
    ),
)
"""The engine tells of everything that becomes of two conversations."""


@pytest.mark.torture
def test_a_turn_of_many_leaves_what_turns_of_one_leave(world: testing.World) -> None:
    """However many inputs a turn takes, every table ends the same, to the byte."""
    stage = plays.Stage(world)
    inputs: list[int] = []
    canceled: list[int] = []

    @hypothesis.settings(max_examples=EXAMPLES, phases=PHASES)
    @hypothesis.given(plays.plays)
    @hypothesis.example(CHAINS)
    @hypothesis.example(CANCELED)
    def same(play: plays.Play) -> None:
        left = stage.give_both(play)
        inputs.append(sum(len(events) for _, events in play.waves))
        canceled.append(sum(row["reason"] == "canceled" for row in left["runs"]))

    same()
    assert sum(canceled) > 0, "journeys are canceled"
    assert sum(inputs) > EXAMPLES, "plays have events"


@pytest.mark.torture
def test_a_day_of_the_calendar_in_one_turn_or_in_many(world: testing.World) -> None:
    """Midnights, birthdays that become known and runs that wake leave the same, a few at a time or all at once."""
    stage = plays.Stage(world)
    made: list[int] = []

    @hypothesis.settings(max_examples=EXAMPLES, phases=PHASES)
    @hypothesis.given(plays.birthdays)
    def same(play: plays.Play) -> None:
        left = stage.give_both(play)
        made.append(sum(row["start_key"] is not None for row in left["runs"]))

    same()
    assert sum(made) > EXAMPLES, "birthdays are celebrated"


@pytest.mark.torture
def test_conversations_in_one_turn_or_in_many(world: testing.World) -> None:
    """Rules that look at how conversations stand, and change it, leave the same whatever a turn takes."""
    stage = plays.Stage(world)
    made: list[int] = []

    @hypothesis.settings(max_examples=CARES, phases=PHASES)
    @hypothesis.given(plays.care)
    @hypothesis.example(TENDED)
    def same(play: plays.Play) -> None:
        left = stage.give_both(play)
        made.append(sum(row["source"] == "engine" for row in left["events"]))

    same()
    assert sum(made) > CARES, "the engine tells of conversations"


@pytest.mark.torture
def test_quiet_hours_and_caps_in_one_turn_or_in_many(world: testing.World) -> None:
    """Who waits for the morning, in whatever zone, and who is kept back is the same whatever a turn takes."""
    stage = plays.Stage(world)
    kept: list[int] = []

    @hypothesis.settings(max_examples=CALMS, phases=PHASES)
    @hypothesis.given(plays.noises)
    @hypothesis.example(MOVED)
    def same(play: plays.Play) -> None:
        left = stage.give_both(play)
        kept.append(sum(row["state"] == messages.State.CAPPED for row in left["messages"]))

    same()
    assert sum(kept) > CALMS, "messages are kept back"


@pytest.mark.torture
def test_reports_in_one_turn_or_in_many(world: testing.World) -> None:
    """What providers tell of messages, however mixed and repeated, leaves the same whatever a turn takes."""
    stage = plays.Stage(world)
    told: list[int] = []

    @hypothesis.settings(max_examples=TELLINGS, phases=PHASES)
    @hypothesis.given(plays.tellings)
    def same(play: plays.Play) -> None:
        left = stage.give_both(play)
        told.append(sum(row["reached"] is not None for row in left["messages"]))

    same()
    assert sum(told) > TELLINGS, "messages are told of"
