"""Letters: a claimed ledger row becomes what a channel hands over (a chapter of delivery).

Law: rendering happens outside any transaction, from the pinned template version and the data stored with the
message (engine.md E20). A text that cannot be rendered is the message's own fault, told with its place, and stops
that message alone. A text is compiled once and filled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from heliograph import channels, errors
from heliograph.core import consent, effects, ids, links, mime, plans, signatures, templates
from heliograph.store import rows

_decode = msgspec.json.Decoder().decode


class Content(NamedTuple):
    """The texts of a message, compiled."""

    subject: templates.Text
    text: templates.Text
    html: templates.Text | None
    reads: frozenset[str]
    """The roots that its texts read."""
    sender: mime.Mailbox | None = None
    """Whom it is from, where that is not the installation's sender."""


@lru_cache(maxsize=4096)
def _compiled(subject: str, text: str, html: str | None) -> Content:
    texts = [templates.compile_text(subject, "subject"), templates.compile_text(text, "text")]
    markup = None if html is None else templates.compile_text(html, "html", escape=True)
    reads = frozenset().union(*(compiled.roots for compiled in (*texts, *([markup] if markup else []))))
    return Content(texts[0], texts[1], markup, reads)


Stored = Callable[[int, str, int], bytes | str | None]
"""(workspace, template, version) to its content; None where there is none."""


Secrets = Callable[[int, int], Sequence[str]]
"""(workspace, now) to the secrets by which its webhooks are signed, the newest first."""


class Letters:
    """Builds what is handed over; keeps compiled templates."""

    def __init__(
        self,
        stored: Stored,
        sender: str,
        default_subject: str,
        secrets: Secrets,
        unsubscribing: Callable[[links.Preference], str] | None = None,
    ):
        """`unsubscribing` gives the address at which somebody says that they want no more; None: there is none."""
        self._stored, self._default_subject, self._secrets = stored, default_subject, secrets
        self._unsubscribing = unsubscribing
        self._sender = mime.mailbox(sender, "sender")
        self._templates: dict[tuple[int, str, int], Content] = {}

    def write(self, claimed: rows.Claimed, start_by: int, now: int) -> channels.Outgoing:
        """The message ready to go; `start_by` is the instant after which handing over must not begin.

        Raises errors.HeliographError where it cannot be rendered.
        """
        message = claimed.message
        if message.kind == effects.Kind.CALL:
            if message.run_id is None:
                return _signed_call(message, self._secrets(message.workspace_id, now), start_by, now)
            return _call(claimed, start_by, now)
        if message.kind == effects.Kind.FETCH:
            return _outgoing(message, _decode(message.content or b"{}"), start_by, fetches=True)
        content = self._content(message)
        context = _context(claimed, content.reads)
        letter = mime.Letter(
            ids.text(message.id),
            ids.created_at(message.id),
            content.sender or self._sender,
            mime.Mailbox(message.address or ""),
            _one_line(content.subject.fill(context, now)) or self._default_subject,
            content.text.fill(context, now),
            None if content.html is None else content.html.fill(context, now),
            headers=self._headers(message),
        )
        if message.content is not None and message.run_id is not None:
            letter = _overridden(letter, _decode(message.content).get("override") or {})
        return channels.Outgoing(
            letter.message_id,
            message.channel,
            message.address or "",
            mime.compose(letter),
            letter.sender.address,
            start_by,
        )

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

    def _content(self, message: rows.Message) -> Content:
        if message.template_id is None:
            written = _decode(message.content or b"{}")
            if written.get("literal"):
                subject, text = templates.Text(written["subject"]), templates.Text(written["text"])
                return Content(subject, text, None, frozenset())
            return _compiled(written["subject"], written["text"], written.get("html"))
        assert message.template_version is not None
        key = (message.workspace_id, message.template_id, message.template_version)
        if key not in self._templates:
            stored = self._stored(*key)
            if stored is None:
                raise errors.NotFound(
                    f"template {message.template_id!r} has no version {message.template_version}"
                )
            written = _decode(stored)
            self._templates[key] = _compiled(
                written.get("subject") or self._default_subject,
                written.get("text") or "",
                written.get("html"),
            )
            if written.get("sender"):
                sender = mime.mailbox(written["sender"], "sender")
                self._templates[key] = self._templates[key]._replace(sender=sender)
        return self._templates[key]


