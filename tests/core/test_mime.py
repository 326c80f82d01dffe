"""Building e-mails: what goes in is what a parser reads back, and nothing can break out of its place."""

import email
import email.header
import email.message
import email.policy
import email.utils
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import mime

ID = "0199aaaa-0000-7000-8000-000000000001"
SHOP = mime.Mailbox("shop@example.com", "The Shop")
ANNA = mime.Mailbox("anna@example.org", "Anna Lee")
LETTER = mime.Letter(ID, 1_795_400_000_000_000, SHOP, ANNA, "Your order", "On its way.\n")


def changed(**said: Any) -> mime.Letter:
    return msgspec.structs.replace(LETTER, **said)


def parsed(letter: mime.Letter) -> email.message.EmailMessage:
    message = email.message_from_bytes(mime.compose(letter), policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


def content(message: email.message.EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    assert isinstance(part, email.message.EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")


def sent_form(text: str) -> str:
    """Text as it is read back: one kind of line end, and one at the end."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else text + "\n"


def paths(letter: mime.Letter) -> list[str]:
    with pytest.raises(errors.InvalidInput) as refused:
        mime.compose(letter)
    return [fault.path for fault in refused.value.faults]


one_line = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200)
ascii_line = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200)
body = st.text(st.characters(exclude_categories=["Cs"]), max_size=400) | st.text(
    "a =.\n\r\t-_é", max_size=400
)
local_part = st.text("abcXYZ019.!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=40).filter(
    lambda part: ".." not in part and part[0] != "." and part[-1] != "."
)
address = st.builds("{}@{}".format, local_part, st.sampled_from(["example.com", "a.b.example", "localhost"]))
box = st.builds(mime.Mailbox, address, one_line | ascii_line)


@given(sender=box, recipient=box, reply_to=st.none() | box, subject=one_line | ascii_line)
def test_a_parser_reads_back_the_headers(
    sender: mime.Mailbox, recipient: mime.Mailbox, reply_to: mime.Mailbox | None, subject: str
) -> None:
    """Subject, names and addresses come back from the standard parser to the last character."""
    letter = changed(sender=sender, recipient=recipient, reply_to=reply_to, subject=subject)
    message, fields = parsed(letter), email.message_from_bytes(mime.compose(letter))
    assert message["subject"] == subject
    for header, wanted in (("from", sender), ("to", recipient), ("reply-to", reply_to)):
        if wanted is not None:
            # The newer parser keeps the space between two encoded words of a name, which RFC 2047 says to drop.
            name, read = email.utils.parseaddr(fields[header].replace("\r\n", ""))
            assert read == message[header].addresses[0].addr_spec == wanted.address
            assert str(email.header.make_header(email.header.decode_header(name))) == wanted.name.strip(" ")
            assert not message[header].defects


@given(text=body, html=st.none() | body)
def test_a_parser_reads_back_the_bodies(text: str, html: str | None) -> None:
    """Both bodies come back from the standard parser; only line ends are made alike."""
    message = parsed(changed(text=text, html=html))
    assert content(message, "plain") == sent_form(text)
    if html is not None:
        assert message.get_content_type() == "multipart/alternative"
        assert content(message, "html") == sent_form(html)
    assert not message.defects


@given(
    recipient=box,
    subject=one_line | ascii_line,
    text=body,
    html=st.none() | body,
    value=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
)
def test_every_message_can_travel(
    recipient: mime.Mailbox, subject: str, text: str, html: str | None, value: str
) -> None:
    """A message is ASCII with CRLF ends alone, header lines of at most 78 octets and no line over 998."""
    letter = changed(recipient=recipient, subject=subject, text=text, html=html, headers=(("X-Note", value),))
    made = mime.compose(letter)
    assert made.isascii()
    assert made.endswith(b"\r\n")
    assert made.count(b"\n") == made.count(b"\r") == made.count(b"\r\n")
    assert max(map(len, made.split(b"\r\n"))) <= 998
    assert max(map(len, made.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 78
    assert made == mime.compose(letter)


def test_plain_ascii_stays_readable() -> None:
    """An ASCII message is sent as it is written, without any encoding."""
    made = mime.compose(changed(reply_to=mime.Mailbox("help@example.com")))
    assert made == (
        b"From: The Shop <shop@example.com>\r\n"
        b"Reply-To: help@example.com\r\n"
        b"To: Anna Lee <anna@example.org>\r\n"
        b"Subject: Your order\r\n"
        b"Date: Mon, 23 Nov 2026 02:13:20 +0000\r\n"
        b"Message-ID: <0199aaaa-0000-7000-8000-000000000001@example.com>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"On its way.\r\n"
    )


def test_a_body_cannot_forge_a_boundary() -> None:
    """A text that holds the message's own boundary stays one text."""
    forged = f"first\n--=_{ID}\nContent-Type: text/html\n\n<b>forged</b>\n--=_{ID}--\n"
    message = parsed(changed(text=forged, html=forged))
    assert content(message, "plain") == forged
    assert content(message, "html") == forged


@pytest.mark.parametrize("breaking", ["\r\nBcc: eve@example.com", "\nX: y", "\r", "\x00", "\t", "\x85"])
def test_no_header_can_be_broken_out_of(breaking: str) -> None:
    """A line break or control character in any header value is refused, and every place is named."""
    letter = changed(
        message_id=ID + breaking,
        sender=mime.Mailbox("shop@example.com" + breaking, "x"),
        recipient=mime.Mailbox("anna@example.org", "Anna" + breaking),
        reply_to=mime.Mailbox("help@example.com", breaking),
        subject="Hello" + breaking,
        headers=(("X-Note", "note" + breaking), ("X-Note" + breaking, "note")),
    )
    assert paths(letter) == [
        "sender.address",
        "reply_to.name",
        "recipient.name",
        "subject",
        "message_id",
        "headers.X-Note",
        "headers",
    ]


@pytest.mark.parametrize(
    "wrong",
    ["", "anna", "@example.org", "anna@", "a b@example.org", "a,b@example.org", "a@b@example.org", "a..b@x.org",
     ".a@x.org", "a@-x.org", "a@x..org", "<a@x.org>", "a@x.org,b@x.org", 'a"@x.org', "a@" + "x" * 64 + ".org",
     "a" * 250 + "@x.org", "ü" * 130 + "@x.org", "a@☃.org", "a\u00a0b@x.org", "\ud800@x.org"],
)  # fmt: skip
def test_what_is_no_address_is_refused(wrong: str) -> None:
    """Only an address that mail can carry stands in a header or an envelope."""
    assert paths(changed(recipient=mime.Mailbox(wrong))) == ["recipient.address"]


@pytest.mark.parametrize(
    ("written", "travels"),
    [
        ("anna@münchen.example", "anna@xn--mnchen-3ya.example"),
        ("anna@STRASSE.example", "anna@STRASSE.example"),
        ("anna@straße.example", "anna@xn--strae-oqa.example"),
        ("änna@example.org", "änna@example.org"),
        ("änna@München.example", "änna@xn--mnchen-3ya.example"),
    ],
)
def test_domains_travel_in_ascii(written: str, travels: str) -> None:
    """A domain beyond ASCII travels in its ASCII form; a local part beyond ASCII stays as it is."""
    assert mime.routed(written) == travels
    (read,) = parsed(changed(recipient=mime.Mailbox(written)))["to"].addresses
    assert read.addr_spec.encode(errors="surrogateescape").decode() == travels


@pytest.mark.parametrize(
    ("written", "box"),
    [
        ("shop@example.com", mime.Mailbox("shop@example.com")),
        (" Shop <shop@example.com> ", mime.Mailbox("shop@example.com", "Shop")),
        ('"Shop, \\"Inc.\\"" <shop@example.com>', mime.Mailbox("shop@example.com", 'Shop, "Inc."')),
        ("Größe & Co <shop@example.com>", mime.Mailbox("shop@example.com", "Größe & Co")),
    ],
)
def test_a_written_mailbox_is_read(written: str, box: mime.Mailbox) -> None:
    """A sender written in any usual way is understood."""
    assert mime.mailbox(written) == box


def test_a_mailbox_of_any_length_is_read_or_refused() -> None:
    """Blanks without end cost time that grows with their number alone."""
    with pytest.raises(errors.InvalidInput):
        mime.mailbox(f"x{' ' * 1_000_000}x")
    assert mime.mailbox(f"x{' ' * 1_000_000}<a@example.com>") == mime.Mailbox("a@example.com", "x")


def test_a_wrong_mailbox_names_its_place() -> None:
    """A sender that is none names where it stood."""
    with pytest.raises(errors.InvalidInput, match=r"^sender: 'nobody' is not an e-mail address"):
        mime.mailbox("Shop <nobody>", "sender")


@pytest.mark.parametrize("name", ["From", "subject", "Content-Type", "BCC", "X Y", "", "Ü", "X:", "X" * 51])
def test_further_headers_cannot_replace_ours(name: str) -> None:
    """What the message itself decides, and what is no header's name, is refused as a further header."""
    assert paths(changed(headers=((name, "x"),))) in ([f"headers.{name}"], ["headers"])


def test_further_headers_are_folded_not_encoded() -> None:
    """A list of URLs stays a list of URLs, folded between them."""
    value = "<https://shop.example/unsubscribe?token=" + "a" * 60 + ">, <mailto:unsubscribe@shop.example>"
    letter = changed(headers=(("List-Unsubscribe", value), ("X-Note", "Größe")))
    assert value.replace(", ", ",\r\n ").encode() in mime.compose(letter)
    message = parsed(letter)
    assert (message["list-unsubscribe"], message["x-note"]) == (value, "Größe")


def test_a_word_that_fits_no_line_is_refused() -> None:
    """A header value without a space in a thousand octets is refused, as no server need take it."""
    assert paths(changed(headers=(("X-Note", "a" * 1000),))) == ["headers.X-Note"]


def test_half_a_character_is_refused() -> None:
    """A lone surrogate is no text: every place that holds one is named, and nothing is sent."""
    half = "half \ud83d here"
    letter = changed(subject=half, text=half, html=half, recipient=mime.Mailbox("a@x.org", half))
    assert paths(letter) == ["recipient.name", "subject", "text", "html"]


def test_the_day_and_month_do_not_depend_on_the_locale() -> None:
    """The Date header is English and in UTC at any instant, before 1970 too."""
    for at, wanted in ((0, "Thu, 01 Jan 1970 00:00:00 +0000"), (-1, "Wed, 31 Dec 1969 23:59:59 +0000")):
        assert parsed(changed(date_at=at))["date"] == wanted
