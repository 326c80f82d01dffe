"""The page behind the links of e-mails: what somebody wants to hear of, said without a key (RFC 8058).

Law: reading it changes nothing, whoever follows a link by himself; what changes something is a POST, of a mail program
or of the page's own buttons. A link is its own proof and says whose it is.
"""

from __future__ import annotations

import html
from typing import NamedTuple
from urllib.parse import parse_qs

import msgspec
from litestar import Response, get, post

from heliograph import errors
from heliograph.core import brands, consent, documents, links, preference_topics
from heliograph.core import people as core_people
from heliograph.store import consent as stored
from heliograph.store import people, preference_pages
from heliograph.store import preference_topics as topics_stored
from heliograph.web.calls import Call, in_thread

TAG = "Preferences"
_PATH = "/unsubscribe/{token:str}"
_TOPICS = f"{_PATH}/topics"
_HTML, _FORM = "text/html", "application/x-www-form-urlencoded"
_AGAIN = "again"


@get(_PATH, opt={"tag": TAG, "media": _HTML})
@in_thread
def show_subscription(request: Call) -> Response[bytes]:
    """Show whether somebody hears of us, and let them choose; nothing is changed by it."""
    said = _said(request)
    with request.services.database.reading() as connection:
        found = stored.read(connection, said.workspace_id, said.tenant_id, said.user_id)
    return _page(request, said, wants=not consent.refuses([found], said.channel, _topics(said)))


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
    return _page(request, said, wants=wants)


def _said(request: Call) -> links.Preference:
    found = links.read(request.part("token"), request.services.link_secret())
    if found is None:
        raise errors.NotFound("this link is not whole: open it as it stands in the e-mail")
    return found


def _topics(said: links.Preference) -> tuple[str, ...]:
    return () if said.topic == consent.EVERYTHING else (said.topic,)


def _page(request: Call, said: links.Preference, *, wants: bool) -> Response[bytes]:
    with request.services.database.reading() as connection:
        has_topics = bool(preference_pages.shown(connection, said.workspace_id).sections)
    address = html.escape(said.address)
    state = (
        f"{address} receives our e-mails." if wants else f"{address} receives no e-mails from us any more."
    )
    token = html.escape(request.part("token"))
    more = f'\n<p><a href="{token}/topics">Choose topic by topic</a></p>' if has_topics else ""
    choice, label = ("stop", "Unsubscribe") if wants else (_AGAIN, "Receive them again")
    return _framed(
        f"""<p>{state}</p>
<form method="post"><button name="choice" value="{choice}">{label}</button></form>{more}"""
    )


def _framed(body: str, heading: str = "Your e-mails", look: brands.Look = brands.PLAIN) -> Response[bytes]:
    color = look.colors.get("primary")
    own = f" h1, a {{ color: {color} }} button {{ background: {color}; color: white }}" if color else ""
    logo = f'<p><img src="{html.escape(look.logo[0])}" alt=""></p>\n' if look.logo else ""
    heading = html.escape(heading)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>{heading}</title>
