"""Telephone numbers in one form, E.164, so that equal numbers are equal texts (engine.md E15).

Law: nothing is looked up: a number that may be one still reaches nobody perhaps.
"""

from __future__ import annotations

from typing import Final

import phonenumbers

EXAMPLE: Final = "+442079460123"


class Malformed(ValueError):
    """What is wrong with it, as a fault's message says it."""


def e164(text: object, region: str | None = None) -> str:
    """The number in E.164. Raises Malformed.

    `region` (`GB`, `US`) is where a number without a country code is read; without one it is refused.
    """
    if not isinstance(text, str):
        raise Malformed(f'is a telephone number such as "{EXAMPLE}", as text')
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException as refusal:
        raise Malformed(_fault(refusal)) from None
    if number.extension:
        raise Malformed("has an extension, which a number in E.164 cannot hold: leave it out")
    if not phonenumbers.is_possible_number(number):
        raise Malformed("is no telephone number: it has too many or too few digits")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _fault(refusal: phonenumbers.NumberParseException) -> str:
    if refusal.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
        return f"has no country code that is known: begin it with + and the country code, as in {EXAMPLE}"
    return f"is no telephone number: write it as in {EXAMPLE}"
