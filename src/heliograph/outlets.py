"""Outlets: the ways out of an installation, and those that its workspaces set up, opened.

Law: the only file that knows every channel. It decides nothing: whom to ask is the delivery's business. A provider that
cannot be opened is one that is down, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote

from heliograph import channels, clock, errors, guard
from heliograph import settings as settings_module
from heliograph.channels import apprise, console, email, sms, webhook
from heliograph.core import ids, mime, provider_limits, providers, sending_policies
from heliograph.engine import letters, ways
from heliograph.store import database, definitions, webhook_secrets, workspaces
from heliograph.store import providers as stored_providers
from heliograph.store import sending_policies as stored_policies

_PATIENCE = 60_000_000
"""µs within which the hand-over of a trial begins."""
_PORTS = {465: "tls", 587: "starttls"}


Opener = Callable[[str, providers.Definition], channels.Channel]
"""Name and definition of a provider to its channel."""


class Closed:
    """A provider that cannot be opened."""

    concurrency = 1
    provider = ""

    def __init__(self, name: str, why: str):
        """`name` is its channel's."""
        self.name, self._why = name, why[: channels.LONGEST_TEXT]

    def send_now(self, _outgoing: channels.Outgoing) -> channels.Answer:
        """Say why nothing goes out."""
        outcome = channels.Outcome.TEMPORARY
        return channels.Answer(outcome, "", None, "misconfigured", self._why, blames_provider=True)

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """The same, for who waits."""
        return self.send_now(outgoing)

    async def close(self) -> None:
        """Nothing is open."""


class Outlets:
    """The ways out of one process."""

    def __init__(
        self,
        settings: settings_module.Settings,
        store: database.Database,
        time: clock.Clock,
        installed: Mapping[str, channels.Channel] | None = None,
        opener: Opener | None = None,
    ):
        """`installed` replaces the channels that the settings name, `opener` what opens a workspace's providers."""
        self._settings, self._store, self._now = settings, store, time.now
        _check_addresses(settings)
        door = webhook.HttpDoor(time.now, frozenset(settings.allowed_hosts))
        self._http = webhook.WebhookChannel(door)
        self._guard = guard.Guard(settings.allowed_hosts)
        self._signer = _signer(settings)
        self.open = opener or self._open
        self.installed = dict(installed) if installed is not None else self._channels()

    def _channels(self) -> dict[str, channels.Channel]:
        """The channels that the settings name."""
        made: dict[str, channels.Channel] = {"webhook": self._http}
        if self._settings.smtp_url:
            made["email"] = self._smtp(email.server(self._settings.smtp_url))
        else:
            made["email"] = console.ConsoleChannel(self._now)
        return made

    def _smtp(self, to: email.Server, guarded: guard.Guard | None = None) -> email.SmtpChannel:
        # What was begun must end before its claim does, or it would count as lost while it is under way.
        waits = to.waits._replace(verdict=min(to.waits.verdict, self._settings.lease_seconds / 2))
        return email.SmtpChannel(to._replace(waits=waits), self._now, self._signer, guarded)

    def known(self, installed: Mapping[str, channels.Channel]) -> ways.Ways:
        """By whom a delivery's messages go out: the installation's own ways, and what workspaces set up."""
        return ways.Ways(installed, self.of, self.opened)

    # ── of workspaces ───────────────────────────────────────────────────────────────────────────────

    def of(self, workspace_id: int) -> ways.Outlet:
        """What a workspace has set up."""
        with self._store.reading() as connection:
            keys = stored_providers.in_order(connection, workspace_id)
            sandbox = workspaces.read_control(connection, workspace_id).sandbox
            policies = stored_policies.standing(connection, workspace_id)
            tracking = None
            if any(one.tracks for one in policies.values()):
                topics = definitions.topics(connection, workspace_id)
                tracking = sending_policies.Tracking(policies, topics)
            return ways.Outlet(keys, sandbox, tracking, stored_providers.hears(connection, workspace_id))

    def opened(self, workspace_id: int, keys: Collection[tuple[str, int]]) -> list[ways.Opened]:
        """Those of a workspace's providers that are there in these versions, ready to be asked."""
        with self._store.reading() as connection:
            found = stored_providers.listed(connection, workspace_id)
        return [
            self._opened(workspace_id, one) for one in found if one.enabled and (one.id, one.version) in keys
        ]

    def _opened(self, workspace_id: int, one: stored_providers.Provider) -> ways.Opened:
        key = (one.id, one.version)
        try:
            definition = stored_providers.defined(self._store.safe, workspace_id, one)
            way, sending = self.open(one.name, definition), sending_of(definition, one.name)
        except errors.HeliographError as fault:
            way, sending = Closed(one.channel, fault.message), letters.PLAIN
        limits = provider_limits.limits_of(one.settings)
        return ways.Opened(
            key, one.name, one.channel, way, sending, limits, providers.reports(one.provider, one.settings)
        )

    async def tried(self, workspace_id: int, one: stored_providers.Provider, address: str) -> channels.Answer:
        """What a provider answers to a message that stands in no ledger."""
        opened = self._opened(workspace_id, one)
        if one.channel == "webhook" and not opened.sending.secrets:
            with self._store.reading() as connection:
                found = webhook_secrets.read(connection, workspace_id, self._now(), self._store.safe)
            opened = opened._replace(sending=opened.sending._replace(secrets=tuple(found)))
        try:
            return await opened.way.send(_trial(self._settings.sender, opened, address, self._now()))
        finally:
            await opened.way.close()

    def _open(self, name: str, definition: providers.Definition) -> channels.Channel:
        """One provider's channel. Raises errors.HeliographError where what it says cannot be used."""
        settings, secrets = definition.settings, definition.secrets
        if definition.provider == "smtp":
            return self._smtp(_server(name, definition), self._guard)
        if definition.provider == "webhook":
            return self._http
        if definition.provider == "twilio":
            account = sms.Account(
                settings["account_sid"],
                secrets["auth_token"],
                settings.get("api_key_sid", settings["account_sid"]),
                settings.get("from"),
                settings.get("messaging_service_sid"),
                settings.get("base_url", sms.BASE),
                self._callback(name),
            )
            return sms.TwilioChannel(account, self._http)
        channel = providers.channel_of(definition.provider)
        return apprise.AppriseChannel(channel, secrets["url"], self._guard, self._now)

    def _callback(self, name: str) -> str | None:
        """Where a provider tells what became of a message (docs/reports.md)."""
        place = self._settings.public_url.rstrip("/")
        return f"{place}/inbound/providers/{quote(name, safe='')}" if place else None


