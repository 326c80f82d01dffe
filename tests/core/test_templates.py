"""Templates: what Liquid gives, filled fast, reading nothing but the context and the instant, and always ending."""

from typing import Any

import liquid
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import template_sandbox, templates

NOW = 1_001_937_600_000_000
"""2001-10-01T12:00:00Z: long ago, so that a clock that was read would show."""

CONTEXT = templates.context_for(
    {
        "order_id": "A-1",
        "total": 12.5,
        "count": 3,
        "paid": True,
        "note": None,
        "items": [
            {"name": "Tea & co", "price": 3.5, "tags": ["hot"]},
            {"name": "Mug", "price": 8, "tags": []},
        ],
        "html": "<b>bold</b>",
        "liquid": "{{ order_id }}",
        "lines": "one\r\ntwo",
        "contact": "hidden by the root",
    },
    contact={"given_name": "Ann", "locale": "en"},
    event={"occurred_at": "2026-05-03T23:30:00Z", "type": "order"},
)


def filled(source: str, context: templates.Context = CONTEXT, *, escape: bool = False) -> str:
    return templates.compile_text(source, escape=escape).fill(context, NOW)


def by_library(source: str, context: templates.Context = CONTEXT, *, escape: bool = False) -> str:
    return liquid.Environment(autoescape=escape).from_string(source).render(context)


def refusal(source: str, context: templates.Context = CONTEXT) -> str:
    """What is said of a text that cannot be filled."""
    text = templates.compile_text(source, "actions[0].text")
    with pytest.raises(errors.RenderFailed) as failed:
        text.fill(context, NOW)
    assert failed.value.code == "render_failed"
    assert failed.value.faults[0].path == "actions[0].text"
    return failed.value.faults[0].message


def faults_of(source: Any, path: str = "text") -> list[tuple[str, str]]:
    with pytest.raises(errors.InvalidInput) as refused:
        templates.compile_value(source, path)
    return [(fault.path, fault.message) for fault in refused.value.faults]


# ── plain texts ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "source", ["", "Hello", "a { single } brace", "a{b:c}@media x{y{z:1}}", "{name} } {", "100 %} {"]
)
def test_a_text_without_tags_stays_as_it_is(source: str) -> None:
    """Single braces, CSS and JSON are text: filling gives the source itself."""
    text = templates.compile_text(source)
    assert text.is_static
    assert text.fill({}, NOW) is source


def test_what_is_missing_is_empty() -> None:
    """Neither an unknown root nor a path that breaks off on the way, or is null, leaves a trace."""
    assert (
        filled("<{{ nope }}{{ nope.a.b }}{{ contact.nope }}{{ total.x }}{{ note }}{{ note.x }}{{ items.x }}>")
        == "<>"
    )


def test_values_are_never_rendered_twice() -> None:
    """A value that looks like a template is put out as it is, by every way of filling."""
    assert filled("{{ liquid }}") == "{{ order_id }}"
    assert filled("{% if paid %}{{ liquid | strip }}{% endif %}") == "{{ order_id }}"
    assert (
        templates.compile_value(["{{ liquid }}", "{{ liquid | strip }}"]).fill(CONTEXT, NOW)
        == ["{{ order_id }}"] * 2
    )


def test_only_html_parts_escape() -> None:
    """With `escape` outputs are escaped once and literal text is not; without it nothing is."""
    for source in (
        "<p>{{ html }}</p>",
        "<p>{{ html | strip }}</p>",
        "{% if paid %}<p>{{ html }}</p>{% endif %}",
    ):
        assert filled(source) == "<p><b>bold</b></p>"
        assert filled(source, escape=True) == "<p>&lt;b&gt;bold&lt;/b&gt;</p>"
    assert filled("{{ html | escape }}", escape=True) == "&lt;b&gt;bold&lt;/b&gt;"


def test_line_ends_stay_as_they_are() -> None:
    """A carriage return passes through texts, values and captures."""
    assert filled("a\r\n{{ lines }}") == "a\r\none\r\ntwo"
    assert (
        filled("a\r\n{{ lines | strip }}{% capture x %}x\r\n{% endcapture %}{{ x }}")
        == "a\r\none\r\ntwox\r\n"
    )


