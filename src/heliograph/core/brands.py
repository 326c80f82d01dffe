"""Brand: how messages look that stored templates make: colours, the head, header and footer of an e-mail, snippets.

Law: what is stored can be drawn; a fault is found when a brand is written, not when somebody waits for a letter. A
part that says `inheritDefault` is the default brand's, whose id is `default`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import documents, ids, pages, plans, template_filters, templates

DEFAULT: Final = plans.DEFAULT_BRAND
"""The id of the brand that is taken where no other is named."""

WRITABLE: Final = ("name", "settings", "snippets")
SOCIAL: Final = ("facebook", "instagram", "linkedin", "medium", "twitter")
_MOST: Final = 100_000
_MOST_SNIPPETS: Final = 200
_CSS = re.compile(r"[#\w\s.,%()/-]{1,100}")
_SNIPPET = re.compile(r"[A-Za-z_][\w-]{0,99}")


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A brand as people write and read it, in Courier's words."""

    name: str
    settings: dict[str, Any] = {}
    snippets: dict[str, Any] | None = None


class Look(NamedTuple):
    """What a brand comes to once what it inherits is filled in."""

    colors: Mapping[str, str] = {}
    head: str = ""
    """HTML at the end of the head; with `is_mjml`, MJML."""
    header: str = ""
    footer: str = ""
    """Both HTML, or MJML with `is_mjml`."""
    is_mjml: bool = False
    background: str | None = None
    inner_background: str | None = None
    width: str | None = None
    bar_color: str | None = None
    logo: tuple[str, str | None] | None = None
    """Image and where it leads."""
    markdown: str = ""
    """The footer's own words."""
    social: tuple[tuple[str, str], ...] = ()
    """Network and address, in order."""
    snippets: Mapping[str, str] = {}

    @property
    def seen(self) -> dict[str, Any]:
        """What `brand` is in a text."""
        return {"colors": dict(self.colors), "snippets": dict(self.snippets)}


PLAIN: Final = Look()
"""How it looks without a brand."""


# ── reading what people write ───────────────────────────────────────────────────────────────────────


def define(given: Mapping[str, Any]) -> Definition:
    """A brand from a request's body. Raises errors.InvalidInput with every fault at its place."""
    reader = _Reader()
    name = given.get("name")
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 255:
        reader.fault("name", "is required: a text of 1 to 255 characters")
    settings, snippets = given.get("settings"), given.get("snippets")
    reader.settings(settings)
    reader.snippets(snippets)
    if reader.faults:
        raise errors.InvalidInput(faults=reader.faults[: documents.MAX_FAULTS])
    made = Definition(name=str(name).strip(), settings=settings or {}, snippets=_with_items(snippets))
    faults = _undrawable(made)
    if faults:
        raise errors.InvalidInput(faults=faults[: documents.MAX_FAULTS])
    return made


def stored(written: str | bytes) -> Definition:
    """A brand from what was kept of it; an earlier version kept snippets that came without their `items`."""
    said = msgspec.json.decode(written)
    return msgspec.convert({**said, "snippets": _with_items(said.get("snippets"))}, Definition)


def _with_items(snippets: Any) -> Any:
    """Snippets in their one form: they may come as a list alone."""
    return {"items": snippets} if isinstance(snippets, list) else snippets


def check_id(given: object) -> str | None:
    """The id that a new brand is to have; None: one is made. Raises errors.InvalidInput."""
    fault = None if given is None else ids.name_fault(given, "shop")
    if fault:
        raise errors.InvalidInput.at("id", fault)
    return None if given is None else str(given)


class _Reader:
    """Looks through one brand and keeps what is wrong with it."""

    def __init__(self) -> None:
        self.faults: list[errors.Fault] = []

    def fault(self, path: str, message: str) -> None:
        self.faults.append(errors.Fault(path, message))

    def part(self, holder: Mapping[str, Any], name: str, path: str) -> Mapping[str, Any]:
        """An object in an object; nothing where there is none."""
        value = holder.get(name)
        if value is not None and not isinstance(value, Mapping):
            self.fault(f"{path}.{name}", "is an object, or null")
        return value if isinstance(value, Mapping) else {}

    def texts(
        self, holder: Mapping[str, Any], names: Mapping[str, Callable[[str], str | None]], path: str
    ) -> None:
        """Texts in an object, each with what may be wrong with it."""
        for name, wrong in names.items():
            value = holder.get(name)
            if value is None:
                continue
            fault = wrong(value) if isinstance(value, str) else "is a text, or null"
            if fault:
                self.fault(f"{path}.{name}", fault)

    def settings(self, given: object) -> None:
        if given is None:
            return
        if not isinstance(given, Mapping):
            self.fault("settings", "is an object")
            return
        colors = self.part(given, "colors", "settings")
        self.texts(colors, dict.fromkeys(colors, _css_fault), "settings.colors")
        email, place = self.part(given, "email", "settings"), "settings.email"
        head = self.part(email, "head", place)
        self.texts(head, {"content": _long_fault}, f"{place}.head")
        header = self.part(email, "header", place)
        self.texts(header, {"barColor": _css_fault}, f"{place}.header")
        logo = self.part(header, "logo", f"{place}.header")
        self.texts(logo, {"href": address_fault, "image": address_fault}, f"{place}.header.logo")
        footer = self.part(email, "footer", place)
        self.texts(footer, {"markdown": _marked_fault}, f"{place}.footer")
        social = self.part(footer, "social", f"{place}.footer")
        for name in SOCIAL:
            one = self.part(social, name, f"{place}.footer.social")
            self.texts(one, {"url": address_fault}, f"{place}.footer.social.{name}")
        for holder, name in ((head, "head"), (header, "header"), (footer, "footer")):
            if holder.get("inheritDefault") not in (None, True, False):
                self.fault(f"{place}.{name}.inheritDefault", "is true or false")
        override = self.part(email, "templateOverride", place)
        self.template(override, f"{place}.templateOverride")
        self.template(
            self.part(override, "mjml", f"{place}.templateOverride"), f"{place}.templateOverride.mjml"
        )
        self.part(given, "inapp", "settings")

    def template(self, given: Mapping[str, Any], path: str) -> None:
        css = dict.fromkeys(
            ("backgroundColor", "blocksBackgroundColor", "footerBackgroundColor", "width"), _css_fault
        )
        self.texts(given, {**css, **dict.fromkeys(("head", "header", "footer"), _long_fault)}, path)
        if given and not isinstance(given.get("enabled", False), bool):
            self.fault(f"{path}.enabled", "is true or false")

    def snippets(self, given: object) -> None:
        if given is None:
            return
        items = given.get("items") if isinstance(given, Mapping) else given
        if items is None and isinstance(given, Mapping):
            return
        if not isinstance(items, list) or len(items) > _MOST_SNIPPETS:
            self.fault("snippets.items", f"is a list of at most {_MOST_SNIPPETS} snippets")
            return
        for index, one in enumerate(items):
            path = f"snippets.items[{index}]"
            if not isinstance(one, Mapping):
                self.fault(path, "is an object with `name` and `value`")
                continue
            if not isinstance(one.get("name"), str) or not _SNIPPET.fullmatch(one["name"]):
                self.fault(f"{path}.name", "is a name of letters, digits, _ and -")
            if not isinstance(one.get("value"), str) or len(one["value"]) > _MOST:
                self.fault(f"{path}.value", f"is a text of at most {_MOST:,} characters")


