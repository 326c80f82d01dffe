"""Plan: an ordered tuple of steps, and what a step may see and say.

Law: the four doors all compile to a `Plan`; a step looks at a `Scene` and answers with an `Outcome`, and does
nothing else. Step kinds stand in `steps/`, one small file per family.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from heliograph import errors
from heliograph.core import effects, ids, schedule, templates

Found = TypeVar("Found")
MAX_DEPTH = 5
"""How many times events of our own may cause each other (rules.md C32, R16)."""


class Status(IntEnum):
    """How one step stands."""

    PENDING = 1
    SUCCEEDED = 2
    FAILED = 3
    SKIPPED = 4

    @property
    def settled(self) -> bool:
        """Whether nothing more will change."""
        return self is not Status.PENDING


WAKES_AT = "wakes_at"
"""The key of a step's output that says until when it waits."""


BATCH = "batch"
"""The key of a step's output that says which batch its item is in, and how that stands."""


GAINED = "gained"
"""The key of a step's output that holds what the data of a batch's owner gained."""


REQUEST = "request"
"""The key of a step's output that says what another program is asked, for whose answer the run waits."""


THROTTLED = "throttled"
"""The key of a step's output that says whether its run was one too many, and ends there."""


DEFAULT_BRAND = DEFAULT_STRATEGY = "default"
"""The brand that is taken where none is named, if there is one."""


RECIPIENTS = "recipients"
"""The key of a step's output that says to whom a started run's messages go: (contact_id, address) of each."""


NOWHERE_BOUND = "unroutable"
"""The key of a step's output that says which of these go nowhere, by their places among the recipients."""


MESSAGE_IDS = "message_ids"
"""The key of a step's output that names the messages of the step whose idempotency key it had."""


REQUESTED = "requested"
"""The key of a step's output that says that it asked for a request to send, and who its one recipient is, if so."""


MADE = "made"
"""The key of a step's output that says what its request has become: (contact_id, address, id) of each message."""


WALKS = "walks"
"""The key of a step's output that names the fan-outs of its request; under each name stands how that ended."""


NO_LISTS: Mapping[str, str | None] = {}


MAILING = "list"
"""The key of a step's output that says to which list a fan-out of its own writes."""


class Unseen(Exception):
    """A step looks at something that this turn has not read: it is taken in the next one, which has."""


class Foreign(KeyError):
    """There is somebody of this id, and to the run's tenant there is not."""


class Started(Protocol):
    """What the steps of a run see that no rule started."""

    def look(self, visit: int, records: Sequence[Any]) -> None:
        """The step of this visit is taken next; `records` is what those before it left."""


class Invocation(NamedTuple):
    """A journey that a rule's action wants to start."""

    template: str | None
    """Its id or alias; None where the steps come along."""
    data: dict[str, Any]
    start_key: str | None
    """What the run is unique by among the journey's; None: the action itself."""
    scene: Scene
    steps: list[dict[str, Any]] | None = None
    """Steps that no journey has."""


class Team(NamedTuple):
    """Who may take care of conversations: ids, each with the tenant whose they are (None: everybody's)."""

    agents: Mapping[str, str | None]
    divisions: Mapping[str, str | None]


NOBODY = Team({}, {})


class Pin(NamedTuple):
    """A stored template as a message takes it."""

    template_id: str
    version: int
    brand_id: str | None
    """The brand in whose look it is drawn; None: it is drawn in none."""
    strategy_id: str | None = None
    """The routing strategy that it is sent by."""