NAMES = st.sampled_from(["a", "b", "size", "first", "last", "x-y", "partial_"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["<a href='x'>", "a & b", '"', "{{ a }}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
STEPS = NAMES.map(lambda name: f".{name}") | st.sampled_from(["[0]", "[-1]", "['b']", '["size"]'])
OUTPUTS = st.builds(
    lambda root, steps, dashes: f"{{{{{dashes[0]} {root}{''.join(steps)} {dashes[1]}}}}}",
    NAMES,
    st.lists(STEPS, max_size=3),
    st.sampled_from(["  ", "- ", " -", "--"]),
)
LITERALS = st.sampled_from(["", " ", "Hello ", "<p>", "{x}", "\n y", "é", "{% raw %}{{ a }}{% endraw %}"])


@given(
    st.lists(st.tuples(LITERALS, OUTPUTS), min_size=1, max_size=4),
    st.dictionaries(NAMES, VALUES),
    st.booleans(),
)
def test_plain_outputs_are_filled_as_all_others_are(
    parts: list[tuple[str, str]], context: dict[str, Any], escape: bool
) -> None:
    """A text of literal parts and plain paths, filled without the library, has the characters that it gives."""
    source = "".join(literal + output for literal, output in parts)
    slowly = f"{source}{{% comment %}}{{% endcomment %}}"
    assert filled(source, context, escape=escape) == filled(slowly, context, escape=escape)


# ── the library, bounded ────────────────────────────────────────────────────────────────────────────

TEMPLATES = (
    "{% for one in items %}{{ forloop.index }}/{{ forloop.length }} {{ one.name | upcase }}, {% endfor %}",
    "{% for one in items reversed %}{{ one.name }}{% if forloop.last %}.{% else %}, {% endif %}{% endfor %}",
    "{% for one in nope %}x{% else %}none{% endfor %}",
    "{% for n in (1..5) %}{% if n == 4 %}{% break %}{% elsif n == 2 %}{% continue %}{% endif %}{{ n }}{% endfor %}",
    "{% for one in items limit: 1 offset: 1 %}{% for tag in one.tags %}{{ tag }}{% endfor %}{% endfor %}",
    "{% for pair in contact %}{{ pair[0] }}={{ pair[1] }};{% endfor %}",
    "{% tablerow one in items cols: 2 %}{{ one.name }}{% endtablerow %}",
    "{% assign name = contact.given_name | default: 'friend' %}Hi {{ name }}{{ contact.nope | default: 'you' }}",
    "{% capture line %}{{ count }} × {{ total }}{% endcapture %}{{ line }}{{ line.size }}",
    "{% case count %}{% when 1, 2 %}few{% when 3 %}three{% else %}many{% endcase %}",
    "{% unless paid %}pay{% else %}thanks{% endunless %}{% if note == nil and total > 10 or false %}!{% endif %}",
    "{% if html contains '<b>' %}bold{% endif %}{% if items == empty %}none{% endif %}{% if note == blank %}{%endif%}",
    "{% cycle 'a', 'b' %}{% cycle 'a', 'b' %}{% increment n %}{% increment n %}{% decrement m %}",
    "{% for one in items %}{% ifchanged %}{{ one.tags.size }}{% endifchanged %}{% endfor %}",
    "{% comment %}{{ nope {% if %} {% comment %}x{% endcomment %}{% endcomment %}{% # note %}{% doc %}d{% enddoc %}ok",
    "{% liquid\nassign x = count | plus: 1\nif x > 3\necho x\nendif %}",
    "{%- if paid -%}  yes  {%- endif -%}  .",
    "{{ items | map: 'name' | join: ', ' }}{{ items | where: 'name', 'Mug' | map: 'price' | first }}",
    "{{ items | map: 'price' | sum }} {{ items | sort: 'name' | map: 'name' | join }}{{ items | size }}",
    "{{ 'b,a,b' | split: ',' | uniq | sort | join: '-' }}{{ 'a,b' | split: ',' | concat: items | size }}",
    "{{ html | strip_html }}{{ html | replace: 'b', 'i' }}{{ html | replace: '', '-' }}{{ html | remove: '<b>' }}",
    "{{ lines | newline_to_br }}{{ 'a b' | url_encode }}{{ 'aGk=' | base64_decode }}{{ lines | truncate: 5 }}",
    "{{ total | times: 2 | minus: 1 | round }}{{ count | divided_by: 2 }}{{ '7' | plus: 1 }}{{ 9.99 | ceil }}",
    "{{ (1..3) | join: '+' }}{{ (1..3) }}{{ items[0]['name'] }}{{ items.last.name }}{{ items[count] }}",
    "{{ html | safe }}{{ html | escape_once }}{{ '<hr>' }}{{ html | append: '<hr>' }}{{ paid }}{{ 1.0 }}{{ nil }}",
    "{{ [order_id] }}{{ contact[order_id].x }}{{ items[0][liquid] }}{{ order_id | slice: 0, 2 }}",
)


@pytest.mark.parametrize("escape", [False, True])
@pytest.mark.parametrize("source", TEMPLATES)
def test_the_sandbox_changes_nothing_that_it_allows(source: str, escape: bool) -> None:
    """Tags and filters within the bounds give what the library gives without bounds."""
    assert filled(source, escape=escape) == by_library(source, escape=escape)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ flags | join: '-' }}", "true--1-false-0-a"),
        ("{{ flags }}", "true1false0a"),
        ("{% echo flags %}", "true1false0a"),
        ("{{ flags | append: '!' }}", "true1false0a!"),
        ("{{ flags[0] | capitalize }}{{ 'is ' | append: flags[3] }}", "Trueis false"),
        ("{{ order }}", '{"paid":true,"by":null,"n":1180591620717411303424}'),
        ("{% if order %}{{ order | json }}{% endif %}", '{"paid":true,"by":null,"n":1180591620717411303424}'),
        ("{{ orders }}", '{"paid":true,"by":null,"n":1180591620717411303424}'),
        ("{{ order.first }}", "paidtrue"),
        ("{% cycle orders, 1 %}", '{"paid":true,"by":null,"n":1180591620717411303424}'),
        ("{% for one in flags %}{% cycle flags: one, order.by %}{% endfor %}", "true10"),
        ("{% cycle nothing %}", ""),
        ("{{ flags | safe }}", "true1false0a"),
        ("{{ order.paid | safe }}{{ order.paid | escapejs }}", "truetrue"),
        ("{{ 'a,b' | split: ',' | join: order.paid }}", "atrueb"),
        ("{% cycle 'g': 1, 2 %}{% cycle 'g': 1 %}", "1"),
    ],
)
def test_values_in_texts_have_no_words_of_python(source: str, text: str) -> None:
    """A list is written item after item, an object as JSON, null as nothing; a library writes None, True, {'a': 1}."""
    order = {"paid": True, "by": None, "n": 2**70}
    context = {"flags": [True, None, 1, False, 0, ["a"]], "order": order, "orders": [order]}
    assert filled(source, context) == text
    assert filled(source, context, escape=True) == text.replace('"', "&#34;")


