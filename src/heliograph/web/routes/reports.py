"""Reports: `/inbound/providers/{name}`, where providers tell what became of messages, and `/inbound/bounces`.

Law: a provider has no key of ours: what it tells is taken by its signature, and what is signed wrongly, too late or
twice changes nothing. All reports of a request are taken in by one transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from litestar import post

from heliograph import errors
from heliograph.core import bounce_mails, documents, ids, provider_reports, report_signatures
from heliograph.core.provider_reports import Found
from heliograph.store import database, providers
from heliograph.store import reports as stored
from heliograph.web.calls import Call, in_thread

TAG = "Inbound"
_MAIL = "message/rfc822"
_MOST_CERTIFICATES = 20


class Taken(msgspec.Struct):
    """What was taken in."""

    reports: int
    """How many tell of a message that is there."""


class _Source(NamedTuple):
    """A provider that may be the one who tells."""

    workspace_id: int
    teller: str
    """`ses`, `sendgrid`, `mailgun` or `twilio`."""
    secret: str
    """Its key, or SNS's topic."""


class _Told(NamedTuple):
    """What was told, by whom."""

    workspace_id: int
    found: Sequence[Found]
    key: str
    """What tells this request from others that are signed."""


# ── providers ───────────────────────────────────────────────────────────────────────────────────────


@post("/inbound/providers/{name:str}", status_code=200, opt={"tag": TAG, "takes": "application/json"})
async def receive_reports(request: Call) -> Taken:
    """Take in what Amazon SES (by SNS), SendGrid, Mailgun or Twilio tells of messages, by its signature.

    `name` is the id or the alias of the provider that was set up; a repeat is taken for what it repeats.
    """
    name, services = request.part("name"), request.services
    sources = await asyncio.to_thread(_sources, services.database, name)
    if not sources:
        raise errors.NotFound(f"there is no provider {name!r} that reports: set `reports` in its settings")
    heard = [await _READERS[source.teller](request, source) for source in sources]
    told = [one for one in heard if isinstance(one, _Told)]
    if not told:
        raise errors.Forbidden(str(heard[-1]))
    # Workspaces may share a service and a key: each looks for its own messages.
    taken = [await asyncio.to_thread(_take_in, request, one) for one in told]
    return Taken(sum(one.reports for one in taken))


def _sources(store: database.Database, name: str) -> list[_Source]:
    found = []
    with store.reading() as connection:
        for workspace_id, one in providers.named(connection, name):
            if one.provider == "twilio":
                secret = providers.opened(store.safe, workspace_id, one)["auth_token"]
                found.append(_Source(workspace_id, "twilio", secret))
            elif one.settings.get("reports") == "ses":
                found.append(_Source(workspace_id, "ses", str(one.settings["reports_topic"])))
            elif one.settings.get("reports"):
                secret = providers.opened(store.safe, workspace_id, one)["reports_key"]
                found.append(_Source(workspace_id, str(one.settings["reports"]), secret))
    return found


def _take_in(request: Call, told: _Told) -> Taken:
    services = request.services
    now = services.now()
    once = stored.Once(told.key, request.content.body, now + 2 * report_signatures.OLDEST)
    count = stored.take_in(services.database, told.workspace_id, told.found, now, once)
    if count:
        request.wake()
    return Taken(count)


async def _of_ses(request: Call, source: _Source) -> _Told | str:
    envelope, now = _object(request), request.services.now()
    fault = report_signatures.sns_envelope_fault(envelope, source.secret, now)
    if fault is None:
        certificate = await _certificate(request, envelope["SigningCertURL"])
        fault = report_signatures.sns_fault(envelope, certificate)
    if fault is not None:
        return fault
    found: list[Found] = []
    if envelope["Type"] == "SubscriptionConfirmation":
        if not report_signatures.is_of_sns(envelope.get("SubscribeURL")):
            return "its SubscribeURL is none of Amazon SNS"
        await request.services.fetch(envelope["SubscribeURL"])
    elif envelope["Type"] == "Notification":
        found = provider_reports.of_ses(envelope.get("Message"), now)
    return _Told(source.workspace_id, found, f"sns:{envelope['Signature']}")