@dataclasses.dataclass(frozen=True, eq=False)
class Library:
    """What is published of a workspace's templates and brands."""

    templates: Mapping[str, Pin]
    """By id and by alias."""
    brands: Mapping[str, int]
    """The version of each brand, by id."""
    strategies: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """By which channels messages go (core.routing.Routing), by strategy."""
    drafts: frozenset[str] = frozenset()
    """The templates, by id and by alias, of which nothing is published."""
    providers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The channel of each of the workspace's own providers, by name."""
    letters: dict[Any, Any] = dataclasses.field(default_factory=dict)
    """What was found out of it (core.outgoing.Letter), which goes with it."""

    def missing(self, brand: str | None, strategy: str | None) -> str | None:
        """Which of these, that a message names itself, there is not; None: none."""
        if brand is not None and brand not in self.brands:
            return f"there is no brand {brand!r}"
        if strategy is not None and strategy not in self.strategies:
            return f"there is no routing strategy {strategy!r}"
        return None

    def lack(self, template: str) -> str:
        """Why nothing is sent by a template that is not published."""
        if template in self.drafts:
            return f"the template {template!r} is a draft: publish it first"
        return f"there is no template {template!r}"

    def look(self, pin: Pin | None, wanted: str | None = None) -> dict[str, Any] | None:
        """What a message's `content` says of its look: the brand that it names, else its template's, pinned.

        `pin` is None for Elemental content of the message's own. A brand that there is not has version 0
        where something is drawn in it, and is passed over elsewhere.
        """
        brand_id = wanted or (DEFAULT_BRAND if pin is None else pin.brand_id)
        # Texts that are drawn in no brand go out whatever a run is said to be for.
        is_needed = brand_id != DEFAULT_BRAND and (pin is None or pin.brand_id is not None)
        if brand_id is None or (brand_id not in self.brands and not is_needed):
            return None
        return {"brand": [brand_id, self.brands.get(brand_id, 0)]}


NO_LIBRARY = Library({}, {})


def storable(said: str, path: str) -> str:
    """A text by which something is looked for. Raises RenderFailed where no database takes it."""
    if "\x00" in said:
        raise errors.RenderFailed.at(path, "holds a NUL character, which no database takes")
    return said


class Scene(msgspec.Struct, gc=False):
    """What the steps of one run may see: the event and the records as they stood before it (engine.md E9)."""

    rule_id: bytes
    event_id: bytes
    event_type: str
    source: str
    channel_source: str | None
    contact_id: str | None
    conversation_id: str | None
    tenant_id: str | None
    depth: int
    payload: Mapping[str, Any]
    previous: Mapping[str, Any] | None
    contact: Mapping[str, Any] | None
    """The stored contact: its profile, `id` and `tags`; `{id}` alone where none is stored."""
    conversation: Mapping[str, Any] | None
    """The stored conversation: how it stands, `attributes`, `id` and `tags`; `{id}` alone where none is stored."""
    default_subject: str
    library: Library
    """What is published of templates and brands."""
    region: str | None
    """The region in which a telephone number without a country code is read."""
    now: int
    invoke: Callable[[Invocation], effects.Start | str] | None = None
    """Gives the start of a journey, or why there is none."""
    started: Started | None = None
    """None for a rule's run."""
    team: Team = NOBODY
    conversation_is_foreign: bool = False
    """Whether the conversation is another tenant's: to this event it does not exist."""
    contact_is_foreign: bool = False
    """Whether the contact is; what the event says of them is all that it sees."""
    contact_is_deleted: bool = False
    """Whether the contact was deleted since: no step is taken any more."""
    lists: Mapping[str, str | None] = NO_LISTS
    """The tenant of each list that is there (None: the workspace's own), of those that its steps name."""
    saved: dict[str, Any] = {}
    """What steps have set of the contact: none sees it, and all of it together must find room in the profile."""
    _context: dict[str, Any] | None = None

    @property
    def context(self) -> dict[str, Any]:
        """The evaluation context: the payload's keys at the root, and the roots, which win."""
        if self._context is None:
            self._context = context_of(self)
        return self._context

    def said(self, text: templates.Text) -> str:
        """What a text of a step that names something comes to, without what surrounds it. Raises RenderFailed."""
        said = text.source if text.is_static else text.fill(self.context, self.now).strip()
        return storable(said, text.path)


def context_of(scene: Scene) -> dict[str, Any]:
    """What texts are filled from: everything that conditions see (E9) and the event by its name (E31)."""
    return templates.context_for(
        scene.payload,
        event_type=scene.event_type,
        source=scene.source,
        channel_source=scene.channel_source,
        previous=scene.previous,
        contact=scene.contact,
        conversation=scene.conversation,
        tenant={"id": scene.tenant_id},
        event=event_of(scene.event_id, scene.event_type, scene.source, scene.payload),
    )


