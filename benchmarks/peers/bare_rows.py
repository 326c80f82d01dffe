"""The rows that the bare loop writes, decided in memory.

Law: only the columns that vary; what is the same in every row stands in the statements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from benchmarks import job
from heliograph.core import ids, runs

DAY = 20_780
"""The day that all statistics are counted on."""

RULES = [ids.mint(1_000_000 * rule.number, rule.number, 0, rule.number) for rule in job.RULES]
"""The automations' ids."""

TRACES = {tier: b'[[0,"%b"]]' % tier.encode() for tier in job.TIERS}
NOT_MATCHED = (int(runs.Status.DONE), int(runs.Outcome.NOT_MATCHED))
PENDING = (int(runs.Status.WAITING), int(runs.Outcome.PENDING))
CONTENT = msgspec.json.encode({"subject": job.SUBJECT, "text": job.TEXT})
DATA = b'{"contact":{"id":"%b","tags":[],"email":"%b","given_name":"%b"}}'

Arrival = tuple[bytes, int, str, str, bytes]
"""(id, partition, event_type, contact_id, payload): the columns of an event that vary."""


class Contact(msgspec.Struct, frozen=True):
    """What the loop reads of a contact's profile."""

    email: str
    given_name: str


class Made(NamedTuple):
    """What was decided about a batch: the columns that vary, in their tables' order."""

    runs: list[tuple[bytes, bytes, bytes, int, int, bytes, bytes | None]]
    """(id, automation_id, event_id, status, outcome, trace, state)"""
    messages: list[tuple[bytes, int, bytes, bytes, bytes, str, str, bytes]]
    """(id, partition, automation_id, run_id, event_id, contact_id, address, data)"""
    counts: list[tuple[bytes, int, int]]
    """(automation_id, total, matched)"""
    outgoing: list[tuple[str, str]]
    """(key, text)"""


def decided(
    events: Sequence[job.Event], arrivals: Sequence[Arrival], contacts: Mapping[str, Contact], now: int
) -> Made:
    """The rows that these events make."""
    head = ids.head(now)
    made = Made([], [], [], [])
    totals: Counter[bytes] = Counter()
    matches: Counter[bytes] = Counter()
    waiting = b"[[1,%d]]" % now
    for event, (event_id, partition, event_type, contact_id, _) in zip(events, arrivals, strict=True):
        payload = event.payload
        stem = head + event_id[8:15]
        trace = TRACES[payload["tier"]]
        for place, (rule, matched) in enumerate(job.decide(event_type, payload)):
            automation_id = RULES[rule.number - 1]
            run_id = stem + b"%c" % place
            totals[automation_id] += 1
            if not matched:
                made.runs.append((run_id, automation_id, event_id, *NOT_MATCHED, trace, None))
                continue
            matches[automation_id] += 1
            made.runs.append((run_id, automation_id, event_id, *PENDING, trace, waiting))
            contact = contacts[contact_id]
            identity = stem + b"\x10"
            data = DATA % (contact_id.encode(), contact.email.encode(), contact.given_name.encode())
            made.messages.append(
                (identity, partition, automation_id, run_id, event_id, contact_id, contact.email, data)
            )
            made.outgoing.append((identity.hex(), job.render(payload, contact.given_name)))
    made.counts.extend((rule, total, matches[rule]) for rule, total in totals.items())
    return made
