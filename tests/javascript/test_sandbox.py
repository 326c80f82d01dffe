"""The sandbox: what an expression can reach, what it can leave behind, and what ends it."""

import gc
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from heliograph import javascript
from heliograph.core import expressions, values
from heliograph.javascript import child

NOW = 1_700_000_000_123_456
VALUE, TEXT, TRUTH = expressions.Want


def sandbox() -> javascript.Sandbox:
    """A sandbox whose stopwatch stands still, and which is patient with a busy machine."""
    return javascript.Sandbox(lambda: 0, seconds=2)


SHARED = javascript.Sandbox(lambda: 0)
"""One with the limits that it has in the program."""


def run(code: str, **given: Any) -> expressions.Answer:
    """What becomes of an expression in the sandbox that all these tests share."""
    return SHARED.evaluate(code, VALUE, given, NOW, 7)


def value(code: str, **given: Any) -> Any:
    """The value of an expression that has one."""
    answer = run(code, **given)
    assert answer.fault is None, answer
    return answer.value


# ── values ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("1 + 1", 2),
        ("0.5", 0.5),
        ("'é😀'", "é😀"),
        ("null", None),
        ("undefined", values.MISSING),
        ("void 0", values.MISSING),
        ("[1, undefined, NaN]", [1, None, None]),
        ("({a: undefined, b: [null]})", {"b": [None]}),
        ("new Date(0)", "1970-01-01T00:00:00.000Z"),
        ("({toJSON() { return 5 }})", 5),
        ("({toJSON() {}})", values.MISSING),
        ("'\\ud83d'", "\ufffd"),
        ("({'\\ud83d': ['\\ude00\\\\ud83d']})", {"\ufffd": ["\ufffd\\ud83d"]}),
        ("2 ** 53", 2**53),
        ("-0", 0),
    ],
)
def test_values_are_json(code: str, expected: Any) -> None:
    """A value comes back as JSON has it; undefined is told apart, and half a character is no text."""
    assert value(code) == expected


def test_what_is_given_arrives() -> None:
    """Data arrive whole: any text, integers beyond 64 bits, keys that mean something in JavaScript."""
    data = {
        "a": '\u2028\u0000"\\`${1}😀',
        "big": 2**70,
        "__proto__": {"x": 1},
        "constructor": 3,
        "half": "\ud83d",
    }
    assert value("data.a", data=data) == data["a"]
    assert value("data.big", data=data) == 2**70
    assert value("[data.x, Object.keys(data).length, data.constructor]", data=data) == [None, 5, 3]
    assert value("data.half.length", data=data) == 1


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("() => 1", "gives a function"),
        ("Symbol()", "gives a symbol"),
        ("Infinity", "gives Infinity"),
        ("(async () => 1)()", "gives a promise"),
        ("(() => { const a = []; a[0] = a; return a })()", "circular"),
        ("({get a() { throw new RangeError('no') }})", "RangeError: no"),
        ("(() => { throw 'words' })()", "threw words"),
        ("(() => { throw {a: 1} })()", 'threw {"a":1}'),
        ("(() => { throw null })()", "needs more than 16 MiB of memory"),
        (
            "(() => { throw {get message() { throw 1 }, toJSON() { throw 2 }} })()",
            "threw something that cannot be told",
        ),
        (
            "(() => { const e = new Error('x'); throw Object.defineProperty(e, 'message', {get() { throw 1 }}) })()",
            "threw something that cannot be told",
        ),
    ],
)
def test_what_is_no_value_is_a_fault(code: str, hint: str) -> None:
    """What JSON cannot hold, and what is thrown, whatever is thrown, is told in words."""
    answer = run(code)
    assert answer.value is None
    assert hint in str(answer.fault)


def test_truth_and_text() -> None:
    """A condition gets JavaScript's own truth, a text what a template would show; null in a text is missing."""
    for code, truth in [("''", False), ("[]", True), ("NaN", False), ("'0'", True), ("null", False)]:
        assert SHARED.evaluate(code, TRUTH, {}, NOW, 7) == (truth, None)
    for code, text in [("1.50", "1.5"), ("[1, 2]", "1,2"), ("({a: 1})", '{"a":1}'), ("null", values.MISSING)]:
        assert SHARED.evaluate(code, TEXT, {}, NOW, 7) == (text, None)


# ── what there is not ───────────────────────────────────────────────────────────────────────────────


