"""Expressions: what conditions and fields of a journey take from its run."""

import contextlib
import json
from typing import Any

import msgspec
import pytest

from heliograph import errors, javascript
from heliograph.core import expressions, fields, scripts, values

NOW = 1_795_000_000_000_000
SANDBOX = javascript.Sandbox(lambda: 0)

CONTEXT = expressions.Context(
    data={
        "foo": "send-it",
        "n": 3,
        "email": "ana@company.com",
        "orders": [{"total": 300}, {"total": 5}],
        "token": "a/b c",
        "none": None,
        "user": {"first-name": "Ana", "tags": ["x", "y"]},
        "lastLogin": "2020-01-01T00:00:00Z",
    },
    profile={"locale": "en-us", "timezone": "Asia/Tokyo"},
    brand="b1",
    recipient="u1",
    steps={
        "welcome": expressions.send_reference(["OPENED", "SENT"]),
        "pause": expressions.step_reference("PROCESSED"),
        "gone": expressions.step_reference("SKIPPED"),
    },
)
SCOPE = expressions.Scope(CONTEXT, SANDBOX, NOW, expressions.seed(b"run", 0))


def holds(source: str) -> bool | str:
    """What a condition comes to, or why it does not."""
    judged = expressions.judge(expressions.condition(source, "if", SANDBOX), SCOPE)
    return judged.fault or judged.holds


def resolved(given: Any, role: fields.Role = fields.Role.STRUCTURE) -> Any:
    """A field's value."""
    return fields.resolve(fields.parse(given, "f", SANDBOX), SCOPE, "f", role)


def refused(given: Any) -> list[tuple[str, str]]:
    """What is wrong with a field's text."""
    with pytest.raises(errors.InvalidInput) as refusal:
        fields.parse(given, "steps[0]", SANDBOX)
    return [(fault.path, fault.message) for fault in refusal.value.faults]


def failing(given: Any, role: fields.Role = fields.Role.STRUCTURE) -> str:
    """Why a field cannot be resolved."""
    with pytest.raises(errors.RenderFailed) as refusal:
        resolved(given, role)
    return str(refusal.value.faults[0])


# ── conditions ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "truth"),
    [
        ("data.foo === 'send-it'", True),
        ("data.n === 3", True),
        ("data.email.toLowerCase().includes('@company.com')", True),
        ("'preferences' in data && data.preferences !== null", False),
        ("Date.parse(data.lastLogin) < Date.now() - (30 * 24 * 60 * 60 * 1000)", True),
        ("data.orders.filter(order => order.total > 100).length > 0", True),
        ("data.n < (new Date()).getTime()", True),
        ("profile.locale === 'en-us'", True),
        ("data.name === profile.name", True),
        ("refs.data.n == data.n && refs.profile.locale === profile.locale", True),
        ("recipient === 'u1' && brand === 'b1' && template === null", True),
        ("${data.n > 2}", True),
        ("data.n > 2 // or not", True),
        ("''", False),
        ("NaN", False),
    ],
)
def test_conditions_are_javascript(source: str, truth: bool) -> None:
    """Every example of the documentation holds or not as it does in JavaScript."""
    assert holds(source) is truth


@pytest.mark.parametrize(
    ("source", "truth"),
    [
        ("refs.welcome.status === 'SENT'", True),
        ("refs.welcome.status === MessageStatus.Sent", True),
        ("refs.welcome.status < MessageStatus.Opened", True),
        ("refs.welcome.status >= MessageStatus.Delivered", False),
        ("MessageStatus.Opened > refs.welcome.status", True),
        ("refs['welcome'].status <= 'SENT' && data.n > 2", True),
        ("refs.welcome?.status < 'DELIVERED' ? true : false", True),
        ("[1].some(x => refs.welcome.status < MessageStatus.Clicked)", True),
        ("(refs.welcome.status) < (MessageStatus.Opened)", True),
        ("(s => s < MessageStatus.Opened)(refs.welcome.status)", True),
        ("`${refs.welcome.status < MessageStatus.Opened}` === 'true'", True),
        ("refs.gone.status < MessageStatus.Enqueued", True),
        ("MessageStatus.Undeliverable < MessageStatus.Enqueued", True),
        ("MessageStatus.Enqueued < MessageStatus.Sent", True),
        ("MessageStatus.Simulated >= MessageStatus.Sent", True),
        ("refs.pause.status === 'PROCESSED'", True),
        ("refs.pause.status < MessageStatus.Sent || refs.pause.status >= MessageStatus.Sent", False),
        ("!'refs.welcome.status < MessageStatus.Opened'.includes('$rank')", True),
        ("refs.welcome.counts.OPENED === 1", True),
    ],
)
def test_statuses_are_text_and_have_an_order(source: str, truth: bool) -> None:
    """A message's status equals a text, and is compared by how far the message has come."""
    assert holds(source) is truth


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("refs.later.status === 'SENT'", "cannot read property 'status' of undefined"),
        ("data.x.y", "cannot read property 'y' of undefined"),
        ("nothing > 1", "nothing is not defined"),
        ("(() => { throw new Error('no way') })()", "no way"),
    ],
)
def test_a_condition_that_throws_does_not_hold_and_says_why(source: str, hint: str) -> None:
    """What a condition threw is told; the step is skipped with it."""
    assert hint in str(holds(source))


