"""Ways: by whom each message goes out, and how those stand (a chapter of delivery).

Law: a workspace's own providers come first, in their order, then the installation's; one that refused a message for
good is not asked again, and one that is down is passed by while another is up. Each has a lane of its own, so one that
is dead or slow holds up nobody else. What a workspace has set up is read once for each version of its definitions.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from heliograph import channels
from heliograph.core import effects, messages, provider_limits, routes, sending_policies
from heliograph.engine import lanes, letters, rooms
from heliograph.store import rows

SHORTEST_REST, LONGEST_REST = 1_000_000, 60_000_000
"""µs that a provider rests after a first, and at most after a repeated fault of its own."""
_MESSAGE, _FETCH = int(effects.Kind.MESSAGE), int(effects.Kind.FETCH)
_SAYS_NOTHING = frozenset(("lease_over", "malformed"))
"""Codes of answers for which the other side was not asked."""
INSTALLED: Mapping[str, str] = {"email": "smtp", "webhook": "webhook"}
"""Of which kind the installation's own ways are, by channel."""
_NO_ROOM: Mapping[int, int] = {}

SendNow = Callable[[channels.Outgoing], channels.Answer]
Answered = Callable[["Way", rows.Claimed, channels.Answer], None]


class Opened(NamedTuple):
    """A provider of a workspace, ready to be asked."""

    key: tuple[str, int]
    """Its id and version: the same ones are the same provider."""
    name: str
    channel: str
    way: channels.Channel
    sending: letters.Sending
    """What it says of the messages that go by it."""
    limits: provider_limits.Limits | None = None
    reports: bool = False
    """Whether it tells what became of the messages that it took."""


class Outlet(NamedTuple):
    """What a workspace has set up for its deliveries."""

    keys: tuple[tuple[str, int], ...] = ()
    """Id and version of its providers that are enabled, in the order in which they are asked."""
    is_sandbox: bool = False
    """Whether what it sends is simulated."""
    tracking: sending_policies.Tracking | None = None
    """What its e-mails tell of their readers, where it says so itself."""
    hears: bool = False
    """Whether it set up who reports on e-mails, be they sent by the installation's own server."""


class Sandbox:
    """Takes what a workspace sends that plays in a sandbox, and hands it over to nobody."""

    name = provider = "sandbox"
    concurrency = 1

    def send_now(self, _outgoing: channels.Outgoing) -> channels.Answer:
        """Say that it would have gone out."""
        return channels.Answer(channels.Outcome.ACCEPTED, self.provider, None, messages.SIMULATED)

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """The same, for who waits."""
        return self.send_now(outgoing)

    async def close(self) -> None:
        """Nothing is open."""


class Way:
    """One provider, as a delivery knows it."""

    def __init__(
        self,
        way: channels.Channel,
        name: str,
        sending: letters.Sending = letters.PLAIN,
        *,
        is_installed: bool = False,
    ):
        self.name, self.sending, self.is_installed = name, sending, is_installed
        self.names = (name, sending.kind)
        """What a message may call it by."""
        self.limits: provider_limits.Limits | None = None
        self.reports = False
        self.place: tuple[int, str] = (0, "")
        """Whose it is and its id, where it has limits."""
        self.put_off_until = 0
        """Up to when messages were put off because of its rate."""
        self.lane = lanes.Lane(way)
        self.send_now: SendNow | None = getattr(way, "send_now", None)
        """How it hands over at once, where it need not be waited for."""
        self.tasks: list[asyncio.Task[None]] = []
        self._rest, self._rests_until = 0, 0
        self._trouble: channels.Answer | None = None

    @property
    def channel(self) -> channels.Channel:
        """What hands over."""
        return self.lane.way

    def signed(self, answer: channels.Answer) -> channels.Answer:
        """Its answer, under its own name."""
        return answer if self.is_installed else answer._replace(provider=self.name)

    def is_up(self, now: int) -> bool:
        """Whether it is to be asked: after a fault of its own it rests, and then is asked once at a time."""
        if self._trouble is None:
            return True
        # A clock that was set back must not let it rest for ever.
        return not 0 < self._rests_until - now <= LONGEST_REST and self.lane.is_empty

    def trouble(self, now: int) -> channels.Answer:
        """What it would answer while it rests."""
        assert self._trouble is not None
        return self._trouble._replace(retry_after=max(0.0, (self._rests_until - now) / 1_000_000))

    def heard(self, answer: channels.Answer, now: int) -> None:
        """It answered: a fault of its own lets it rest, twice as long as before; anything else ends the trouble."""
        if answer.code in _SAYS_NOTHING:
            return
        if not (answer.blames_provider and answer.outcome is channels.Outcome.TEMPORARY):
            self._trouble, self._rest = None, 0
        elif self._trouble is None or now >= self._rests_until:
            self._rest = min(max(2 * self._rest, SHORTEST_REST), LONGEST_REST)
            self._rests_until, self._trouble = now + self._rest, self.signed(answer)


