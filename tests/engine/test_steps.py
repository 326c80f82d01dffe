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
