"""Providers in a routing's list of channels: their channel is narrowed to them, wherever a routing may stand."""

from typing import Any

import pytest

from heliograph import testing
from tests.web.client import Client, faults
from tests.web.test_journeys import invoke, steps_of
from tests.web.test_requests import messages, send, sent
from tests.web.test_routing import ANA, HELLO, filtered, gone, routing, strategy

Went = dict[str, int]


@pytest.fixture
def town(api: Client) -> Client:
    """Three ways out for text messages beside the one for e-mail; Ana is reached by both."""
    for place, name in enumerate(("one", "two", "three")):
        api.world.provider("twilio", name, position=place)
    api.world.contact("ana", email="ana@example.com", phone_number="+15005550001")
    return api


def attempts(api: Client, message_id: str) -> list[tuple[str, str]]:
    """By whom a message was tried, and how that ended."""
    return [
        (one["provider"], one["outcome"]) for one in api.get(f"/messages/{message_id}").json()["attempts"]
    ]


def went(api: Client, *listed: Any, method: str = "single", **said: Any) -> Went:
    """How many messages each way out had of one request."""
    before = {name: len(found) for name, found in gone(api).items()}
    sent(api, {**HELLO, "to": ANA, "routing": routing(method, *listed), **said})
    return {name: n for name, found in gone(api).items() if (n := len(found) - before[name])}


def test_a_listed_provider_narrows_its_channel(town: Client) -> None:
    """A message goes by the provider that is listed and no other; each of an `all` has a message, nested ones too."""
    assert went(town, "two") == {"two": 1}
    assert went(town, "three", "email") == {"three": 1}
    assert went(town, "twilio") == {"one": 1}
    assert went(town, "two", "three", "email", method="all") == {"two": 1, "three": 1, "email": 1}
    assert went(town, routing("all", "three", "email"), "one") == {"three": 1, "email": 1}
    assert went(town, routing("single", "smtp", "sms"), "three", method="all") == {"email": 1, "three": 1}
    # What is said of its channel holds for it, but for which providers.
    only = {"sms": {"providers": ["one"], "override": {"body": "Short"}}}
    assert went(town, "three", channels=only) == {"three": 1}
    assert "Short" in str(town.world.outboxes["three"].received[-1].content)
    when = {"two": {"if": "data.urgent === true"}}
    request_id, _ = sent(
        town, {**HELLO, "to": ANA, "routing": routing("single", "two", "email"), "providers": when}
    )
    assert filtered(town, request_id) == [("sms", "FILTERED", "condition: of the provider 'two'")]
    request_id, _ = sent(town, {**HELLO, "to": ANA, "routing": routing("single", "two"), "providers": when})
    told = town.get(f"/messages/{request_id}").json()
    assert (told["status"], told["error"]) == ("UNROUTABLE", "condition: none of its routing holds (sms)")


def test_what_a_listed_provider_refuses_goes_on_along_the_list(town: Client) -> None:
    """Providers of one channel beside each other take over at once; others follow in order, as the same message."""
    town.world.outboxes["three"].answer = testing.down
    request_id, _ = sent(town, {**HELLO, "to": ANA, "routing": routing("single", "three", "two", "email")})
    assert attempts(town, request_id) == [("three", "temporary"), ("two", "accepted")]
    town.world.outboxes["two"].answer = testing.down
    request_id, _ = sent(town, {**HELLO, "to": ANA, "routing": routing("single", "three", "sms")})
    assert attempts(town, request_id)[-1] == ("one", "accepted")
    for box in (town.mailbox, town.world.outboxes["one"], town.world.outboxes["three"]):
        box.answer = testing.refusing
    town.world.outboxes["two"].answer = testing.accepted
    request_id, _ = sent(town, {**HELLO, "to": ANA, "routing": routing("single", "one", "email", "two")})
    assert attempts(town, request_id) == [
        ("one", "permanent"),
        ("", "permanent"),
        ("two", "accepted"),
    ]
    assert len(messages(town, request_id)) == 1
    # A channel that is listed again, by nobody else, is not gone again.
    request_id, _ = sent(town, {**HELLO, "to": ANA, "routing": routing("single", "one", "email", "one")})
    found = town.get(f"/messages/{request_id}").json()
    assert (found["status"], found["channel"], len(found["attempts"])) == ("UNDELIVERABLE", "email", 2)


