"""Random conditions and the facts that they may meet: few names and values, so that they often agree."""

from typing import Any

from hypothesis import strategies as st

from heliograph.core import conditions

instants = ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-02T00:00:00.5Z"]
scalars = st.sampled_from(
    [
        *[None, True, False, 0, 1, 1.0, 0.0, -1, 2.5, 2**70, "", "a", "A", "1", "true", "vip", "2026-01-01"],
        *instants,
    ]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab01"), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from(["a", "b", "0", "tags", "status", "text"]), values, max_size=4)

facts = st.builds(
    conditions.Facts,
    event_type=st.sampled_from(["custom.a", "contact_updated", "conversation_tagged"]),
    source=st.sampled_from(["api", "a"]),
    channel_source=st.sampled_from([None, "email", "a"]),
    payload=st.fixed_dictionaries(
        {"a": values},
        optional={
            "b": values,
            "items": st.lists(values, max_size=3),
            "message": objects | values,
            "previous": objects | values,
            "contact": objects,
            "source": values,
        },
    ),
    previous=st.none() | objects | st.fixed_dictionaries({"contact": objects}),
    contact=st.none() | objects,
    conversation=st.none() | objects,
)

fields = st.sampled_from(
    [
        *[
            "a",
            "a",
            "b",
            "payload.a",
            "payload.source",
            "a.b",
            "a.0",
            "items.1.b",
            "items.0",
            "items",
            "a.b.a.b.a.b.a",
        ],
        *["message", "message.text", "message.a.b", "contact", "contact.tags", "contact.a.b", "contact.0"],
        *["conversation.status", "conversation", "event_type", "event_type.a", "source", "channel_source"],
        *["previous", "previous.a", "previous.contact.a", "payload"],
    ]
)


@st.composite
def leaves(draw: st.DrawFn, field: st.SearchStrategy[str] = fields) -> dict[str, Any]:
    """A leaf with any operator and a value that the operator takes."""
    operator = draw(st.sampled_from(list(conditions.OPERATORS)))
    leaf = {"field": draw(field), "operator": operator}
    takes = conditions.OPERATORS[operator].takes
    return leaf if takes == "nothing" else {**leaf, "value": draw(_taken[takes])}


_taken: dict[str, st.SearchStrategy[Any]] = {
    "any": values,
    "list": st.lists(values, max_size=4) | st.lists(st.sampled_from(["a", "vip", "email"]), max_size=3),
    "text": st.sampled_from(["", "a", "vi", "2026"]),
    "pattern": st.sampled_from(["", "a", "(?i)^A$", "[0-9]{4}", "v.p"]),
    "ordered": st.sampled_from([0, 1, 1.5, -(2**70), "a", *instants]),
}


@st.composite
def groups(draw: st.DrawFn, depth: int) -> dict[str, Any]:
    """An object of one or two groups, nested at most so deep, within the limits on leaves and groups."""
    kinds = draw(st.lists(st.sampled_from(["all", "any", "none"]), min_size=1, max_size=2, unique=True))
    found: dict[str, Any] = {}
    for kind in kinds if depth < 3 else kinds[:1]:
        members: list[Any] = draw(st.lists(leaves(), min_size=kind == "any", max_size=3))
        if depth > 1 and draw(st.booleans()):
            place = draw(st.integers(0, len(members)))
            members[place:place] = draw(st.lists(groups(depth - 1), max_size=2 if depth < 4 else 1))
        found[kind] = members
    return found


documents: st.SearchStrategy[Any] = (
    st.sampled_from([None, {}, []])
    | st.lists(leaves(), max_size=4)
    | st.lists(leaves() | groups(2), max_size=3)
    | groups(5)
)


@st.composite
def alike(draw: st.DrawFn) -> Any:
    """A condition that begins by comparing `a`, as many conditions of one trigger type do."""
    operator = draw(st.sampled_from(["equals", "equals", "equals", "in", "not_equals"]))
    value = draw(st.lists(scalars, max_size=3) if operator == "in" else scalars)
    members = [{"field": "a", "operator": operator, "value": value}, *draw(st.lists(leaves(), max_size=2))]
    return draw(st.sampled_from([members, members, {"all": members}, {"none": members}]))
