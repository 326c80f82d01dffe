"""Elemental content as people write it: checked, and every element with an id.

Law: what passes can be drawn for every channel and locale that it names; each fault is told at its place. Fields that
nobody knows are kept as they came. Ids that are not given are `e1`, `e2` … in the order of the document.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from heliograph import errors
from heliograph.core import brands, documents, pages, scripts, templates
from heliograph.core.elemental import words

VERSION: Final = "2022-01-01"
RAW: Final = ("subject", "text", "html", "mjml")
MOST_LOCALES: Final = 100
_MOST_ELEMENTS, _DEEPEST, _MOST_TEXT = 1_000, 12, 100_000

_INLINE: Final = ("string", "link", "img")
_WHOLE: Final = (
    "text",
    "meta",
    "image",
    "action",
    "divider",
    "quote",
    "html",
    "list",
    "group",
    "columns",
    "comment",
)
_CHILDREN: Final[Mapping[str, tuple[str, ...]]] = {
    "channel": _WHOLE,
    "group": _WHOLE,
    "column": tuple(kind for kind in _WHOLE if kind != "columns"),
    "columns": ("column",),
    "list": ("list-item",),
    "list-item": (*_INLINE, "list"),
    "text": _INLINE,
}
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "image": ("src",),
    "action": ("content", "href"),
    "quote": ("content",),
    "html": ("content",),
    "string": ("content",),
    "link": ("content", "href"),
    "img": ("src",),
    "columns": ("elements",),
    "list": ("elements",),
    "list-item": ("elements",),
    "group": ("elements",),
}
_WORDS: Final = ("content", "title", "alt_text")
_ADDRESSES: Final = ("href", "src")
CSS: Final = (
    *(
        "background_color",
        "border_color",
        "border_radius",
        "border_size",
        "color",
        "font_size",
        "line_height",
    ),
    *("padding", "width"),
)
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "align": ("left", "center", "right", "full"),
    "text_style": ("text", "h1", "h2", "h3", "subtext"),
    "style": ("button", "secondary", "tertiary", "link"),
    "format": ("markdown",),
    "list_type": ("ordered", "unordered"),
}
LOCALIZED: Final = (*_WORDS, *_ADDRESSES)
_CSS_VALUE = re.compile(r"[#\w\s.,%()/-]{1,100}|\{brand\.colors\.[\w-]+\}")
_LOOP = re.compile(r"(?=.{1,1000}$)[A-Za-z_][\w-]*(?:\.[\w-]+)*")
_NOT_MARKUP = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_REF = re.compile(r"[A-Za-z_$][\w$]{0,99}")
_LOCALE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,4}")


def define(given: object, path: str = "content") -> dict[str, Any]:
    """The content, checked, as it is kept. Raises errors.InvalidInput with every fault at its place."""
    if not isinstance(given, Mapping):
        raise errors.InvalidInput.at(
            path, 'is an object such as {"version": "2022-01-01", "elements": [...]}'
        )
    elements, version = given.get("elements"), given.get("version", VERSION)
    reader = _Reader()
    if not isinstance(version, str) or not 1 <= len(version) <= 32:
        reader.fault(f"{path}.version", f'is "{VERSION}"')
    if not isinstance(elements, list):
        reader.fault(f"{path}.elements", "is required: a list of elements")
        raise errors.InvalidInput(faults=reader.faults)
    kinds: tuple[str, ...] = ("channel", *_WHOLE)
    if any(isinstance(one, Mapping) and one.get("type") == "channel" for one in elements):
        kinds = ("channel",)
    for index, one in enumerate(elements):
        reader.element(one, f"{path}.elements[{index}]", kinds, _DEEPEST)
    if not reader.faults and sum(map(_marks, walk(elements))) > pages.MOST_MARKS:
        reader.fault(path, pages.too_many_marks())
    if reader.faults:
        raise errors.InvalidInput(faults=reader.faults[: documents.MAX_FAULTS])
    return {"version": version, "elements": identified(elements)}


def identified(elements: list[Any]) -> list[Any]:
    """The elements, each with an id."""
    kept = copy.deepcopy(elements)
    known = {one.get("id") for one in walk(kept)}
    free = (name for number in itertools.count(1) if (name := f"e{number}") not in known)
    for one in walk(kept):
        if one.get("id") is None:
            one["id"] = next(free)
    return kept


def walk(elements: list[Any]) -> Iterator[dict[str, Any]]:
    """Every element in the order of the document, each before those in it."""
    for one in elements:
        yield one
        yield from walk(one.get("elements") or [])


def _marks(element: Mapping[str, Any]) -> int:
    """How many marks the text of an element has, in the locale in which it has most of them."""
    if element.get("type") == "html":
        return 0
    spoken = [element, *(element.get("locales") or {}).values()]
    return max(pages.marks(one.get("content") or "") for one in spoken)


def checksum(element: Mapping[str, Any]) -> str:
    """The MD5 of what can be translated of an element."""
    said = {name: element[name] for name in (*LOCALIZED, "raw") if element.get(name) is not None}
    return hashlib.md5(msgspec.json.encode(said, order="deterministic"), usedforsecurity=False).hexdigest()


def locales(content: Mapping[str, Any]) -> frozenset[str]:
    """The locales that elements have words in, in lower case with hyphens."""
    return frozenset(
        locale_name(name) for one in walk(content["elements"]) for name in (one.get("locales") or {})
    )


def locale_name(written: str) -> str:
    """`fr_CA` as `fr-ca`."""
    return written.replace("_", "-").lower()


class _Reader:
    """Looks through one content and keeps what is wrong with it."""

    def __init__(self) -> None:
        self.faults: list[errors.Fault] = []
        self._ids: set[str] = set()
        self._refs_of: dict[str, dict[str, str]] = {}
        self._refs = self._of_channel("")
        self._spoken: set[str] = set()
        self._count = 0

    def fault(self, path: str, message: str) -> None:
        """Something is wrong."""
        self.faults.append(errors.Fault(path, message))

    def _of_channel(self, channel: object) -> dict[str, str]:
        """The elements that those of a channel may ask for, which are its own, and when they are shown."""
        return self._refs_of.setdefault(str(channel), {})

    def element(self, given: object, path: str, kinds: tuple[str, ...], depth: int, within: str = "") -> None:
        """One element that is to be of one of these types, and those in it; `within` is when it may be shown."""
        self._count += 1
        if self._count > _MOST_ELEMENTS or not depth:
            if self._count == _MOST_ELEMENTS + 1 or not depth:
                limit = f"{_MOST_ELEMENTS} elements" if depth else f"{_DEEPEST} elements within each other"
                self.fault(path, f"is too much: there may be {limit}")
            return
        if not isinstance(given, dict):
            self.fault(path, 'is an object such as {"type": "text", "content": "..."}')
            return
        kind = given.get("type")
        if kind == "jsonnet":
            self.fault(f"{path}.type", "jsonnet elements are not supported: use text, html or Liquid")
            return
        if not isinstance(kind, str) or kind not in kinds:
            self.fault(
                f"{path}.type",
                documents.unknown("type", kind, kinds) if isinstance(kind, str) else f"is {', '.join(kinds)}",
            )
            return
        if kind == "channel":
            self._refs = self._of_channel(given.get("channel"))
        self._identity(given, path)
        whole = self._flow(given, path, within)
        self._fields(given, kind, path)
        self._locales(given, path)
        if kind == "channel":
            self._channel(given, path)
        if kind == "text" and given.get("content") is None and not given.get("elements"):
            self.fault(f"{path}.content", "is required, or `elements`")
        self._inner(given, kind, path, depth, whole)

    def _identity(self, given: Mapping[str, Any], path: str) -> None:
        identity = given.get("id")
        if identity is None:
            return
        if not isinstance(identity, str) or not 1 <= len(identity) <= 128:
            self.fault(f"{path}.id", "is a text of 1 to 128 characters")
        elif identity in self._ids:
            self.fault(f"{path}.id", "is the id of another element")
        else:
            self._ids.add(identity)

    def _flow(self, given: Mapping[str, Any], path: str, within: str) -> str:
        own = ""
        channels, asked, loop, ref = (given.get(name) for name in ("channels", "if", "loop", "ref"))
        if channels is not None and not _is_texts(channels):
            self.fault(f"{path}.channels", 'is a list of channels such as ["email"]')
        if asked is not None and not isinstance(asked, str):
            self.fault(f"{path}.if", "is a condition such as data.vip, as text")
        elif asked is not None:
            try:
                own = words.condition(asked, self._refs)
            except scripts.Malformed as fault:
                self.fault(f"{path}.if", str(fault))
        if loop is not None and (
            not isinstance(loop, str) or not _LOOP.fullmatch(words.looped(words.unwrapped(loop)))
        ):
            self.fault(f"{path}.loop", "is the path to a list, such as data.products")
        whole = words.joined(within, own)
        if ref is not None:
            if not isinstance(ref, str) or not _REF.fullmatch(ref):
                self.fault(f"{path}.ref", "is a name of letters, digits, _ and $")
            else:
                # Never shorter than the `false` that stands for it where a channel does not show the element.
                self._refs[ref] = f"{whole or 'true':5}"
        return whole

    def _fields(self, given: Mapping[str, Any], kind: str, path: str) -> None:
        for name in _REQUIRED.get(kind, ()):
            if given.get(name) is None:
                self.fault(f"{path}.{name}", "is required")
        is_html = kind == "html"
        for name in (*_WORDS, *_ADDRESSES):
            if given.get(name) is not None:
                self._text(given[name], f"{path}.{name}", name, is_html=is_html)
        for name in CSS:
            value = given.get(name)
            if value is not None and (not isinstance(value, str) or not _CSS_VALUE.fullmatch(value)):
                self.fault(
                    f"{path}.{name}", "is a CSS value such as #22577a or 16px, or {brand.colors.primary}"
                )
        for name, choices in CHOICES.items():
            value = given.get(name)
            if value is not None and value not in choices:
                self.fault(f"{path}.{name}", f"is {', '.join(choices)}")

    def _text(self, value: object, path: str, name: str, *, is_html: bool = False) -> None:
        if not isinstance(value, str) or len(value) > _MOST_TEXT:
            self.fault(path, f"is a text of at most {_MOST_TEXT:,} characters")
            return
        odd = None if is_html else _NOT_MARKUP.search(value)
        if odd is not None:
            self.fault(path, f"holds the control character U+{ord(odd[0]):04X}, which no letter shows")
            return
        wrong = brands.address_fault(value) if name in _ADDRESSES else None
        if wrong:
            self.fault(path, wrong)
            return
        try:
            templates.compile_text(value if is_html else words.liquid(value, {}), path, escape=is_html)
        except errors.InvalidInput as refusal:
            self.faults += refusal.faults

    def _locales(self, given: Mapping[str, Any], path: str) -> None:
        translated = given.get("locales")
        if translated is None:
            return
        if not isinstance(translated, Mapping):
            self.fault(f"{path}.locales", 'is an object such as {"fr": {"content": "..."}}')
            return
        for locale, said in translated.items():
            place = f"{path}.locales.{locale}"
            self._spoken.add(locale_name(str(locale)))
            if len(self._spoken) > MOST_LOCALES:
                # Each is drawn before it is kept, so that it can be drawn later.
                self.fault(place, f"is too much: there may be words in {MOST_LOCALES} locales")
                return
            if not _LOCALE.fullmatch(str(locale)):
                self.fault(place, "is no locale: write fr or fr-CA")
            elif not isinstance(said, Mapping):
                self.fault(place, 'is an object such as {"content": "..."}')
            else:
                for name in LOCALIZED:
                    if said.get(name) is not None:
                        is_html = given.get("type") == "html"
                        self._text(said[name], f"{place}.{name}", name, is_html=is_html)

    def _channel(self, given: Mapping[str, Any], path: str) -> None:
        if not isinstance(given.get("channel"), str) or not given["channel"]:
            self.fault(f"{path}.channel", "is required: email, sms, push …")
        raw = given.get("raw")
        if raw is None:
            if not isinstance(given.get("elements"), list):
                self.fault(f"{path}.elements", "is required, or `raw`")
            return
        if not isinstance(raw, Mapping):
            self.fault(f"{path}.raw", f"is an object with {', '.join(RAW)}")
            return
        for name in RAW:
            if raw.get(name) is not None:
                self.faults += raw_faults(name, raw[name], f"{path}.raw.{name}")

    def _inner(self, given: Mapping[str, Any], kind: str, path: str, depth: int, within: str) -> None:
        inner = given.get("elements")
        if inner is None:
            return
        if kind not in _CHILDREN:
            self.fault(f"{path}.elements", f"a {kind} element has none")
        elif not isinstance(inner, list):
            self.fault(f"{path}.elements", "is a list of elements")
        else:
            for index, one in enumerate(inner):
                self.element(one, f"{path}.elements[{index}]", _CHILDREN[kind], depth - 1, within)


def raw_faults(name: str, text: object, path: str) -> list[errors.Fault]:
    """What is wrong with a text that is a whole part of a message: Liquid in a subject, text, HTML or MJML."""
    if not isinstance(text, str) or len(text) > pages.MOST:
        return [errors.Fault(path, f"takes a text of at most {pages.MOST:,} characters")]
    try:
        source = pages.of_mjml(text, path) if name == "mjml" else text
        templates.compile_text(source, path, escape=name in ("html", "mjml"))
    except errors.InvalidInput as refusal:
        return list(refusal.faults)
    return []


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


# ── changing a part ─────────────────────────────────────────────────────────────────────────────────


def with_element(content: Mapping[str, Any], identity: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The content with another element of this id; those in it stay unless it brings some.

    Raises errors.NotFound where there is none, and errors.InvalidInput.
    """
    changed = copy.deepcopy(dict(content))
    found = next((one for one in walk(changed["elements"]) if one["id"] == identity), None)
    if found is None:
        raise errors.NotFound(f"the template has no element {identity!r}")
    inner = {} if "elements" in given or "elements" not in found else {"elements": found["elements"]}
    found.clear()
    found.update({**inner, **given, "id": identity})
    return define(changed)


def with_locale(content: Mapping[str, Any], locale: str, given: object) -> dict[str, Any]:
    """The content in which these elements say this in a locale, and no others say anything in it.

    Raises errors.InvalidInput with every fault at its place.
    """
    if not isinstance(given, list):
        raise errors.InvalidInput.at("elements", 'is a list such as [{"id": "e1", "content": "Bonjour"}]')
    changed = copy.deepcopy(dict(content))
    known = {one["id"]: one for one in walk(changed["elements"])}
    for one in known.values():
        if "locales" in one:
            one["locales"] = {
                name: said
                for name, said in one["locales"].items()
                if locale_name(name) != locale_name(locale)
            }
    faults = []
    for index, one in enumerate(given):
        identity = one.get("id") if isinstance(one, Mapping) else None
        if not isinstance(identity, str) or identity not in known:
            faults.append(errors.Fault(f"elements[{index}].id", "is the id of no element of this template"))
            continue
        said = {name: value for name, value in one.items() if name != "id"}
        known[identity].setdefault("locales", {})[locale] = said
    if faults:
        raise errors.InvalidInput(faults=faults)
    return define(changed)