HOSTS = """eval Function Promise Proxy WeakRef FinalizationRegistry WeakMap SharedArrayBuffer Atomics performance
BigInt Uint8Array ArrayBuffer DataView queueMicrotask WebAssembly require process console fetch setTimeout std os
print load module exports window self"""


@pytest.mark.parametrize("name", HOSTS.split())
def test_names_that_there_are_not(name: str) -> None:
    """Nothing of a host is there, and nothing that could make code from text, measure time or do something later."""
    assert value(f"typeof {name}") == "undefined"
    assert value(f"typeof globalThis.{name}") == "undefined"


@pytest.mark.parametrize(
    "code",
    [
        "(() => {}).constructor('return 1')()",
        "(function* () {}).constructor('yield 1')",
        "(async () => {}).constructor('return 1')",
        "(async function* () {}).constructor('return 1')",
        "Object.getPrototypeOf(() => {}).constructor('return 1')()",
        "Reflect.construct((() => {}).constructor, ['return 1'])",
        "[].map.constructor('return 1')()",
        "class extends (() => {}).constructor {}.constructor('return 1')",
    ],
)
def test_code_is_not_made_from_text(code: str) -> None:
    """Whatever makes functions refuses to."""
    assert "code cannot be made from text" in str(run(code).fault)


def test_an_expression_is_a_strict_function_without_a_this() -> None:
    """An expression cannot reach what it is called by."""
    assert value("typeof this") == "undefined"
    assert value("(function () { return typeof this })()") == "undefined"
    assert "is not defined" in str(run("undeclared = 1").fault)
    assert "invalid property access" in str(run("arguments.callee").fault)
    assert "invalid property access" in str(run("(function f() { return f.caller })()").fault)


@pytest.mark.parametrize(
    "code",
    [
        "1)}); globalThis.left = 1; (function () { return (2",
        "1)}); let left = 1; (function () { return (2",
        "1)}), (function () { return (2",
        "1)})(), ((function () { return (2",
        "1); left = 1; (2",
        "1\n); return (2",
        "1; 2",
        "1 /*",
    ],
)
def test_code_stays_in_its_brackets(code: str) -> None:
    """Text that closes the function it stands in leaves nothing behind."""
    box = sandbox()
    box.check(code)
    box.evaluate(code, VALUE, {}, NOW, 7)
    assert box.evaluate("typeof left", VALUE, {}, NOW, 7).value == "undefined"


# ── nothing is kept ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "code",
    [
        "Object.prototype.left = 1",
        "({}).__proto__.left = 1",
        "data.__proto__.left = 1",
        "data['constructor'].prototype.left = 1",
        "Object.setPrototypeOf(Object.prototype, {left: 1})",
        "Object.defineProperty(Array.prototype, 'left', {value: 1})",
        "Array.prototype.push = 1",
        "globalThis.left = 1",
        "Object.assign(Math, {left: 1})",
        "Date.left = 1",
        "(() => { Date.prototype.getTime = () => 1 })()",
        "refs.constructor.left = 1",
        "MessageStatus.left = 1",
        "$rank.left = 1",
        "(() => {}).__proto__.left = 1",
        "(function* () {})().__proto__.__proto__.left = 1",
        "[][Symbol.iterator]().__proto__.left = 1",
        "'x'.matchAll(/x/g).__proto__.left = 1",
        "(async () => {})().__proto__.left = 1",
        "(async function* () {})().__proto__.__proto__.__proto__.left = 1",
        "Symbol.prototype.left = 1",
        "new Map().entries().__proto__.left = 1",
        "Iterator.prototype.left = 1",
        "[].values().map(x => x).__proto__.left = 1",
        "JSON.parse = 1",
        "Error.prepareStackTrace = () => 1",
        "Error.stackTraceLimit = 0",
        "Error.captureStackTrace({})",
        "RegExp.prototype.exec = 1",
        "Reflect.set(String.prototype, 'left', 1) || null.x",
        "Reflect.defineProperty(globalThis, 'left', {value: 1}) || null.x",
    ],
)
def test_what_is_shared_cannot_be_changed(code: str) -> None:
    """Every way of leaving something for a later expression, or of changing what it finds, is refused."""
    assert run(code, data={"a": 1}, refs={}).fault is not None
    assert value("[typeof [].left, typeof left, typeof Date.left, [1].push(2), Date.now()]") == [
        "undefined",
        "undefined",
        "undefined",
        2,
        NOW // 1000,
    ]


