"""What a batch decides: whose it is, when it is due, and which items are passed on."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import batch_items, batches, ids
from tests.engine import batch_model

ID = ids.mint(0, 0, 5, 0)
MINUTE = batch_model.MINUTE


def join(number: int, **changed: object) -> batches.Join:
    """What the run of a number brings."""
    made = batches.Join(
        ids.mint(0, number, 0, number),
        0,
        None,
        "b",
        "dynamic",
        None,
        "batch",
        10 * MINUTE,
        60 * MINUTE,
        None,
        "first",
        3,
        None,
        msgspec.Raw(msgspec.json.encode({"n": number})),
    )
    return msgspec.structs.replace(made, **changed)


def filled(count: int, **changed: object) -> tuple[batches.Batch, list[batches.Item]]:
    """A batch of so many items, a minute between two."""
    batch = batches.opened(1, ID, join(1, **changed), 0)
    items = [batches.latest_item(batch, join(1, **changed), 0)]
    for number in range(2, count + 1):
        now = (number - 1) * MINUTE
        batch = batches.joined(batch, join(number, **changed), now)
        items.append(batches.latest_item(batch, join(number, **changed), now))
    return batch, items


def test_groups_are_told_apart_by_every_part() -> None:
    """Tenant, scope, key, user and category each make another group, and what else a call says does not."""
    parts = {"tenant_id": "t", "scope": "user", "batch_key": "c", "user_id": "u", "category_key": "k"}
    groups = {batches.group_of(1, join(1, **{name: value})) for name, value in parts.items()}
    plain = batches.group_of(1, join(1))
    assert len(groups | {plain, batches.group_of(2, join(1))}) == 7
    assert batches.group_of(1, join(2, wait=1, max_items=3, retain_type="last")) == plain


@given(
    st.integers(1, 12),
    st.lists(st.integers(1, 12), unique=True, max_size=6),
    st.sampled_from(batches.ORDERS),
    st.integers(1, 4),
)
def test_what_left_is_as_though_it_had_never_come(
    count: int, leaving: list[int], kind: str, retain: int
) -> None:
    """Whoever leaves, and in whatever order: size, owner, due time and items are those of a batch of the others."""
    changed = {"retain_type": kind, "retain_count": retain, "sort_key": "n"}
    batch, items = filled(count, **changed)
    there = {item.number: item for item in items}
    before: batches.Batch | None = batch
    for number in leaving:
        if number in there and before is not None:
            spans = batches.to_look_at(before, [number])
            known = {n for span in spans for n in range(span.first, span.last + 1)} & there.keys()
            assert number in known
            del there[number]
            before = batches.without(before, number, [there[n] for n in known if n in there])
    if not there:
        assert before is None
        return
    assert before is not None
    first = there[min(there)]
    assert (before.size, before.owner_item, before.owner_run_id) == (len(there), first.number, first.run_id)
    assert batches.due_at(before) == min(before.last_at + 10 * MINUTE, first.joined_at + 60 * MINUTE)
    span = batch_items.to_pass_on(before)
    looked_at = [item for number, item in there.items() if span.first <= number <= span.last]
    kept = [item.number for item in batch_items.retained(before, looked_at)]
    ordered = sorted(there)
    wanted = {"first": ordered, "lowest": ordered, "last": ordered[-retain:], "highest": ordered[::-1]}
    assert kept == wanted[kind][:retain]


def test_first_and_last_look_at_no_more_items_than_they_pass_on() -> None:
    """However large the batch is."""
    for kind in ("first", "last"):
        batch, _ = filled(50, retain_type=kind)
        span = batch_items.to_pass_on(batch)
        assert span.last - span.first + 1 == 3


@given(st.lists(st.sampled_from((1, 2, 2.5, "a", "b", True, [], None)), max_size=12), st.booleans())
def test_items_are_ranked_by_kind_and_then_by_value(values: list[object], is_highest: bool) -> None:
    """Numbers, texts, the rest, nothing; highest and lowest differ within numbers and texts alone, ties stay."""
    kind = "highest" if is_highest else "lowest"
    batch, _ = filled(1, retain_type=kind, retain_count=100, sort_key="a.v")
    items = [
        batches.Item(1, ID, number, b"", 0, 0, 0, 0, msgspec.json.encode({"a": {"v": value}}))
        for number, value in enumerate(values, 1)
    ]
    ranked = [(values[item.number - 1], item.number) for item in batch_items.retained(batch, items)]
    numbers = [pair for pair in ranked if type(pair[0]) in (int, float)]
    texts = [pair for pair in ranked if isinstance(pair[0], str)]
    rest = [pair for pair in ranked if isinstance(pair[0], bool | list)]
    nothing = [pair for pair in ranked if pair[0] is None]
    assert ranked == [*numbers, *texts, *rest, *nothing]
    sign = -1 if is_highest else 1
    assert numbers == sorted(numbers, key=lambda pair: (sign * pair[0], pair[1]))  # type: ignore[operator]
    for same in (rest, nothing):
        assert same == sorted(same, key=lambda pair: pair[1])


def test_a_place_in_a_list_may_be_written_with_many_digits() -> None:
    """Such a place has nothing in it, however many digits it has: the items are passed on all the same."""
    batch, _ = filled(1, retain_type="highest", sort_key="a." + "1" * 5000)
    items = [
        batches.Item(1, ID, number, b"", 0, 0, 0, 0, msgspec.json.encode({"a": [number]}))
        for number in (1, 2)
    ]
    assert batch_items.retained(batch, items) == items