def _overridden(letter: mime.Letter, override: Mapping[str, Any]) -> mime.Letter:
    """The letter with what its send says of it instead (core.overrides); a copy is still for whom it was."""
    if not override:
        return letter
    boxes: dict[str, Any] = {
        name: mime.mailbox(override[key], key)
        for name, key in (("sender", "from"), ("reply_to", "reply_to"), ("recipient", "to"))
        if key in override
    }
    said = {name: override[name] for name in ("text", "html") if name in override}
    if "subject" in override:
        said["subject"] = _one_line(override["subject"])
    headers = [*override.get("headers", {}).items()]
    if override.get("cc"):
        headers.append(("Cc", ", ".join(override["cc"])))
    return letter._replace(**boxes, **said, headers=(*letter.headers, *headers))


_NOTHING: Mapping[str, Any] = {}


def _context(claimed: rows.Claimed, reads: frozenset[str]) -> Mapping[str, Any]:
    """What the texts are filled from: no more than they read."""
    if not reads:
        return _NOTHING
    data = _decode(claimed.message.data) if claimed.message.data else {}
    event = claimed.event
    if event is None:
        # A journey's data stands at the root of its texts, where no root has that name.
        given = data.get("data")
        return templates.context_for(given if isinstance(given, dict) else _NOTHING, **data)
    if reads <= data.keys():
        return data
    payload = _decode(event.payload)
    if "event" in reads:
        data["event"] = plans.event_of(event.id, event.event_type, event.source, payload)
        if reads <= data.keys():
            return data
    return templates.context_for(
        payload,
        event_type=event.event_type,
        source=event.source,
        channel_source=event.channel_source,
        previous=_decode(event.previous) if event.previous is not None else payload.get("previous"),
        tenant={"id": event.tenant_id},
        **data,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


@lru_cache(maxsize=1024)
def _compiled_call(content: bytes | str) -> tuple[dict[str, Any], templates.Value]:
    written = _decode(content)
    return written, templates.compile_value({name: written[name] for name in ("url", "headers", "body")})


def _call(claimed: rows.Claimed, start_by: int, now: int) -> channels.Outgoing:
    message = claimed.message
    written, compiled = _compiled_call(message.content or b"{}")
    filled = compiled.fill(_context(claimed, compiled.roots), now)
    return _outgoing(message, {**written, **filled}, start_by)


def _outgoing(
    message: rows.Message, filled: Mapping[str, Any], start_by: int, *, fetches: bool = False
) -> channels.Outgoing:
    headers = {str(name): str(value) for name, value in filled["headers"].items()}
    body = b"" if filled["body"] is None else _body(filled["body"])
    if body and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = (
            "text/plain; charset=utf-8" if isinstance(filled["body"], str) else "application/json"
        )
    request = channels.HttpRequest(
        filled["method"], tuple(headers.items()), body, float(filled["timeout_secs"]), fetches
    )
    return channels.Outgoing(ids.text(message.id), "webhook", str(filled["url"]), request, "", start_by)


def _signed_call(message: rows.Message, secrets: Sequence[str], start_by: int, now: int) -> channels.Outgoing:
    """A call that no run asked for, so one of our own: its body is sent as it is, and signed for this attempt."""
    if not secrets:
        raise errors.NotFound(
            "the workspace has no secret to sign webhooks with: `heliograph workspace webhook-secret` makes one"
        )
    written, message_id = _decode(message.content or b"{}"), ids.text(message.id)
    body = msgspec.json.encode(written["body"])
    headers = {"Content-Type": "application/json", **signatures.headers(secrets, message_id, now, body)}
    request = channels.HttpRequest(
        written["method"], tuple(headers.items()), body, float(written["timeout_secs"])
    )
    return channels.Outgoing(message_id, "webhook", written["url"], request, "", start_by)


def _body(filled: Any) -> bytes:
    return filled.encode() if isinstance(filled, str) else msgspec.json.encode(filled)
