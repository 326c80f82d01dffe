"""E-mail as bytes: one letter to one recipient, built fast enough that building is never the bottleneck.

Law: `compose` gives the same bytes for the same letter, for ever; what it gives is RFC 5322 with CRLF line
ends and no line over 998 octets, readable by any parser as exactly the subject, text and addresses that went
in. A value that would break out of its place (a line break in a header, a comma in an address) is refused,
never repaired: `errors.InvalidInput` names every such place. Nothing here knows servers or the clock.
"""

from __future__ import annotations

import binascii
import email.utils
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from heliograph import errors

LINE = 76
"""Octets a header line is folded at; RFC 2047 allows no more on a line with encoded words."""
LONGEST_LINE = 998
LONGEST_ADDRESS = 254


class Mailbox(msgspec.Struct, frozen=True):
    """Whom a letter is from or for."""

    address: str  # local@domain; either side may hold letters beyond ASCII
    name: str = ""  # what people see beside it; spaces around it do not count


class Letter(msgspec.Struct, frozen=True):
    """Everything that a message is made of."""

    message_id: str  # the ledger's id: makes the Message-ID and the boundary
    date_at: int  # µs since 1970 UTC: the Date header
    sender: Mailbox
    recipient: Mailbox
    subject: str  # one line
    text: str  # the plain part; any line ends
    html: str | None = None  # with it the letter is multipart/alternative
    reply_to: Mailbox | None = None
    headers: tuple[tuple[str, str], ...] = ()  # further header fields, in order (List-Unsubscribe …)


def compose(letter: Letter) -> bytes:
    """The finished message, Bcc-free and with CRLF line ends, ready for the DATA of SMTP (not yet dot-stuffed).

    Raises errors.InvalidInput with one fault for each field that cannot stand in a message.
    """
    try:
        return _assembled(letter)
    except errors.InvalidInput:
        raise errors.InvalidInput(faults=_faults(letter)) from None


def mailbox(written: str, path: str = "") -> Mailbox:
    """Reads `Shop <shop@example.com>`, `"Shop, Inc." <shop@example.com>` or `shop@example.com`.

    Raises errors.InvalidInput at `path` where the address cannot carry mail.
    """
    name, opening, address = written.strip().rpartition("<")
    if opening and address.find(">") == len(address) - 1:
        name, address = name.rstrip(), address[:-1]
    else:
        name, address = "", written.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = _ESCAPED.sub(r"\1", name[1:-1])
    routed(address, path)
    return Mailbox(address, name)


def check_headers(given: Mapping[str, str], path: str = "headers") -> None:
    """Raises errors.InvalidInput at `path` where one of these cannot stand beside a message's own headers."""
    faults: list[errors.Fault] = []
    for field in given.items():
        try:
            _extra_line(field)
        except errors.InvalidInput as refusal:
            faults += [errors.Fault(path, str(fault)) for fault in refusal.faults]
    if faults:
        raise errors.InvalidInput(faults=faults)


def routed(address: str, path: str = "") -> str:
    """The address as it travels: the domain in its ASCII form, the local part untouched.

    A result that is not ASCII has a local part beyond ASCII and needs a server with SMTPUTF8.
    Raises errors.InvalidInput at `path` for what is no address.
    """
    if _ASCII_ADDRESS.fullmatch(address) and len(address) <= LONGEST_ADDRESS:
        return address
    match = _ADDRESS.fullmatch(address)
    if match is None or not address.isprintable():
        raise errors.InvalidInput.at(path, f"{address!r} is not an e-mail address: write name@example.com")
    domain = ".".join(_ascii_label(label) for label in match["domain"].split("."))
    if not _ASCII_DOMAIN.fullmatch(domain):
        raise errors.InvalidInput.at(path, f"{match['domain']!r} is not a domain name")
    travels = f"{match['local']}@{domain}"
    if len(_octets(travels, path)) > LONGEST_ADDRESS:
        raise errors.InvalidInput.at(path, f"is longer than {LONGEST_ADDRESS} octets")
    return travels


def instant_of(date: str) -> int | None:
    """The instant (µs) of a date as headers of e-mails and of HTTP write it, or None for what is no date."""
    try:
        at = email.utils.parsedate_to_datetime(date)
        # Without a zone it is in UTC (RFC 5322's -0000, RFC 9110's asctime), and never in that of this machine.
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000)
    except (TypeError, ValueError, OverflowError):
        return None