def _trial(sender: str, opened: ways.Opened, address: str, now: int) -> channels.Outgoing:
    """A message that says that it is a trial."""
    identity, until = ids.text(ids.mint(now, 0, 0, 0)), now + _PATIENCE
    words = f"This is a trial of the provider {opened.name}."
    if opened.channel == "webhook":
        content = letters.signed({"type": "trial", "text": words}, opened.sending.secrets, identity, now)
        return channels.Outgoing(identity, opened.channel, address, content, "", until)
    if opened.channel != "email":
        shown = channels.Words("A trial", words)
        return channels.Outgoing(identity, opened.channel, address, shown, "", until)
    whole = opened.sending.sender or mime.mailbox(sender, "sender")
    letter = mime.Letter(identity, now, whole, mime.Mailbox(address), "A trial", words)
    return channels.Outgoing(identity, opened.channel, address, mime.compose(letter), whole.address, until)


def _check_addresses(settings: settings_module.Settings) -> None:
    """Raises errors.BadSetting where e-mails could not be from whom, or come back to where, the settings say."""
    for name, written in (("SENDER", settings.sender), ("BOUNCE_ADDRESS", settings.bounce_address)):
        try:
            if written:
                mime.mailbox(written)
        except errors.InvalidInput as refused:
            raise errors.BadSetting(f"{settings_module.PREFIX}{name}: {refused.faults[0].message}") from None


def _signer(settings: settings_module.Settings) -> Any:
    if not settings.dkim_key_file:
        return None
    domain = settings.dkim_domain or mime.mailbox(settings.sender).address.rpartition("@")[2]
    return email.signer(domain, settings.dkim_selector, settings.dkim_key_file)


def _server(name: str, definition: providers.Definition) -> email.Server:
    said = dict(definition.settings)
    security = said.get("security") or _PORTS.get(said.get("port", 0), "none")
    port = said.get("port") or next((port for port, kind in _PORTS.items() if kind == security), 25)
    limits = {name: said[name] for name in ("connections", "messages") if name in said}
    return email.Server(
        said["host"].strip("[]"),  # as an IPv6 address stands in a URL
        port,
        security,
        username=said.get("username"),
        password=definition.secrets.get("password", ""),
        setting=f"the provider {name}",
        **limits,
    )


def sending_of(definition: providers.Definition, name: str) -> letters.Sending:
    """What a provider says of the messages that go by it."""
    sender, secret = definition.settings.get("from"), definition.secrets.get("signing_secret")
    is_mail = providers.channel_of(definition.provider) == "email"
    return letters.Sending(
        mime.mailbox(sender, "from") if sender and is_mail else None,
        () if secret is None else (secret,),
        definition.provider,
        name,
    )