def test_a_long_digest_is_within_the_bounds() -> None:
    """A list of two thousand articles, each with a few outputs and a condition, is filled."""
    articles = [{"title": f"Article {number}", "price": number} for number in range(2000)]
    shown = "{% if one.price > 5 %}{{ one.title | upcase }}: {{ one.price }}\n{% endif %}"
    source = f"{{% for one in articles %}}{shown}{{% endfor %}}"
    assert filled(source, {"articles": articles}) == by_library(source, {"articles": articles})


DATA: dict[str, Any] = {
    "long": "x" * 200_000,
    "marks": "&<>" * 60_000,
    "numbers": list(range(20_000)),
    "rows": [{"a": number} for number in range(5_000)],
}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% for a in (1..1000) %}" * 9 + "x" + "{% endfor %}" * 9, "loops more than 50,000 times"),
        ("{% for a in (1..50000) %}{% endfor %}" * 400, "too many steps"),
        ("{% for a in (1..50000) %}{{ long | upcase | size }}{% endfor %}", "too many steps"),
        ("{% for a in (1..50000) %}{% if long contains 'y' %}{% endif %}{% endfor %}", "too many steps"),
        ("{% for a in (1..50000) %}{% if rows == rows %}{% endif %}{% endfor %}", "too many steps"),
        (
            "{% for a in (1..9000) %}" + "{% if 1 == 2 or 2 == 3 %}{% endif %}" * 900 + "{% endfor %}",
            "too many steps",
        ),
        ("{% tablerow a in (1..50000) %}" + "{% assign x = 1 %}" * 9 + "{% endtablerow %}", "too many steps"),
        ("{{ rows | uniq | size }}", "too many steps"),
        ("{{ marks | strip_html }}", "too many steps"),
        ("{% for a in (1..50000) %}{{ 'now' | date: '%c%c%c%c' | size }}{% endfor %}", "too many steps"),
        ("{% for a in (1..99999999999) reversed %}{% endfor %}", "a range may have 50,000 numbers"),
        ("{{ (1..99999999999) | join: ',' }}", "a range may have 50,000 numbers"),
        ("{{ long }}" * 6, "puts out more than 1,048,576 bytes"),
        ("{{ long }}{{ long | strip }}" * 6, "puts out more than 1,048,576 bytes"),
        ("{% assign x = 'abcdefgh' %}" + "{% assign x = x | append: x %}" * 60, "makes values of more than"),
        (
            "{% assign x = 'abcdefgh' %}" + "{% capture x %}{{ x }}{{ x }}{% endcapture %}" * 60,
            "puts out more than",
        ),
        ("".join(f"{{% assign x{n} = long %}}" for n in range(6)), "makes values of more than"),
        ("{% assign x = numbers %}" + "{% assign x = x | concat: x %}" * 60, "makes values of more than"),
        (
            "{% assign x = long | split: '#' %}" + "{% assign x = x | concat: x %}" * 9,
            "makes values of more than",
        ),
        ("{{ 'aaaaaaaa'" + " | replace: 'a', 'aaaaaaaa'" * 50 + " }}", "would make a text of more than"),
        ("{{ long | split: '' | size }}", "makes values of more than"),
        ("{{ numbers | join: long }}", "would make a text of more than"),
        ("{% assign x = 9 %}" + "{% assign x = x | times: x %}" * 60, "a number of more than 300 digits"),
    ],
)
def test_a_hostile_template_is_stopped(source: str, message: str) -> None:
    """Loops, values, numbers and output that would go on growing end in a clear refusal."""
    assert message in refusal(source, DATA)


