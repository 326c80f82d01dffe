"""Strict JSON: what is read means the same to every reader, and what is refused is shown its place."""

import json
import math
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import documents

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)


def places(body: bytes, **limits: int) -> list[tuple[str, str]]:
    """The faults that reading this body is refused for."""
    with pytest.raises(errors.InvalidInput) as refusal:
        documents.read(body, **limits)
    return [tuple(fault) for fault in refusal.value.faults]  # type: ignore[misc]


@given(values, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\r\n:")]))
def test_reads_what_was_written(value: Any, is_ascii: bool, separators: tuple[str, str]) -> None:
    """However a value is spaced and escaped, reading gives it back, numbers with all their digits."""
    body = json.dumps(value, ensure_ascii=is_ascii, separators=separators).encode()
    assert documents.read(body) == value


@given(st.binary(max_size=12) | st.text('[]{}",:\\u0dD8eE+-.1 \ntruefalsn', max_size=14).map(str.encode))
def test_accepts_only_json(body: bytes) -> None:
    """Any bytes are either read as the value that another reader sees, or refused with an error of ours."""
    try:
        value = documents.read(body)
    except (errors.MalformedJson, errors.InvalidInput) as refusal:
        refusal.message.encode()
    else:
        assert json.loads(body, object_pairs_hook=distinct) == value
        json.dumps(value, allow_nan=False).encode()


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand once."""
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@given(st.dictionaries(texts, leaves, min_size=1, max_size=4), st.data())
def test_finds_every_repeated_key(value: dict[str, Any], data: st.DataObject) -> None:
    """An object that names a key twice is refused, whatever it holds and however it is written."""
    twice = data.draw(st.sampled_from(sorted(value)))
    members = [json.dumps(key) + ":" + json.dumps(value[key]) for key in [*value, twice]]
    body = ('{"in":[' + "{" + ",".join(members) + "}]}").encode()
    path, message = places(body)[0]
    assert path == "in[0]"
    assert message.startswith("the key ")
    assert message.endswith(" stands twice")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty: send JSON"),
        (b" \r\n", "the body is empty: send JSON"),
        (b'{"a":1,}', f"line 1, column {7 if sys.version_info >= (3, 13) else 8}: "),
        (b'{"a":\n  [1, 2 3]}', "line 2, column 9: "),
        (b'{"a":1} x', "line 1, column 9: "),
        (b'"abc', "line 1, column 1: "),
        (b'"a\tb"', "line 1, column 3: "),
        (b"[01]", "line 1, column 3: "),
        (b"nul", "line 1, column 1: "),
        (b'\xef\xbb\xbf{"a":1}', "line 1, column 1: leave out the byte order mark"),
        (b'{"a":\n "\xc3\xa9\xff"}', "line 2, column 4: this is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "line 1, column 1: this is not UTF-8"),
    ],
)
def test_bad_syntax_has_line_and_column(body: bytes, message: str) -> None:
    """What is not JSON is refused as malformed, with the line and column (in characters) of the place."""
    with pytest.raises(errors.MalformedJson) as refusal:
        documents.read(body)
    assert refusal.value.message.startswith(message)


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        (
            b'{"payload":{"items":[1,2,{"sku":1,"n":0,"sku":2}]}}',
            "payload.items[2]",
            'the key "sku" stands twice',
        ),
        (b'{"a":{"b c":[0,NaN]}}', 'a["b c"][1]', "is NaN, which JSON does not have"),
        (b'[{"total":-Infinity}]', "[0].total", "is out of range: numbers end at 1.8e308"),
        (b'{"total":1e400}', "total", "is out of range: numbers end at 1.8e308"),
        (b'{"n":' + b"9" * 5000 + b"}", "n", "is out of range: numbers end at 1.8e308"),
        (b'{"a":["x","\\ud800"]}', "a[1]", "holds half of a surrogate pair, which is no character"),
        (b'{"a":"\\udc00\\ud800"}', "a", "holds half of a surrogate pair, which is no character"),
        (b'{"a":"\xed\xa0\x80"}', "a", "holds half of a surrogate pair, which is no character"),
        (b'{"\\ud800":1}', "", 'the key "\\ud800" holds half of a surrogate pair, which is no character'),
    ],
)
def test_a_fault_in_good_syntax_has_its_path(body: bytes, path: str, message: str) -> None:
    """JSON that readers would not agree upon is refused with the path of the place and what is wrong there."""
    assert places(body) == [(path, message)]


def test_names_all_faults_at_once() -> None:
    """One answer lists every fault of a body."""
    found = places(b'{"a":NaN,"b":{"c":1,"c":2},"d":["\\udfff",1e999]}')
    assert [path for path, _ in found] == ["a", "b", "d[0]", "d[1]"]


def test_a_body_full_of_faults_is_answered_in_short() -> None:
    """However many faults a body has, at most a hundred are listed."""
    assert len(places(b"[" + b",".join([b"NaN"] * 5000) + b"]")) == documents.MAX_FAULTS


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [documents.MAX_DEPTH + 1, 300, 100_000])
def test_refuses_what_is_nested_too_deep(opening: bytes, depth: int) -> None:
    """Nesting beyond the limit is refused with the place at which it goes too deep, however deep it goes."""
    closing = b"]" if opening == b"[" else b"}"
    [(path, message)] = places(opening * depth + b"1" + closing * depth)
    assert message == "is nested deeper than 64 levels"
    assert path == ("[0]" * 64 if opening == b"[" else ".".join("a" * 64))


def test_the_limit_itself_is_allowed() -> None:
    """As many levels as the limit says are read, whatever stands beside them."""
    body = b'["[[[[[[]",{},' + b"[" * 63 + b"]" * 63 + b"," + b"[]," * 100 + b"0]"
    assert documents.read(body)[-1] == 0
    assert places(body, limit_depth=63) == [("[2]" + "[0]" * 62, "is nested deeper than 63 levels")]


@given(texts.filter(bool), st.integers(0, 9))
def test_a_path_shows_any_key(key: str, index: int) -> None:
    """A path can be printed whatever the key, and two keys never have the same path."""
    path = documents.below(documents.below("payload", key), index)
    path.encode()
    assert path.endswith(f"[{index}]")
    assert path in {f"payload.{key}[{index}]", f"payload[{json.dumps(key, ensure_ascii=False)}][{index}]"}


def test_values_of_our_own_can_be_checked() -> None:
    """What a program made itself is held to the same rules."""
    assert documents.faults({"a": [1, "é", None, True, 2.5]}) == []
    assert documents.faults({"a": [math.nan]}, "payload")[0].path == "payload.a[0]"


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    number: int
    parts: "list[_Order]" = []
    names: dict[str, int] = {}


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        (b"[]", "order", "takes an object, not a list"),
        (b'{"number":"1"}', "order.number", "takes a whole number, not a text"),
        (b'{"number":1,"parts":[{"number":1},{}]}', "order.parts[1].number", "is required"),
        (b'{"number":1,"nr":2}', "order.nr", 'unknown key "nr"'),
        (b'{"number":1,"names":{"x":"y"}}', "order.names[...]", "takes a whole number, not a text"),
    ],
)
def test_a_refused_type_has_its_path(body: bytes, path: str, message: str) -> None:
    """What the decoder says of a wrong type becomes a fault with our path."""
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode(body, type=_Order)
    assert documents.fault_of(refusal.value, "order") == (path, message)
    assert documents.fault_of(refusal.value) == (path.removeprefix("order").removeprefix("."), message)


def test_unknown_keys_say_what_was_probably_meant() -> None:
    """A key that is not known is named by its path, with the nearest known one."""
    found = documents.unknown_keys({"name": 1, "prioritty": 2, "Zone": 3}, ("name", "priority"), "rule")
    assert found == [
        ("rule.prioritty", 'unknown key "prioritty", did you mean "priority"?'),
        ("rule.Zone", 'unknown key "Zone": it is one of name, priority'),
    ]
