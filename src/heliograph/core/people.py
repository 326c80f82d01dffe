"""People: a contact, the attributes that every door knows, and how two versions of a profile become one.

Law: a profile is JSON that belongs to whoever wrote it: keys stand as they were written. A few of them mean the same
in every wire family (engine.md E15) and are stored in one form, so that equal addresses are equal texts. Nothing is
looked up: an address that reads well may still reach nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, NamedTuple

import email_validator
import msgspec

from heliograph import errors
from heliograph.core import documents, hooks, schedule, telephones

_encode = msgspec.json.Encoder().encode

MAX_ID = 255
"""Characters that a `user_id` may have."""
MAX_BYTES = 256 * 1024
"""How large a profile may become as JSON: merging has no other end."""
MOST_DEPTH = documents.MAX_DEPTH - 1
"""How deep a profile may be nested: what reads one reads it inside of an object."""
TOO_LARGE = f"a profile takes at most {MAX_BYTES // 1024} KiB"
PUSH_TOKEN = "push_token"  # noqa: S105 the name of a profile's key
"""Where push messages go: the newest of somebody's devices, or what was written there by hand."""

Profile = Mapping[str, Any]
"""A contact's attributes: any JSON under any key."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "given_name": ("first_name",),
    "family_name": ("last_name",),
    "zoneinfo": ("timezone",),
}
"""Other keys under which a profile may hold an attribute; they are read where the attribute's own is absent."""

# Names such as `localhost` and `mail.test` are somebody's network: whether they take mail is their server's answer.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


class Contact(NamedTuple):
    """A person whom we store."""

    user_id: str
    """Its key in the workspace, as the application names it."""
    profile: Profile
    tags: tuple[str, ...] = ()


# ── reading a profile ───────────────────────────────────────────────────────────────────────────────


def attribute(profile: Profile, name: str) -> Any:
    """An attribute's value under its own key or an alias; None where there is none or it is null."""
    for key in (name, *ALIASES.get(name, ())):
        value = profile.get(key)
        if value is not None:
            return value
    return None


def email_of(profile: Profile) -> str | None:
    """The e-mail address in the form in which addresses are compared, or None."""
    address = profile.get("email")
    return address.strip().lower() or None if isinstance(address, str) else None


def phone_of(profile: Profile) -> str | None:
    """The telephone number, or None; it is E.164 where `clean_profile` let it in."""
    number = profile.get("phone_number")
    return number.strip() or None if isinstance(number, str) else None


def address_of(profile: Profile, channel: str) -> str | None:
    """Where a person is reached by a channel, or None."""
    return _ADDRESSES[channel](profile)


def _token_of(profile: Profile) -> str | None:
    """The device that push messages go to; Courier's names for it are read too."""
    return _text_at(profile, (PUSH_TOKEN,), ("firebaseToken",), ("apn", "token"), ("expo", "token"))


def _chat_of(profile: Profile) -> str | None:
    """Whom chat messages go to: a channel, a room or a person of the service that the provider speaks to."""
    services = ("slack", "discord", "ms_teams", "telegram")
    keys = ("channel", "channel_id", "user_id", "chat_id", "conversation_id", "email")
    places = [(service, key) for service in services for key in keys]
    return _text_at(profile, ("chat_address",), *places)


def _webhook_of(profile: Profile) -> str | None:
    """The address that a message is posted to."""
    return _text_at(profile, ("webhook", "url"), ("webhook",))


def _text_at(profile: Profile, *places: tuple[str, ...]) -> str | None:
    """The first text that stands at one of these places; a number counts as its digits."""
    for place in places:
        found: Any = profile
        for key in place:
            found = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        if isinstance(found, str) and found.strip():
            return found.strip()
    return None


_ADDRESSES: Mapping[str, Callable[[Profile], str | None]] = {
    "email": email_of,
    "sms": phone_of,
    "push": _token_of,
    "direct_message": _chat_of,
    "webhook": _webhook_of,
}
CHANNELS = tuple(_ADDRESSES)
"""The channels that a message can be sent by; `direct_message` is chat."""
ADDRESSES: Mapping[str, str] = {
    "email": "e-mail address",
    "sms": "telephone number",
    "push": "push token",
    "direct_message": "chat address",
    "webhook": "webhook address",
}
"""What somebody has who can be reached by a channel."""


