"""Helpers for tests, ours and yours: a World with a clock that you move and a mailbox that keeps every message.

    with World() as world:
        world.contact("ana", email="ana@example.com")
        world.rule(trigger_type="order_placed", actions=[{"type": "send_message", "text": "Thank you!"}])
        world.event("order_placed", contact_id="ana")
        world.run_until_idle()
        assert world.mailbox.to("ana@example.com")[0].text == "Thank you!"

Law: a World is the real engine on a real database (SQLite in a temporary folder unless a URL is given); only the
clock and the channels are stand-ins. Nothing sleeps: time passes when it is told to.
"""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec

from heliograph import app, clock, errors, settings
from heliograph.core import campaigns as core_campaigns
from heliograph.core import conversations as core_conversations
from heliograph.core import explain, ids, journey_accounts, journey_starts, runs
from heliograph.core import journeys as core_journeys
from heliograph.core import people as core_people
from heliograph.core import reports as core_reports
from heliograph.engine import backtests, journey, worker
from heliograph.store import (
    campaigns,
    conversations,
    database,
    history,
    journey_runs,
    journeys,
    messages,
    people,
    reports,
    teams,
    workspaces,
)
from heliograph.testing import defining, outboxes, wishes
from heliograph.testing.defining import identity_of
from heliograph.testing.mailbox import Calls, Mail, Mailbox, Outbox, accepted, answering, down, refusing

__all__ = [
    "START",
    "Calls",
    "Mail",
    "Mailbox",
    "Outbox",
    "World",
    "accepted",
    "answering",
    "down",
    "refusing",
]

START = 1_767_225_600_000_000
"""2026-01-01 00:00 UTC, when a World begins unless it is told otherwise (µs)."""


_KEY = base64.b64encode(b"a World's key that locks nothing").decode()


def _make_ready(url: str) -> None:
    store = database.Database(url)
    store.migrate()
    store.close()


