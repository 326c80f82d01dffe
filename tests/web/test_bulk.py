"""`/bulk`: one message to many people who are named with the job."""

from typing import Any

import pytest
import sqlalchemy as sa

from heliograph import testing
from heliograph.core import ids
from heliograph.store import retention, schema
from tests import tables
from tests.web.client import START, Client, faults

HELLO = {"event": "hello", "content": {"title": "Hello {name}", "body": "{{data.shop}}, {{data.seat}}"}}


def create(api: Client, message: dict[str, Any], **given: Any) -> str:
    """A job that was made; its id."""
    answer = api.post("/bulk", {"message": message}, **given)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["jobId"])


def add(api: Client, job: str, *users: dict[str, Any]) -> None:
    """Users that were added."""
    answer = api.post(f"/bulk/{job}", {"users": users})
    assert (answer.status_code, answer.json()) == (200, {"total": len(users), "errors": []})


def stands(api: Client, job: str) -> tuple[str, int, int, int]:
    """Its status, and how many it has received, enqueued, and failed with."""
    told = api.get(f"/bulk/{job}").json()["job"]
    return told["status"], told["received"], told["enqueued"], told["failures"]


def users(api: Client, job: str) -> list[dict[str, Any]]:
    """Its users, walked page by page."""
    found: list[dict[str, Any]] = []
    query: dict[str, str] = {}
    while True:
        page = api.get(f"/bulk/{job}/users", params=query).json()
        found += page["items"]
        if not page["paging"]["more"]:
            return found
        query = {"cursor": page["paging"]["cursor"]}


def test_a_job_writes_to_each_of_its_users_once(api: Client) -> None:
    """Users are kept in their order; each is told of with the message that they got, or as one of whom nobody knows."""
    api.world.contact("ana", email="stored@example.com", name="Ana")
    job = create(api, {**HELLO, "data": {"shop": "Mill", "seat": 0}})
    assert stands(api, job) == ("CREATED", 0, 0, 0)
    add(api, job, {"recipient": "ana", "data": {"name": "A.", "seat": 1}}, {"to": {"email": "x@example.com"}})
    crowd = [{"profile": {"email": f"u{n}@example.com"}, "data": {"seat": n}} for n in range(300)]
    add(api, job, *crowd)
    assert {one["status"] for one in users(api, job)} == {"PENDING"}
    for _ in range(2):
        assert api.post(f"/bulk/{job}/run").status_code == 202
    assert stands(api, job) == ("PROCESSING", 302, 0, 0)
    api.decide()
    assert stands(api, job) == ("COMPLETED", 302, 301, 1)

    received = {mail.recipient: (mail.subject, mail.text) for mail in api.mailbox.received}
    assert len(api.mailbox.received) == len(received) == 301
    assert received["stored@example.com"] == ("Hello A.", "Mill, 1")
    assert received["u299@example.com"] == ("Hello {name}", "Mill, 299")
    listed = users(api, job)
    assert [one["data"]["seat"] for one in listed[2:]] == list(range(300))
    assert [one["status"] for one in listed[:3]] == ["ENQUEUED", "ERROR", "ENQUEUED"]
    message = api.get(f"/messages/{listed[0]['messageId']}").json()
    assert message["id"] == listed[0]["messageId"]
    assert (message["recipient"], message["status"], message["event"]) == ("ana", "SENT", "hello")
    assert api.get(f"/bulk/{job}").json()["job"]["definition"]["content"] == HELLO["content"]


def test_an_override_speaks_of_every_e_mail_of_a_job(api: Client) -> None:
    """As in a step of a journey: under `email`, or `channel.email`, which wins; what others would know is named."""
    said = {
        "email": {"subject": "Not this", "reply_to": "shop@example.com"},
        "channel": {
            "email": {"subject": "For you", "headers": {"X-Shop": "Mill"}},
            "sms": {"body": "x"},
        },
        "sendgrid": {"body": {"x": 1}},
    }
    made = api.post("/bulk", {"message": {**HELLO, "override": said}})
    assert made.headers["heliograph-ignored"] == "message.override.channel.sms, message.override.sendgrid"
    job = made.json()["jobId"]
    assert api.get(f"/bulk/{job}").json()["job"]["definition"]["override"] == said
    add(
        api,
        job,
        *({"profile": {"email": f"{name}@example.com"}, "data": {"name": name}} for name in ("a", "b")),
    )
    api.post(f"/bulk/{job}/run")
    api.decide()
    assert [mail.subject for mail in api.mailbox.received] == ["For you"] * 2
    for mail in api.mailbox.received:
        assert b"X-Shop: Mill" in mail.raw
        assert b"Reply-To: shop@example.com" in mail.raw