def test_every_object_that_can_be_reached_is_frozen() -> None:
    """A walk over all that a global name leads to finds nothing that can be changed."""
    walk = """(() => {
      const seen = new Set(), open = [], setters = [];
      const waiting = [globalThis, MessageStatus, $rank, function () {}, function* () {}, async () => {},
        async function* () {}, (async () => {})(),
        [].values(), ''[Symbol.iterator](), new Map().keys(), new Set().keys(), 'x'.matchAll(/x/g),
        [].values().map(x => x), Iterator.from({next() {}})].map((each, at) => [each, at > 2]);
      while (waiting.length) {
        const [each, own] = waiting.pop();
        if ((typeof each !== 'object' && typeof each !== 'function') || each === null || seen.has(each)) continue;
        seen.add(each);
        if (!own && !Object.isFrozen(each)) open[open.length] = String(each);
        waiting.push([Object.getPrototypeOf(each), false]);
        for (const key of Reflect.ownKeys(each)) {
          const held = Object.getOwnPropertyDescriptor(each, key);
          if (held.set) setters.push(String(key));
          for (const one of [held.value, held.get, held.set]) waiting.push([one, own && key === 'prototype']);
        }
      }
      return [seen.size > 400, open, setters];
    })()"""
    assert value(walk) == [
        True,
        [],
        ["caller", "arguments", "__proto__", "constructor", "Symbol(Symbol.toStringTag)", "stack"],
    ]


def test_data_that_is_changed_is_changed_for_nobody_else() -> None:
    """An expression may write to its data; the next one finds them as they were."""
    data = {"list": [1]}
    for _ in range(2):
        assert value("data.list.push(2)", data=data) == 2
    assert data == {"list": [1]}


def test_a_function_keeps_nothing_between_its_calls() -> None:
    """Objects, regular expressions and templates of an expression are new in each call, or frozen."""
    for _ in range(2):
        assert value("(r => { r.test('aa'); return r.lastIndex })(/a/g)") == 1
        assert value("(o => { o.n = (o.n || 0) + 1; return o.n })({})") == 1
        assert "object is not extensible" in str(run("(t => { t.n = 1 })((s => s)`x`)").fault)


def test_nothing_is_done_later() -> None:
    """What an expression puts off is never done, and is gone before the next one."""
    box = sandbox()
    for code in ("(async () => { await 1; for (;;); })() && 1", "import('x') && 1", "(async () => 1)() && 1"):
        assert box.evaluate(code, VALUE, {}, NOW, 7) == (1, None)
        assert box.evaluate("2", VALUE, {}, NOW, 7) == (2, None)
    for code in ("(async () => 1)().then(x => x)", "(async () => 1)().finally(x => x)"):
        assert "promises are not available" in str(box.evaluate(code, VALUE, {}, NOW, 7).fault)


# ── time and chance ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("Date.now()", 1_700_000_000_123),
        ("new Date().getTime()", 1_700_000_000_123),
        ("Date()", "Tue Nov 14 2023 22:13:20 GMT+0000 (Coordinated Universal Time)"),
        ("new Date().toISOString()", "2023-11-14T22:13:20.123Z"),
        ("new Date(2024, 1, 29, 12).toISOString()", "2024-02-29T12:00:00.000Z"),
        ("new Date(99, 0).getFullYear()", 1999),
        ("new Date('2024-02-29T12:00:00').getHours()", 12),
        ("new Date('2024-02-29').getDay()", 4),
        ("new Date('2024-02-29T12:00:00+02:00').getHours()", 10),
        ("Date.parse('2024-02-29 12:00')", 1709208000000),
        ("Date.parse('Feb 29, 2024 12:00:00')", 1709208000000),
        ("Date.parse('Thu, 29 Feb 2024 12:00:00 GMT')", 1709208000000),
        ("Date.parse('Thu Feb 29 2024 12:00:00 GMT+0200 (CEST)')", 1709200800000),
        ("Date.parse('soon')", None),
        ("Date.parse('1'.repeat(200))", None),
        ("new Date(new Date(5)).getTime()", 5),
        ("new Date({valueOf() { return 5 }}).getTime()", 5),
        ("new Date(0).toString()", "Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)"),
        ("new Date(0).toDateString()", "Thu Jan 01 1970"),
        ("new Date(0).toLocaleString()", "1/1/1970, 12:00:00 AM"),
        ("new Date(46800000).toLocaleTimeString()", "1:00:00 PM"),
        ("new Date(0).toLocaleDateString()", "1/1/1970"),
        ("String(new Date(NaN))", "Invalid Date"),
        ("new Date(0).getTimezoneOffset()", 0),
        ("new Date(0).setHours(5)", 18000000),
        ("new Date(0) - 1", -1),
        ("new Date(0) + ''", "Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)"),
        ("new Date() instanceof Date && new Date().constructor === Date", True),
        ("Date.UTC(1970, 0, 2)", 86400000),
        ("(class extends Date {}).now()", 1_700_000_000_123),
        ("new Date(0).getYear()", 70),
    ],
)
def test_dates(code: str, expected: Any) -> None:
    """A date is the run's, in UTC: the machine's clock and its zone are not there."""
    answer = run(code)
    assert (answer.value if answer.fault is None else None) == expected


