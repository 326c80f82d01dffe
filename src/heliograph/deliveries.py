"""Deliveries: what one is put together from, in this process or in one of its own.

Law: it decides nothing but who is given what. A delivery in another process only reads the database (outposts).
"""

from __future__ import annotations

import asyncio
import functools
import pickle
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping

import uvloop

from heliograph import channels, loading, logs, outlets
from heliograph import clock as clocks
from heliograph import settings as settings_module
from heliograph.core import ids, links, messages, schedule, tracking
from heliograph.engine import claiming, deliver, handover, letters, outpost, rendering, settlements
from heliograph.engine import post as posts
from heliograph.store import database, definitions, facts, recipient_secrets, rows, safe, webhook_secrets

Installed = Mapping[str, channels.Channel] | Callable[[], Mapping[str, channels.Channel]]
"""Channels instead of those that the settings name; only what makes them can go to another process."""


class Deliveries:
    """The ways out of one process, and what writes the messages that go by them."""

    def __init__(
        self,
        settings: settings_module.Settings,
        store: database.Database,
        clock: clocks.Clock,
        ways: Installed | None = None,
        opener: outlets.Opener | None = None,
        *,
        link_secret: bytes | None = None,
    ):
        """`ways` replaces the channels that the settings name, `opener` what opens the providers of workspaces.

        `link_secret` is that of the database, where it is known.
        """
        self._settings, self._store, self._clock = settings, store, clock
        self._made = ways
        self.can_be_apart = opener is None and (ways is None or callable(ways))
        """Whether another process can open the same ways."""
        installed = ways() if callable(ways) else ways
        self.outlets = outlets.Outlets(settings, store, clock, installed, opener)
        self.installed = self.outlets.installed
        self.renders = rendering.Rendering(self._template, self._look)
        self._link_secret = link_secret

    def here(
        self,
        claims: claiming.Claims,
        terms: settlements.Terms,
        handed: handover.Handover,
        *,
        answered: Callable[[], None],
        stepped: Callable[[], None] = lambda: None,
    ) -> deliver.Delivery:
        """A delivery of this process."""
        return deliver.Delivery(
            claims,
            self.outlets.known(self.installed),
            self._writer(),
            self._clock.now,
            self._clock.wall_seconds,
            terms,
            handed,
            answered=answered,
            stepped=stepped,
        )

    def apart(
        self,
        claims: claiming.OwnClaims,
        terms: settlements.Terms,
        handed: handover.Handover,
        *,
        answered: Callable[[], None],
    ) -> outpost.Outpost:
        """A delivery in a process of its own."""
        secret = self.link_secret() if self._settings.public_url else None
        order = pickle.dumps((self._settings, self._clock, terms.worker, secret, self._made))
        return outpost.Outpost(
            functools.partial(outpost.apart, __name__, order),
            claims,
            terms,
            handed,
            self._clock.wall_seconds,
            answered=answered,
        )

    def terms(self, worker_name: str) -> settlements.Terms:
        """What the installation has set for its deliveries."""
        settings = self._settings
        return settlements.Terms(
            worker_name,
            self._clock.span(settings.lease_seconds),
            int(settings.misfire_grace_hours * schedule.HOUR),
            messages.Policy(settings.delivery_attempts, settings.uncertain_policy == "at_least_once"),
        )

    def link_secret(self) -> bytes:
        """What links that carry their own proof are signed with: drawn once for a database."""
        if self._link_secret is None:
            with self._store.writing() as connection:
                self._link_secret = facts.secret(connection, secrets.token_hex(32), self._store.safe)
        return self._link_secret

    async def close(self) -> None:
        """Let go of the installation's channels."""
        await asyncio.gather(*(way.close() for way in self.installed.values()))

    # ── what writes messages ────────────────────────────────────────────────────────────────────────

    def _writer(self) -> letters.Letters:
        settings = self._settings
        return letters.Letters(
            self.renders,
            settings.sender,
            settings.default_subject,
            self._secrets,
            self._unsubscribing(),
            self._tracked() if settings.public_url else None,
            settings.bounce_address,
            ours=f"{settings.public_url.rstrip('/')}/unsubscribe/",
            opened=functools.partial(recipient_secrets.opened, self._store.safe),
        )

    def _template(self, workspace_id: int, template_id: str, version: int) -> bytes | str | None:
        with self._store.reading() as connection:
            return definitions.template(connection, workspace_id, template_id, version)

    def _look(self, workspace_id: int, brand_id: str, version: int) -> bytes | str | None:
        with self._store.reading() as connection:
            return definitions.look(connection, workspace_id, brand_id, version)

    def _secrets(self, workspace_id: int, now: int) -> list[str]:
        with self._store.reading() as connection:
            return webhook_secrets.read(connection, workspace_id, now, self._store.safe)

    def _tracked(self) -> letters.Tracked:
        place, secret = self._settings.public_url.rstrip("/"), self.link_secret()

        def tracked(message: rows.Message, markup: str, own: Collection[str] | None) -> str:
            wanted = self._settings.tracking if own is None else own

            def address(link: str | None) -> str:
                said = links.Visit(message.workspace_id, ids.text(message.id), link)
                return f"{place}/t/{links.sign_visit(said, secret)}"

            if "clicks" in wanted:
                markup = tracking.with_links(markup, f"{place}/unsubscribe/", address)
            return tracking.with_picture(markup, address(None)) if "opens" in wanted else markup

        return tracked

    def _unsubscribing(self) -> Callable[[links.Preference], str] | None:
        place = self._settings.public_url.rstrip("/")
        if not place:
            return None
        secret = self.link_secret()
        return lambda said: f"{place}/unsubscribe/{links.sign(said, secret)}"


# ── an outpost ──────────────────────────────────────────────────────────────────────────────────────


def _manned(
    order: bytes, post: posts.Post
) -> tuple[deliver.Delivery, handover.Handover, Callable[[], Awaitable[None]]]:
    """What delivers in an outpost, its handover, and what closes its ways."""
    # Nobody but whoever started this process is at the other end of its socket.
    settings, clock, worker_name, link_secret, ways = pickle.loads(order)  # noqa: S301
    logs.configure(settings.log_level)
    store = database.Database(
        settings.database_url,
        pool_size=settings.pool_size,
        must_exist=True,
        safe=safe.opened(settings.secret_key, settings.secret_key_file),
        only_reads=True,
    )
    made = Deliveries(settings, store, clock, ways, link_secret=link_secret)
    terms = made.terms(worker_name)
    handed = handover.Handover(worker_name, terms.lease)
    loading.settle_garbage()
    delivery = made.here(post, terms, handed, answered=post.tell, stepped=post.tell)
    return delivery, handed, made.close


def main() -> None:
    """Be the outpost that the socket with this number orders."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Whoever has it says when it ends, also where all processes of a service are told at once.
        signal.signal(number, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(posts.man(socket.socket(fileno=int(sys.argv[1])), _manned))
