"""JSON Patch (RFC 6902) over a record: checked as a whole, applied as a whole.

Law: a patch is applied entirely or not at all; what cannot be applied is told with its place in the patch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import jsonpatch
import msgspec

from heliograph import errors
from heliograph.core import documents, operators

OPERATIONS = ("add", "copy", "move", "remove", "replace", "test")
_KEYS = ("op", "path", "value", "from")
_NEED_VALUE = frozenset({"add", "replace", "test"})
_NEED_FROM = frozenset({"copy", "move"})
MOST = 1_000
MOST_BYTES = 256 * 1024
"""How large a record may become by a patch: copies of copies have no other end."""
_SAID = 200
_encode = msgspec.json.Encoder().encode


def check(given: object, path: str = "patch") -> list[dict[str, Any]]:
    """The operations of a patch. Raises errors.InvalidInput with every fault found."""
    if not isinstance(given, list) or len(given) > MOST:
        raise errors.InvalidInput.at(path, f"is a list of at most {MOST} operations")
    faults = [
        fault for index, one in enumerate(given) for fault in _faults(one, documents.below(path, index))
    ]
    if faults:
        raise errors.InvalidInput(faults=faults[: documents.MAX_FAULTS])
    return given


def strangers(operations: list[dict[str, Any]], path: str = "patch") -> list[str]:
    """The places of what nobody knows in the operations of a patch that was checked."""
    places = ((documents.below(path, index), one) for index, one in enumerate(operations))
    return [documents.below(place, key) for place, one in places for key in one.keys() - {*_KEYS}]


def _faults(one: object, path: str) -> list[errors.Fault]:
    if not isinstance(one, dict):
        return [errors.Fault(path, 'is an object such as {"op": "replace", "path": "/email", "value": "…"}')]
    operation = one.get("op")
    if not isinstance(operation, str) or operation not in OPERATIONS:
        return [errors.Fault(f"{path}.op", errors.unknown("operation", operation, OPERATIONS))]
    faults = []
    for name in ("path", *(("from",) if operation in _NEED_FROM else ())):
        pointer = one.get(name)
        if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
            faults.append(errors.Fault(f"{path}.{name}", 'is a pointer into the profile, such as "/email"'))
    if operation in _NEED_VALUE and "value" not in one:
        faults.append(errors.Fault(f"{path}.value", f"is required where op is {operation}"))
    return faults


def apply(record: Mapping[str, Any], operations: list[dict[str, Any]], path: str = "patch") -> Any:
    """What becomes of a record.

    Raises errors.Conflict where a `test` fails, and errors.InvalidInput where something is not there.
    """
    made: Any = copy.deepcopy(record)
    for index, one in enumerate(operations):
        place = documents.below(path, index)
        try:
            made = _applied(made, one)
        except jsonpatch.JsonPatchTestFailed:
            raise errors.Conflict(f"{place}: {one['path']} is not what the test says") from None
        except RecursionError:
            raise errors.InvalidInput.at(f"{place}.path", _TOO_DEEP) from None
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError) as refusal:
            said = str(refusal)[:_SAID]
            raise errors.InvalidInput.at(f"{place}.path", f"cannot be applied: {said}") from None
        if one["op"] == "copy":
            _refuse_large(made, record, place)
    # The record stands in a document of its own.
    if documents.faults(made, limit_depth=documents.MAX_DEPTH - 1):
        raise errors.InvalidInput.at(path, _TOO_DEEP)
    _refuse_large(made, record, path)
    return made


_TOO_DEEP = f"leaves a record that is nested deeper than {documents.MAX_DEPTH - 1} levels"


def _applied(record: Any, operation: dict[str, Any]) -> Any:
    made = jsonpatch.apply_patch(record, [operation], in_place=True)
    if operation["op"] == "test":
        # The library takes true for 1.
        found = jsonpatch.JsonPointer(operation["path"]).resolve(made)
        if not operators.same(found, operation["value"]):
            raise jsonpatch.JsonPatchTestFailed
    return made


def _refuse_large(made: Any, record: Mapping[str, Any], path: str) -> None:
    try:
        size = len(_encode(made))
    except RecursionError:
        raise errors.InvalidInput.at(path, _TOO_DEEP) from None
    if size > max(MOST_BYTES, len(_encode(record))):
        raise errors.InvalidInput.at(path, f"leaves a record of more than {MOST_BYTES // 1024} KiB")