class World(defining.Definitions, wishes.Wishes, outboxes.Outboxes):
    """The engine with a manual clock and captured channels, for one thread."""

    def __init__(self, database_url: str | None = None, *, start: int = START, **changed: Any):
        """`changed` is settings by name (`lease_seconds=5`)."""
        self._folder = None if database_url else tempfile.TemporaryDirectory(prefix="heliograph-")
        url = database_url or f"sqlite:///{self._folder.name if self._folder else ''}/world.db"
        self.clock = clock.ManualClock(start)
        self.mailbox, self.calls = Mailbox(), Calls()
        self.outboxes: dict[str, Outbox] = {}
        """The providers of workspaces by name, once anything goes out by them or `provider` made them."""
        self.settings = settings.load({}, database_url=url, **{"secret_key": _KEY, **changed})
        try:
            self.app = self._opened()
        except errors.DatabaseOutdated:
            _make_ready(url)
            self.app = self._opened()
        self.app.backtests = backtests.Backtests(url, self.settings.backtests_at_once, backtests.beside)
        self._session = self.app.session()
        # A turn here takes no time: how much it takes must not depend on how busy the machine is.
        self.turns = self.app.turns(self._session, lambda: 0.0)
        self.delivery = self.app.delivery(self._session)
        self.pace = worker.Pace(
            self.turns, self._session, self.clock.now, self.clock.wall_seconds, lambda: None
        )
        self._loop = asyncio.new_event_loop()
        with self.app.store.writing() as connection:
            self.workspace_id = workspaces.ensure(connection, "default", self.clock.now())

    def _opened(self) -> app.App:
        return app.App(
            self.settings, self.clock, {"email": self.mailbox, "webhook": self.calls}, self._outbox
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of everything."""
        self._loop.close()
        if not self.app.store.is_sqlite:
            self._session.close()
        self.app.close()
        if self._folder is not None:
            self._folder.cleanup()

    # ── what happens ────────────────────────────────────────────────────────────────────────────────

    def contact(self, user_id: str, **profile: Any) -> None:
        """A contact with this profile."""
        clean = core_people.clean_profile(profile, "profile")
        people.save_profile(
            self.app.store, self.workspace_id, None, user_id, clean, self.clock.now(), strategy="replace"
        )

    def conversation(self, conversation_id: str, **fields: Any) -> None:
        """A conversation with these fields; one that is there is changed."""
        clean, now = core_conversations.clean(fields), self.clock.now()
        key = (self.app.store, self.workspace_id, None, conversation_id)
        if conversations.change(*key, clean, now) is None:
            conversations.create(*key, clean, now)

    def agent(self, agent_id: str, name: str = "An agent") -> None:
        """An agent, to whom conversations can be assigned."""
        self._member(teams.AGENTS, agent_id, {"name": name, "email": None})

    def division(self, division_id: str, name: str = "A division") -> None:
        """A division, to which conversations can be assigned."""
        self._member(teams.DIVISIONS, division_id, {"name": name})

    def _member(self, table: Any, identity: str, values: Mapping[str, Any]) -> None:
        with self.app.store.writing() as connection:
            teams.put(connection, self.workspace_id, None, table, identity, values, self.clock.now())

    def invoke(self, journey_id: str | None = None, *steps: Mapping[str, Any], **held: Any) -> str:
        """Invoke a journey, or steps of one's own; gives the run's id. `held` is what its run holds.

        Raises errors.InvalidInput as the API does.
        """
        evaluator, now, token = self.app.sandbox, self.clock.now(), held.pop("cancelation_token", None)
        if journey_id is None:
            asked = journey_starts.of_own(
                list(steps), token, held, evaluator, now, allowed_hosts=self.settings.allowed_hosts
            )
        else:
            with self.app.store.reading() as connection:
                found = journeys.find(connection, self.workspace_id, None, journey_id)
            if found is None:
                raise errors.NotFound(f"there is no journey {journey_id!r}")
            made = core_journeys.Journey(found.id, found.version, found.definition)
            asked = journey_starts.of_template(made, held, evaluator, now)
        return ids.wire(journey.begin(self.app.store, self.workspace_id, None, asked, now))

    def event(self, event_type: str, **fields: Any) -> str:
        """An event comes in; gives its id."""
        return self.events([{"event_type": event_type, **fields}])[0]

    def events(self, given: Sequence[Mapping[str, Any]]) -> list[str]:
        """Events come in, in one request; gives their ids."""
        batch = self.app.ingest.read(msgspec.json.encode(given), "application/json", self.workspace_id, None)
        return [ids.text(one) for one in self._loop.run_until_complete(self.app.ingest.accept(batch))]

    def report(self, message_id: str, what: str, **more: Any) -> None:
        """A provider tells that a message was `what`; `more` is what a core.reports.Report says besides."""
        now = self.clock.now()
        told = core_reports.Report(core_reports.What(what), more.pop("at", now), **more)
        reports.take_in(self.app.store, self.workspace_id, [(identity_of(message_id), told)], now)

    def pass_time(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Time passes, stopping at each instant at which something is due, and everything due is done."""
        until = self.clock.now() + int(
            ((days * 24 + hours) * 60 + minutes) * 60_000_000 + seconds * 1_000_000
        )
        self.run_until_idle()
        while (due_at := self._next_due()) is not None and due_at <= until:
            self.clock.at = max(self.clock.at, due_at)
            self.run_until_idle()
        self.clock.at = until
        self.run_until_idle()

    def _next_due(self) -> int | None:
        found: int | None = self._session.hot.next_due(self._session.connection, self.clock.now())
        return found

    def run_until_idle(self) -> None:
        """Turns and deliveries follow each other until nothing is due."""
        self.delivery.wake()  # an operator may have put messages in line, who tells nobody
        self._loop.run_until_complete(self.delivery.step())
        while self._took_a_turn() or self._loop.run_until_complete(self.delivery.step()):
            pass

    def _took_a_turn(self) -> bool:
        report = self.turns.take()
        if report.may_go:
            self.delivery.wake()
        return bool(report.inputs or report.answers) or report.more

    # ── what can be seen ────────────────────────────────────────────────────────────────────────────

    def explain(self, event_id: str) -> explain.Explanation:
        """Why an event did what it did: its decision, every rule's run, their actions and messages."""
        identity = ids.parse(event_id)
        assert identity is not None
        with self.app.store.reading() as connection:
            found = history.explain_event(connection, self.workspace_id, None, identity, self.clock.now())
        if found is None:
            raise errors.NotFound(f"there is no event {event_id}")
        return found

    def run(self, run_id: str) -> journey_accounts.RunAccount:
        """A run of a journey, with what became of its steps."""
        with self.app.store.reading() as connection:
            found = journey_runs.read(connection, self.workspace_id, None, ids.of_wire(run_id) or b"")
        if found is None:
            raise errors.NotFound(f"there is no run {run_id}")
        return journey_accounts.run_of(found.run.status, runs.read(found.run.state), found.body)

    def stored_conversation(self, conversation_id: str) -> conversations.Conversation:
        """How a conversation stands. Raises errors.NotFound where nobody has written on it."""
        with self.app.store.reading() as connection:
            found = conversations.read(connection, self.workspace_id, None, conversation_id)
        if found is None:
            raise errors.NotFound(f"there is no conversation {conversation_id!r}")
        return found

    def notes(self, conversation_id: str) -> list[str]:
        """What was noted beside a conversation, oldest first."""
        with self.app.store.reading() as connection:
            found = conversations.notes(connection, self.workspace_id, conversation_id, None, 1000)
        return [note.text for note in found]

    def campaign_stands(self, campaign_id: str) -> core_campaigns.Standing:
        """How a campaign stands."""
        return self._campaign(campaign_id).standing

    def progress(self, campaign_id: str) -> core_campaigns.Progress:
        """What has become of a campaign's people and jobs."""
        found = self._campaign(campaign_id)
        with self.app.store.reading() as connection:
            return campaigns.progress(connection, self.workspace_id, found)

    def _campaign(self, campaign_id: str) -> campaigns.Campaign:
        with self.app.store.reading() as connection:
            found = campaigns.read(connection, self.workspace_id, None, identity_of(campaign_id))
        if found is None:
            raise errors.NotFound(f"there is no campaign {campaign_id}")
        return found

    def ledger(self, most: int = 1000) -> list[messages.Sent]:
        """The messages of the ledger, newest first, at most so many."""
        with self.app.store.reading() as connection:
            return messages.list_messages(
                connection, self.workspace_id, messages.Filter(), most, self.app.clock.now()
            )
