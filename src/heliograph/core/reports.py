"""Reports: what a provider tells of a message after it took it: delivered, opened, clicked, bounced, complained of.

Law: in whatever order reports come, and however often, the same ones leave the same row: the earliest instant of each
kind counts, and nothing goes back (engine.md, States). Reports change messages, never the runs that asked for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from heliograph.core import ids, messages, schedule
from heliograph.core.messages import State


class What(StrEnum):
    """What a report tells."""

    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    BOUNCED = "bounced"
    COMPLAINED = "complained"

    @property
    def rank(self) -> int:
        """Of what is told at once, what says that a message arrived is heard first."""
        return {What.BOUNCED: 1, What.COMPLAINED: 2}.get(self, 0)


HARD, SOFT = "hard", "soft"
"""Bounces: the address takes no mail, or it did not take this one."""

MOST_LINKS = 50
"""Links of a message of which it is kept that they were clicked."""
LONGEST_LINK, LONGEST_WORDS = 2_000, 500


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """One report, as it lies in an inbox."""

    what: What
    at: int
    """When it happened (µs), as far as the provider says so."""
    bounce: str | None = None
    """HARD or SOFT, of one that bounced."""
    words: str = ""
    """What the provider says about it."""
    link: str | None = None
    """The link that was clicked."""
    provider: str = ""
    """Who tells it."""


class Bounce(msgspec.Struct, frozen=True, order=True, omit_defaults=True):
    """How a message bounced."""

    at: int
    kind: str
    words: str = ""


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What else is known beside the instants: the column `told`."""

    bounce: Bounce | None = None
    complained_at: int | None = None
    links: tuple[str, ...] = ()
    """Those that were clicked, in the order of their letters."""
    repeats: str | None = None
    """The message that this one says once more."""
    is_early: bool = False
    """A bounce was told before whoever counts the message heard of its end: it is counted with that."""


class Known(NamedTuple):
    """What all reports of a message have told so far."""

    delivered_at: int | None = None
    opened_at: int | None = None
    clicked_at: int | None = None
    told: Told = Told()

    @property
    def reached(self) -> State | None:
        """The state that a message has by them, once it was accepted; None: they say nothing of it.

        A hard bounce is said of this very recipient and weighs most. Who opens, clicks or complains has it. A soft
        bounce is often the answer of a machine to what was delivered all the same.
        """
        bounce = self.told.bounce
        if bounce is not None and bounce.kind == HARD:
            return State.BOUNCED
        if any((self.delivered_at, self.opened_at, self.clicked_at, self.told.complained_at)):
            return State.DELIVERED
        return None if bounce is None else State.BOUNCED

    @property
    def is_lost(self) -> bool:
        """Whether nobody will take notice of it any more than they have: its address takes no mail at all."""
        return self.told.bounce is not None and self.told.bounce.kind == HARD

    @property
    def status(self) -> str | None:
        """The reached state in Courier's words; None where nothing is known."""
        return None if self.reached is None else status(self.reached, self)

    def early(self, *, is_early: bool) -> Known:
        """The same, and whether what counts the message has yet to hear of its end."""
        return self._replace(told=msgspec.structs.replace(self.told, is_early=is_early))


NOTHING = Known()

TAKES = frozenset(
    {State.PLANNED, State.HELD, State.ACCEPTED, State.DELIVERED, State.BOUNCED, State.UNCERTAIN}
)
"""Of messages in these states reports are kept: a provider may tell before its own answer was stored."""
AFTER = frozenset({State.ACCEPTED, State.DELIVERED, State.BOUNCED, State.UNCERTAIN, State.FAILED})
"""The states that a report changes at once, where it is kept; a planned message takes it up when it is accepted."""


def status(state: State, known: Known) -> str:
    """How a message stands that was handed over, in Courier's words."""
    if state is State.DELIVERED and known.clicked_at is not None:
        return "CLICKED"
    if state is State.DELIVERED and known.opened_at is not None:
        return "OPENED"
    return messages.COURIER_STATUS[state]


def take_in(known: Known, report: Report) -> Known:
    """What is known after a report."""
    told = known.told
    if report.what is What.DELIVERED:
        return known._replace(delivered_at=_earlier(known.delivered_at, report.at))
    if report.what is What.OPENED:
        return known._replace(opened_at=_earlier(known.opened_at, report.at))
    if report.what is What.CLICKED:
        links = told.links
        if report.link is not None and report.link not in links:
            links = tuple(sorted({*links, report.link})[:MOST_LINKS])
        return known._replace(
            clicked_at=_earlier(known.clicked_at, report.at), told=msgspec.structs.replace(told, links=links)
        )
    if report.what is What.COMPLAINED:
        at = _earlier(told.complained_at, report.at)
        return known._replace(told=msgspec.structs.replace(told, complained_at=at))
    bounce = Bounce(report.at, report.bounce or HARD, report.words)
    return known._replace(told=msgspec.structs.replace(told, bounce=_graver(told.bounce, bounce)))


def _earlier(known: int | None, at: int) -> int:
    return at if known is None else min(known, at)


