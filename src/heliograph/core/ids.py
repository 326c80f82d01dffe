"""Identity and place: the 16 bytes of a hot row's id, and the partition of a subject.

Law: an id is a UUIDv7 (RFC 9562) whose bits are all spoken for, so that what a look-up needs to know
stands in the id itself:

    48 milliseconds | 4 version | 10 microseconds, 2 zero | 2 variant | 20 counter | 6 partition | 36 tail

Sorting by id is sorting by creation, to the microsecond and then by the counter; the partition tells a
look-up where to look. Ids of what a decision makes (runs, messages) are derived from what it decided on,
never drawn: deciding twice gives the same bytes. Instants are integers, microseconds since 1970 UTC.
"""

from __future__ import annotations

import functools
import re
from binascii import hexlify
from hashlib import blake2b
from struct import Struct
from zlib import crc32

PARTITIONS = 64
"""For ever: rows are never re-hashed."""

COUNTER_BITS, ORDINAL_BITS = 20, 16
_RANK = 18
_FIRST_CAUSE = 16
"""Bits of the counter that are left when a generation, of at most 15, stands before it."""
_VERSION = 0x7000
_VARIANT = 0x8000_0000_0000_0000
_TAIL = (1 << 36) - 1
_COUNTER = (1 << COUNTER_BITS) - 1
_UP_TO_COUNTER = (1 << 64) - (1 << 42)
_low_half = Struct("!8xQ").unpack


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


def name_fault(given: object, example: str, longest: int = 128) -> str | None:
    """What is wrong with a name that people choose for a thing of theirs, as its id; None: nothing."""
    if isinstance(given, str) and len(given) <= longest and _NAME.fullmatch(given):
        return None
    return f"takes a name of at most {longest} letters, digits, `.`, `/`, `_` and `-`, such as {example}"


def partition_of_subject(workspace_id: int, subject: str) -> int:
    """The partition (0 to 63) in which everything of this subject is decided, one after the other."""
    return crc32(b"%d\x1f%b" % (workspace_id, subject.encode("utf-8", "surrogatepass"))) & (PARTITIONS - 1)


def head(at: int) -> bytes:
    """The first eight bytes of any id made at the instant `at` (µs)."""
    milliseconds, microseconds = divmod(at, 1000)
    return (milliseconds << 16 | _VERSION | microseconds << 2).to_bytes(8, "big")


def foot(counter: int, partition: int, tail: int) -> bytes:
    """The last eight bytes: where in its batch, in which partition, and what makes it unique."""
    return (_VARIANT | (counter & _COUNTER) << 42 | partition << 36 | tail & _TAIL).to_bytes(8, "big")


def mint(at: int, counter: int, partition: int, tail: int) -> bytes:
    """An id for something that came from outside; the shell hands in a running counter and random tail bits."""
    return head(at) + foot(counter, partition, tail)


_OF_RUNS = ((1 << 64) - 1) ^ _TAIL | 0xFFFFF
NEXT_RUN = 1 << 20
"""What lies between the places of an event's runs."""


def run_place(event_id: bytes) -> int:
    """The last eight bytes, as a number, of the id of an event's first run; the next is NEXT_RUN further.

    The event's counter and the low bits of its tail are kept, so the runs of one event lie side by side,
    in evaluation order, and the runs of one turn in the order of their events.
    """
    low: int = _low_half(event_id)[0]
    return low & _OF_RUNS


def of_run(event_id: bytes, ordinal: int, run_head: bytes) -> bytes:
    """The id of the run that the `ordinal`-th rule makes of an event, decided at the instant of `run_head`."""
    return run_head + (run_place(event_id) + ordinal * NEXT_RUN).to_bytes(8, "big")


def runs_of(event_id: bytes, run_head: bytes) -> tuple[bytes, bytes]:
    """The ids between which the runs of an event lie (both included), decided at the instant of `run_head`."""
    return of_run(event_id, 0, run_head), of_run(event_id, (1 << ORDINAL_BITS) - 1, run_head)


def of_effect(run_id: bytes, visit: int, ordinal: int, effect_head: bytes, partition: int) -> bytes:
    """The id of what a run's effect makes (a message, an inbox row): the same for the same effect key.

    Of one run and instant, ids come in the order of its steps and of what each asks for, the first of them at least.
    """
    low: int = _low_half(run_id)[0]
    key, order = _effect_key(visit, ordinal)
    drawn = int.from_bytes(blake2b(run_id + key, digest_size=5).digest(), "big") & 0x3FF_FFFF
    return effect_head + (low & _UP_TO_COUNTER | partition << 36 | order | drawn).to_bytes(8, "big")


@functools.lru_cache(1_024)
def _effect_key(visit: int, ordinal: int) -> tuple[bytes, int]:
    """By what the effects of a run are told from each other, and the bits that put their ids in order."""
    return (visit << 32 | ordinal).to_bytes(8, "big"), min(visit, 63) << 30 | min(ordinal, 15) << 26


def of_fanout(automation_id: bytes, occurrence: int = 0) -> bytes:
    """The id of a fan-out of an automation: the same for the same occurrence."""
    return blake2b(automation_id + occurrence.to_bytes(8, "big"), digest_size=16).digest()


def of_cursor(fanout_id: bytes, part: int, partition: int) -> bytes:
    """The id of a fan-out's cursor in a partition, which it carries; a fan-out may have several parts."""
    drawn = int.from_bytes(blake2b(fanout_id + part.to_bytes(4, "big"), digest_size=16).digest(), "big")
    return (drawn & ~((PARTITIONS - 1) << 36) | partition << 36).to_bytes(16, "big")


