"""What a date automation has queued, and what became of it, over HTTP."""

from typing import Any

import pytest

from tests.engine import acts
from tests.web import client
from tests.web.test_dates import PATH, create, template

# A client's clock begins at noon on the 5th of January.
TOMORROW, DAY_AFTER = "0000-01-06", "0000-01-07"


def actions(api: client.Client, number: int, key: str = "", **query: Any) -> list[dict[str, Any]]:
    """What this one has queued."""
    answer = api.get(f"{PATH}/{number}/actions", params=query, key=key)
    assert answer.status_code == 200, answer.text
    response = answer.json()["response"]
    assert response["count"] == len(response["data"])
    found: list[dict[str, Any]] = response["data"]
    return found


def stand(api: client.Client, number: int) -> dict[str, tuple[str, str | None]]:
    """How each stands, and why, by contact."""
    return {one["contact_id"]: (one["status"], one["reason"]) for one in actions(api, number)}


@pytest.fixture
def letter(api: client.Client) -> int:
    """One that writes at nine on birthdays. Ana's and Ben's is tomorrow, whose day has begun; Ben has no address."""
    api.world.contact("ana", email="ana@example.com", birthdate=TOMORROW)
    api.world.contact("ben:1", birthdate=TOMORROW)
    number = template(api)
    made = create(
        api,
        actiontype="email_autoresponder",
        actiontarget=number,
        actionhour="09:00:00",
        actiononweekend=True,
    )
    assert actions(api, made["id"]) == []
    api.world.pass_time(hours=13)
    return int(made["id"])


@pytest.mark.spec("S1-02")
def test_what_is_queued_is_told_with_what_becomes_of_it(api: client.Client, letter: int) -> None:
    """It is queued as the day begins; then it is completed, with its message, or passed over, with the reason."""
    queued = actions(api, letter)
    assert sorted((one["contact_id"], one["year"], one["status"], one["message_id"]) for one in queued) == [
        ("ana", 2026, "queued", None),
        ("ben:1", 2026, "queued", None),
    ]
    api.world.pass_time(hours=10)
    assert stand(api, letter) == {
        "ana": ("completed", None),
        "ben:1": ("skipped", "contact 'ben:1' has no e-mail address"),
    }
    (message_id,) = (one["message_id"] for one in actions(api, letter) if one["message_id"])
    assert api.get(f"/messages/{message_id}").json()["recipient"] == "ana"


@pytest.mark.spec("S1-04")
def test_what_a_deleted_one_has_queued_is_aborted_at_once(api: client.Client, letter: int) -> None:
    """It is told as aborted from the deletion on, and stays so when its time has come."""
    assert api.delete(f"{PATH}/{letter}").status_code == 200
    aborted = ("aborted", "aborted: the automation was deleted")
    assert stand(api, letter) == {"ana": aborted, "ben:1": aborted}
    api.world.pass_time(hours=10)
    assert stand(api, letter) == {"ana": aborted, "ben:1": aborted}
    assert api.mailbox.received == []


def test_what_is_late_refused_or_for_nobody_is_told(api: client.Client, letter: int) -> None:
    """What was refused has failed, what came too late is held, what was for somebody who is deleted is canceled."""
    api.world.mailbox.answer = acts.refused
    api.world.pass_time(hours=10)
    assert stand(api, letter)["ana"] == ("failed", "550: no such mailbox")
    for name in ("eve", "may"):
        api.world.contact(name, email=f"{name}@example.com", birthdate=DAY_AFTER)
    api.world.pass_time(hours=15)
    assert api.delete("/profiles/may").status_code == 204
    api.clock.move(40 * 3_600_000_000)
    api.decide()
    stands = stand(api, letter)
    assert (stands["eve"], stands["may"]) == (("held", None), ("canceled", "contact_deleted"))


def test_actions_are_read_page_by_page(api: client.Client, letter: int) -> None:
    """A page says where the next one begins, in either direction; a place that is no id is refused."""
    for reverse in ("false", "true"):
        whole = actions(api, letter, reverse=reverse)
        first = api.get(f"{PATH}/{letter}/actions", params={"count": 1, "reverse": reverse}).json()[
            "response"
        ]
        rest = actions(api, letter, count=1, reverse=reverse, start=first["next"])
        assert [*first["data"], *rest] == whole
    assert [one["id"] for one in actions(api, letter)] == sorted(one["id"] for one in actions(api, letter))
    assert api.get(f"{PATH}/{letter}/actions", params={"start": "x"}).status_code == 400


def test_actions_are_of_those_who_see_the_automation(api: client.Client, letter: int) -> None:
    """A tenant sees no other's, and nobody those of one that there is not."""
    tenant = api.key("admin", tenant="acme")
    assert api.get(f"{PATH}/{letter}/actions", key=tenant).status_code == 404
    own = create(api, tenant)
    assert actions(api, own["id"], tenant) == []
    for number in ("99", "x", "-1"):
        answer = api.get(f"{PATH}/{number}/actions")
        assert (answer.status_code, answer.json()["response"]["code"]) == (404, 404)