def test_a_value_of_many_texts_is_bounded_as_a_whole() -> None:
    """Naming one large value a thousand times does not make an endless body, though nothing is copied."""
    value = templates.compile_value({"rows": ["{{ long }}"] * 1000}, "body")
    with pytest.raises(errors.RenderFailed, match="body: makes a value of more than 1,048,576 bytes"):
        value.fill(DATA, NOW)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("\n{{ 's' | base64_decode }}", "line 2: invalid base64-encoded string"),
        ("{{ count | divided_by: 0 }}", "line 1: divided_by: can't divide by 0"),
        ("{{ huge }}", "cannot be filled: Exceeds the limit"),
        ("{{ huge | append: '' }}", "cannot be filled: Exceeds the limit"),
        (
            "{{ '2026-01-01' | date: '%d', 'x' }}{{ event.occurred_at | date: '%d', 'Mars/Olympus' }}",
            "unknown time zone",
        ),
        ("{{ 'now' | date: '%d', '../../etc/passwd' }}", "unknown time zone"),
    ],
)
def test_what_a_filter_cannot_do_fails_that_text(source: str, message: str) -> None:
    """Whatever goes wrong in filling is a RenderFailed that says where, never another error."""
    assert message in refusal(source, {**CONTEXT, "huge": 10**5000})


