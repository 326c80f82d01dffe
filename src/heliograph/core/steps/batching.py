"""The step that collects: `add-to-batch` (journeys.md J1 to J4, 1.8).

Law: a run brings its data as they are when it reaches the step; whose run goes on with all items is the batch's to say.
Everything literal is checked beforehand; what is taken from the run is checked when the step is taken (A54).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import batches, delays, documents, effects, expressions, fields, frames, plans

KEYS = ("batch_id", "batch_key")
"""What a batch is known by; the newer spelling is taken too (J1)."""
_RETAIN = ("type", "count", "sort_key")
FIELDS = (*KEYS, "wait_period", "max_wait_period", "max_items", "retain", "category_key", "scope")
DEFAULT_CATEGORY = "batch"
LONGEST_KEY = 255

_Given = Mapping[str, fields.Field]


class AddToBatch(NamedTuple):
    """Add the run's data to a batch, and go on with all items if the run owns it."""

    path: str
    given: _Given
    """By the name of the field; the parts of `retain` as `retain.type`, or all of it."""
    key: str
    """How `batch_id` was spelled."""
    action: str = "add-to-batch"
    blocks: bool = True

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        return frozenset().union(*(field.reads for field in self.given.values()))

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """Nobody's."""
        return ()

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """Join the batch, and wait for what becomes of it."""
        names = ("scope", "wait_period", "max_wait_period", "max_items", "category_key")
        told = {name: self._value(name, scope) for name in names}
        scope_name = _scope(told["scope"], f"{self.path}.scope")
        retain_type, count, sort_key = _retained(self._retain(scope), f"{self.path}.retain")
        asked = effects.JoinBatch(
            _key(self._value(self.key, scope), f"{self.path}.{self.key}"),
            scope_name,
            _user(run.context, f"{self.path}.scope") if scope_name == "user" else None,
            _category(told["category_key"], f"{self.path}.category_key"),
            _period(told["wait_period"], f"{self.path}.wait_period"),
            _period(told["max_wait_period"], f"{self.path}.max_wait_period"),
            _whole(told["max_items"], f"{self.path}.max_items", batches.MOST_ITEMS),
            retain_type,
            count,
            sort_key,
            run.context.data,
        )
        return plans.pending(asked, output={plans.BATCH: {"batch_id": asked.batch_key, "scope": asked.scope}})

    def left(self, context: expressions.Context, output: dict[str, Any]) -> expressions.Context:
        """The owner's context after the release: its own data, and the batch under its category (A19)."""
        return msgspec.structs.replace(context, data={**context.data, **output.get(plans.GAINED, {})})

    def _value(self, name: str, scope: expressions.Scope) -> Any:
        field = self.given.get(name)
        return None if field is None else fields.resolve(field, scope, f"{self.path}.{name}")

    def _retain(self, scope: expressions.Scope) -> Mapping[str, Any]:
        if "retain" in self.given:
            return frames.mapping(self._value("retain", scope), f"{self.path}.retain")
        return {name: self._value(f"retain.{name}", scope) for name in _RETAIN}


# ── what the fields may be ──────────────────────────────────────────────────────────────────────────


def _key(value: Any, path: str) -> str:
    key = "" if value is None else frames.text(value, path)
    if not documents.is_text(key, LONGEST_KEY):
        raise errors.InvalidInput.at(path, f"is a text of 1 to {LONGEST_KEY} characters, none of them NUL")
    return key


def _category(value: Any, path: str) -> str:
    return DEFAULT_CATEGORY if value in (None, "") else _key(value, path)


def _period(value: Any, path: str) -> int:
    return _known_period(value, path) if isinstance(value, str) else delays.parse_period(value, path)


# Most runs say the same: reading it anew costs as much as the rest of the step.
_known_period = functools.lru_cache(maxsize=1_024)(delays.parse_period)


def _scope(value: Any, path: str) -> str:
    if value in (None, ""):
        return "dynamic"
    if value not in batches.SCOPES:
        raise errors.InvalidInput.at(path, errors.unknown("scope", value, batches.SCOPES))
    return str(value)


def _user(context: expressions.Context, path: str) -> str:
    if context.user is None:
        raise errors.InvalidInput.at(
            path,
            "the run says of no user: recipient, profile.user_id, data.user_id and data.userId are empty",
        )
    return _key(context.user, path)


