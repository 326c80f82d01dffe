"""Batches as simply as they can be said: lists of items, looked at as a whole whenever time passes.

Nothing here is fast, keeps anything up to date, or knows of turns: it is what the engine is compared with.
"""

from typing import Any, NamedTuple

from hypothesis import strategies as st

MINUTE = 60_000_000


class Call(NamedTuple):
    """A run that adds to a batch."""

    key: str
    user: str | None
    """Where the scope is `user`."""
    wait: int
    max_wait: int
    max_items: int | None
    retain_type: str
    retain_count: int
    value: Any
    """What it is sorted by; None: nothing there."""

    def step(self) -> dict[str, Any]:
        """The step that says so."""
        step: dict[str, Any] = {
            "action": "add-to-batch",
            "batch_id": self.key,
            "wait_period": f"PT{self.wait}M",
            "max_wait_period": f"PT{self.max_wait}M",
            "retain": {"type": self.retain_type, "count": self.retain_count, "sort_key": "data.v"},
        }
        if self.max_items is not None:
            step["max_items"] = self.max_items
        if self.user is not None:
            step["scope"] = "user"
        return step

    def data(self, number: int) -> dict[str, Any]:
        """What the run of this number brings."""
        return {"n": number} if self.value is None else {"n": number, "v": self.value}


class Item(NamedTuple):
    """What one run brought."""

    number: int
    at: int
    call: Call


class Released(NamedTuple):
    """A batch that somebody's run went on with."""

    owner: int
    size: int
    kept: tuple[int, ...]
    reason: str


class Model:
    """What becomes of runs that are numbered as they come."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.open: dict[tuple[str, str | None], list[Item]] = {}
        self.latest: dict[tuple[str, str | None], Call] = {}
        self.released: list[Released] = []
        self.status: dict[int, str] = {}

    def join(self, number: int, call: Call) -> None:
        """A run reaches the step, a microsecond after whatever was before it."""
        self.now += 1
        group = (call.key, call.user)
        items = self.open.setdefault(group, [])
        items.append(Item(number, self.now, call))
        self.latest[group] = call
        self.status[number] = "WAITING" if len(items) == 1 else "PROCESSED"
        if call.max_items is not None and len(items) >= call.max_items:
            self._release(group, "max_items")

    def cancel(self, number: int) -> None:
        """A run is canceled, which matters where it owns a batch."""
        if self.status[number] != "WAITING":
            return
        self.status[number] = "CANCELED"
        (group,) = (name for name, items in self.open.items() if items and items[0].number == number)
        self.open[group].pop(0)
        if self.open[group]:
            self.status[self.open[group][0].number] = "WAITING"
            self._look()

    def release(self) -> None:
        """An operator lets every batch go that is open."""
        for group, items in self.open.items():
            if items:
                self._release(group, "operator")

    def pass_time(self, minutes: int) -> None:
        """Time passes, a minute at a time: nothing is due between two."""
        for _ in range(minutes):
            self.now += MINUTE
            self._look()

    def _look(self) -> None:
        for group, items in self.open.items():
            if items:
                quiet = items[-1].at + items[0].call.wait * MINUTE
                longest = items[0].at + items[0].call.max_wait * MINUTE
                if self.now >= min(quiet, longest):
                    self._release(group, "wait_period" if quiet <= longest else "max_wait_period")

    def _release(self, group: tuple[str, str | None], reason: str) -> None:
        items, call = self.open[group], self.latest[group]
        kept = tuple(item.number for item in retained(items, call))
        self.released.append(Released(items[0].number, len(items), kept, reason))
        self.status[items[0].number] = "PROCESSED"
        self.open[group] = []


def retained(items: list[Item], call: Call) -> list[Item]:
    """What is kept of these, in the order in which it is passed on."""
    if call.retain_type in ("first", "last"):
        return items[: call.retain_count] if call.retain_type == "first" else items[-call.retain_count :]
    numbers = [item for item in items if isinstance(item.call.value, int)]
    texts = [item for item in items if isinstance(item.call.value, str)]
    rest = [item for item in items if item.call.value is None]
    for some in (numbers, texts):
        some.sort(key=lambda item: item.call.value, reverse=call.retain_type == "highest")
    return [*numbers, *texts, *rest][: call.retain_count]


calls = st.builds(
    Call,
    key=st.sampled_from("aab"),
    user=st.sampled_from((None, None, "ana", "bob")),
    wait=st.sampled_from((10, 30)),
    max_wait=st.sampled_from((20, 60)),
    max_items=st.sampled_from((None, None, 2, 4)),
    retain_type=st.sampled_from(("first", "last", "highest", "lowest")),
    retain_count=st.sampled_from((1, 3)),
    value=st.sampled_from((None, 1, 2, 3, "x", "y")),
)