# ── the pieces ──────────────────────────────────────────────────────────────────────────────────────

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_BEYOND = r"\u0080-\U0010ffff"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(
    rf"(?P<local>[{_BEYOND}{_ATEXT}]+(?:\.[{_BEYOND}{_ATEXT}]+)*)@(?P<domain>[{_BEYOND}A-Za-z0-9.-]+)"
)
_ASCII_ADDRESS = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*@{_LABEL}(?:\.{_LABEL})*")
_ASCII_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ESCAPED = re.compile(r"\\(.)")
_SPECIAL = re.compile(r'["\\]')
_ATOM = re.compile(rf"[{_ATEXT}]+")
_ATOMS = re.compile(rf"[{_ATEXT}]+(?: [{_ATEXT}]+)*")
_WORDS = re.compile(r"(?:[!-~]+(?: [!-~]+)*)?")
_TOKEN = re.compile(r"[!-9;-~]{1,50}")
_OURS = frozenset(("from", "to", "reply-to", "subject", "date", "message-id", "mime-version", "bcc"))
_AS_THEY_ARE = b"\t\n" + bytes(range(0x20, 0x7F))
"""The octets that a body may travel with."""
_PART = b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n%b"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _assembled(letter: Letter) -> bytes:
    sender_lines, domain = _sender(letter.sender, letter.reply_to)
    headers = (
        f"{sender_lines}"
        f"{_mailbox_line('To', letter.recipient, 'recipient')}"
        f"{_subject_line(letter.subject)}"
        f"Date: {_date(letter.date_at // 1_000_000)}\r\n"
        f"Message-ID: <{_checked_id(letter.message_id)}@{domain}>\r\n"
    )
    if letter.headers:
        headers += "".join(map(_extra_line, letter.headers))
    if letter.html is None:
        return f"{headers}MIME-Version: 1.0\r\n".encode() + _part("plain", letter.text, "text")
    boundary = f"=_{letter.message_id}"
    headers += f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'
    between = f"\r\n--{boundary}".encode()
    parts = (_part("plain", letter.text, "text"), _part("html", letter.html, "html"))
    return b"%b%b\r\n%b%b\r\n%b%b--\r\n" % (headers.encode(), between, parts[0], between, parts[1], between)


def _faults(letter: Letter) -> list[errors.Fault]:
    """Every fault of the letter: each piece is made once more by itself."""
    pieces: list[Callable[[], object]] = [
        lambda: _mailbox_line("From", letter.sender, "sender"),
        lambda: letter.reply_to and _mailbox_line("Reply-To", letter.reply_to, "reply_to"),
        lambda: _mailbox_line("To", letter.recipient, "recipient"),
        lambda: _subject_line(letter.subject),
        lambda: _checked_id(letter.message_id),
        *(lambda field=field: _extra_line(field) for field in letter.headers),
        lambda: _part("plain", letter.text, "text"),
        lambda: _part("html", letter.html or "", "html"),
    ]
    faults: list[errors.Fault] = []
    for piece in pieces:
        try:
            piece()
        except errors.InvalidInput as refused:
            faults += refused.faults
    return list(dict.fromkeys(faults))


@lru_cache(maxsize=1024)
def _sender(sender: Mailbox, reply_to: Mailbox | None) -> tuple[str, str]:
    """The sender's lines and domain: one writes thousands of letters, so they are made once."""
    lines = _mailbox_line("From", sender, "sender")
    if reply_to:
        lines += _mailbox_line("Reply-To", reply_to, "reply_to")
    return lines, routed(sender.address).rpartition("@")[2]


def _mailbox_line(header: str, box: Mailbox, path: str) -> str:
    address = routed(box.address, f"{path}.address")
    name = box.name.strip(" ")
    if not name:
        return f"{header}: {address}\r\n"
    line = f"{header}: {_phrase(name, len(header) + 2, path)}"
    width = len(line) - line.rfind("\n") - 1
    gap = " " if width + len(address) + 3 <= LINE else "\r\n "
    return f"{line}{gap}<{address}>\r\n"


def _phrase(name: str, used: int, path: str) -> str:
    """A display name: as it is, in quotes, or encoded where neither can say it on the rest of the line."""
    if "=?" not in name and name.isascii() and name.isprintable() and used + len(name) < LINE:
        if _ATOMS.fullmatch(name):
            return name
        quoted = '"' + _SPECIAL.sub(r"\\\g<0>", name) + '"'
        if used + len(quoted) < LINE:
            return quoted
    return _encoded(name, used, f"{path}.name")