class Thing:
    """An object of Python's, with what a template must not see."""

    secret = "secret"

    def __getitem__(self, key: str) -> str:
        return "secret"

    def __str__(self) -> str:
        return "thing"


@pytest.mark.parametrize(
    "path",
    [
        "name.upper",
        "name.__class__",
        "names.__class__.__mro__",
        "names.append",
        "contact.keys",
        "contact.__class__",
    ],
)
def test_nothing_of_python_is_reached(path: str) -> None:
    """Attributes, methods and dunders of the values are not there, by either way of filling."""
    context = {"name": "Ann", "names": ["Ann"], "contact": {"a": 1}}
    assert filled(f"{{{{ {path} }}}}", context) == ""
    assert filled(f"{{{{ {path} | default: 'none' }}}}", context) == "none"
    assert (
        filled(
            f"{{% assign x = {path} %}}{{% if x %}}there{{% endif %}}{{{{ names | map: '__class__' }}}}",
            context,
        )
        == ""
    )


def test_an_object_is_not_walked() -> None:
    """In the sandbox only mappings and sequences have something below them."""
    assert (
        filled(
            "{{ thing.secret | strip }}{{ thing['a'] | strip }}{{ thing.size | strip }}", {"thing": Thing()}
        )
        == ""
    )


@pytest.mark.parametrize(
    "source", ["{% include 'a' %}", "{% render 'a' %}", "{% layout 'a' %}", "{% extends 'a' %}"]
)
def test_no_template_loads_another(source: str) -> None:
    """There is no tag that reads a file."""
    assert "unexpected tag" in faults_of(source)[0][1]


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\n\n{{ b", 'line 3: "{{" is not closed by "}}"'),
        ("a\n{% b", 'line 2: "{%" needs a tag\'s name and a closing "%}"'),
        ("{% %}", 'line 1: "{%" needs a tag\'s name and a closing "%}"'),
        ("\n{{ }}", "line 2: expected a primitive expression, found its end"),
        ("{{ a b }}", "line 1: expected end of expression, found word"),
        ("{{ a | upcas }}", 'line 1: unknown filter "upcas", did you mean "upcase"?'),
        ("{% if a %}", "at the end: expected tag endif, found its end"),
        ("\n{% endif %}", "line 2: unexpected tag 'endif'"),
        ("{% frobnicate %}", "line 1: unexpected tag 'frobnicate'"),
        ("{{ a if b else c }}", "line 1: disallowed ternary expression"),
        ("{% if a %}" * 40 + "{% endif %}" * 40, "line 1: nests more than 30 blocks"),
        ("{{ a." + "b" * 5000 + " }}", "line 1: a tag has more than 4,096 characters"),
        ("{{ " + "a[" * 1300 + "b" + "]" * 1300 + " }}", "nests too deeply"),
        ("{{ a }}" + "x" * 262_144, "a template may have 262,144 characters"),
    ],
)
def test_a_fault_names_its_place_and_line(source: str, message: str) -> None:
    """A text that cannot be read is refused with the path it came from, its line and the fault."""
    with pytest.raises(errors.InvalidInput) as refused:
        templates.compile_text(source, "actions[1].text")
    assert refused.value.faults == (("actions[1].text", message),)


def test_all_faults_of_a_value_are_told_at_once() -> None:
    """Each broken string of a structure is named by its place, each unknown filter of a string by its line."""
    source = {"a": ["{{ fine }}", "{{ x"], "b": {"c": "{{ x | upcas }}\n{{ y | datee }}"}, "d": "plain"}
    assert faults_of(source, "body") == [
        ("body.a[1]", 'line 1: "{{" is not closed by "}}"'),
        ("body.b.c", 'line 1: unknown filter "upcas", did you mean "upcase"?'),
        ("body.b.c", 'line 2: unknown filter "datee", did you mean "date"?'),
    ]
    assert faults_of("{{", "")[0][0] == ""
    assert faults_of({"a": "{{"}, "")[0][0] == "a"
    assert list(templates.faults(body=source, text=None, url="{{ y")) == [
        *faults_of(source, "body"),
        ("url", 'line 1: "{{" is not closed by "}}"'),
    ]