def birthday_of(profile: Profile) -> int | None:
    """The birthday as month * 100 + day, or None; it is a date where `clean_profile` let it in."""
    birthdate = profile.get("birthdate")
    read = _BIRTHDATE.fullmatch(birthdate) if isinstance(birthdate, str) else None
    return int(read[2]) * 100 + int(read[3]) if read else None


# ── addresses ───────────────────────────────────────────────────────────────────────────────────────


def check_email(text: object, path: str = "email") -> str:
    """The address trimmed, in lower case, its domain in ASCII. Raises InvalidInput with the path."""
    if not isinstance(text, str):
        raise errors.InvalidInput.at(path, 'is an e-mail address such as "ana@example.com", as text')
    try:
        read = email_validator.validate_email(
            text.strip(), check_deliverability=False, globally_deliverable=False
        )
    except (email_validator.EmailNotValidError, UnicodeError) as refusal:
        raise errors.InvalidInput.at(path, f"is no e-mail address: {_sentence(refusal)}") from None
    return f"{read.local_part.lower()}@{read.ascii_domain.lower()}"


def email_fault(text: object) -> str | None:
    """Why this is no e-mail address, or None."""
    try:
        check_email(text)
    except errors.InvalidInput as refusal:
        return refusal.faults[0].message
    return None


def phone_fault(text: object) -> str | None:
    """Why this is no telephone number with a country code, or None."""
    try:
        check_phone(text)
    except errors.InvalidInput as refusal:
        return refusal.faults[0].message
    return None


def check_phone(text: object, path: str = "phone_number", region: str | None = None) -> str:
    """The number in E.164, such as `+442079460123`. Raises InvalidInput with the path.

    `region` (`GB`, `US`) is where a number without a country code is read; without one it is refused.
    """
    try:
        return telephones.e164(text, region)
    except telephones.Malformed as refusal:
        raise errors.InvalidInput.at(path, str(refusal)) from None


def _sentence(refusal: Exception) -> str:
    message = str(refusal).rstrip(".")
    return message[:1].lower() + message[1:]


# ── writing a profile ───────────────────────────────────────────────────────────────────────────────


def clean_profile(given: object, path: str = "profile", region: str | None = None) -> dict[str, Any]:
    """The profile as it is stored: the attributes that every door knows checked and in one form, the rest untouched.

    null empties an attribute. Raises InvalidInput with every fault found.
    """
    if not isinstance(given, Mapping):
        raise errors.InvalidInput.at(path, 'is an object, such as {"email": "ana@example.com"}')
    cleaned: dict[str, Any] = dict(given)
    faults = _join_birthdate(cleaned, path)
    if not documents.is_shallow(cleaned, MOST_DEPTH):
        faults += documents.faults(cleaned, path, limit_depth=MOST_DEPTH)
    for key in cleaned.keys() & _CHECKS.keys():
        if cleaned[key] is not None:
            try:
                cleaned[key] = _CHECKS[key](cleaned[key], documents.below(path, key), region)
            except errors.InvalidInput as refusal:
                faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=sorted(faults))
    return cleaned


def _check_name(given: object, path: str, _region: str | None) -> str:
    if isinstance(given, str):
        return given
    raise errors.InvalidInput.at(path, "is text")


_LOCALE = re.compile("[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,5}")


def _check_locale(given: object, path: str, _region: str | None) -> str:
    if isinstance(given, str) and _LOCALE.fullmatch(given):
        return given
    raise errors.InvalidInput.at(path, 'is a language such as "en" or "pt-BR"')


_BIRTHDATE = re.compile("(?:([0-9]{4})|-)-([0-9]{2})-([0-9]{2})")


def _check_birthdate(given: object, path: str, _region: str | None) -> str:
    read = _BIRTHDATE.fullmatch(given) if isinstance(given, str) else None
    if read:
        year = read[1] or "0000"
        try:
            # A day without a year may be the 29th of February.
            date(int(year) or 2000, int(read[2]), int(read[3]))
        except ValueError:
            pass
        else:
            return f"{year}-{read[2]}-{read[3]}"
    raise errors.InvalidInput.at(
        path, 'is a date such as "1990-05-17", or "0000-05-17" where the year is not known'
    )


_BIRTH_PARTS = ("daybirth", "monthbirth", "yearbirth")


