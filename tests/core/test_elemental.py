"""Elemental content: what a person reads of it in HTML and in plain text."""

from typing import Any

import pytest

from heliograph import errors
from heliograph.core import brands, elemental, message_templates, pages, renderings
from heliograph.core.elemental import reading, words
from heliograph.core.templates import context_for

DATA: dict[str, Any] = {
    "name": "<Ana>",
    "vip": True,
    "url": "javascript:alert(1)",
    "items": [{"name": "Tea", "price": 3}, {"name": "Mug", "price": 8}],
    "liquid": "{{ 7 | times: 6 }} **no** {name}",
}


def rendered(
    *elements: dict[str, Any], locale: str | None = None, look: brands.Look | None = None, **data: Any
) -> renderings.Rendered:
    """These elements as an e-mail."""
    content = elemental.define({"elements": list(elements)})
    design = renderings.Design(message_templates.Said(content=content), look)
    filling = {"data": {**DATA, **data}}
    return design.content(filling, locale).fill(context_for({}, **filling), 0)


def refused(*elements: Any) -> list[str]:
    """The places of what is wrong with these elements."""
    with pytest.raises(errors.InvalidInput) as caught:
        elemental.define({"elements": list(elements)}, "")
    return [fault.path for fault in caught.value.faults]


def said(content: str, **fields: Any) -> dict[str, Any]:
    """A text element."""
    return {"type": "text", "content": content, **fields}


SHOWN: list[tuple[dict[str, Any], str, str]] = [
    (said("Dear {name}, {{data.name}}"), "Dear &lt;Ana&gt;, &lt;Ana&gt;", "Dear <Ana>, <Ana>"),
    (said("{unknown} and {{data.unknown}}."), "{unknown} and .", "{unknown} and ."),
    (said("{liquid}"), "{{ 7 | times: 6 }} **no** {name}", "{{ 7 | times: 6 }} **no** {name}"),
    (said("**bold** & <i>"), "<strong>bold</strong> &amp; &lt;i&gt;", "bold & <i>"),
    (
        said("[shop](https://x.example/{vip})"),
        '<a href="https://x.example/true">shop</a>',
        "shop (https://x.example/true)",
    ),
    (said("# Big", format="markdown"), "<h1>Big</h1>", "Big"),
    (said("Big", text_style="h1"), "font-size:28px", "Big"),
    (said("slanted", italic="true", color="#123456"), "<em>slanted</em>", "slanted"),
    (
        {
            "type": "text",
            "elements": [
                {"type": "string", "content": "a "},
                {"type": "link", "content": "b", "href": "https://c"},
            ],
        },
        '<a href="https://c">b</a>',
        "a b (https://c)",
    ),
    (
        {"type": "action", "content": "Go", "href": "https://x/{name}"},
        'href="https://x/&lt;Ana&gt;"',
        "Go: https://x/<Ana>",
    ),
    (
        {"type": "action", "content": "Go", "href": "{{ data.url }}", "style": "link"},
        '<a href="">Go</a>',
        "Go:",
    ),
    (
        {"type": "image", "src": "https://x/y.png", "alt_text": "A cup", "width": "50px"},
        'alt="A cup"',
        "A cup",
    ),
    ({"type": "divider", "color": "#abcdef"}, "solid 1px #abcdef", "----"),
    ({"type": "quote", "content": "one\ntwo"}, "border-left:4px solid", "> one\n> two"),
    (
        {"type": "html", "content": "<p>Raw <b>{{ data.name }}</b> {name} <style>p{}</style></p>"},
        "<b>&lt;Ana&gt;</b> {name}",
        "Raw <Ana> {name}",
    ),
    (said("{{add $.index 1}}. {$.item.name}", loop="data.items"), "1. Tea", "1. Tea\n\n2. Mug"),
    (
        {
            "type": "list",
            "list_type": "ordered",
            "elements": [
                {
                    "type": "list-item",
                    "loop": "data.items",
                    "elements": [{"type": "string", "content": "{{$.item.name}}"}],
                }
            ],
        },
        "<ol><li>Tea</li><li>Mug</li></ol>",
        "1. Tea\n2. Mug",
    ),
    ({"type": "group", "if": "data.vip && data.items.length > 1", "elements": [said("in")]}, ">in<", "in"),
    (
        {
            "type": "columns",
            "elements": [
                {"type": "column", "elements": [said("left")]},
                {"type": "column", "elements": [said("right")]},
            ],
        },
        "mj-column-per-50",
        "left\n\nright",
    ),
]


