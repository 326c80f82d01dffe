"""Courses: what mailings go by, as it was when they began (a chapter of the turn).

Law: it is written down once, and read again by every turn that walks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from heliograph.core import audience_filters, outgoing, segments
from heliograph.store import fanout_rows


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a mailing goes by, as it was when it began."""

    tenant_id: str | None
    list_id: str
    visit: int
    template_id: str | None
    template_version: int | None
    look: dict[str, Any] | None
    data: dict[str, Any]
    request: dict[str, Any] | None = None
    strategy: str = "replace"
    source: tuple[str, ...] = ()
    """What the runs of recipients say where they come from."""
    depth: int = 0
    request_id: str | None = None
    """The request to send that asked for it, in place of a run."""
    said: outgoing.Letter | None = None
    """What is said, where that is more than a template."""
    list_ids: tuple[str, ...] = ()
    """The lists whose people it is for, where it is not one list."""
    audience: dict[str, Any] | None = None
    """The filter of those whom it is for, where that is no list's business."""
    audience_of: str | None = None
    """The tenant whose audience that is, of whose people alone it is."""
    member_of: str | None = None
    """The tenant of which they have to be members."""
    spoken_for: str | None = None
    """The tenant in whose name it is sent, which says something of its members."""
    topic: str | None = None
    """What it was about when it began: by its own word, else its template's."""
    override: dict[str, Any] | None = None
    """What is said of its e-mails instead (core.overrides)."""

    @property
    def letter(self) -> outgoing.Letter:
        """What is said to each."""
        if self.said is not None:
            return self.said
        return outgoing.Letter(
            template_id=self.template_id,
            template_version=self.template_version,
            look=self.look,
            override=self.override,
            topic=self.topic,
        )

    @property
    def lists(self) -> tuple[str, ...]:
        """The lists whose people it is for."""
        return self.list_ids or (self.list_id,)


_body = msgspec.json.Decoder(Body)


class Course(NamedTuple):
    """A mailing, ready to walk."""

    automation_id: bytes
    """The id of the effect that asked for it."""
    run_id: bytes | None
    """The run that hears how it ends; None where a request to send asked for it."""
    body: Body
    letter: outgoing.Letter
    due_at: int
    """Since when its people are due."""
    is_in: segments.Member | None = None
    """Who is in its audience."""
    asks_of: frozenset[str] = frozenset()
    """The tenants of which it is to be known who is with them."""


OF_REQUEST = 0
"""The version of a fan-out that a request to send asked for; a campaign's begin at 1."""


def read(row: fanout_rows.Fanout) -> Course:
    """A stored mailing."""
    body = _body.decode(row.body)
    is_in, asks_of = None, frozenset(() if body.member_of is None else (body.member_of,))
    if body.audience is not None:
        condition = audience_filters.parse(body.audience)
        is_in = segments.audience([segments.Members(condition, tenant_id=body.audience_of)], [])
        asks_of |= audience_filters.tenants_of(body.audience, body.audience_of)
    return Course(row.automation_id, row.run_id, body, body.letter, row.created_at, is_in, asks_of)


def is_one(row: fanout_rows.Fanout) -> bool:
    """Whether a fan-out is a mailing, and no campaign's."""
    return row.run_id is not None or row.version == OF_REQUEST