def test_old_jobs_are_forgotten_with_their_users(api: Client) -> None:
    """A job that is over, or was never run, goes when it is old, its users some at a time; one under way stays."""
    over, idle, running = (create(api, HELLO) for _ in range(3))
    for job in (over, idle, running):
        add(api, job, *({"recipient": f"u{n}"} for n in range(3)))
    api.post(f"/bulk/{over}/run")
    api.decide()
    api.post(f"/bulk/{running}/run")
    workspace, later = api.world.workspace_id, api.clock.now() + 1
    while (bite := retention.forget(api.store, workspace, "jobs", retention.START, later, 1)).forgotten:
        assert bite.more
    mark = retention.START
    while (bite := retention.forget(api.store, workspace, "jobs", mark, later, 1)).more:
        mark = bite.reached
    assert [row["id"] for row in tables.rows(api.store, "bulk_jobs")] == [ids.parse(running)]
    assert len(tables.rows(api.store, "bulk_users")) == 3


def test_a_job_that_is_being_forgotten_is_run_no_more(api: Client) -> None:
    """A job that was never run, and has lost users as it was too old, writes to nobody and says why."""
    job = create(api, HELLO)
    add(api, job, *({"profile": {"email": f"u{n}@example.com"}} for n in range(2_100)))
    retention.forget(api.store, api.world.workspace_id, "jobs", retention.START, api.clock.now() + 1, 1)
    assert len(tables.rows(api.store, "bulk_users")) == 100
    assert api.post(f"/bulk/{job}/run").status_code == 409
    assert api.post(f"/bulk/{job}", {"users": [{"recipient": "ana"}]}).status_code == 409
    api.decide()
    assert (stands(api, job)[0], api.mailbox.received) == ("ERROR", [])


def test_what_a_job_cannot_be_is_said(lone_api: Client) -> None:
    """Every fault with its place; users are added all or not at all, and to nothing that runs."""
    for message, places in (
        (None, {"message"}),
        ({}, {"message.event"}),
        ({"event": "nothing"}, {"message.event"}),
        ({"event": "a", "template": "nothing"}, {"message.template"}),
        ({**HELLO, "template": "t"}, {"message"}),
        ({"event": "a", "content": {"title": 5}}, {"message.content.title", "message.content.body"}),
        ({**HELLO, "brand": "none"}, {"message.brand"}),
        ({**HELLO, "override": "x"}, {"message.override"}),
        ({**HELLO, "override": {"email": {"from": "nobody"}}}, {"message.override.email.from"}),
        (
            {**HELLO, "override": {"channel": {"email": {"headers": {"To": "x"}}}}},
            {"message.override.channel.email.headers"},
        ),
    ):
        answer = lone_api.post("/bulk", {"message": message})
        assert (answer.status_code, {*faults(answer)}) == (400, places), message
    answer = lone_api.post("/bulk", {"message": {**HELLO, "locale": {}}, "more": 1})
    assert answer.headers["heliograph-ignored"] == "message.locale, more"
    job = answer.json()["jobId"]
    for given, places in (
        ({}, {"users"}),
        ({"users": []}, {"users"}),
        ({"users": ["ana", {"recipient": "a", "to": 1}]}, {"users[0]", "users[1].to"}),
        (
            {"users": [{"recipient": "a"}, {"recipient": "b", "profile": {"email": "x"}}]},
            {"users[1].profile.email"},
        ),
        ({"users": [{"recipient": "a", "data": 1}]}, {"users[0].data"}),
        (
            {"users": [{"recipient": 5}, {"to": {"user_id": 5}}]},
            {"users[0].recipient", "users[1].to.user_id"},
        ),
        ({"users": [{"to": {"profile": {"email": "x"}}}]}, {"users[0].to.profile.email"}),
        (
            {"users": [{"recipient": []}, {"to": {"user_id": {}}}]},
            {"users[0].recipient", "users[1].to.user_id"},
        ),
        (
            {"users": [{"recipient": "a"}, {"recipient": "b", "to": {"context": {"tenant_id": "none"}}}]},
            {"users[1].to.tenant_id"},
        ),
    ):
        answer = lone_api.post(f"/bulk/{job}", given)
        assert (answer.status_code, {*faults(answer)}) == (400, places), given
    said = {"recipient": "a", "to": {"email": "a@example.com", "more": 1}, "also": 2, "preferences": {"x": 1}}
    answer = lone_api.post(f"/bulk/{job}", {"users": [said]})
    assert answer.headers["heliograph-ignored"] == (
        "users[0].also, users[0].preferences.x, users[0].to.email, users[0].to.more"
    )
    assert stands(lone_api, job) == ("CREATED", 1, 0, 0)
    assert lone_api.post(f"/bulk/{job}/run").status_code == 202
    assert lone_api.post(f"/bulk/{job}", {"users": [said]}).status_code == 409
    assert lone_api.get(f"/bulk/{job}/users", params={"cursor": "x"}).status_code == 400
    assert lone_api.get("/bulk/nothing").status_code == 404


