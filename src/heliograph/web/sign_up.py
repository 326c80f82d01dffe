"""Lists and bodies of Sign-Up.to's family (`/v1`).

Law: a page begins at `start`, a value of the attribute it is sorted by, which need not exist; what comes back as `next`
names the id too, so that a walk over equal values ends (date-automations.md B19). Null comes first. A body is JSON or a
form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qsl

from heliograph import errors
from heliograph.web.calls import Call

MOST_PER_PAGE = 200
FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 100
_TEXTS = frozenset({"actionhour", "name"})
"""Attributes that are sorted as texts; the others are numbers."""
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?")


class Resource(Protocol):
    """What is listed."""

    @property
    def id(self) -> int:
        """Its number."""


Listed = TypeVar("Listed", bound=Resource)


class Order(NamedTuple):
    """How a list is walked."""

    size: int
    sort: str
    reverse: bool
    start: str | None


class _Place(NamedTuple):
    """A place in an order: by value, null first, then by id."""

    has_value: bool
    value: Any
    id: float


def number(written: str) -> int | None:
    """The id that is written; None for what is no whole number that a column takes."""
    return int(written) if written.isascii() and written.isdigit() and len(written) < 19 else None


def page(listed: Iterable[Listed], order: Order) -> tuple[list[Listed], int | str | None]:
    """The resources from `start` on, and the `start` of the next page. Raises errors.InvalidQuery."""
    ordered = sorted(listed, key=lambda one: _place(one, order.sort), reverse=order.reverse)
    if order.start is not None:
        first = _start(order.start, order)
        ordered = [one for one in ordered if _is_from(_place(one, order.sort), first, order)]
    shown, rest = ordered[: order.size], ordered[order.size :]
    return shown, _next(rest[0], order.sort) if rest else None


def _is_from(place: _Place, first: _Place, order: Order) -> bool:
    return place <= first if order.reverse else place >= first


def _place(one: Resource, sort: str) -> _Place:
    value = getattr(one, sort)
    return _Place(value is not None, 0 if value is None else value, one.id)


def _next(one: Resource, sort: str) -> int | str:
    if sort == "id":
        return one.id
    value = getattr(one, sort)
    return f"{'' if value is None else value}|{one.id}"


def _start(text: str, order: Order) -> _Place:
    value, mark, identity = text.rpartition("|")
    if order.sort == "id" or not mark or not identity.isdecimal():
        value, number = text, float("inf") if order.reverse else float("-inf")
    else:
        number = float(identity)
    if order.sort in _TEXTS:
        return _Place(bool(value), value or 0, number)
    if not _NUMBER.fullmatch(value):
        raise errors.InvalidQuery(
            faults=[errors.Fault("start", f"is a value of {order.sort}, or what `next` said")]
        )
    return _Place(True, float(value), number)


def body(request: Call) -> dict[str, Any]:
    """The body's fields. Raises MalformedJson, InvalidInput, UnsupportedMedia."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != FORM:
        return request.read_object()
    try:
        pairs = parse_qsl(
            request.content.body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise errors.MalformedJson(
            f"the body is no form of at most {_MOST_FIELDS} fields, percent-encoded"
        ) from None
    given: dict[str, Any] = dict(pairs)
    if len(given) != len(pairs):
        raise errors.InvalidInput.at("", "a field of the form is given more than once")
    if any("\x00" in text for pair in pairs for text in pair):
        raise errors.InvalidInput.at("", "a field of the form holds a NUL character")
    return given