def test_the_machines_zone_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """An expression gives the same in whatever zone the machine stands."""
    codes = [
        "new Date(2024, 6, 1).toISOString()",
        "[new Date(0).getHours(), new Date(1720000000000) + '', Date.parse('2024-07-01T12:00')]",
        "[Date.parse('Jul 1 2024 12:00'), Date.parse('2024-07-01 12:00'), Date.parse('7/1/2024')]",
        "[new Date(0).toLocaleString(), new Date(0).getTimezoneOffset(), new Date(2024, 2, 31, 1, 30).getTime()]",
        "new Date(new Date(0).setMonth(6)).toISOString()",
        "[new Date('2024'), new Date('2024-07'), new Date(2024, 0), new Date('1 Jul 2024')]",
    ]
    there = []
    for zone in ("UTC", "Asia/Kathmandu", "America/St_Johns", "Europe/London"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        realm = child.Realm(javascript._prelude(), 5)
        there.append([realm.answer("value", code, "{}", 0.0, 0.0) for code in codes])
    monkeypatch.undo()
    time.tzset()
    assert all(told[0] == "v" for told in there[0])
    assert all(each == there[0] for each in there)


def test_the_same_seed_gives_the_same_numbers() -> None:
    """Math.random follows from its seed alone, and is spread over the whole of its range."""
    code = "Array.from({length: 1000}, () => Math.random())"
    one = [SHARED.evaluate(code, VALUE, {}, NOW, seed).value for seed in (1, 1, 2, 2**32 - 1)]
    assert one[0] == one[1]
    assert len({tuple(each) for each in one}) == 3
    for drawn in one:
        assert all(0 <= number < 1 for number in drawn)
        assert 0.45 < sum(drawn) / 1000 < 0.55
        assert len(set(drawn)) > 990


# ── the language ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("[3, 1, 2].sort().concat([4], 5).reverse().join('-')", "5-4-3-2-1"),
        ("[[1], [2, [3]]].flat()", [1, 2, [3]]),
        ("[[1], [2, [3]]].flat(Infinity)", [1, 2, 3]),
        ("[1, 2].flatMap(x => [x, x])", [1, 1, 2, 2]),
        ("[1, 2, 3, 4].splice(1, 2)", [2, 3]),
        ("[1, 2, 3].slice(-2)", [2, 3]),
        ("[1, 2].reduce((a, b) => a + b)", 3),
        ("[[1, 2], 3].toString()", "1,2,3"),
        ("'a,b,,c'.split(',', 3)", ["a", "b", ""]),
        ("'abc'.split('')", ["a", "b", "c"]),
        ("'abc'.split()", ["abc"]),
        ("'a1b22c'.split(/\\d+/)", ["a", "b", "c"]),
        ("'a-b-c'.replace('-', '+')", "a+b-c"),
        ("'a-b-c'.replaceAll('-', m => m + m)", "a--b--c"),
        ("'a-b-c'.replace(/-/g, '+')", "a+b+c"),
        ("'a-b'.replace(/(a)-(b)/, '$2$1')", "ba"),
        ("'a.b'.replaceAll(/\\./g, '')", "ab"),
        ("'abcabc'.indexOf('c', 3)", 5),
        ("'abcabc'.lastIndexOf('c')", 5),
        ("'abc'.includes('b') && !'abc'.includes('x')", True),
        ("'undefined'.indexOf()", 0),
        ("['a', 'b'].includes('b')", True),
        ("[...'a1b2'.matchAll(/\\d/g)].map(m => m[0])", ["1", "2"]),
        ("Object.entries({a: 1}).map(([k, v]) => k + v)", ["a1"]),
        ("Math.round(2.5) + Math.max(1, 2)", 5),
        ("(1234.5).toFixed(2)", "1234.50"),
        ("parseInt('12px') + Number('3')", 15),
        ("encodeURIComponent('a b')", "a%20b"),
        ("btoa('hi') + atob('aGk=')", "aGk=hi"),
        ("[...new Set([1, 1, 2])]", [1, 2]),
        ("new Map([[1, 2]]).get(1)", 2),
        ("JSON.stringify(JSON.parse('{\"a\":1}'))", '{"a":1}'),
        ("data?.a?.b ?? 'none'", "none"),
        ("[1, 2, 3].at(-1)", 3),
        ("Object.groupBy([1, 2, 3], n => n % 2 ? 'odd' : 'even').odd", [1, 3]),
    ],
)
def test_the_language_is_there(code: str, expected: Any) -> None:
    """What the language has for lists, texts, numbers and maps works as ever."""
    assert value(code, data={"a": None}) == expected