def test_an_empty_condition_is_none() -> None:
    """A step without `if`, or with an empty one, is taken."""
    for absent in (None, ""):
        assert expressions.condition(absent, "if", SANDBOX) is None
    assert expressions.judge(None, SCOPE) == (True, None)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("data.", "SyntaxError"),
        ("data.a ==== 1", "SyntaxError"),
        ("if (data.a) true", "SyntaxError"),
        ("return 1", "SyntaxError"),
        ("'abc", "a string is not closed"),
        ("`abc ${1", "` is missing at the end"),
        ("(1", ") is missing at the end"),
        ("1)", ") closes nothing"),
        ("1 /* 2", "a comment is not closed"),
        ("/[/", "a regular expression is not closed"),
        ("1) || (2", ") closes nothing"),
        ("1; 2", "SyntaxError"),
        ("refs.a.status < MessageStatus.Opend", 'unknown message status "Opend", did you mean "Opened"?'),
        ("10n > 5", "numbers such as 10n are not available: write 10"),
        ("   ", "is empty"),
        ("x" * 10_001, "10,000 characters"),
        ("// nothing", "is empty"),
        (5, "is a JavaScript expression, as text"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(source: object, hint: str) -> None:
    """What is no expression is a fault of the definition, not of its runs."""
    with pytest.raises(errors.InvalidInput) as refusal:
        expressions.condition(source, "steps[1].if", SANDBOX)
    assert hint in str(refusal.value)
    assert refusal.value.faults[0].path == "steps[1].if"


# ── fields ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("plain", "plain"),
        (5, 5),
        (None, None),
        ({"$ref": "data.n"}, 3),
        ({"$ref": "refs.data.n"}, 3),
        ({"$ref": "welcome.status"}, "SENT"),
        ({"$ref": "recipient"}, "u1"),
        ({"$ref": "data"}, CONTEXT.data),
        ("refs.data.orders[0].total", 300),
        ("refs.data.orders.1.total", 5),
        ('refs.data.user["first-name"]', "Ana"),
        ("refs.data.user.first-name", "Ana"),
        ("refs.data.user.tags.length", 2),
        ("refs.welcome.status", "SENT"),
        ("refs.welcome", {"status": "SENT", "counts": {"OPENED": 1, "SENT": 1}}),
        ("refs.data.missing", None),
        ("refs.later.status", None),
        ("refs.data.orders[7]", None),
        ("onboarding-refs.data.n", "onboarding-refs.data.n"),
        ("refs.data.n is a literal here", "refs.data.n is a literal here"),
        ("data", "data"),
        ("${data.n}", 3),
        ("${data.orders}", [{"total": 300}, {"total": 5}]),
        ("${({a: {b: 1}})}", {"a": {"b": 1}}),
        ("${data.missing}", None),
        ("${`onboarding-${data.n}`}", "onboarding-3"),
        ("${data.foo + '-' + data.n}", "send-it-3"),
        ("${data.foo}-${data.n}", "send-it-3"),
        ("Bearer ${refs.data.foo}", "Bearer send-it"),
        ("${profile.language || 'en'}", "en"),
        ("a ${'}'} b ${/}/.test('}')} c", "a } b true c"),
        ("${(() => { return 1 })()}!", "1!"),
        ("${'${'}", "${"),
        ("$5 {x} $ {y}", "$5 {x} $ {y}"),
        ("${1}${2}", "12"),
        ("${data.user} and ${data.user.tags}", '{"first-name":"Ana","tags":["x","y"]} and x,y'),
        ("${1.50} ${true} ${1e21}", "1.5 true 1e+21"),
        (
            {"a": ["x", {"b": "${data.n + 1}"}], "c": {"$ref": "data.missing"}},
            {"a": ["x", {"b": 4}], "c": None},
        ),
    ],
)
def test_fields(given: Any, value: Any) -> None:
    """Each way of taking a value from the run gives it with its type, at any depth; a partial one gives text."""
    assert resolved(given) == value