def test_an_unknown_name_is_refused_and_told_what_there_is(town: Client) -> None:
    """Whatever names it: a request, a bulk job, a strategy, a journey; the answer lists channels and providers."""
    wrong = routing("single", "email", routing("all", "sendgrid", "sms"))
    place = "routing.channels[1].channels[0]"
    answers = {
        f"message.{place}": town.post("/send", {"message": {**HELLO, "to": ANA, "routing": wrong}}),
        place: town.post("/routing-strategies", {"name": "n", "routing": wrong}),
    }
    step: dict[str, Any] = {
        "action": "send",
        "message": {**HELLO, "to": {"user_id": "ana"}, "routing": wrong},
    }
    tagged = {"action": "send", "message": {**step["message"], "metadata": {"tags": ["a"]}}}
    for number, one in enumerate((step, tagged)):
        template = {"name": "n", "steps": [{"action": "delay", "duration": "1 hour"}, one]}
        for answer in (
            town.put(f"/automations/templates/j{number}", template),
            town.post("/automations/invoke", {"automation": {"steps": template["steps"]}}),
        ):
            assert set(faults(answer)) == {f"steps[1].message.{place}"}, answer.text
    for path, answer in answers.items():
        told = faults(answer)
        assert (answer.status_code, set(told)) == (400, {path}), answer.text
        assert "'sendgrid'" in answer.text
        assert all(name in answer.text for name in ("email", "direct_message", "three", "two", "smtp"))
    town.world.provider("smtp", "sendgrid")
    assert town.post("/send", {"message": {**HELLO, "to": ANA, "routing": wrong}}).status_code == 200


def test_strategies_lists_and_steps_take_listed_providers(town: Client) -> None:
    """A strategy, a send to a list and both kinds of a journey's send go by the providers that they list."""
    by_two = strategy(town, "two", "email")
    sent(town, {**HELLO, "to": ANA, "routing": {"strategy_id": by_two}})
    town.put("/lists/l/subscriptions", {"recipients": [{"recipientId": "ana"}]})
    sent(town, {**HELLO, "to": {"list_id": "l"}, "routing": routing("single", "three")})
    message = {**HELLO, "to": {"user_id": "ana"}, "routing": routing("single", "three", "one")}
    for one in (message, {**message, "metadata": {"tags": ["a"]}}):
        run_id = invoke(town, {"action": "send", "message": one})
        town.world.run_until_idle()
        assert steps_of(town, run_id)[0]["status"] == "PROCESSED"
    assert {name: len(found) for name, found in gone(town).items()} == {
        "email": 0,
        "one": 0,
        "two": 1,
        "three": 3,
    }


def test_a_provider_that_is_gone_since_is_passed_by(town: Client) -> None:
    """A strategy passes by what there is no more, which alone leaves NO_PROVIDERS; a step fails with words."""
    both, alone = strategy(town, "two", "email"), strategy(town, "two")
    message = {**HELLO, "to": {"user_id": "ana"}, "routing": routing("single", "two")}
    delayed = send(town, {**message, "delay": {"duration": 60_000}})
    assert town.get(f"/messages/{delayed}").json()["channel"] == "sms"
    run_id = invoke(town, {"action": "delay", "duration": "1 hour"}, {"action": "send", "message": message})
    town.world.run_until_idle()
    found = next(one for one in town.get("/providers").json()["results"] if one["alias"] == "two")
    assert town.delete(f"/providers/{found['id']}").status_code == 204
    request_id, _ = sent(town, {**HELLO, "to": ANA, "routing": {"strategy_id": both}})
    assert town.get(f"/messages/{request_id}").json()["channel"] == "email"
    assert filtered(town, request_id) == [("two", "NO_PROVIDERS", "no_provider: there is no provider 'two'")]
    request_id, _ = sent(town, {**HELLO, "to": ANA, "routing": {"strategy_id": alone}})
    told = town.get(f"/messages/{request_id}").json()
    assert (told["status"], told["reason"], told["error"]) == (
        "UNROUTABLE",
        "NO_PROVIDERS",
        "no_provider: there is no provider 'two'",
    )
    town.world.pass_time(hours=2)
    told = town.get(f"/messages/{delayed}").json()
    assert (told["status"], told["reason"]) == ("UNROUTABLE", "NO_PROVIDERS")
    assert "'two'" in str(steps_of(town, run_id)[1])
    assert steps_of(town, run_id)[1]["status"] == "ERROR"