def _whole(value: Any, path: str, most: int) -> int | None:
    if value in (None, ""):
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < len("1000000000"):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise errors.InvalidInput.at(path, f"is a whole number from 1 to {most:,}")
    return value


def _order(value: Any, path: str) -> str:
    if value is None:
        raise errors.InvalidInput.at(path, f"is required: one of {', '.join(batches.ORDERS)}")
    if value not in batches.ORDERS:
        raise errors.InvalidInput.at(path, errors.unknown("type", value, batches.ORDERS))
    return str(value)


def _count(value: Any, path: str) -> int:
    count = _whole(value, path, batches.MOST_RETAINED)
    if count is None:
        raise errors.InvalidInput.at(
            path, f"is required: how many items are passed on, 1 to {batches.MOST_RETAINED}"
        )
    return count


def _sort_key(value: Any, path: str) -> str | None:
    """A path into an item; `data.` and `refs.data.` before it say the same (A16)."""
    if value in (None, ""):
        return None
    written = value.removeprefix("refs.").removeprefix("data.") if isinstance(value, str) else ""
    if not written or not all(written.split(".")) or "\x00" in written:
        raise errors.InvalidInput.at(path, 'is a path into an item, such as "votes" or "data.stats.votes"')
    return written


def _retained(given: Mapping[str, Any], path: str) -> tuple[str, int, str | None]:
    order = _order(given.get("type"), f"{path}.type")
    count = _count(given.get("count"), f"{path}.count")
    sort_key = _sort_key(given.get("sort_key"), f"{path}.sort_key")
    if order in batches.SORTED and sort_key is None:
        raise errors.InvalidInput.at(f"{path}.sort_key", f"is required where type is {order}")
    return order, count, sort_key


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read_batch(reader: frames.Reader) -> AddToBatch:
    """An `add-to-batch` step. Faults are collected by the reader."""
    key = next((name for name in KEYS if reader.raw(name) is not None), KEYS[0])
    given = {name: field for name in FIELDS if name != "retain" and (field := reader.field(name)) is not None}
    if reader.raw(key) is None:
        reader.fault(key, "is required: every run with the same one adds to the same batch")
    for name in ("wait_period", "max_wait_period"):
        if reader.raw(name) is None:
            reader.fault(name, 'is required: an ISO 8601 duration such as "PT10M"')
    reader.check(given.get(key), key, _key)
    reader.check(given.get("wait_period"), "wait_period", _period)
    reader.check(given.get("max_wait_period"), "max_wait_period", _period)
    reader.check(
        given.get("max_items"), "max_items", lambda value, path: _whole(value, path, batches.MOST_ITEMS)
    )
    reader.check(given.get("category_key"), "category_key", _category)
    reader.check(given.get("scope"), "scope", _scope)
    return AddToBatch(reader.path, {**given, **_read_retain(reader)}, key)


def _read_retain(reader: frames.Reader) -> _Given:
    given = reader.raw("retain")
    if given is None:
        reader.fault("retain", "is required: an object with `type` and `count`")
        return {}
    if not isinstance(given, dict) or "$ref" in given:
        whole = reader.field("retain")
        if isinstance(whole, fields.Literal):
            reader.fault("retain", "is an object with `type` and `count`, or a reference to one")
        return {} if whole is None else {"retain": whole}
    inner = frames.Reader(given, reader.at("retain"), reader.evaluator)
    inner.strangers(_RETAIN)
    found = {name: field for name in _RETAIN[:2] if (field := inner.field(name)) is not None}
    sort_key = inner.raw("sort_key")
    if sort_key is not None:
        # Always a path into the items, never one into the run.
        found["sort_key"] = fields.Literal(sort_key)
    for name, parse in (("type", _order), ("count", _count)):
        if inner.raw(name) is None:
            inner.refused(parse, None, name)
        inner.check(found.get(name), name, parse)
    inner.check(found.get("sort_key"), "sort_key", _sort_key)
    if inner.raw("type") in batches.SORTED and sort_key is None:
        inner.fault("sort_key", f"is required where type is {inner.raw('type')}")
    reader.faults += inner.faults
    return {f"retain.{name}": field for name, field in found.items()}


KINDS = {"add-to-batch": (read_batch, FIELDS)}