def test_a_literal_field_is_itself() -> None:
    """A field in which nothing is dynamic is known to be one."""
    given = {"a": [1, {"b": "c"}]}
    assert fields.parse(given, "f", SANDBOX) == fields.Literal(given)


@pytest.mark.parametrize(
    ("given", "path", "hint"),
    [
        ("${data.", "steps[0]", "} is missing at the end"),
        ("${data. }", "steps[0]", "SyntaxError"),
        ("a ${} b", "steps[0]", "is empty"),
        ({"x": ["${1 +}"]}, "steps[0].x[0]", "SyntaxError"),
        ({"$ref": 5}, "steps[0]", "is a path into the run"),
        ({"$ref": "data..x"}, "steps[0]", "is a path into the run"),
        ({"$ref": "refs"}, "steps[0]", "says nothing of what to read"),
        ({"$ref": "data.x", "y": 1}, "steps[0]", "write it alone"),
    ],
)
def test_a_field_that_cannot_be_read_is_refused(given: Any, path: str, hint: str) -> None:
    """A fault of a field names its place, however deep."""
    ((place, message),) = refused(given)
    assert place == path
    assert hint in message


def test_every_fault_of_a_field_is_found() -> None:
    """One refusal tells all that is wrong."""
    assert [path for path, _ in refused({"a": "${", "b": ["${}", {"$ref": 1}]})] == [
        "steps[0].a",
        "steps[0].b[0]",
        "steps[0].b[1]",
    ]


@pytest.mark.parametrize(
    ("given", "role", "hint"),
    [
        ("Hi ${data.missing}", "STRUCTURE", "f: ${data.missing} is missing, so the text would have a hole"),
        ("Hi ${data.none}", "MESSAGE", "would have a hole"),
        ("${data.missing}", "MESSAGE", "f: ${data.missing} is missing"),
        ({"body": ["refs.data.missing"]}, "MESSAGE", "f.body[0]: data.missing is missing"),
        ({"$ref": "data.none"}, "URL", "data.none is missing"),
        ("${data.x.y}", "STRUCTURE", "f: ${data.x.y}: TypeError: cannot read property 'y' of undefined"),
        ("${NaN}", "STRUCTURE", "gives NaN, which is no value"),
        ("x ${1 / 0}", "STRUCTURE", "gives Infinity"),
        ("${() => 1}", "STRUCTURE", "gives a function"),
        ("${Symbol('x')}", "STRUCTURE", "gives a symbol"),
    ],
)
def test_a_field_that_cannot_be_resolved_says_why(given: Any, role: str, hint: str) -> None:
    """What throws, and what would leave a hole in a text, raises with its place."""
    assert hint in failing(given, fields.Role[role])


def test_values_in_urls_are_encoded() -> None:
    """What is put into a longer URL is a part of it and nothing more; one that is wholly a value is taken as it is."""
    assert resolved("https://x.test/u/${data.token}?q=${'a&b=é'}", fields.Role.URL) == (
        "https://x.test/u/a%2Fb%20c?q=a%26b%3D%C3%A9"
    )
    assert resolved("https://x.test/${'..'}/a/${'../b'}", fields.Role.URL) == "https://x.test/%2E%2E/a/..%2Fb"
    assert resolved("${'https://x.test/a b'}", fields.Role.URL) == "https://x.test/a b"
    assert fields.encoded("-_.!~*'()") == "-_.!~*'()"


# ── what is read ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("data.n > 1", {"data"}),
        ("refs.welcome.status < MessageStatus.Opened", {"refs.welcome"}),
        ("refs.data.n", {"data"}),
        ("refs?.profile", {"profile"}),
        ("x.data.profile", set()),
        ("'data.n'", set()),
        ("`${brand}`", {"brand"}),
        ("[...data.orders]", {"data"}),
        ("profile.of / data.total / 2", {"profile", "data"}),
        ("profile?.in /data.total/ 2", {"profile", "data"}),
        ("typeof /data/", set()),
        ("1", set()),
    ],
)
def test_what_an_expression_reads(source: str, reads: set[str]) -> None:
    """The roots and steps that an expression looks at are known from its text."""
    assert scripts.reads(scripts.tokens(source)) == reads