# ── what ends it ────────────────────────────────────────────────────────────────────────────────────

HURRIED = javascript.Sandbox(lambda: 0, 0.04)


@pytest.mark.parametrize(
    "code",
    [
        "(() => { for (;;); })()",
        "(() => { try { for (;;); } catch { return 1 } finally { for (;;); } })()",
        "/(a+)+$/.test('a'.repeat(40) + 'b')",
        "/^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(50))",
        "'a'.repeat(1e6).match(/a*?b/)",
        "({toJSON() { for (;;); }})",
        "({get a() { for (;;); }})",
        "(() => { throw {get message() { for (;;); }, toJSON() { for (;;); }} })()",
        "[...(function* () { for (;;); })()]",
        "new Array(4294967295).map(x => x)",
        "Array.prototype.forEach.call({length: 2 ** 53 - 1}, x => x)",
        "(class { static { for (;;); } })",
    ],
)
def test_what_takes_too_long_is_ended(code: str) -> None:
    """A loop without an end, and a regular expression that tries everything, end whatever they catch."""
    assert HURRIED.evaluate(code, VALUE, {}, NOW, 7) == (None, javascript.TOO_SLOW)


@pytest.mark.parametrize(
    "code",
    [
        "new Array(4294967295).join()",
        "new Array(4294967295).sort()",
        "Array.prototype.unshift.call({length: 2 ** 52}, 1)",
        "String.raw({raw: {length: 2 ** 53 - 1}})",
        "JSON.stringify({}, new Array(4294967295))",
        "'a'.repeat(4e6).indexOf('a'.repeat(2e6) + 'b')",
        "'a'.repeat(4e6).replaceAll('a'.repeat(2e6) + 'b', '')",
        "(b => Array(1e5).fill(b).includes('a'.repeat(7e6 - 1) + 'c'))('a'.repeat(7e6))",
        "(b => new Set(Array(1e5).fill(b)).size)('a'.repeat(7e6))",
        "new RegExp('a|'.repeat(1e6)).test('b')",
        "(a => { for (let i = 0; i < 60; i++) a = [a, a]; return a })([])",
    ],
)
def test_what_cannot_be_interrupted_is_ended_too(code: str) -> None:
    """What the library does without ever looking up ends its process; the next expression finds another."""
    assert HURRIED.evaluate(code, VALUE, {}, NOW, 7) == (None, javascript.TOO_SLOW)
    assert HURRIED.evaluate("1", VALUE, {}, NOW, 7) == (1, None)


@pytest.mark.parametrize(
    "code",
    [
        "'x'.repeat(2e7)",
        "[...(function* () { for (;;) yield 1 })()]",
        "(() => { const a = []; for (;;) a.push('x'.repeat(1000) + a.length) })()",
        "Array.from({length: 4294967295})",
        "new Array(1e7).fill(0)",
        "(() => { let o = {}; for (;;) o = {o} })()",
        "(() => { try { [...(function* () { for (;;) yield 1 })()] } catch (e) { throw e } })()",
        "Math.max(...Array(1e7))",
    ],
)
def test_what_takes_too_much_memory_is_ended(code: str) -> None:
    """Whatever grows without an end ends at 16 MiB, and the next expression has all of them again."""
    assert run(code).fault == javascript.TOO_LARGE
    assert run("'x'.repeat(1e7).length") == (10_000_000, None)


def test_an_expression_that_cannot_be_compiled_in_time_is_refused() -> None:
    """Checking has the same limits as running."""
    assert HURRIED.check("1)}); for (;;); (function () { return (2") == javascript.TOO_SLOW
    assert HURRIED.check("1") is None


