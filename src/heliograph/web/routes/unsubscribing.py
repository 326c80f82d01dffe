"""The page behind the links of e-mails: what somebody wants to hear of, said without a key (RFC 8058).

Law: reading it changes nothing, whoever follows a link by himself; what changes something is a POST, of a mail program
or of the page's own buttons. A link is its own proof and says whose it is.
"""

from __future__ import annotations

import html
from urllib.parse import parse_qs

from litestar import Response, get, post

from heliograph import errors
from heliograph.core import consent, links
from heliograph.store import consent as stored
from heliograph.web.calls import Call, in_thread

TAG = "Preferences"
_PATH = "/unsubscribe/{token:str}"
_HTML, _FORM = "text/html", "application/x-www-form-urlencoded"
_AGAIN = "again"


@get(_PATH, opt={"tag": TAG, "media": _HTML})
@in_thread
def show_subscription(request: Call) -> Response[bytes]:
    """Show whether somebody hears of us, and let them choose; nothing is changed by it."""
    said = _said(request)
    with request.services.database.reading() as connection:
        found = stored.read(connection, said.workspace_id, said.tenant_id, said.user_id)
    return _page(said, wants=not consent.refuses([found], said.channel, _topics(said)))


@post(_PATH, status_code=200, opt={"tag": TAG, "media": _HTML, "takes": _FORM})
@in_thread
def choose_subscription(request: Call) -> Response[bytes]:
    """Unsubscribe with one click, or subscribe again with the page's button."""
    said, services = _said(request), request.services
    given = parse_qs(request.content.body.decode("utf-8", "replace"))
    wants = given.get("choice") == [_AGAIN]
    change = consent.with_channel if wants else consent.without_channel
    stored.change(
        services.database,
        said.workspace_id,
        said.tenant_id,
        said.user_id,
        lambda before: change(before, said.topic, said.channel),
        services.now(),
    )
    return _page(said, wants=wants)


def _said(request: Call) -> links.Preference:
    found = links.read(request.part("token"), request.services.link_secret())
    if found is None:
        raise errors.NotFound("this link is not whole: open it as it stands in the e-mail")
    return found


def _topics(said: links.Preference) -> tuple[str, ...]:
    return () if said.topic == consent.EVERYTHING else (said.topic,)


def _page(said: links.Preference, *, wants: bool) -> Response[bytes]:
    address = html.escape(said.address)
    state = (
        f"{address} receives our e-mails." if wants else f"{address} receives no e-mails from us any more."
    )
    choice, label = ("stop", "Unsubscribe") if wants else (_AGAIN, "Receive them again")
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>Your e-mails</title>
<style>body {{ font: 1.1rem/1.5 sans-serif; max-width: 32rem; margin: 4rem auto; padding: 0 1rem }}</style>
</head>
<body>
<h1>Your e-mails</h1>
<p>{state}</p>
<form method="post"><button name="choice" value="{choice}">{label}</button></form>
</body>
</html>
"""
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Response(page.encode(), media_type=_HTML, headers=headers)


HANDLERS = (show_subscription, choose_subscription)