@pytest.mark.parametrize(
    "source", ["refs['da' + 'ta']", "Object.keys(refs)", "d\\u0061ta.n", "refs.\\u0064ata"]
)
def test_what_cannot_be_told_is_everything(source: str) -> None:
    """Where the text does not say what is read, everything may be."""
    assert scripts.reads(scripts.tokens(source)) == {*scripts.ROOTS, "refs"}


def test_a_field_reads_what_its_parts_read() -> None:
    """Reads of a structure are those of all it holds."""
    field = fields.parse({"a": ["refs.welcome.status"], "b": "${data.n} ${brand}"}, "f", SANDBOX)
    assert field.reads == {"refs.welcome", "data", "brand"}


# ── steps ───────────────────────────────────────────────────────────────────────────────────────────


def test_references_of_sends() -> None:
    """A send to several is as far as the least of its messages."""
    assert expressions.send_reference(["CLICKED", "SENT", "SENT"]) == {
        "status": "SENT",
        "counts": {"CLICKED": 1, "SENT": 2},
    }
    assert expressions.send_reference(["SENT", "UNMAPPED"])["status"] == "UNMAPPED"
    assert expressions.send_reference([])["status"] == "UNROUTABLE"


@pytest.mark.parametrize("name", ["data", "profile", "refs", "brand", "template", "recipient"])
def test_reserved_names(name: str) -> None:
    """No step may be called as a part of the run is."""
    with pytest.raises(errors.InvalidInput, match="choose another name"):
        expressions.check_ref(name, "steps[0].ref")


def test_names_of_steps() -> None:
    """A step's name is one that can stand in an expression."""
    assert expressions.check_ref("$my_ref2", "ref") == "$my_ref2"
    for wrong in ("my-ref", "1st", "", "é", 5, "a" * 101):
        with pytest.raises(errors.InvalidInput, match="is a name of letters"):
            expressions.check_ref(wrong, "ref")


def test_random_numbers_are_those_of_the_step() -> None:
    """The same step of the same run draws the same numbers; another step, run or expression draws others."""
    drawn = {}
    for name, run, visit, source in [
        ("one", b"a", 0, "${Math.random()}"),
        ("again", b"a", 0, "${Math.random()}"),
        ("visit", b"a", 1, "${Math.random()}"),
        ("run", b"b", 0, "${Math.random()}"),
        ("source", b"a", 0, "${ Math.random()}"),
    ]:
        scope = msgspec.structs.replace(SCOPE, seed=expressions.seed(run, visit))
        drawn[name] = fields.resolve(fields.parse(source, "f", SANDBOX), scope, "f")
    assert drawn["one"] == drawn["again"]
    assert len(set(drawn.values())) == 4
    assert all(0 <= number < 1 for number in drawn.values())


def test_undefined_is_told_apart_from_null() -> None:
    """Whoever asks can tell a value that is null from one that is not there."""
    for source, value in [("data.none", None), ("data.missing", values.MISSING)]:
        made = expressions.script(source, "f", SANDBOX)
        assert made.answer(SCOPE, expressions.Want.VALUE) == (value, None)


def test_a_replay_gives_the_same_to_the_byte() -> None:
    """The same fields in the same scope come to the same JSON in another sandbox, in another process."""
    given = {
        "drawn": "${[Math.random(), Math.random()]}",
        "at": "${new Date()} ${Date.now()}",
        "sorted": "${data.orders.map(o => o.total).sort()}",
        "keys": "${Object.keys({b: 1, a: 2, 1: 3})} ${0.1 + 0.2}",
        "steps": ["refs.welcome", {"$ref": "data.user"}],
    }
    field = fields.parse(given, "f", SANDBOX)
    told = []
    for _ in range(2):
        with contextlib.closing(javascript.Sandbox(lambda: 0)) as box:
            told.append(json.dumps(fields.resolve(field, msgspec.structs.replace(SCOPE, evaluator=box), "f")))
    assert told[0] == told[1] == json.dumps(fields.resolve(field, SCOPE, "f"))