def event_of(event_id: bytes, event_type: str, source: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What `event` is in a text."""
    created_at = schedule.write_instant(ids.created_at(event_id))
    return {
        **payload,
        "id": ids.text(event_id),
        "type": event_type,
        "source": source,
        "created_at": created_at,
        "payload": payload,
    }


def can_join(scene: Scene, list_id: str) -> bool:
    """Whether a run may put somebody on a list: it is there, and the workspace's own or of the run's tenant."""
    return list_id in scene.lists and scene.lists[list_id] in (None, scene.tenant_id)


NOWHERE = Scene(b"", b"", "", "", None, None, None, None, 0, {}, None, None, None, "", NO_LIBRARY, None, 0)
"""What a step sees that looks at nothing."""


class End(IntEnum):
    """How a step ends its whole run."""

    FAILED = 1
    CANCELED = 2


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What a step answers: how it stands, what it asks for, what it leaves to be read."""

    status: Status
    effects: tuple[effects.Effect, ...] = ()
    output: Any = None
    error: str | None = None
    end: End | None = None
    """How the run ends here, where it does."""


class Step(Protocol):
    """One step kind's value: made by its kind's `parse`, asked once by `advance`."""

    @property
    def on_error(self) -> str:
        """`continue`; `wait`: the next step waits for what this one asks for; `stop`: and needs it to succeed."""

    @property
    def kind(self) -> str:
        """The step's name on the wire."""

    def take(self, scene: Scene) -> Outcome:
        """What this step asks for, seen this scene."""


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What an automation does, in order."""

    steps: tuple[Step, ...]
    holding: tuple[tuple[int, frozenset[int]], ...]
    """The visits of those that are waited for before the next one begins, and how they stand while they hold it up."""
    found: dict[Any, Any] = dataclasses.field(default_factory=dict)
    """What was found out of it (`once`), which goes with it."""


def plan(steps: tuple[Step, ...]) -> Plan:
    """The plan of these steps."""
    found = ((visit, _HOLDING.get(step.on_error)) for visit, step in enumerate(steps))
    return Plan(steps, tuple((visit, held) for visit, held in found if held is not None))


def once(find: Callable[[Plan], Found]) -> Callable[[Plan], Found]:
    """What is found out of a plan, and found once for each: it is asked for every run."""

    @functools.wraps(find)
    def known(plan: Plan) -> Found:
        try:
            made: Found = plan.found[find]
        except KeyError:
            made = plan.found[find] = find(plan)
        return made

    return known


_HOLDING: Mapping[str, frozenset[int]] = {
    "wait": frozenset({int(Status.PENDING)}),
    "stop": frozenset({int(Status.PENDING), int(Status.FAILED)}),
}
"""How a step stands that holds up the next one, by its `on_error`."""


def failed(error: str) -> Outcome:
    """A step that could not be taken, and why."""
    return Outcome(Status.FAILED, error=error)


def done(*asked: effects.Effect, output: Any = None) -> Outcome:
    """A step whose effects are on our own records: it has succeeded when the turn commits."""
    return Outcome(Status.SUCCEEDED, asked, output)


def pending(*asked: effects.Effect, output: Any = None) -> Outcome:
    """A step that waits for an answer to each of its effects."""
    return Outcome(Status.PENDING, asked, output)


def writing(asked: Sequence[effects.Deliver]) -> Outcome:
    """A step of a started run that writes these messages: what is read of them by its `ref` stands in its output."""
    output: dict[str, Any] = {RECIPIENTS: [(one.contact_id, one.address) for one in asked]}
    if lost := [place for place, one in enumerate(asked) if one.fault is not None]:
        output[NOWHERE_BOUND] = lost
    return pending(*asked, output=output)


def goes_nowhere(output: Any) -> bool:
    """Whether a step has written messages, by its output, of which none has anywhere to go."""
    lost = output.get(NOWHERE_BOUND, ()) if isinstance(output, dict) else ()
    return bool(lost) and len(lost) == len(output[RECIPIENTS])


def unread(output: Mapping[str, Any], place: int) -> str:
    """How a message of such a step stands that is on its way yet, or written in this very turn."""
    return "UNROUTABLE" if place in output.get(NOWHERE_BOUND, ()) else "ENQUEUED"


def walked_in(output: Mapping[str, Any]) -> dict[str, int]:
    """How many messages stand how of those that a request's fan-outs made, as far as these have ended."""
    found: dict[str, int] = {}
    for name in output.get(WALKS, ()):
        for status, count in output.get(name, {}).items():
            found[status] = found.get(status, 0) + count
    return found
