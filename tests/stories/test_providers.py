"""The story of a workspace with providers of its own, through real servers, on each database."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator

import msgspec

from heliograph import app, settings
from heliograph.core import providers, rules
from heliograph.core.messages import State
from heliograph.store import automations, database, people, workspaces
from heliograph.store import providers as stored_providers
from heliograph.store import safe as safes
from tests import tables
from tests.channels import http_sink, smtp_sink
from tests.channels.http_sink import HttpSink
from tests.channels.smtp_sink import Sink
from tests.engine.test_workers import until

KEY = safes.drawn()
NOW = 1_795_400_000_000_000


def furnish(url: str, *set_up: dict[str, object], by: tuple[str, ...] = ("email",)) -> int:
    """A workspace with these providers, ten people, and a rule that writes to them by these channels."""
    store = database.Database(url, safe=safes.opened(KEY, ""))
    store.migrate()
    with store.writing() as connection:
        workspace_id = workspaces.ensure(connection, "default", NOW, store.safe)
        definition = rules.define(
            {
                "name": "Hello",
                "trigger_type": "custom.a",
                "actions": [{"type": "send_message", "text": "Hello", "channel": channel} for channel in by],
            }
        )
        automations.create_rule(connection, workspace_id, None, definition, NOW, None)
        for one in set_up:
            stored_providers.create(connection, store.safe, workspace_id, providers.define(one), NOW)
    for number in range(10):
        profile = {"email": f"c{number}@example.com", "phone_number": f"+4420794601{number:02}"}
        people.save_profile(store, workspace_id, None, f"c{number}", profile, NOW, strategy="replace")
    store.close()
    return workspace_id


@contextlib.asynccontextmanager
async def working(url: str, **changed: object) -> AsyncIterator[app.App]:
    """An engine at work, on the real clock."""
    made = app.App(settings.load({}, database_url=url, secret_key=KEY, **changed))
    async with made.engine_on_loop() if made.store.is_sqlite else made.engine_in_threads():
        yield made
    made.close()


async def happen(made: app.App, workspace_id: int) -> None:
    """An event about each of the ten."""
    given = [{"event_type": "custom.a", "contact_id": f"c{number}"} for number in range(10)]
    batch = made.ingest.read(msgspec.json.encode(given), "application/json", workspace_id, None)
    await made.ingest.accept(batch)


def test_the_second_server_delivers_what_the_first_refuses(database_url: str) -> None:
    """The first wants none of ours, the second has a login and takes all ten once; a third is never called."""

    def refuses(step: smtp_sink.Step) -> bytes | None:
        return b"554 5.7.1 not from you" if step.name == "RCPT" else None

    async def play() -> None:
        async with Sink(refuses) as first, Sink() as second, Sink() as third:
            mail = {"provider": "smtp", "settings": {"host": "127.0.0.1", "port": first.port}}
            workspace_id = furnish(
                database_url,
                {
                    **mail,
                    "alias": "second",
                    "position": 2,
                    "settings": {"host": "127.0.0.1", "port": second.port},
                },
                {**mail, "alias": "first", "position": 1},
            )
            allowed = (f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}")
            url = f"smtp://127.0.0.1:{third.port}"
            async with working(database_url, smtp_url=url, allowed_hosts=allowed) as made:
                await happen(made, workspace_id)
                await until(lambda: len(second.mails) == 10)
                await until(lambda: made.engine_state()["in_flight"] == 0)
            assert {mail.recipient for mail in second.mails} == {f"c{n}@example.com" for n in range(10)}
            assert (first.mails, third.mails) == ([], [])
            assert (len(second.mails), third.connections) == (10, 0)

    asyncio.run(play())


def test_a_server_inside_is_reached_for_the_operator_alone(database_url: str) -> None:
    """A workspace's own provider that leads behind our walls is passed by; the installation's mail server is there."""

    async def play() -> None:
        async with Sink() as inner:
            provider = {"provider": "smtp", "settings": {"host": "127.0.0.1", "port": inner.port}}
            workspace_id = furnish(database_url, {**provider, "alias": "inside"})
            async with Sink() as own:
                async with working(database_url, smtp_url=f"smtp://127.0.0.1:{own.port}") as made:
                    await happen(made, workspace_id)
                    await until(lambda: len(own.mails) == 10)
                    await until(lambda: made.engine_state()["in_flight"] == 0)
                    ledger = tables.rows(made.store, "messages")
                said = [str(row["attempts"]) for row in ledger if "inside" in str(row["attempts"])]
                assert said
                assert all("misconfigured" in one and "is loopback" in one for one in said)
                assert (inner.connections, len(own.mails)) == (0, 10)

    asyncio.run(play())


def test_text_messages_go_on_while_a_mail_server_is_dead(database_url: str) -> None:
    """Nobody listens where the e-mails go: text messages arrive all the same, and the e-mails wait."""

    async def play() -> None:
        async with Sink() as mail:
            port = mail.port
        taken = json.dumps({"sid": "SM1", "status": "queued"}).encode()
        async with HttpSink(lambda _: http_sink.reply("201 Created", taken)) as service:
            account = {"account_sid": "AC1", "auth_token": "t", "from": "+15005550006"}
            workspace_id = furnish(
                database_url,
                {"provider": "smtp", "settings": {"host": "127.0.0.1", "port": port}},
                {
                    "provider": "twilio",
                    "settings": {**account, "base_url": f"http://127.0.0.1:{service.port}"},
                },
                by=("email", "sms"),
            )
            allowed = (f"127.0.0.1:{service.port}", f"127.0.0.1:{port}")
            async with working(database_url, allowed_hosts=allowed) as made:
                await happen(made, workspace_id)
                await until(lambda: len(service.calls) == 10)
                await until(lambda: made.engine_state()["in_flight"] == 0)
                ledger = tables.rows(made.store, "messages")
            assert len({call.body for call in service.calls}) == len(service.calls) == 10
            states = Counter((row["channel"], row["state"]) for row in ledger)
            assert states == {("sms", State.ACCEPTED): 10, ("email", State.PLANNED): 10}

    asyncio.run(play())


def test_a_provider_is_changed_while_the_engine_works(database_url: str) -> None:
    """What was set up anew is asked from the next message on; the connections of before are closed."""

    async def play() -> None:
        async with Sink() as before, Sink() as after:
            mail: dict[str, object] = {
                "provider": "smtp",
                "alias": "mail",
                "settings": {"host": "127.0.0.1", "port": before.port},
            }
            workspace_id = furnish(database_url, mail)
            allowed = (f"127.0.0.1:{before.port}", f"127.0.0.1:{after.port}")
            async with working(database_url, allowed_hosts=allowed) as made:
                await happen(made, workspace_id)
                await until(lambda: len(before.mails) == 10 and not made.engine_state()["in_flight"])
                with made.store.writing() as connection:
                    workspaces.raise_version(connection, workspace_id)
                    (stored,) = stored_providers.listed(connection, workspace_id)
                    settings_now = {"host": "127.0.0.1", "port": after.port}
                    definition = providers.define({**mail, "settings": settings_now})
                    stored_providers.change(
                        connection, made.store.safe, workspace_id, stored, definition, NOW
                    )
                await happen(made, workspace_id)
                await until(lambda: len(after.mails) == 10)
                await before.is_deserted.wait()
            assert len(before.mails) == 10

    asyncio.run(play())


def test_a_rate_is_kept_whoever_delivers(database_url: str) -> None:
    """A provider with a rate takes its tokens from the bucket that is stored, and every message arrives once."""

    async def play() -> None:
        async with Sink() as sink:
            rate = {"rate": 20, "period": "second"}
            where = {"host": "127.0.0.1", "port": sink.port, "rate_limit": rate}
            workspace_id = furnish(database_url, {"provider": "smtp", "settings": where})
            async with working(database_url, allowed_hosts=(f"127.0.0.1:{sink.port}",)) as made:
                began = made.clock.now()
                await happen(made, workspace_id)
                await until(lambda: len(sink.mails) == 10 and not made.engine_state()["in_flight"])
                (bucket,) = tables.rows(made.store, "provider_rates")
                ledger = tables.rows(made.store, "messages")
            assert bucket["full_at"] >= began + 10 * 1_000_000 // 20
            assert {mail.recipient for mail in sink.mails} == {f"c{n}@example.com" for n in range(10)}
            assert {len(json.loads(row["attempts"])) for row in ledger} == {1}

    asyncio.run(play())