_certificates: dict[str, bytes] = {}


async def _certificate(request: Call, url: str) -> bytes:
    """The certificate at an address of Amazon's: it is asked for once."""
    if url not in _certificates:
        if len(_certificates) >= _MOST_CERTIFICATES:
            _certificates.clear()
        _certificates[url] = await request.services.fetch(url)
    return _certificates[url]


async def _of_sendgrid(request: Call, source: _Source) -> _Told | str:
    signature = request.headers.get("x-twilio-email-event-webhook-signature", "")
    timestamp = request.headers.get("x-twilio-email-event-webhook-timestamp", "")
    body, now = request.content.body, request.services.now()
    fault = report_signatures.sendgrid_fault(signature, timestamp, body, source.secret, now)
    if fault is not None:
        return fault
    given = documents.read(body)
    if not isinstance(given, list):
        raise errors.InvalidInput.at("", "takes a JSON array")
    return _Told(source.workspace_id, provider_reports.of_sendgrid(given, now), f"sendgrid:{signature}")


async def _of_mailgun(request: Call, source: _Source) -> _Told | str:
    given, now = _object(request), request.services.now()
    signed = given.get("signature")
    fault = report_signatures.mailgun_fault(signed, source.secret, now)
    if fault is not None or not isinstance(signed, Mapping):
        return fault or report_signatures.WRONG
    # The signature leaves out what is told: a token that was used is no good for anything else.
    return _Told(source.workspace_id, provider_reports.of_mailgun(given, now), f"mailgun:{signed['token']}")


async def _of_twilio(request: Call, source: _Source) -> _Told | str:
    services = request.services
    text = request.content.body.decode("utf-8", "replace")
    given = parse_qsl(text, keep_blank_values=True)
    signature = request.headers.get("x-twilio-signature", "")
    fault = report_signatures.twilio_fault(signature, _address(request), given, source.secret)
    if fault is not None:
        return fault
    message_id = ids.parse(request.query_params.get("message", ""))
    found = provider_reports.of_twilio(message_id, dict(given), services.now())
    return _Told(source.workspace_id, found, f"twilio:{signature}")


def _address(request: Call) -> str:
    """The address that was called, as whoever called it has it."""
    path = (request.scope.get("raw_path") or b"").partition(b"?")[0].decode("latin-1") or request.scope[
        "path"
    ]
    query = request.scope["query_string"].decode("latin-1")
    asked = f"{path}?{query}" if query else path
    place = request.services.settings.public_url.rstrip("/")
    return f"{place}{asked}" if place else f"{request.url.scheme}://{request.headers.get('host', '')}{asked}"


def _object(request: Call) -> dict[str, Any]:
    """The body, which is a JSON object, whatever it is called: SNS says that it is plain text."""
    given = documents.read(request.content.body)
    if not isinstance(given, dict):
        raise errors.InvalidInput.at("", "takes a JSON object")
    return given


_READERS = {"ses": _of_ses, "sendgrid": _of_sendgrid, "mailgun": _of_mailgun, "twilio": _of_twilio}


# ── e-mails that come back ──────────────────────────────────────────────────────────────────────────


@post("/inbound/bounces", status_code=202, opt={"tag": TAG, "takes": _MAIL})
@in_thread
def receive_bounce(request: Call) -> Taken:
    """Take in an e-mail that came back, whole as it is: a notification (RFC 3464) or a complaint (RFC 5965)."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in ("", _MAIL, "application/octet-stream", "text/plain"):
        raise errors.UnsupportedMedia(f"this path takes an e-mail, not {kind}: send Content-Type: {_MAIL}")
    services, who = request.services, request.principal
    now = services.now()
    found = bounce_mails.read(request.content.body, now)
    count = stored.take_in(services.database, who.workspace_id, found, now, tenant_id=who.tenant_id)
    if count:
        request.wake()
    return Taken(count)


HANDLERS = (receive_reports, receive_bounce)
