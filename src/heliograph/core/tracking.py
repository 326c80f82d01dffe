"""Tracking: an e-mail whose links lead past us, and whose picture tells that it was opened.

Law: only the addresses of links are changed, and only those on the web; ours to unsubscribe are left alone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from html.entities import html5
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

LONGEST = 2_000
"""Characters of an address that is followed; a longer one is left as it is."""
_ANCHOR = re.compile(r"<a\b", re.IGNORECASE)
_ADDRESS = re.compile(r"(\shref\s*=\s*)([\"'])(https?://[^\"'<>]*)\2", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?:#(?:[0-9]++|[xX][0-9a-fA-F]++);?|[A-Za-z0-9]++(?:;|(?!=)))")
_END = re.compile(r"</body\s*>", re.IGNORECASE)


def with_links(markup: str, ours: str, address_of: Callable[[str], str]) -> str:
    """HTML whose links lead to `address_of` what they led to; what begins with `ours` stays."""
    made: list[str] = []
    at = end = 0
    while opening := _ANCHOR.search(markup, at):
        if opening.end() > end:
            # Looked for once for all that begins before it: whoever closes no tag costs no more than others.
            closing = markup.find(">", opening.end())
            end = len(markup) if closing < 0 else closing
        found = _ADDRESS.search(markup, opening.end(), end)
        made.append(markup[at : end if found is None else found.start()])
        if found is not None:
            made.append(_leading(found, ours, address_of))
        at = end if found is None else found.end()
    return "".join([*made, markup[at:]])


def _leading(found: re.Match[str], ours: str, address_of: Callable[[str], str]) -> str:
    """A link's attribute with the address to which it leads now."""
    there = _REFERENCE.sub(_meant, found[3])
    if there.startswith(ours) or len(there) > LONGEST:
        return found[0]
    return f"{found[1]}{found[2]}{html.escape(address_of(there))}{found[2]}"


def _meant(found: re.Match[str]) -> str:
    """The sign for which this stands in an attribute, where no name is known by its beginning: `&region=` is none."""
    return html.unescape(found[0]) if found[0][1] == "#" else html5.get(found[0][1:], found[0])


def with_campaign(markup: str, ours: str, utm: Mapping[str, str]) -> str:
    """HTML whose links tell where their reader comes from (`utm_source` …), but where they tell it themselves."""

    def told(there: str) -> str:
        try:
            parts = urlsplit(there)
        except ValueError:
            return there
        said = parse_qsl(parts.query, keep_blank_values=True)
        names = {name for name, _ in said}
        added = urlencode({f"utm_{k}": v for k, v in utm.items() if f"utm_{k}" not in names})
        return urlunsplit(parts._replace(query="&".join(part for part in (parts.query, added) if part)))

    return with_links(markup, ours, told)


def with_picture(markup: str, address: str) -> str:
    """HTML with a picture at its end that nobody sees."""
    picture = f'<img src="{html.escape(address)}" width="1" height="1" alt="" style="display:none">'
    ends = [*_END.finditer(markup)]
    place = ends[-1].start() if ends else len(markup)
    return markup[:place] + picture + markup[place:]