PIECES = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "-",
        " ",
        "\n",
        "a",
        "raw",
        "endraw",
        "comment",
        "endcomment",
        "doc",
        "enddoc",
        "if",
        "#",
        "{",
        "}",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_tokens_are_the_libraries(source: str) -> None:
    """Whatever the library can cut is cut into the same tokens; what it cannot is refused."""
    assume(not source.endswith("\n"))  # after `-}}` the library loses a last line end
    ours, theirs = template_sandbox.Environment(), liquid.Environment()

    def cut(environment: liquid.Environment) -> list[tuple[str, str]] | None:
        try:
            return [(token.kind, token.value) for token in environment.tokenizer()(source)]
        except liquid.exceptions.LiquidSyntaxError:
            return None

    expected = cut(theirs)
    if expected is not None:
        # The library cuts a text at a last line end; together they are the same.
        assert cut(ours) == expected
    else:
        assert cut(ours) is None


@pytest.mark.parametrize(
    "source", ["{{" + " " * 200_000, "{% if" + " " * 200_000, "{% comment %}" + "{% a " * 50_000]
)
def test_what_is_never_closed_is_refused_at_once(source: str) -> None:
    """Unclosed tags and long blanks, over which the library's lexer goes again and again for minutes, cost nothing."""
    assert faults_of(source)[0][1].startswith("line 1: ")


@pytest.mark.parametrize("inside", ["{% raw %}" * 25_000, "{{ a " * 45_000, ("{{" + " " * 400) * 600])
def test_comments_hold_anything(inside: str) -> None:
    """What is not closed in a comment is not looked for again and again either."""
    assert filled("a{% comment %}" + inside + "{% endcomment %}b") == "ab"


# ── time ────────────────────────────────────────────────────────────────────────────────────────────


def test_now_is_the_instant_handed_in() -> None:
    """Every way to say now gives the fill's own instant, and another instant gives another text."""
    source = (
        "{{ now }}|{{ today }}|{{ 'now' | date: '%F %T' }}|{{ 'today' | date: '%F' }}|{{ now | date: '%s' }}"
    )
    text = templates.compile_text(source)
    assert text.fill({}, NOW) == "2001-10-01T12:00:00Z|2001-10-01|2001-10-01 12:00:00|2001-10-01|1001937600"
    assert text.fill({}, NOW + 86_400_000_000).startswith("2001-10-02T12:00:00Z|2001-10-02|")
    assert (
        templates.compile_text("{{ now }}").fill({"now": "the payload's", "today": 1}, NOW)
        == "2001-10-01T12:00:00Z"
    )
    assert templates.compile_value("{{ now }}").fill({}, NOW) == "2001-10-01T12:00:00Z"


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("'2026-05-03T23:30:00Z' | date: '%d %B %Y'", "03 May 2026"),
        ("'2026-05-03T23:30:00Z' | date: '%A %-d %b, %-I:%M %p', 'Asia/Tokyo'", "Monday 4 May, 8:30 AM"),
        ("'2026-05-03T23:30:00Z' | date: '%F %H:%M %Z %z', 'America/New_York'", "2026-05-03 19:30 EDT -0400"),
        ("'2026-05-03T23:30:00+02:00' | date: '%F %H:%M %:z'", "2026-05-03 23:30 +02:00"),
        ("'2026-05-03 23:30' | date: '%F %H:%M %Z'", "2026-05-03 23:30 UTC"),
        ("'1990-05-01' | date: '%F', 'America/New_York'", "1990-05-01"),
        ("'2026-05-03T23:30:00Z' | date: '%F', nope", "2026-05-03"),
        ("'now' | date: '%F %H:%M', 'Asia/Kolkata'", "2001-10-01 17:30"),
        ("0 | date: '%F %T'", "1970-01-01 00:00:00"),
        ("'1700000000' | date: '%F'", "2023-11-14"),
        ("'1700000000' | date: '%F %H:%M', 'Asia/Tokyo'", "2023-11-15 07:13"),
        ("1700000000.5 | date: '%s %3N %L'", "1700000000 500 500"),
        ("-86400 | date: '%F %s'", "1969-12-31 -86400"),
        ("'soon' | date: '%F'", "soon"),
        ("99999999999999999999 | date: '%F'", "99999999999999999999"),
        ("'2026-05-03' | date", "2026-05-03"),
        ("nope | date: '%F'", ""),
        ("nil | date: '%F'", ""),
        ("true | date: '%F'", "true"),
    ],
)
def test_dates_are_written_the_same_everywhere(expression: str, text: str) -> None:
    """A date needs no machine's zone: its own offset holds, or the zone given, else UTC; what is no date stays."""
    pattern = "{{ " + expression + " }}"
    assert filled(pattern) == text
    assert filled(pattern, escape=True) == text