@pytest.mark.parametrize(("element", "html", "text"), SHOWN)
def test_every_element_in_html_and_in_text(element: dict[str, Any], html: str, text: str) -> None:
    """Each type is drawn in HTML and told in plain text; what fills it is escaped and never read again."""
    made = rendered(element)
    assert html in (made.html or "")
    assert made.text.strip() == text


def test_the_subject_is_the_title_of_meta() -> None:
    """The meta elements that hold make one line."""
    made = rendered(
        {"type": "meta", "title": "Dear {name}", "if": "data.vip"},
        {"type": "meta", "title": "no", "if": "!data.vip"},
    )
    assert (made.subject, made.text.strip()) == ("Dear <Ana>", "")


def test_elements_are_shown_by_channel_condition_and_reference() -> None:
    """`channels`, `if` and `refs.NAME.visible` decide; what stands in something hidden is not visible either."""
    made = rendered(
        said("sms alone", channels=["sms"], ref="sms"),
        {"type": "group", "if": "!data.vip", "elements": [said("hidden", ref="inner")]},
        said("shown", ref="shown", **{"if": "{{data.name}} !== 'Bob'"}),
        said("after", **{"if": "refs.shown.visible && !refs.sms.visible && !refs.inner.visible"}),
        {"type": "comment", "comment": "nobody reads this"},
    )
    assert made.text == "shown\n\nafter\n"


def test_an_element_asks_for_those_alone_that_its_channels_have() -> None:
    """A `ref` of another channel, or one whose whole condition is too long, is refused when the content is written."""
    channels = [
        {"type": "channel", "channel": "email", "elements": [said("x", ref="a")]},
        {"type": "channel", "channel": "sms", "elements": [said("y", **{"if": "refs.a.visible"})]},
    ]
    assert refused(*channels) == [".elements[1].elements[0].if"]
    channels[1]["channel"] = "email"
    assert "y" in elemental.sources(elemental.define({"elements": channels})).text
    long = {"if": f"data.name === '{'a' * 1_500}'"}
    group = {"type": "group", "elements": [said("x", ref="a", **long)], **long}
    assert refused(group, said("y", **{"if": "refs.a.visible"})) == [".elements[1].if"]
    hidden = [said("x", channels=["sms"], ref="a", **{"if": "b"})]
    asking = " && ".join(["refs.a.visible"] * 180)
    elements = [*hidden, said("y", **{"if": asking})]
    assert "y" in elemental.sources(elemental.define({"elements": elements})).text


def test_a_channel_and_a_group_may_be_shown_sometimes() -> None:
    """`if` and `channels` of a channel hold for all in it, its title and its raw texts too."""
    inner = [{"type": "group", "elements": [{"type": "meta", "title": "T"}]}, said("x")]
    email = {"type": "channel", "channel": "email"}
    raw = {"subject": "T", "text": "x", "html": "x"}
    for one in ({**email, "elements": inner}, {**email, "raw": raw}):
        shown = rendered({**one, "if": "data.vip"})
        assert (shown.subject, shown.text.strip(), "x" in (shown.html or "")) == ("T", "x", True)
        hidden = rendered({**one, "if": "!data.vip"})
        assert (hidden.subject, hidden.text.strip()) == ("", "")
        assert rendered({**one, "channels": ["sms"]}).text.strip() == ""


def test_a_person_reads_their_own_language() -> None:
    """`fr-CA` finds itself, else `fr`, else what the element says to everybody."""
    element = said("Hello", locales={"fr": {"content": "Bonjour"}, "fr_CA": {"content": "Salut"}})
    assert [rendered(element, locale=one).text.strip() for one in ("fr-CA", "fr-BE", "de", None)] == [
        "Salut",
        "Bonjour",
        "Hello",
        "Hello",
    ]


