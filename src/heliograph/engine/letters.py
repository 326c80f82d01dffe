"""Letters: a claimed ledger row becomes what a channel hands over (a chapter of delivery).

Law: rendering (rendering.py) happens outside any transaction, from what the message was pinned to (engine.md E20). A
text that cannot be rendered is the message's own fault, told with its place, and stops that message alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from heliograph import channels, errors
from heliograph.core import (
    consent,
    effects,
    hooks,
    ids,
    links,
    mime,
    renderings,
    schedule,
    signatures,
    templates,
)
from heliograph.core import tracking as core_tracking
from heliograph.engine import rendering
from heliograph.store import rows

_decode = msgspec.json.Decoder().decode
_changed = msgspec.structs.replace


Tracked = Callable[[rows.Message, str, Collection[str] | None], str]
"""(message, HTML, what its workspace says that is tracked) to HTML that tells of its reader."""
Opened = Callable[[int, hooks.Sealed], Mapping[str, str]]
"""(workspace, headers that are locked) to the headers. Raises errors.NoSecretKey and errors.WrongSecretKey."""
Secrets = Callable[[int, int], Sequence[str]]
"""(workspace, now) to the secrets by which its webhooks are signed, the newest first."""


class Sending(NamedTuple):
    """What a provider says of the messages that go by it."""

    sender: mime.Mailbox | None = None
    """Whom e-mails are from that name nobody themselves."""
    secrets: tuple[str, ...] = ()
    """By which webhooks are signed, instead of by the workspace's own."""
    kind: str = ""
    """The kind of provider."""
    name: str = ""
    """Its own, where it is a workspace's."""


PLAIN = Sending()
"""A provider that says nothing."""


