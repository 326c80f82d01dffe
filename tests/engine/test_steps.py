"""Steps of journeys and the engine: what is done once, and who may pass."""

import pytest

from heliograph import testing

HELLO = {
    "action": "send",
    "message": {"to": {"email": "${data.mail}"}, "content": {"title": "Hi", "body": "{word}"}},
}
MAIL = {"mail": "ana@example.com", "word": "hello"}


@pytest.mark.parametrize("between", [(), ({"action": "delay", "duration": "1 minute"},)])
def test_a_run_uses_a_step_key_once(world: testing.World, between: tuple[dict[str, str], ...]) -> None:
    """A key that a step has used holds for the later ones of its own run, in the same turn as in another."""
    fetch = {
        "action": "fetch-data",
        "webhook": {"url": "https://example.com/a"},
        "merge_strategy": "overwrite",
        "idempotency_key": "ask",
    }
    hello = {**HELLO, "idempotency_key": "hello"}
    world.calls.answer = testing.answering({"word": "hello"})
    run_id = world.invoke(None, hello, *between, hello, fetch, *between, fetch, HELLO, data=MAIL)
    world.pass_time(hours=1)
    assert [mail.text for mail in world.mailbox.received] == ["hello", "hello"]
    assert len(world.calls.received) == 1
    assert world.run(run_id).steps[-1] == "PROCESSED"


def test_a_throttled_group_has_several_periods(world: testing.World) -> None:
    """Who passed by a step of a short period counts for one of a longer period too, and takes nobody off its count."""

    def throttle(most: int, period: str) -> dict[str, object]:
        how = {"scope": "dynamic", "throttle_key": "news"}
        return {"action": "throttle", "max_allowed": most, "period": period, **how}

    for most, period in ((3, "P1D"), (3, "P1D"), (1, "PT1M"), (3, "P1D"), (1, "PT1M")):
        world.invoke(None, throttle(most, period), HELLO, data={**MAIL, "word": period})
        world.pass_time(minutes=5)
    assert [mail.text for mail in world.mailbox.received] == ["P1D", "P1D", "PT1M", "PT1M"]
    world.pass_time(days=1)
    world.invoke(None, throttle(3, "P1D"), HELLO, data={**MAIL, "word": "again"})
    world.pass_time(minutes=5)
    assert world.mailbox.received[-1].text == "again"