<style>body {{ font: 1.1rem/1.5 sans-serif; max-width: 32rem; margin: 4rem auto; padding: 0 1rem }}{own}</style>
</head>
<body>
{logo}<h1>{heading}</h1>
{body}
</body>
</html>
"""
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Response(page.encode(), media_type=_HTML, headers=headers)


# ── topic by topic ──────────────────────────────────────────────────────────────────────────────────


@get(_TOPICS, opt={"tag": TAG, "media": _HTML})
@in_thread
def show_topics(request: Call) -> Response[bytes]:
    """Show what somebody hears of, topic by topic, and let them choose; nothing is changed by it."""
    return _choices(request, _said(request), saved=False)


@post(_TOPICS, status_code=200, opt={"tag": TAG, "media": _HTML, "takes": _FORM})
@in_thread
def choose_topics(request: Call) -> Response[bytes]:
    """Save what somebody has chosen of the topics that they were shown."""
    said, services = _said(request), request.services
    given = parse_qs(request.content.body.decode("utf-8", "replace"))
    shown, wanted = set(given.get("shown", ())), set(given.get("topic", ()))
    changed = {
        one.topic.id: consent.Topic("OPTED_IN" if one.topic.id in wanted else "OPTED_OUT")
        for one in _wanted(request, said, _shown(request, said)[0])
        # What came after the page was shown was not chosen.
        if one.topic.id in shown and not one.is_required and one.wants != (one.topic.id in wanted)
    }
    if changed:
        stored.change(
            services.database,
            said.workspace_id,
            said.tenant_id,
            said.user_id,
            lambda before: consent.Consent({**before.topics, **changed}),
            services.now(),
        )
    return _choices(request, said, saved=True)


class _Choice(NamedTuple):
    """A topic, and whether somebody hears of it."""

    section: preference_topics.PageSection
    topic: preference_topics.PageTopic
    wants: bool
    is_required: bool
    """Whether nobody can refuse it."""


def _shown(request: Call, said: links.Preference) -> tuple[preference_topics.Page, brands.Look]:
    """The page that somebody sees, and how it looks."""
    with request.services.database.reading() as connection:
        page = preference_pages.shown(connection, said.workspace_id)
        return page, preference_pages.look(connection, said.workspace_id, page)


def _wanted(request: Call, said: links.Preference, page: preference_topics.Page) -> list[_Choice]:
    """What somebody hears of by the channel of their link, section by section."""
    with request.services.database.reading() as connection:
        found = stored.read(connection, said.workspace_id, said.tenant_id, said.user_id)
        by_default = topics_stored.defaults(connection, said.workspace_id).of(said.tenant_id)
    return [
        _Choice(
            section,
            topic,
            not consent.refuses([found], said.channel, (topic.id,), by_default),
            any(default[topic.id].status == "REQUIRED" for default in by_default if topic.id in default),
        )
        for section in page.sections
        for topic in section.topics
    ]


def _choices(request: Call, said: links.Preference, *, saved: bool) -> Response[bytes]:
    page, look = _shown(request, said)
    heading = page.heading or "Your e-mails"
    found = _wanted(request, said, page)
    if not found:
        return _framed("<p>There is nothing to choose from.</p>", heading, look)
    rows, section = [], None
    for one in found:
        if one.section is not section:
            section = one.section
            rows.append(f"<h2>{html.escape(section.name)}</h2>")
            rows += [f"<p>{html.escape(section.description)}</p>"] if section.description else []
        identity, told = html.escape(one.topic.id), html.escape(one.topic.description or "")
        mark = (" checked" if one.wants else "") + (" disabled" if one.is_required else "")
        name = html.escape(one.topic.name) + (" (always sent)" if one.is_required else "")
        rows.append(
            f'<p><input type="hidden" name="shown" value="{identity}"><label><input type="checkbox" name="topic"'
            f' value="{identity}"{mark}> {name}</label>{f"<br><small>{told}</small>" if told else ""}</p>'
        )
    asked = html.escape(page.description or "What would you like to hear of?")
    state = "<p><strong>Saved.</strong></p>" if saved else f"<p>{asked}</p>"
    chosen = "\n".join(rows)
    return _framed(f'{state}\n<form method="post">\n{chosen}\n<button>Save</button>\n</form>', heading, look)


# ── a link to it ────────────────────────────────────────────────────────────────────────────────────


class PreferenceLinkBody(msgspec.Struct, kw_only=True):
    """Whose page it is to be."""

    user_id: str
    tenant_id: str | None = None
    """The tenant to which they speak; the workspace itself where none is named."""


class PreferenceLink(msgspec.Struct):
    """Where somebody chooses what they want to hear of, without a key."""

    url: str


@post("/api/preference-links", status_code=200, opt={"tag": TAG, "body": PreferenceLinkBody})
@in_thread
def make_preference_link(request: Call) -> PreferenceLink:
    """Make the link to somebody's page of preferences, to show it to them and to nobody else."""
    request.refuse_query()
    given, who, services = request.read_object(), request.principal, request.services
    faults = documents.unknown_keys(given, ("user_id", "tenant_id"), "")
    user_id, tenant_id = given.get("user_id"), given.get("tenant_id")
    if not isinstance(user_id, str) or not user_id:
        faults.append(errors.Fault("user_id", "is required: a contact's id, as text"))
    if tenant_id is not None and not isinstance(tenant_id, str):
        faults.append(errors.Fault("tenant_id", "is a tenant's id, or null"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    tenant_id = request.speaking_for(tenant_id)
    if not services.settings.public_url:
        raise errors.Conflict("set HELIOGRAPH_PUBLIC_URL first: it says how people reach this server")
    with services.database.reading() as connection:
        found = people.read_contact(connection, who.workspace_id, who.tenant_id, str(user_id))
    if found is None:
        raise errors.NotFound(f"there is no contact {user_id!r}")
    said = links.Preference(
        who.workspace_id,
        tenant_id,
        str(user_id),
        "email",
        consent.EVERYTHING,
        core_people.email_of(found.profile) or "",
    )
    place = services.settings.public_url.rstrip("/")
    return PreferenceLink(f"{place}/unsubscribe/{links.sign(said, services.link_secret())}/topics")


HANDLERS = (show_subscription, choose_subscription, show_topics, choose_topics, make_preference_link)