class Ways:
    """Every provider that a delivery knows: the installation's, and those of workspaces that it met."""

    def __init__(
        self,
        installed: Mapping[str, channels.Channel],
        outlet_of: Callable[[int], Outlet],
        opened: Callable[[int, Collection[tuple[str, int]]], Iterable[Opened]],
    ):
        """`installed` is the installation's own ways by channel.

        `outlet_of` reads what a workspace has set up, `opened` opens those of its providers.
        """
        self._installed = {
            name: Way(way, _name_of(way), letters.Sending(kind=INSTALLED.get(name, "")), is_installed=True)
            for name, way in installed.items()
        }
        self._outlet_of, self._opened = outlet_of, opened
        self._versions: dict[int, int] = {}
        self._own: dict[int, dict[tuple[str, int], Way]] = {}
        """The providers of each workspace that has any."""
        self._order: dict[tuple[int, str], tuple[Way, ...]] = {}
        """Who is asked for each workspace and channel, where a workspace has any of its own."""
        self.limited: set[int] = set()
        """The workspaces that have providers with limits."""
        self._sandboxes: set[int] = set()
        """The workspaces whose messages are simulated."""
        self._tracking: dict[int, sending_policies.Tracking | None] = {}
        """What the e-mails of each workspace tell of their readers, where it says so itself."""
        self._sandbox = Way(Sandbox(), Sandbox.provider, is_installed=True)
        self._hearing: set[int] = set()
        """The workspaces that set up who reports on e-mails."""
        self._retired: list[Way] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._begin: Callable[[Way], list[asyncio.Task[None]]] | None = None

    @property
    def lanes(self) -> list[lanes.Lane]:
        """Every lane."""
        own = [way.lane for ways in self._own.values() for way in ways.values()]
        return [*(way.lane for way in self._installed.values()), *own]

    # ── running ─────────────────────────────────────────────────────────────────────────────────────

    def start(self, answered: Answered) -> None:
        """Let every lane be worked on, those of providers too that are met later."""

        def begun(way: Way) -> list[asyncio.Task[None]]:
            told = functools.partial(answered, way)
            return [asyncio.create_task(way.lane.work(told)) for _ in range(way.channel.concurrency)]

        self._begin = begun
        for way in (
            *self._installed.values(),
            *(way for ways in self._own.values() for way in ways.values()),
        ):
            way.tasks = begun(way)

    def rest(self, is_resting: bool) -> None:
        """Begin no hand-over while this is so; what was begun comes to its end."""
        for lane in self.lanes:
            lane.rest(is_resting)

    async def stop(self) -> None:
        """Work on nothing more, and let go of the providers of workspaces; the installation's are not ours to close."""
        own = [*self._retired, *(way for ways in self._own.values() for way in ways.values())]
        for way in (*self._installed.values(), *own):
            for task in way.tasks:
                task.cancel()
            await asyncio.gather(*way.tasks, return_exceptions=True)
            way.tasks = []
        self._begin = None
        await asyncio.gather(*self._closing, *(way.channel.close() for way in own))
        self._own, self._order, self._versions, self._retired = {}, {}, {}, []

    # ── what workspaces have set up ─────────────────────────────────────────────────────────────────

    def know(self, versions: Mapping[int, int]) -> None:
        """Read what these workspaces have set up, where their definitions are of another version than was read."""
        for workspace_id, version in versions.items():
            if self._versions.get(workspace_id) != version:
                self._read(workspace_id)
                self._versions[workspace_id] = version
        if self._retired:
            self._let_go()

    def _read(self, workspace_id: int) -> None:
        outlet = self._outlet_of(workspace_id)
        (self._sandboxes.add if outlet.is_sandbox else self._sandboxes.discard)(workspace_id)
        self._tracking[workspace_id] = outlet.tracking
        (self._hearing.add if outlet.hears else self._hearing.discard)(workspace_id)
        before = self._own.get(workspace_id, {})
        if not outlet.keys and not before:
            return
        fresh = [key for key in outlet.keys if key not in before]
        made = {one.key: one for one in self._opened(workspace_id, fresh)} if fresh else {}
        own: dict[tuple[str, int], Way] = {}
        for key in outlet.keys:
            if key in before:
                own[key] = before[key]
            elif key in made:
                own[key] = Way(made[key].way, made[key].name, made[key].sending)
                own[key].limits, own[key].place = made[key].limits, (workspace_id, key[0])
                own[key].reports = made[key].reports
                own[key].tasks = [] if self._begin is None else self._begin(own[key])
        self._retired += [way for key, way in before.items() if key not in own]
        self._own[workspace_id] = own
        self._put_in_order(workspace_id)

    def _put_in_order(self, workspace_id: int) -> None:
        for key in [key for key in self._order if key[0] == workspace_id]:
            del self._order[key]
        own = self._own[workspace_id]
        for channel in dict.fromkeys(way.channel.name for way in own.values()):
            found = [way for way in own.values() if way.channel.name == channel]
            installed = self._installed.get(channel)
            # What only prints takes nothing over from a provider that would deliver.
            if installed is not None and installed.channel.name == channel:
                found.append(installed)
            self._order[workspace_id, channel] = tuple(found)
        (self.limited.add if any(way.limits for way in own.values()) else self.limited.discard)(workspace_id)
        if not own:
            del self._own[workspace_id]

    def _let_go(self) -> None:
        """Close the providers that are not there any more, once they have nothing in hand."""
        for way in [way for way in self._retired if way.lane.is_empty]:
            self._retired.remove(way)
            for task in way.tasks:
                task.cancel()
            if self._begin is not None:
                closing = asyncio.create_task(way.channel.close())
                # A loop alone does not keep a task alive.
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    # ── by whom it goes ─────────────────────────────────────────────────────────────────────────────

    def have(self, message_id: bytes) -> bool:
        """Whether anybody has a message in hand."""
        retired = (way.lane for way in self._retired)
        return any(lane.has(message_id) for lane in (*self.lanes, *retired))

    def choose(
        self, message: rows.Message, now: int, without: Collection[str] = ()
    ) -> Way | channels.Answer | None:
        """By whom a message goes now; the answer of who would take it, where they rest; None where there is nobody.

        `without` names those that take no more today.
        """
        if message.workspace_id in self._sandboxes and message.kind != _FETCH:
            return self._sandbox
        order = self._order and self._order.get((message.workspace_id, message.channel))
        installed = self._installed.get(message.channel)
        if message.kind != _MESSAGE or (not order and message.route is None):
            return installed
        via = routes.via(message.route)
        if not order:
            return installed if via is None or installed is None or _goes_by([installed], via) else None
        attempts = messages.read_attempts(message.attempts)
        refused = messages.refused_by(attempts)
        willing = [way for way in order if way.name not in refused and way.name not in without]
        if via is not None:
            willing = _goes_by(willing, via)
            # One that had its time is asked again where nobody else is left.
            willing = [
                way for way in willing if not _had_its_time(way, via, attempts, message, now)
            ] or willing
        for way in willing:
            if way.is_up(now):
                return way
        return willing[0].trouble(now) if willing else None

    def others(self, message: rows.Message, way: Way, now: int) -> dict[str, bool]:
        """Who else there is for a message, and whether they are up."""
        order: Sequence[Way] = self._order.get((message.workspace_id, message.channel), ())
        via = routes.via(message.route)
        if via is not None:
            order = _goes_by(order, via)
        return {one.name: one.is_up(now) for one in order if one is not way}

    def reports(self, message: rows.Message, way: Way) -> bool:
        """Whether somebody tells what became of a message that this one took."""
        if way.is_installed:
            return message.workspace_id in self._hearing and message.channel == "email"
        return way.reports

    def tracked(self, message: rows.Message) -> Collection[str] | None:
        """What an e-mail tells of its reader by its workspace's own word; None: that says nothing."""
        tracking = self._tracking.get(message.workspace_id)
        if tracking is None:
            return None
        topic = routes.read(message.route).topic if message.route else None
        return tracking.of(message.tenant_id, message.template_id, topic)

    # ── room ────────────────────────────────────────────────────────────────────────────────────────

    def places(self, workspaces: Collection[int]) -> list[rooms.Place]:
        """The installation's channels, and those for which these workspaces have providers of their own."""
        own = [(space, way.channel.name) for space in workspaces for way in self._own.get(space, {}).values()]
        return [*self._installed, *dict.fromkeys(own)]

    def room(self, place: rooms.Place, now: int, *, in_line: bool) -> rooms.Room | None:
        """What a turn may claim of a channel, of that of a workspace with providers of its own apart."""
        if isinstance(place, str):
            way = self._installed.get(place)
            return None if way is None else way.lane.offered(in_line=in_line)
        order = self._order.get(place)
        if order is None:
            return None
        up = next((way for way in order if way.is_up(now)), None)
        # What has limits is claimed from the line, where a batch takes its tokens at once.
        has_room = up is not None and up.limits is None
        return up.lane.offered(in_line=in_line) if up and has_room else rooms.Room(0, 0, 0, _NO_ROOM)


def _goes_by(order: Sequence[Way], via: routes.Via) -> list[Way]:
    """Those of these providers that a message goes by, in its order."""
    allowed = [way for way in order if not any(name in via.never for name in way.names)]
    named = via.only or via.first
    ahead = [way for name in named for way in allowed if name in way.names]
    return list(dict.fromkeys(ahead if via.only else [*ahead, *allowed]))


def _had_its_time(
    way: Way, via: routes.Via, attempts: Sequence[messages.Attempt], message: rows.Message, now: int
) -> bool:
    """Whether a message was tried by a provider for as long as it is to be."""
    limit = via.limit_of(way.names)
    tried = [
        one.at for one in attempts if one.provider == way.name and one.channel in (None, message.channel)
    ]
    return limit is not None and bool(tried) and now >= tried[0] + limit * 1000


def _name_of(way: channels.Channel) -> str:
    """What an installation's own way calls itself in its answers."""
    return getattr(way, "provider", way.name)