def of_job(cursor_id: bytes, ordinal: int, subject: str, channel: str, job_head: bytes) -> bytes:
    """The id of the `ordinal`-th message that a cursor makes: for a subject, by a channel."""
    digest = blake2b(cursor_id + f"{subject}\x1f{channel}".encode("utf-8", "surrogatepass"), digest_size=5)
    return job_head + foot(ordinal, partition_of(cursor_id), int.from_bytes(digest.digest(), "big"))


def of_notice(rule_id: bytes, number: int, ordinal: int, notice_head: bytes, partition: int) -> bytes:
    """The id of the `ordinal`-th message of a rule's notice of this number: the same for the same notice."""
    named = rule_id + number.to_bytes(4, "big") + ordinal.to_bytes(4, "big")
    drawn = int.from_bytes(blake2b(named, digest_size=8).digest(), "big")
    return notice_head + foot(drawn >> 36, partition, drawn)


def in_order(identity: bytes, counter: int) -> bytes:
    """An id like this one, of the same instant, that comes in the order of the counter."""
    low = int.from_bytes(identity[8:], "big")
    return identity[:8] + foot(counter, partition_of(identity), low)


def ranked(identity: bytes, rank: int) -> bytes:
    """An id like this one, of the same instant, that comes after those of a lower rank (0 to 3)."""
    low = int.from_bytes(identity[8:], "big")
    counter = rank << _RANK | low >> 42 & ((1 << _RANK) - 1)
    return identity[:8] + foot(counter, partition_of(identity), low)


def of_emitted(
    run_id: bytes, visit: int, ordinal: int, effect_head: bytes, partition: int, generation: int
) -> bytes:
    """The id of an event that a run lets come in, `generation` turns after one from outside at the earliest.

    Of one instant, what was caused later comes later, whether one turn decided all of it or many did: the generation
    stands before the counter of the first cause, and the step before the rest.
    """
    low = int.from_bytes(of_effect(run_id, visit, ordinal, effect_head, partition)[8:], "big")
    counter = min(generation, 15) << _FIRST_CAUSE | low >> 42 & ((1 << _FIRST_CAUSE) - 1)
    return effect_head + foot(counter, partition, low)


def generation(event_id: bytes | None, depth: int) -> int:
    """How many turns an event came after one from outside: that of an emitted one stands in its id."""
    if not depth or event_id is None:
        return depth
    return (int.from_bytes(event_id[8:], "big") >> 42 & _COUNTER) >> _FIRST_CAUSE


def of_debt(run_id: bytes, visit: int, ordinal: int, effect_head: bytes, partition: int, place: int) -> bytes:
    """The id of what a run owes another subject, the `place`-th of its turn: debts are worked in their order."""
    digest = blake2b(run_id + visit.to_bytes(4, "big") + ordinal.to_bytes(4, "big"), digest_size=5).digest()
    return effect_head + foot(place, partition, int.from_bytes(digest, "big"))


def partition_of(identity: bytes) -> int:
    """The partition that an id carries."""
    # Its six bits lie on both sides of a byte's end.
    return (identity[10] & 3) << 4 | identity[11] >> 4


_high = Struct(">Q").unpack_from


def created_at(identity: bytes) -> int:
    """The instant (µs) at which the row of this id was made."""
    high: int = _high(identity)[0]
    return (high >> 16) * 1000 + (high >> 2 & 0x3FF)


_WIRE = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_LOW = (1 << 62) - 1


def shown(message_id: bytes, request_id: bytes | None) -> str:
    """The id of a message as people see it: one that is its whole request has the request's."""
    return wire(message_id) if message_id == request_id else text(message_id)


def wire(identity: bytes) -> str:
    """The id of a run or a request as the Courier wire has it: `1-`, its second in 8 digits, the rest of it in 24."""
    milliseconds, within = divmod(created_at(identity), 1000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    low = int.from_bytes(identity[8:], "big") & _LOW
    rest = (milliseconds << 10 | within) << 62 | low
    return f"1-{seconds:08x}-{rest:024x}"


def of_wire(written: str) -> bytes | None:
    """The id whose wire form this is, or None where it is none."""
    found = _WIRE.fullmatch(written)
    if found is None:
        return None
    rest = int(found[2], 16)
    milliseconds, within = divmod(rest >> 62, 1 << 10)
    if milliseconds > 999 or within > 999:
        return None
    at = (int(found[1], 16) * 1000 + milliseconds) * 1000 + within
    return head(at) + (_VARIANT | rest & _LOW).to_bytes(8, "big")


_groups = Struct("8s4s4s4s12s").unpack


def text(identity: bytes) -> str:
    """The id as it stands on the wire: a UUID in its usual form."""
    return b"-".join(_groups(hexlify(identity))).decode()


def parse(written: str) -> bytes | None:
    """The bytes of a UUID in its usual form (either case), or None where it is none."""
    if len(written) != 36 or written[8] + written[13] + written[18] + written[23] != "----":
        return None
    try:
        identity = bytes.fromhex(written.replace("-", ""))
    except ValueError:
        return None
    return identity if len(identity) == 16 else None


def parse_digits(written: str) -> bytes | None:
    """The bytes of a UUID in 32 hexadecimal digits, or None where it is none."""
    try:
        identity = bytes.fromhex(written)
    except ValueError:
        return None
    return identity if len(identity) == 16 else None


def in_tenant(tenant_id: str, key: str) -> str:
    """A key that people of a tenant chose, as it is kept: those of two tenants never meet."""
    return f"{tenant_id.replace('%', '%25').replace('/', '%2F')}/{key}"