def test_a_date_pattern_may_hold_html() -> None:
    """In an HTML part the author's pattern is trusted and the data is not."""
    assert filled("{{ 'now' | date: '<b>%Y</b>' }}", escape=True) == "<b>2001</b>"
    assert filled("{{ 'now' | date: html }}", escape=True) == "&lt;b&gt;bold&lt;/b&gt;"
    assert filled("{{ html | date: '%Y' }}", escape=True) == "&lt;b&gt;bold&lt;/b&gt;"


# ── values ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ count }}", 3),
        ("{{- total -}}", 12.5),
        ("{{ paid }}", True),
        ("{{ note }}", None),
        ("{{ items }}", CONTEXT["items"]),
        ("{{ items[0].tags }}", ["hot"]),
        ("{{ contact }}", {"given_name": "Ann", "locale": "en"}),
        ("{{ contact.first }}", ["given_name", "Ann"]),
        ("{{ items.size }}", 2),
        ("{{ nope.x }}", ""),
        ("{{ nope.x | upcase }}", ""),
        ("{{ count | plus: 1 }}", 4),
        ("{{ (1..3) }}", [1, 2, 3]),
        ("{{ items | map: 'nope' }}", [None, None]),
        ("{{ 'text' }}", "text"),
        ("{{ nope | default: 5 }}", 5),
        ("{{ count }} ", "3 "),
        ("{{ count }}{{ count }}", "33"),
        ("{% if paid %}{{ count }}{% endif %}", "3"),
        ("no tag", "no tag"),
        (5, 5),
        (None, None),
    ],
)
def test_one_output_tag_alone_keeps_its_type(source: Any, value: object) -> None:
    """A string that is exactly one output tag becomes the JSON value; any other string stays a text."""
    built = templates.compile_value(source).fill(CONTEXT, NOW)
    assert built == value
    assert type(built) is type(value)


def test_a_structure_is_filled_string_by_string() -> None:
    """Keys, numbers and plain strings stay, order stays, every text is filled, and the source is not touched."""
    source = {
        "{{ key }}": "x",
        "b": ["{{ count }}", {"c": "n = {{ count }}"}, (1, "{{ paid }}")],
        "d": 1.5,
        "e": None,
    }
    value = templates.compile_value(source)
    expected = {"{{ key }}": "x", "b": [3, {"c": "n = 3"}, [1, True]], "d": 1.5, "e": None}
    assert value.fill(CONTEXT, NOW) == expected
    assert list(value.fill(CONTEXT, NOW)) == list(source)
    assert source["b"] == ["{{ count }}", {"c": "n = {{ count }}"}, (1, "{{ paid }}")]
    assert not value.is_static


def test_a_structure_without_tags_is_itself() -> None:
    """Nothing is copied where nothing is to be filled."""
    source = {"a": [1, {"b": "{x}"}], "{{ key }}": True}
    value = templates.compile_value(source)
    assert value.is_static
    assert value.fill({}, NOW) is source


