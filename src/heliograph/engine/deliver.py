"""Deliver: claim what stands in line, hand over what is claimed, and tell the turns what the answer was.

Law: nothing is handed over that is not claimed, and nothing claimed is forgotten: a claim whose lease runs out
becomes an attempt of unknown end, and policy decides what follows (engine.md E21). Most messages are claimed by the
turn that plans them and come here through the handover; what finds no room stands in line, and is claimed here. The
claim is committed before the hand-over begins, the next turn stores the answer; a channel's slowness holds up no
other channel.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import structlog

from heliograph import channels, errors
from heliograph.core import ids, messages
from heliograph.engine import claiming, handover, lanes, letters, limiting, rooms, settlements, ways
from heliograph.store import rows

_log = structlog.get_logger(__name__)

START_SHARE = 0.4
"""The part of a lease within which a hand-over must begin; the rest is for it to end."""
_LONGEST_SLEEP = 5.0
_SMALL, _PAUSE = 250, 0.008
"""Fewer answers than this wait so many seconds for others, so that they share a commit."""
_AT_A_STRETCH = 20
"""So many messages are written before others on the loop have their turn."""
_LEFT = "what is not stored comes back when its lease ends, as HELIOGRAPH_UNCERTAIN_POLICY says"
_NOT_KEPT = "what it said beside that cannot be kept"
_REST = 1.0
"""Seconds that a delivery waits after the database refused it."""
_AWAY = 5.0
"""Seconds for which a delivery that is to end waits for a database that is away, to store its answers."""


class Delivery:
    """One delivery loop over the outbox."""

    def __init__(  # noqa: PLR0913 - everything a delivery works with is handed in
        self,
        claims: claiming.Claims,
        known: ways.Ways,
        writer: letters.Letters,
        now: Callable[[], int],
        wall_seconds: Callable[[int], float],
        terms: settlements.Terms,
        handed: handover.Handover,
        *,
        answered: Callable[[], None] = lambda: None,
        stepped: Callable[[], None] = lambda: None,
    ):
        """Put together: `claims` is who writes for it, `known` by whom messages go out.

        `answered` is told when answers wait for a turn, `stepped` when more may have room.
        """
        self._claims, self._ways, self._writer, self._now, self._terms = claims, known, writer, now, terms
        self._wall_seconds, self._tell, self._told_room = wall_seconds, answered, stepped
        self._handover = handed
        self._limiting = limiting.Limiting(known, claims)
        handed.open(self._room, self._given)
        self._awake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told: asyncio.TimerHandle | None = None
        self._stopping = False
        self._start = 0
        self._looked_at: int | None = None
        # By the clock of the leases, because a played clock runs faster than the wall. Five seconds of sixty: in a
        # burst, when turns take most of the loop, a channel that is quick by itself answers within one or two.
        self._slow = terms.lease // 12
        self._line = True
        self._claimed = 0
        self._counts = dict.fromkeys(channels.Outcome, 0)

    @property
    def counts(self) -> dict[str, int]:
        """How many hand-overs ended how."""
        return {outcome.value: count for outcome, count in self._counts.items() if count}

    @property
    def in_flight(self) -> int:
        """How many claimed messages have no stored answer yet."""
        return self._claimed + self._handover.given - self._handover.stored_so_far

    # ── the loop ────────────────────────────────────────────────────────────────────────────────────

    def wake(self) -> None:
        """There may be messages in line; callable from the loop's own thread."""
        self._line = True
        self._awake.set()

    def stop(self) -> None:
        """Claim nothing more; what is in flight is brought to its end."""
        self._stopping = True
        self._awake.set()

    async def run(self) -> None:
        """Deliver until stopped, then let what is in flight end: turns have to go on until this returns."""
        self._loop = asyncio.get_running_loop()
        self._ways.start(self._heard)
        try:
            while not self._stopping:
                self._awake.clear()
                if not await self._stepped():
                    await self._sleep()
            await self._finish()
        finally:
            await self._ways.stop()

    async def _stepped(self) -> bool:
        try:
            found = await self.step()
            self._told_room()
            return found
        except errors.HeliographError as fault:
            _log.error("delivery_failed", error=fault.message)
        except Exception as fault:  # noqa: BLE001 - a delivery never ends for a fault of one step
            _log.error("delivery_failed", error=str(fault), exc_info=fault)
        await asyncio.sleep(_REST)
        return False

    async def _finish(self) -> None:
        """What is in flight comes to its end; what does not within its lease is left to whoever comes next.

        While the database takes no answers nothing is begun, and for a few seconds alone they are waited for.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._wall_seconds(self._terms.lease)
        patience = clock() + _AWAY
        while (self.in_flight or self._handover.is_asked) and clock() < min(deadline, patience):
            is_away = self._handover.is_refused
            self._ways.rest(is_away)
            if not is_away:
                patience = clock() + _AWAY
                await self._begin(self._handover.receive(), self._now(), self._handover.versions)
            self._tell()
            await asyncio.sleep(_PAUSE)
        if self.in_flight:
            _log.warning(
                "left_to_their_leases", messages=self.in_flight, answered=self._handover.waiting, hint=_LEFT
            )

    async def step(self) -> bool:
        """Begin what the turns gave, see to leases that ran out, claim what is in line; whether there was anything."""
        now = self._now()
        given = self._handover.receive()
        await self._begin(given, now, self._handover.versions)
        room = lanes.room(self._ways.lanes, now - self._slow, claiming.AT_ONCE) if self._line else 0
        # Own claims come back as answers long before their lease ends: once in a third of it is often enough.
        expires = self._looked_at is None or not 0 <= now - self._looked_at < self._terms.lease // 3
        if not (room or expires):
            return bool(given)
        # Before it looks: who plans a message while it looks says so again.
        self._line = self._line and not room
        expired, claimed, stopped, is_cut, versions = await self._claims.take(
            room, now, self._start, expires=expires
        )
        if expires:
            # Where there were as many as it takes at once, there may be more: they are not left for the next look.
            self._looked_at = now if len(expired) < claiming.AT_ONCE else None
            expired = self._lost(expired)
        self._line = self._line or is_cut
        self._claimed += len(expired) + len(claimed) + len(stopped)
        for one in expired:
            self._answered(one, settlements.LOST)
        for one, why in stopped:
            self._answered(one, settlements.UNTAKEN[why])
        await self._begin(claimed, now, versions)
        if claimed:
            self._start = claimed[-1].message.workspace_id
        return bool(given or expired or claimed or stopped)

    def _lost(self, expired: Sequence[rows.Claimed]) -> list[rows.Claimed]:
        """Those of these claims that ran out of which nobody here will hear: what is at hand is answered yet.

        Who stood still, or could not store anything for long, finds its own claims, which it now has anew.
        """
        return [one for one in self._handover.lost(expired) if not self._ways.have(one.message.id)]

    async def _sleep(self) -> None:
        seconds = _LONGEST_SLEEP
        if self._looked_at is not None:
            next_look_at = self._looked_at + self._terms.lease // 3
            seconds = min(seconds, max(0.0, self._wall_seconds(next_look_at - self._now())))
        try:
            await asyncio.wait_for(self._awake.wait(), seconds)
        except TimeoutError:
            # Whoever planned a message may be another process, or have died before it could say so.
            self._line = True

    # ── what the turns ask and give ─────────────────────────────────────────────────────────────────

    def _room(self, place: rooms.Place) -> rooms.Room | None:
        """What may be claimed by the turn that plans it: only of who has little in hand while others stand in line."""
        if self._stopping or self._looked_at is None:
            return None
        return self._ways.room(place, self._now(), in_line=self._line)

    def rooms(self, workspaces: Collection[int]) -> Iterator[tuple[rooms.Place, rooms.Room | None]]:
        """What turns may claim of the installation's channels, and of those that these workspaces have themselves."""
        return ((place, self._room(place)) for place in self._ways.places(workspaces))

    def _given(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._awake.set)

    # ── handing over ─────────────────────────────────────────────────────────────────────────────────

    async def _begin(self, claimed: Sequence[rows.Claimed], now: int, versions: Mapping[int, int]) -> None:
        """`versions` is by which definitions their workspaces stand."""
        if not claimed:
            return
        try:
            self._ways.know(
                {space: versions[space] for space in {one.message.workspace_id for one in claimed}}
            )
            chosen = await self._limiting.chosen(claimed, now)
        except errors.HeliographError as fault:
            # By whom they go is not known: they come again, and nothing was begun.
            _log.error("providers_unknown", error=fault.message)
            for one in claimed:
                self._answered(one, settlements.PASSED_BY)
            return
        # By its claim: what came late, to a process that stood still, may be somebody else's by now.
        rest = int(self._terms.lease * (1 - START_SHARE))
        for number, one in enumerate(in_turns(claimed), 1):
            self._begin_one(one, one.lease_until - rest, now, chosen.get(one.message.id))
            if not number % _AT_A_STRETCH:
                await asyncio.sleep(0)

    def _begin_one(
        self, one: rows.Claimed, start_by: int, now: int, chosen: ways.Way | channels.Answer | None
    ) -> None:
        if now - one.due_at > self._terms.misfire_grace:
            self._answered(one, settlements.HELD)
            return
        way = self._way_of(one, now, chosen)
        if isinstance(way, channels.Answer):
            self._answered(one, way)
            return
        try:
            outgoing = self._writer.write(one, start_by, now, way.sending, self._ways.tracked(one.message))
        except (errors.NoSecretKey, errors.WrongSecretKey) as fault:
            answer = channels.Answer(
                channels.Outcome.TEMPORARY, way.name, None, "misconfigured", fault.message
            )
            self._answered(one, answer)
            return
        except errors.HeliographError as fault:
            self._answered(one, _refused("unrenderable", fault.message))
            return
        except Exception as fault:  # noqa: BLE001 - one message's fault stops that message alone
            _log.error("render_failed", message_id=ids.text(one.message.id), exc_info=fault)
            self._answered(one, _refused("unrenderable", str(fault)[:500]))
            return
        if way.send_now is not None:
            self._heard(way, one, way.send_now(outgoing))
        else:
            way.lane.put(one, outgoing, now)

    def _way_of(
        self, one: rows.Claimed, now: int, chosen: ways.Way | channels.Answer | None
    ) -> ways.Way | channels.Answer:
        """By whom a message goes, or why it goes by nobody now; who was `chosen` may have failed since."""
        way = self._ways.choose(one.message, now) if chosen is None else chosen
        if chosen is not None and isinstance(way, ways.Way) and not way.is_up(now):
            return way.trouble(now)
        if way is None:
            return _refused(settlements.NO_PROVIDER, messages.without_provider(one.message.channel))
        if isinstance(way, ways.Way) and way.lane.is_slow(now - self._slow):
            return settlements.PASSED_BY
        return way

    def _heard(self, way: ways.Way, claimed: rows.Claimed, answer: channels.Answer) -> None:
        """A provider answered."""
        try:
            self._take_in(way, claimed, answer)
        except Exception as fault:  # noqa: BLE001 - of what comes from outside no word may end whoever heard it
            _log.error("answer_not_kept", message_id=ids.text(claimed.message.id), exc_info=fault)
            self._answered(claimed, channels.Answer(answer.outcome, way.name, text=_NOT_KEPT))

    def _take_in(self, way: ways.Way, claimed: rows.Claimed, answer: channels.Answer) -> None:
        now = self._now()
        way.heard(answer, now)
        others = self._ways.others(claimed.message, way, now) if answer.blames_provider else None
        is_told_of = answer.reference is not None and self._ways.reports(claimed.message, way)
        self._answered(claimed, way.signed(answer), others, is_told_of=is_told_of)

    def _answered(
        self,
        claimed: rows.Claimed,
        answer: channels.Answer,
        others: Mapping[str, bool] | None = None,
        *,
        is_told_of: bool = False,
    ) -> None:
        """Keep an answer for the next turn; `others` is who else might take the message.

        `is_told_of`: whether who took it reports on it.
        """
        # Of a claim that was taken over, `due_at` is when it was made.
        lost = answer is settlements.LOST
        claimed_at = claimed.due_at if lost else claimed.lease_until - self._terms.lease
        now = self._now()
        settled = settlements.settled(
            claimed, answer, self._terms, claimed_at, now, others, is_told_of=is_told_of
        )
        self._counts[answer.outcome] += 1
        self._handover.answer(settled)
        if self._line:
            self._awake.set()
        if self._handover.waiting == _SMALL:
            # Once: on PostgreSQL the turns are a thread, and each telling is a call to the system.
            self._tell()
        elif self._told is None and self._loop is not None:
            self._told = self._loop.call_later(_PAUSE, self._tell_late)

    def _tell_late(self) -> None:
        self._told = None
        self._tell()


def in_turns(claimed: Sequence[rows.Claimed]) -> Sequence[rows.Claimed]:
    """In the order in which lanes take them: each workspace's first, then each one's second; writing takes time too."""
    places: Counter[int] = Counter()

    def place(one: rows.Claimed) -> int:
        places[one.message.workspace_id] += 1
        return places[one.message.workspace_id]

    is_shared = len({one.message.workspace_id for one in claimed}) > 1
    return sorted(claimed, key=place) if is_shared else claimed


def _refused(code: str, text: str) -> channels.Answer:
    return channels.Answer(channels.Outcome.PERMANENT, "", None, code, text)