def _subject_line(subject: str) -> str:
    if _WORDS.fullmatch(subject) and "=?" not in subject:
        if len(subject) <= LINE - 9:
            return f"Subject: {subject}\r\n"
        if max(map(len, subject.split(" "))) < LINE - 9:
            return f"Subject: {_folded(subject, 9)}\r\n"
    return f"Subject: {_encoded(subject, 9, 'subject')}\r\n"


def _extra_line(field: tuple[str, str]) -> str:
    """A further header field; what is ASCII is only folded, never encoded: it may be a list of URLs."""
    name, value = field
    path = f"headers.{name}"
    if not _TOKEN.fullmatch(name):
        raise errors.InvalidInput.at("headers", f"{name!r} is not a header's name")
    if name.lower() in _OURS or name.lower().startswith("content-"):
        raise errors.InvalidInput.at(path, "is made from the message: leave it out")
    value = value.strip(" ")
    if not _WORDS.fullmatch(value):
        return f"{name}: {_encoded(value, len(name) + 2, path)}\r\n"
    folded = _folded(value, len(name) + 2)
    if max(map(len, folded.split("\r\n"))) > LONGEST_LINE - len(name) - 2:
        raise errors.InvalidInput.at(path, f"has a word that fits on no line of {LONGEST_LINE} octets")
    return f"{name}: {folded}\r\n"


def _checked_id(message_id: str) -> str:
    if not _ATOM.fullmatch(message_id):
        raise errors.InvalidInput.at("message_id", f"{message_id!r} cannot stand in a Message-ID")
    return message_id


@lru_cache(maxsize=64)
def _date(second: int) -> str:
    at = datetime.fromtimestamp(second, UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at:%Y %H:%M:%S} +0000"


def _part(kind: str, text: str, path: str) -> bytes:
    """A body with its Content headers: as it stands where every line may travel so, else quoted-printable.

    The `--=_` of a boundary cannot stand in a quoted-printable body, whose every `=` is followed by digits.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = _octets(text, path)
    if lines[-1:] != b"\n":
        lines += b"\n"
    body, encoding = lines.replace(b"\n", b"\r\n"), b"7bit"
    is_long = len(lines) > LONGEST_LINE and max(map(len, lines.split(b"\n"))) > LONGEST_LINE
    if is_long or lines.translate(None, _AS_THEY_ARE) or "--=_" in text:
        body, encoding = binascii.b2a_qp(body, istext=True), b"quoted-printable"
    return _PART % (kind.encode(), encoding, body)


def _folded(text: str, used: int) -> str:
    """Words joined by single spaces, broken before the word that would pass the end of the line."""
    parts: list[str] = []
    for word in text.split(" "):
        fits = used + len(word) + 1 <= LINE or not parts
        parts.append(word if not parts else f" {word}" if fits else f"\r\n {word}")
        used = used + len(word) + 1 if fits else len(word) + 1
    return "".join(parts)


def _encoded(text: str, used: int, path: str) -> str:
    """RFC 2047 words of whole characters in base64, the first after `used` octets of its line.

    Spaces inside are kept to the last one, as parsers drop only what stands between two such words.
    """
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise errors.InvalidInput.at(path, "holds a line break or another control character: write one line")
    words: list[str] = []
    piece = b""
    for octets in [_octets(character, path) for character in text]:
        if piece and used + 12 + (len(piece) + len(octets) + 2) // 3 * 4 > LINE:
            words.append(_encoded_word(piece))
            piece, used = b"", 1
        piece += octets
    return "\r\n ".join([*words, _encoded_word(piece)])


def _encoded_word(octets: bytes) -> str:
    return f"=?utf-8?b?{binascii.b2a_base64(octets, newline=False).decode('ascii')}?="


def _octets(text: str, path: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as fault:
        raise errors.InvalidInput.at(
            path, f"holds half a character at {fault.start}: it is not text"
        ) from None


def _ascii_label(label: str) -> str:
    """A label of a domain in ASCII (RFC 5891: NFC, lower case, Punycode)."""
    if label.isascii():
        return label
    label = unicodedata.normalize("NFC", label).lower()
    letters = all(unicodedata.category(c)[0] in "LMN" or c in "-·\u200c\u200d" for c in label)
    return "xn--" + label.encode("punycode").decode("ascii") if letters else ""


def verp(address: str, message_id: str) -> str:
    """The address to which a message's bounces come: `bounces@…` with the message's id in it."""
    local, _, domain = address.rpartition("@")
    return f"{local}+{message_id.replace('-', '')}@{domain}"