def test_a_structure_may_not_nest_for_ever() -> None:
    """Past the limit a value is refused by its place rather than by the interpreter's own limit."""
    deep: Any = "{{ x }}"
    for _ in range(1000):
        deep = [deep]
    [(path, message)] = faults_of(deep, "body")
    assert (path, message) == ("body" + "[0]" * 64, "nests more than 64 objects and lists")


def test_a_render_fault_names_the_place_in_the_structure() -> None:
    """The string that could not be filled is named by its path."""
    value = templates.compile_value({"a": ["{{ count | divided_by: 0 }}"]}, "payload")
    with pytest.raises(errors.RenderFailed) as failed:
        value.fill(CONTEXT, NOW)
    assert failed.value.faults == (("payload.a[0]", "line 1: divided_by: can't divide by 0"),)


# ── what a text reads ───────────────────────────────────────────────────────────────────────────────


@given(st.sampled_from(TEMPLATES) | st.lists(OUTPUTS, min_size=1).map("".join))
def test_a_text_needs_no_more_than_the_roots_it_reads(source: str) -> None:
    """Filled from its roots alone a text is the same, so the rest need not be kept with a message."""
    context = {**CONTEXT, "a": {"b": 1}, "b": [1], "size": 5}
    text = templates.compile_text(source)
    kept = {name: context[name] for name in text.roots if name in context}
    assert text.fill(kept, NOW) == text.fill(context, NOW)


@pytest.mark.parametrize(
    ("source", "roots"),
    [
        ("plain", set()),
        (None, set()),
        ("{{ contact.given_name }} {{ order_id }}", {"contact", "order_id"}),
        ("{{ now }}{{ today | date: '%d' }}", set()),
        ("{{ a | append: b | default: c[d] }}", {"a", "b", "c", "d"}),
        ("{% if a %}{% assign x = b %}{% endif %}{{ x }}", {"a", "b", "x"}),
        ("{% case a %}{% when b %}{% endcase %}{% cycle c: d, e %}", {"a", "b", "c", "d", "e"}),
        ("{% for one in (a..b) limit: c offset: d %}{{ e }}{% endfor %}", {"a", "b", "c", "d", "e"}),
        (("{{ a }}", None, {"{{ no }}": ["{{ b }}"]}), {"a", "b"}),
        ("{{ [a] }}", {"a", *templates.ROOTS}),
    ],
)
def test_the_roots_that_are_read_are_known(source: Any, roots: set[str]) -> None:
    """The names at the head of every path are found without filling; all, where one is only known by filling."""
    assert templates.roots_read(source) == roots
    assert templates.roots_read(templates.compile_value(source)) == roots
    if isinstance(source, str):
        assert templates.roots_read(templates.compile_text(source)) == roots


def test_missing_variables_can_be_noted() -> None:
    """What was put out empty is named as it is written; what has a default, or is only asked for, is not."""
    source = "{{ nope }}{{ contact.plan }}{{ items[7].name }}{{ count }}{{ note }}{{ x | default: 'y' }}"
    text = templates.compile_text(
        source + "{{ z | upcase }}{% if vip %}{% assign own = 1 %}{{ own }}{% endif %}{{ now }}"
    )
    assert templates.missing(text, CONTEXT) == ("nope", "contact.plan", "items[7].name", "z")
    assert templates.missing(templates.compile_value({"a": "{{ nope }}", "b": ["{{ count }}"]}), CONTEXT) == (
        "nope",
    )
    assert templates.missing(templates.compile_text("plain"), CONTEXT) == ()


def test_roots_win_over_the_payload() -> None:
    """Payload keys stand at the root where no root has their name, given or not; `message` is the payload's."""
    payload = {"order_id": 1, "contact": "x", "tenant": "y", "message": {"text": "hi"}}
    context = templates.context_for(payload, contact={"id": "c1"}, event_type="order_created")
    assert context["order_id"] == 1
    assert context["contact"] == {"id": "c1"}
    assert context["tenant"] is None
    assert context["event_type"] == "order_created"
    assert context["payload"] is payload
    assert context["message"] == {"text": "hi"}
    assert set(context) == {*templates.ROOTS, "order_id"}