def test_a_content_has_a_hundred_locales_at_most() -> None:
    """Each is drawn when the content is written, so there is an end to them, wherever they stand."""
    names = [f"{language}-{place}" for language in ("fr", "de") for place in range(51)]
    first, second = ({name: {"content": "x"} for name in part} for part in (names[:51], names[51:]))
    assert refused(said("x", locales=first), said("y", locales=second)) == [
        ".elements[1].locales.de-49",
    ]
    second.popitem()
    second.popitem()
    content = elemental.define({"elements": [said("x", locales=first), said("y", locales=second | first)]})
    assert len(elemental.locales(content)) == reading.MOST_LOCALES
    many = {f"aa-{number}": {"content": "x"} for number in range(100_000)}
    assert refused(said("x", locales=many)) == [".elements[0].locales.aa-100"]


def test_a_channel_has_content_of_its_own() -> None:
    """Where there are channel elements, a channel gets its own, and what has none is refused."""
    content = elemental.define(
        {
            "elements": [
                {"type": "channel", "channel": "email", "elements": [said("long")]},
                {"type": "channel", "channel": "sms", "elements": [said("short **text**")]},
                {
                    "type": "channel",
                    "channel": "push",
                    "raw": {"subject": "S", "text": "{{ data.name }} {name}"},
                },
            ]
        }
    )
    assert elemental.sources(content, "sms") == ("", "short text\n\n", None)
    assert elemental.sources(content, "push").text == "{{ data.name }} {name}"
    with pytest.raises(errors.InvalidInput, match="nothing for the channel inbox"):
        elemental.sources(content, "inbox")


def test_colours_come_from_the_brand() -> None:
    """`{brand.colors.NAME}` is a colour; one that there is not falls away."""
    look = brands.effective(
        brands.define({"name": "x", "settings": {"colors": {"primary": "#ff0000"}}}), None
    )
    button = {"type": "action", "content": "Go", "href": "https://x"}
    made = rendered(
        button, said("x", color="{brand.colors.primary}"), said("y", color="{brand.colors.nope}"), look=look
    )
    assert (made.html or "").count("#ff0000") >= 3
    assert "brand.colors" not in (made.html or "")


def test_what_cannot_be_drawn_is_refused() -> None:
    """Depth, number, values that would leave their place, and things that are not there are told at their places."""
    deep: dict[str, Any] = said("x")
    for _ in range(20):
        deep = {"type": "group", "elements": [deep]}
    assert len(refused(deep)) == 1
    assert refused(*[said("x")] * 1001) == [".elements[1000]"]
    assert refused(said("x", color='red" onload="x')) == [".elements[0].color"]
    assert refused(said("x", ref="a"), said("y", **{"if": "refs.b.visible"})) == [".elements[1].if"]
    assert refused(said("x", id="a"), said("y", id="a")) == [".elements[1].id"]
    assert refused(said("x", loop="data." + "x" * 5_000)) == [".elements[0].loop"]
    assert refused(3, {"type": "list", "elements": [said("x")]}) == [
        ".elements[0]",
        ".elements[1].elements[0].type",
    ]


@pytest.mark.parametrize(
    "source",
    [
        "<mjml>" * 40_000,
        "<mjml><mj-body>" + "<b>" * 20_000 + "</b>" * 20_000 + "</mj-body></mjml>",
        "<mjml><mj-body><mj-include path='/etc/passwd' /></mj-body></mjml>",
        "no",
    ],
)
def test_hostile_markup_is_refused(source: str) -> None:
    """Markup that nests without end, reads files or is none at all is told, and nothing is brought down."""
    with pytest.raises(errors.InvalidInput):
        pages.of_mjml(source, "mjml")


@pytest.mark.parametrize("piece", ["{{", "{%", "{{ a", "{% a"])
def test_tags_that_are_not_closed_are_looked_for_once(piece: str) -> None:
    """Reading a text takes time that grows with its length alone."""
    assert pages.split(piece * 200_000) == [piece * 200_000]
    closed = f"{piece * 3}{'}}' if '{{' in piece else '%}'}"
    assert pages.split(f"a{closed}b{{%") == ["a", closed, "b{%"]