def _graver(known: Bounce | None, bounce: Bounce) -> Bounce:
    """A hard bounce before a soft one, of two alike the earlier."""
    if known is None or known.kind == bounce.kind:
        return bounce if known is None else min(known, bounce)
    return known if known.kind == HARD else bounce


def within(report: Report, sent_at: int, now: int) -> Report:
    """The report with an instant between that at which its message was made and the present one."""
    return msgspec.structs.replace(report, at=max(min(report.at, now), sent_at))


_told = msgspec.json.Decoder(Told)
_report = msgspec.json.Decoder(tuple[str, Report])
_encode = msgspec.json.Encoder().encode


def read_told(stored: bytes | str | None) -> Told:
    """The column `told` of a message."""
    return NOTHING.told if stored is None else _told.decode(stored)


def write_told(told: Told) -> bytes | None:
    """The same, to be stored."""
    return None if told == NOTHING.told else _encode(told)


def read(body: bytes | str) -> Report:
    """The report in an inbox row."""
    return _report.decode(body)[1]


def message_of(body: bytes | str) -> bytes:
    """The message of which an inbox row tells."""
    identity = ids.parse(_report.decode(body)[0])
    assert identity is not None
    return identity


def write(message_id: bytes, report: Report) -> bytes:
    """The body of the inbox row that brings a message this report."""
    return _encode((ids.text(message_id), report))


# ── what follows for the address ────────────────────────────────────────────────────────────────────

SOFT_IN_A_ROW = 5
"""So many soft bounces without a delivery between them, and nothing more is sent to an address."""
SOFT_COUNTS_FOR = 90 * schedule.DAY
"""How long a soft bounce counts (µs): nobody may tell of the deliveries between."""


class Word(msgspec.Struct, frozen=True, array_like=True):
    """What an address is told of a message that went there, as it lies in the inbox of the address."""

    address: str
    what: What
    at: int
    bounce: str | None = None


_word = msgspec.json.Decoder(Word)


def read_word(body: bytes | str) -> Word:
    """The word in an inbox row."""
    return _word.decode(body)


def write_word(word: Word) -> bytes:
    """The body of its inbox row."""
    return _encode(word)


def words(address: str, before: Known, after: Known, *, counts: bool) -> Iterable[Word]:
    """What an address is told when this became known of a message; `counts`: it has an account.

    Only what is new is told, so that a report that comes again counts once; a soft bounce of what arrived is none.
    """
    bounce, told = after.told.bounce, before.told
    is_new = bounce is not None and (told.bounce is None or told.bounce.kind != bounce.kind)
    if bounce is not None and is_new and after.reached is State.BOUNCED:
        yield Word(address, What.BOUNCED, bounce.at, bounce.kind)
    if after.told.complained_at is not None and told.complained_at is None:
        yield Word(address, What.COMPLAINED, after.told.complained_at)
    arrived = after.reached is State.DELIVERED and before.reached is not State.DELIVERED
    if arrived and (counts or told.bounce is not None):
        bounced_at = 0 if told.bounce is None else told.bounce.at
        yield Word(address, What.DELIVERED, max(bounced_at, after.delivered_at or _first_seen(after)))


def _first_seen(known: Known) -> int:
    seen = (known.opened_at, known.clicked_at, known.told.complained_at)
    return min(at for at in seen if at is not None)


BOUNCE, COMPLAINT = "bounce", "complaint"
"""Why nothing is sent to an address: of consent.REASONS; the second one is the graver."""


class Account(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an address stands: the column `bounced_at` of its row."""

    since: int
    """When something was first heard of it (µs): of messages that arrive it hears from then on."""
    soft: tuple[int, ...] = ()
    """Its soft bounces that count, when they were (µs), the first one first."""
    until: int = 0
    """Soft bounces up to this instant count no more, nor do those that are yet to be heard of."""

    @property
    def newest(self) -> int:
        """The last that it knows of (µs)."""
        return max((*self.soft, self.until))


_account = msgspec.json.Decoder(Account | tuple[int, ...])


def read_account(stored: bytes | str | None) -> Account | None:
    """How an address stands; None where nothing was ever heard of it. Once it was a list of soft bounces."""
    found = None if stored is None else _account.decode(stored)
    if isinstance(found, tuple):
        return Account(min(found, default=0), found)
    return found


def write_account(account: Account) -> bytes:
    """The same, to be stored."""
    return _encode(account)


def hear(account: Account | None, word: Word, now: int) -> tuple[Account, str | None]:
    """How an address stands after a word, and why nothing is sent there any more, where the word decides that.

    In whatever order words come, the same ones leave the same account, unless
    there are SOFT_IN_A_ROW of them.
    """
    before = account or Account(now)
    if word.what is What.BOUNCED and word.bounce != HARD:
        bounced = sorted((*before.soft, word.at))
        left = tuple(at for at in bounced if at > max(before.until, bounced[-1] - SOFT_COUNTS_FOR))
        if len(left) >= SOFT_IN_A_ROW:
            return Account(before.since, (), left[-1]), BOUNCE
        return Account(before.since, left, before.until), None
    until = max(before.until, word.at)
    after = Account(before.since, tuple(at for at in before.soft if at > until), until)
    return after, _REASONS.get(word.what)


_REASONS = {What.BOUNCED: BOUNCE, What.COMPLAINED: COMPLAINT}