def _css_fault(value: str) -> str | None:
    return None if _CSS.fullmatch(value) else "is a CSS value such as #22577a or 600px"


def _long_fault(value: str) -> str | None:
    return f"is a text of at most {_MOST:,} characters" if len(value) > _MOST else None


def _marked_fault(value: str) -> str | None:
    return pages.too_many_marks() if pages.marks(value) > pages.MOST_MARKS else _long_fault(value)


def address_fault(value: str) -> str | None:
    """What is wrong with an address that a letter leads to or shows; a tag at its beginning is judged when filled."""
    scheme = value.strip().partition(":")[0].lower()
    if (
        re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme)
        and ":" in value
        and scheme not in template_filters.WEB_SCHEMES
    ):
        return (
            f"is an address that begins with {', '.join(f'{one}:' for one in template_filters.WEB_SCHEMES)}"
        )
    return f"is a text of at most {_MOST:,} characters" if len(value) > _MOST else None


def _undrawable(made: Definition) -> list[errors.Fault]:
    """What is wrong with the parts of it that are templates."""
    found: list[errors.Fault] = []
    look = effective(made, None)
    for name, source in (
        ("head", look.head),
        ("header", look.header),
        ("footer", look.footer),
        ("footer", look.markdown),
    ):
        place = f"settings.email.{name}"
        try:
            templates.compile_text(source, place, escape=True)
            if look.is_mjml and source:
                pages.of_mjml(_alone(name, source), place)
        except errors.InvalidInput as refusal:
            found += refusal.faults
    for index, (_, value) in enumerate(look.snippets.items()):
        found += [
            errors.Fault(f"snippets.items[{index}].value", fault.message) for fault in _faults_of(value)
        ]
    return found


def _faults_of(source: str) -> list[errors.Fault]:
    try:
        templates.compile_text(source)
    except errors.InvalidInput as refusal:
        return list(refusal.faults)
    return []


def _alone(name: str, source: str) -> str:
    if name == "head":
        return f"<mjml><mj-head>{source}</mj-head><mj-body></mj-body></mjml>"
    return f"<mjml><mj-body>{source}</mj-body></mjml>"


# ── what it comes to ────────────────────────────────────────────────────────────────────────────────


def effective(brand: Definition, default: Definition | None) -> Look:
    """The look of a brand, what it inherits from the default brand filled in."""
    own = brand.settings.get("email") or {}
    base = (default.settings.get("email") or {}) if default is not None else {}

    def part(name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = own.get(name) or {}
        return (base.get(name) or {}) if found.get("inheritDefault") else found

    head, header, footer = part("head"), part("header"), part("footer")
    logo, social = header.get("logo") or {}, footer.get("social") or {}
    override = own.get("templateOverride") or {}
    mjml = override.get("mjml") or {}
    shown = mjml if mjml.get("enabled") else override if override.get("enabled") else {}
    colors = {
        **((default.settings.get("colors") or {}) if default else {}),
        **(brand.settings.get("colors") or {}),
    }
    return Look(
        {name: value for name, value in colors.items() if value},
        shown.get("head") or head.get("content") or "",
        shown.get("header") or "",
        shown.get("footer") or "",
        bool(shown) and shown is mjml,
        shown.get("backgroundColor"),
        shown.get("blocksBackgroundColor"),
        shown.get("width"),
        header.get("barColor"),
        (logo["image"], logo.get("href")) if logo.get("image") else None,
        footer.get("markdown") or "",
        tuple((name, social[name]["url"]) for name in SOCIAL if (social.get(name) or {}).get("url")),
        {**_snippets(default), **_snippets(brand)},
    )


def _snippets(brand: Definition | None) -> dict[str, str]:
    items = ((brand.snippets or {}).get("items") or []) if brand is not None else []
    return {one["name"]: one["value"] for one in items}