def test_more_data_than_can_be_read_is_a_fault() -> None:
    """An expression that reads more than 4 MiB of data says so."""
    answer = run("data.a.length", data={"a": "x" * javascript.DATA})
    assert answer == (None, javascript.TOO_MUCH)
    assert value("data.a.length", data={"a": "x" * (javascript.DATA - 100)}) == javascript.DATA - 100


@pytest.mark.parametrize("wrapped", ["[a]", "({a})"])
@pytest.mark.parametrize("inmost", ["1", "'\\ud83d'"])
def test_a_value_is_no_deeper_than_documents(wrapped: str, inmost: str) -> None:
    """A value that nests deeper than what comes in as JSON is a fault, however deep it is."""
    code = f"Array.from({{length: LEVELS}}).reduce((a) => {wrapped}, {inmost})"
    assert run(code.replace("LEVELS", "64")).fault is None
    for levels in ("65", "500", "950"):
        assert run(code.replace("LEVELS", levels)).fault == javascript.TOO_DEEP


def test_deep_recursion_is_a_fault() -> None:
    """A function that calls itself for ever, and data that nest without an end, are ended."""
    assert "Maximum call stack size exceeded" in str(run("(f => f(f))(f => 1 + f(f))").fault)
    assert (
        run("(() => { let a = []; for (let i = 0; i < 50000; i++) a = [a]; return a })()").fault is not None
    )


# ── the realm and its process ───────────────────────────────────────────────────────────────────────────────────────


def test_the_realm_is_made_anew_when_it_is_full() -> None:
    """More expressions than a realm keeps are compiled in the next one, and all go on working."""
    box = sandbox()
    for number in range(child.FUNCTIONS + 50):
        assert box.evaluate(f"{number}", VALUE, {}, NOW, 7).value == number
    assert box.evaluate("3", VALUE, {}, NOW, 7).value == 3


def test_memory_of_one_expression_is_not_missing_to_the_next() -> None:
    """Rubbish that an expression leaves, rings of objects too, does not add up."""
    box = sandbox()
    ring = "(() => { const a = []; for (let i = 0; i < 20000; i++) a.push({a}); return a.length })()"
    for _ in range(30):
        assert box.evaluate(ring, VALUE, {}, NOW, 7) == (20_000, None)


def test_time_that_was_spent_is_counted() -> None:
    """Whoever has a budget can see what expressions took, by the stopwatch that was handed in."""
    ticks = iter(range(0, 1_000, 10))
    box = javascript.Sandbox(lambda: next(ticks))
    box.evaluate("1", VALUE, {}, NOW, 7)
    assert box.spent == 10
    box.check("1")
    assert box.spent == 20


def test_checking_runs_nothing() -> None:
    """An expression that is only checked is not run."""
    assert SHARED.check("(() => { for (;;); })()") is None
    assert SHARED.check("null.x") is None


def test_a_process_that_somebody_ended_is_started_anew() -> None:
    """An expression is not to blame when its process is ended from outside."""
    box = sandbox()
    assert box.check("1") is None
    assert box._process is not None
    box._process._running.kill()
    assert box.evaluate("1", VALUE, {}, NOW, 7) == (1, None)
    box.close()
    assert box.evaluate("2", VALUE, {}, NOW, 7) == (2, None)


def test_a_sandbox_that_does_not_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process answers, twice, that is the expression's fault to tell."""
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    assert sandbox().evaluate("1", VALUE, {}, NOW, 7) == (None, javascript.BROKEN)


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_process_that_stands_still_is_started_anew(size: int) -> None:
    """One that was stopped takes nothing and answers nothing: another one is asked, and nobody waits for ever."""
    box = javascript.Sandbox(lambda: 0, seconds=2, still=2)
    assert box.evaluate("1 + 1", VALUE, {}, NOW, 7).value == 2
    assert box._process is not None
    os.kill(box._process._running.pid, signal.SIGSTOP)
    assert box.evaluate("data.length", VALUE, {"data": "x" * size}, NOW, 7).value == size
    box.close()


def test_the_process_ends_with_its_sandbox() -> None:
    """No process is left behind by a sandbox that nobody has any more."""
    box = sandbox()
    box.check("1")
    assert box._process is not None
    running = box._process._running
    del box
    gc.collect()
    assert running.poll() is not None


def test_the_process_knows_nothing_of_its_parent() -> None:
    """Settings and secrets of the environment are not handed on."""
    box = sandbox()
    box.check("1")
    assert box._process is not None
    environment = Path(f"/proc/{box._process._running.pid}/environ")
    assert not environment.exists() or environment.read_bytes() == b""