class Letters:
    """Builds what is handed over."""

    def __init__(  # noqa: PLR0913 - everything that letters are made with is handed in
        self,
        renders: rendering.Rendering,
        sender: str,
        default_subject: str,
        secrets: Secrets,
        unsubscribing: Callable[[links.Preference], str] | None = None,
        tracked: Tracked | None = None,
        bounces: str = "",
        *,
        ours: str = "\0",
        opened: Opened = lambda _workspace, _sealed: _NOTHING,
    ):
        """`unsubscribing` gives the address at which somebody says that they want no more; None: there is none.

        `tracked` makes of the HTML of a message one that tells of its reader; None: none does. `bounces` is the
        address to which e-mails come back; empty: to their sender. Links that begin with `ours` are left as they are.
        `opened` opens the secret headers of webhooks.
        """
        self._ours, self._opened = ours, opened
        self._bounces = bounces
        self._tracked = tracked
        self._renders, self._default_subject, self._secrets = renders, default_subject, secrets
        self._unsubscribing = unsubscribing
        self._sender = mime.mailbox(sender, "sender")

    def write(
        self,
        claimed: rows.Claimed,
        start_by: int,
        now: int,
        sending: Sending = PLAIN,
        tracking: Collection[str] | None = None,
    ) -> channels.Outgoing:
        """The message ready to go; `start_by` is the instant after which handing over must not begin.

        `tracking` is what its workspace says that it tells of its reader; None: that says nothing.
        Raises errors.HeliographError where it cannot be rendered.
        """
        message = claimed.message
        if message.kind == effects.Kind.CALL:
            if message.run_id is None:
                return _signed_call(message, self._secrets(message.workspace_id, now), start_by, now)
            return _call(claimed, start_by, now)
        if message.kind == effects.Kind.FETCH:
            return _outgoing(message, _decode(message.content or b"{}"), start_by, fetches=True)
        made = self._renders.render(message, claimed.event, now)
        if message.channel != "email":
            return self._words(message, made, start_by, now, sending)
        letter = mime.Letter(
            ids.text(message.id),
            ids.created_at(message.id),
            made.sender or sending.sender or self._sender,
            mime.Mailbox(message.address or ""),
            made.subject or self._default_subject,
            made.text,
            made.html,
            made.reply_to,
            self._headers(message),
        )
        override = _override_of(message, sending)
        if override:
            letter = self._overridden(letter, override)
        if self._tracked is not None and letter.html is not None:
            letter = _changed(letter, html=self._tracked(message, letter.html, tracking))
        return channels.Outgoing(
            letter.message_id,
            message.channel,
            message.address or "",
            mime.compose(letter),
            mime.verp(self._bounces, letter.message_id) if self._bounces else letter.sender.address,
            start_by,
        )

    def _words(
        self, message: rows.Message, made: renderings.Rendered, start_by: int, now: int, sending: Sending
    ) -> channels.Outgoing:
        """A message of a channel that shows words, or of one that hands them on to a program."""
        identity, address = ids.text(message.id), message.address or ""
        override = _override_of(message, sending)
        subject, text = override.get("subject", made.subject), override.get("text", made.text)
        data = tuple(override.get("data", _NOTHING).items())
        content: channels.Words | channels.HttpRequest = channels.Words(subject, text.strip(), data)
        if message.channel == "webhook":
            secrets = sending.secrets or self._secrets(message.workspace_id, now)
            said: dict[str, Any] = {
                "recipient": message.contact_id,
                "tenant_id": message.tenant_id,
                "template": message.template_id,
                "subject": subject,
                "text": text,
            }
            hook = hooks.stored(rendering.said_in(message.content))
            if hook.profile is not None:
                said["profile"] = hook.profile
            told = {
                "type": "message",
                "message_id": identity,
                "timestamp": schedule.write_instant(now),
                "data": said,
            }
            content = signed(told, secrets, identity, now)
            content = self._as_asked(content, hook, message)
        sender = override.get("from", "") if message.channel == "sms" else ""
        return channels.Outgoing(identity, message.channel, address, content, sender, start_by)

    def _as_asked(
        self, request: channels.HttpRequest, hook: hooks.Hook, message: rows.Message
    ) -> channels.HttpRequest:
        """A request as its recipient's webhook wants it. Raises errors.NoSecretKey and errors.WrongSecretKey."""
        if hook is hooks.PLAIN:
            return request
        own = dict(hook.headers)
        if hook.sealed is not None and hook.sealed.to == message.address:
            own |= self._opened(message.workspace_id, hook.sealed)
        return request._replace(method=hook.method, headers=(*request.headers, *own.items()))

    def _overridden(self, letter: mime.Letter, override: Mapping[str, Any]) -> mime.Letter:
        """The letter with what its send says of it instead (core.overrides); a copy is still for whom it was."""
        said: dict[str, Any] = {
            name: mime.mailbox(override[key], key)
            for name, key in (("sender", "from"), ("reply_to", "reply_to"), ("recipient", "to"))
            if key in override
        }
        said |= {name: override[name] for name in ("text", "html") if name in override}
        if "subject" in override:
            said["subject"] = " ".join(override["subject"].split())
        headers = [*override.get("headers", {}).items()]
        if override.get("cc"):
            headers.append(("Cc", ", ".join(override["cc"])))
        markup = said.get("html", letter.html)
        if override.get("utm") and markup is not None:
            said["html"] = core_tracking.with_campaign(markup, self._ours, override["utm"])
        return _changed(letter, **said, headers=(*letter.headers, *headers))

    def _headers(self, message: rows.Message) -> tuple[tuple[str, str], ...]:
        """How a contact unsubscribes with one click (RFC 8058)."""
        if self._unsubscribing is None or message.contact_id is None or message.address is None:
            return ()
        said = links.Preference(
            message.workspace_id,
            message.tenant_id,
            message.contact_id,
            message.channel,
            consent.EVERYTHING,
            message.address,
        )
        return (
            ("List-Unsubscribe", f"<{self._unsubscribing(said)}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        )


def _override_of(message: rows.Message, sending: Sending) -> Mapping[str, Any]:
    """What a message's send says of it instead, by this provider, by those of its kind, by all."""
    override: Mapping[str, Any] = rendering.said_in(message.content).get("override") or _NOTHING
    if not override:
        return override
    by = override.get("by", _NOTHING)
    return {**override, **by.get(sending.kind, _NOTHING), **by.get(sending.name, _NOTHING)}


_NOTHING: Mapping[str, Any] = {}


@lru_cache(maxsize=1024)
def _compiled_call(content: bytes | str) -> tuple[dict[str, Any], templates.Value]:
    written = _decode(content)
    return written, templates.compile_value({name: written[name] for name in ("url", "headers", "body")})


def _call(claimed: rows.Claimed, start_by: int, now: int) -> channels.Outgoing:
    message = claimed.message
    written, compiled = _compiled_call(message.content or b"{}")
    filled = compiled.fill(rendering.context_of(message, claimed.event, compiled.roots), now)
    return _outgoing(message, {**written, **filled}, start_by)


def _outgoing(
    message: rows.Message, filled: Mapping[str, Any], start_by: int, *, fetches: bool = False
) -> channels.Outgoing:
    headers = {str(name): templates.text_of(value) for name, value in filled["headers"].items()}
    body = b"" if filled["body"] is None else _body(filled["body"])
    if body and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = (
            "text/plain; charset=utf-8" if isinstance(filled["body"], str) else "application/json"
        )
    request = channels.HttpRequest(
        filled["method"], tuple(headers.items()), body, float(filled["timeout_secs"]), fetches
    )
    return channels.Outgoing(
        ids.text(message.id), "webhook", templates.text_of(filled["url"]), request, "", start_by
    )


def _signed_call(message: rows.Message, secrets: Sequence[str], start_by: int, now: int) -> channels.Outgoing:
    """A call that no run asked for, so one of our own: its body is sent as it is, and signed for this attempt."""
    written, message_id = _decode(message.content or b"{}"), ids.text(message.id)
    request = signed(written["body"], secrets, message_id, now)
    request = request._replace(method=written["method"], timeout=float(written["timeout_secs"]))
    return channels.Outgoing(message_id, "webhook", written["url"], request, "", start_by)


def signed(told: Any, secrets: Sequence[str], message_id: str, now: int) -> channels.HttpRequest:
    """A request that tells this, signed for this attempt (Standard Webhooks)."""
    if not secrets:
        raise errors.NotFound(
            "the workspace has no secret to sign webhooks with: `heliograph workspace webhook-secret` makes one"
        )
    body = msgspec.json.encode(told)
    headers = {"Content-Type": "application/json", **signatures.headers(secrets, message_id, now, body)}
    return channels.HttpRequest("POST", tuple(headers.items()), body)


def _body(filled: Any) -> bytes:
    return filled.encode() if isinstance(filled, str) else msgspec.json.encode(filled)