@pytest.mark.parametrize("piece", ["<a ", "<a b='", "<a b=c ", "<!--", "<script></script ", "</a ", "<!"])
def test_html_that_is_not_closed_is_nothing(piece: str) -> None:
    """Its text is made in time that grows with its length alone."""
    said_ = message_templates.with_content(
        message_templates.Said(),
        {"elements": [{"type": "channel", "channel": "email", "raw": {"html": f"<p>x</p>{piece * 40_000}"}}]},
    )
    assert message_templates.compiled(said_).text.source == "x"


def test_html_is_told_as_text() -> None:
    """Blocks are lines, links have their addresses, what nobody sees is left out."""
    html = (
        "<head><title>no</title><style>p > a {}</style></head><!-- no --><p>1 < 2 &amp; <b>so</b></P>"
        "<script>if (a<b) '<p>no</p>'</script><a title=' href=no' href='https://x.example/?a=1&amp;b=2'>on</a><br/>end"
    )
    content = {"elements": [{"type": "html", "content": html}]}
    told = elemental.sources(content | {"version": "1"}).text
    assert told == "1 < 2 & so\non (https://x.example/?a=1&b=2)\nend\n\n"


def test_braces_in_markup_are_left_alone() -> None:
    """CSS and single braces in MJML stay as they are; Liquid in it is filled, wherever it stands."""
    source = (
        "<mjml><mj-head><mj-style>a { color: red }</mj-style></mj-head><mj-body>{% if data.vip %}<mj-section>"
        "<mj-column><mj-text>{name} {{ data.name }} {{ 1 | plus: 1 }}</mj-text></mj-column></mj-section>"
        "{% endif %}</mj-body></mjml>"
    )
    said_ = message_templates.check({"subject": "s", "text": "t", "mjml": source}).said
    filling = {"data": DATA}
    made = renderings.Design(said_).content(filling).fill(context_for({}, **filling), 0)
    assert "a { color: red }" in (made.html or "")
    assert "{name} &lt;Ana&gt; 2" in (made.html or "")


def test_words_of_ours_are_not_taken_from_the_content() -> None:
    """A text that looks like one of the words that stand for Liquid while it is drawn stays itself."""
    made = rendered(said("hole0q0x {name} hole1q1x hole2x"))
    assert "hole0q0x &lt;Ana&gt; hole1q1x hole2x" in (made.html or "")
    assert pages.Holes("hole" + "q" * 1_000_000).put("") == "hole0q0x"
    assert pages.Holes("".join(f"hole{number}q" for number in range(100_000))).put("") == "hole100000q0x"


@pytest.mark.parametrize("mark", ["*a ", "[", "- a\n", "> a\nb\n"])
def test_the_signs_of_markdown_are_bounded(mark: str) -> None:
    """A letter with more of them than can be drawn in a moment is refused, however they are spread; a locale is one."""
    count = pages.MOST_MARKS // pages.marks(mark) // 2
    text = {"type": "text", "content": mark * count}
    spoken = {**text, "locales": {name: {"content": mark * count} for name in ("fr", "de", "es")}}
    assert reading.define({"elements": [spoken, text, {"type": "html", "content": "-" * 9_000}]})
    for more in (text, {**text, "content": "a", "locales": {"fr": {"content": mark * count}}}):
        with pytest.raises(errors.InvalidInput) as caught:
            reading.define({"elements": [text, spoken, {"type": "group", "elements": [more]}]})
        ((place, told),) = caught.value.faults
        assert (place, "5,000 signs" in told) == ("content", True)
    footer = {"email": {"footer": {"markdown": mark * count * 3}}}
    with pytest.raises(errors.InvalidInput, match="5,000 signs"):
        brands.define({"name": "b", "settings": footer})


def test_snippets_do_not_grow_without_end() -> None:
    """A text that asks for a long snippet thousands of times is not drawn, instead of taking all memory."""
    with pytest.raises(errors.RenderFailed, match="snippets"):
        words.liquid("{{>s}}" * 10_000, {"s": "x" * 90_000})


def test_snippets_are_put_in() -> None:
    """`{{> name}}` is the brand's snippet, filled like the rest."""
    assert words.liquid("{{> a}} {{> b}}", {"a": "Hi {name}"}) == 'Hi {{ name | written: "name" }} '