def test_a_tenants_key_sees_and_speaks_for_its_own(lone_api: Client) -> None:
    """A tenant's job speaks for no other tenant, and is nobody else's; an ingest key makes none."""
    for tenant in ("acme", "other"):
        assert lone_api.put(f"/tenants/{tenant}", {"name": tenant}).status_code == 200
    key = lone_api.key("admin", tenant="acme")
    job = create(lone_api, HELLO, key=key)
    strange = {"users": [{"recipient": "a", "to": {"tenant_id": "other"}}]}
    assert lone_api.post(f"/bulk/{job}", strange, key=key).status_code == 404
    assert lone_api.get(f"/bulk/{job}", key=lone_api.key("admin", tenant="other")).status_code == 404
    assert lone_api.get(f"/bulk/{job}", key=key).status_code == 200
    assert lone_api.post("/bulk", {"message": HELLO}, key=lone_api.key("ingest")).status_code == 403


def test_a_job_goes_on_where_it_was(database_url: str) -> None:
    """A process that ends between two steps loses nobody and asks for nobody twice; a step sees to some of them."""
    with Client(database_url) as api:
        job = create(api, HELLO)
        add(api, job, *({"profile": {"email": f"u{n}@example.com"}} for n in range(600)))
        api.post(f"/bulk/{job}/run")
        api.world.turns.take()
        begun = len(tables.rows(api.store, "requests"))
        assert 0 < begun < 600
    with testing.World(database_url, start=START) as world:
        world.run_until_idle()
        assert len({mail.recipient for mail in world.mailbox.received}) == 600
        assert len(world.mailbox.received) == len(tables.rows(world.app.store, "requests")) == 600


def test_a_step_that_cannot_be_taken_ends_its_job_alone(
    lone_api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five tries the job says why; others go on."""
    broken, good = create(lone_api, HELLO), create(lone_api, HELLO)
    for job in (broken, good):
        add(lone_api, job, {"profile": {"email": "a@example.com"}})
    with lone_api.store.writing() as connection:
        spoil = sa.update(schema.bulk_users).values(said="{")
        connection.execute(spoil.where(schema.bulk_users.c.job_id == ids.parse(broken)))
    for job in (broken, good):
        lone_api.post(f"/bulk/{job}/run")
    for _ in range(6):
        lone_api.decide()
        lone_api.world.pass_time(hours=2)
    assert stands(lone_api, broken)[0] == "ERROR"
    assert "DecodeError" in lone_api.get(f"/bulk/{broken}").json()["job"]["error"]
    assert stands(lone_api, good) == ("COMPLETED", 1, 1, 0)