def _join_birthdate(cleaned: dict[str, Any], path: str) -> list[errors.Fault]:
    """Put the parts of a birthday, as another wire writes it, together to `birthdate`; gives their faults."""
    if cleaned.keys().isdisjoint(_BIRTH_PARTS):
        return []
    parts = {key: cleaned.pop(key, None) for key in _BIRTH_PARTS}
    wrong = _part_faults(parts)
    if cleaned.get("birthdate") is not None:
        wrong["birthdate"] = "goes without its parts: say the birthday once"
    cleaned["birthdate"] = None
    if not wrong and parts["daybirth"] is not None:
        day, month, year = (_number(part) for part in parts.values())
        try:
            cleaned["birthdate"] = _check_birthdate(f"{year or 0:04}-{month:02}-{day:02}", path, None)
        except errors.InvalidInput:
            wrong["daybirth"] = "is no day of monthbirth and yearbirth"
    return [errors.Fault(documents.below(path, key), message) for key, message in wrong.items()]


def _part_faults(parts: Mapping[str, Any]) -> dict[str, str]:
    wrong = {
        key: "is a whole number, or null"
        for key, part in parts.items()
        if part is not None and _number(part) is None
    }
    has_day, has_month, has_year = (part is not None for part in parts.values())
    if not wrong and (has_day != has_month or (has_year and not has_day)):
        missing = "monthbirth" if has_day else "daybirth"
        wrong[missing] = "is required: a birthday has a day and a month"
    return wrong


def _number(given: object) -> int | None:
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) <= 4:
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= 9999 else None


def _check_webhook(given: object, path: str, _region: str | None) -> object:
    """Who is reached by a webhook whose secrets nobody locks here."""
    if not isinstance(given, Mapping) or given.keys().isdisjoint(("authentication", "headers", "method")):
        return given
    kept, _ = hooks.read(given, path, can_lock=False)
    return kept


_CHECKS: Mapping[str, Callable[[object, str, str | None], object]] = {
    "webhook": _check_webhook,
    "email": lambda given, path, _region: check_email(given, path),
    "phone_number": check_phone,
    "given_name": _check_name,
    "family_name": _check_name,
    "birthdate": _check_birthdate,
    "locale": _check_locale,
    "zoneinfo": lambda given, path, _region: schedule.check_zone(given, path),
    "timezone": lambda given, path, _region: schedule.check_zone(given, path),
}
"""What is checked, by key."""

# ── merging ─────────────────────────────────────────────────────────────────────────────────────────

MERGES: Mapping[str, Callable[[Profile, Profile], dict[str, Any]]] = {
    "replace": lambda _stored, given: dict(given),
    "overwrite": lambda stored, given: {**stored, **given},
    "soft-merge": lambda stored, given: {**stored, **{key: given[key] for key in given if key not in stored}},
    "none": lambda stored, given: dict(stored or given),
}
"""What becomes of what is stored when something is given, by strategy; keys of the top level are taken whole (J7).

`replace` keeps nothing of what is stored, `overwrite` what is not given anew; `soft-merge` adds only what is not
stored, and a stored null is stored; `none` changes nothing where anything is stored at all.
"""


def merge(strategy: str, stored: Profile | None, given: Profile) -> dict[str, Any]:
    """A new profile (or a run's data) out of the stored one, if any, and the given one, by one of MERGES.

    Raises InvalidInput for a strategy that is none.
    """
    if strategy not in MERGES:
        raise errors.InvalidInput.at("merge_strategy", documents.unknown("merge strategy", strategy, MERGES))
    return MERGES[strategy](stored or {}, given)


def outgrows(before: Profile, given: Profile) -> bool:
    """Whether a profile would become too large by being overwritten with this; one that is too large may shrink."""
    size = len(_encode(before))
    if size + len(_encode(given)) <= MAX_BYTES:
        return False
    return len(_encode({**before, **given})) > max(MAX_BYTES, size)


def written(strategy: str, stored: Profile, given: Profile) -> dict[str, Any]:
    """A stored profile, written by one of MERGES: where push messages go stays, unless something is said of it."""
    made = merge(strategy, stored, given)
    is_lost = PUSH_TOKEN in stored and PUSH_TOKEN not in made
    return {**made, PUSH_TOKEN: stored[PUSH_TOKEN]} if is_lost else made
