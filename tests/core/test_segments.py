"""Segments: what their conditions mean, told twice, and the laws of audiences."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import exposures, segments

Person = Mapping[str, Any]


def faults(given: object, **how: Any) -> dict[str, str]:
    """What is wrong with these conditions, by place."""
    with pytest.raises(errors.InvalidInput) as refusal:
        segments.parse(given, **how)
    return dict(refusal.value.faults)


def one(field: str, operator: str, value: object = None) -> dict[str, Any]:
    """A condition."""
    return {"field": field, "operator": operator, **({} if value is None else {"value": value})}


def is_in(person: Person, *written: dict[str, Any]) -> bool:
    """Whether a person with this profile is in a segment with these conditions."""
    condition = segments.condition(segments.parse(list(written)))
    return segments.audience([condition], [])(segments.view("ana", None, person))


# ── the same, told plainly ──────────────────────────────────────────────────────────────────────────

KINDS = {"first_name": "string", "email": "email", "birthdate": "date", "score": "number", "vip": "boolean"}


def plain(kind: str, value: Any) -> Any:
    """A value as its type, or None where it is nothing of the kind."""
    try:
        return _PLAIN[kind](value)
    except (ValueError, TypeError, InvalidOperation, AttributeError):
        return None


def _string(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else str(value)
    return str(value) if isinstance(value, (str, int)) else None


def _number(value: Any) -> Any:
    return None if isinstance(value, (bool, list)) else Decimal(str(value).strip())


_PLAIN: Mapping[str, Any] = {
    "string": _string,
    "email": lambda value: value.strip().lower(),
    "number": _number,
    "boolean": lambda value: (
        value
        if isinstance(value, bool)
        else {"true": True, "false": False}[value]
        if value in ("true", "false")
        else None
    ),
    "date": date.fromisoformat,
}


def told(person: Person, condition: Mapping[str, Any]) -> bool:
    """Whether a condition holds of a person: the document's words, one after the other."""
    kind, operator = KINDS[condition["field"]], condition["operator"]
    there = person.get(condition["field"])
    if operator in ("exists", "not_exists"):
        return (there is not None) is (operator == "exists")
    wanted = condition["value"] if isinstance(condition["value"], list) else [condition["value"]]
    if operator in ("equals", "not_equals"):
        equal = there is not None and any(
            plain(kind, there) is not None and plain(kind, there) == plain(kind, choice) for choice in wanted
        )
        return equal is (operator == "equals")
    order = kind if kind == "date" else "number"
    left, right = (None if there is None else plain(order, there)), plain(order, wanted[0])
    if left is None:
        return False
    return bool(left > right) if operator == "greater_than" else bool(left < right)


_values: Mapping[str, st.SearchStrategy[Any]] = {
    "first_name": st.sampled_from(("Ana", "ana", "7", "Bo", 7, 1.5, True)),
    "email": st.sampled_from(("a@x.com", " A@X.com ", "b@x.com")),
    "birthdate": st.sampled_from(("1990-05-17", "1990-05-18", "2001-01-01")),
    "score": st.sampled_from((0, 7, 7.0, "7", "7.5", -1)),
    "vip": st.sampled_from((True, False)),
}
_odd = st.sampled_from((None, "", "free", 3, True, -2.5))


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    """A condition on a field whose type is known."""
    field = draw(st.sampled_from(sorted(KINDS)))
    operator = draw(st.sampled_from(segments.OPERATORS))
    if operator in ("exists", "not_exists"):
        return {"field": field, "operator": operator}
    values = _values[field]
    if operator in segments.ORDERED:
        return {
            "field": field,
            "operator": operator,
            "value": draw(values if field == "birthdate" else _values["score"]),
        }
    return {
        "field": field,
        "operator": operator,
        "value": draw(values | st.lists(values, min_size=1, max_size=3)),
    }


people = st.fixed_dictionaries({}, optional={name: _values[name] | _odd for name in KINDS})
TYPES = {**segments.KNOWN, **KINDS}


def judged(person: Person, *written: Mapping[str, Any]) -> bool:
    """What the compiled segment says, of a view that is the person as drawn."""
    condition = segments.condition(segments.parse(list(written), types=TYPES))
    return segments.audience([condition], [])(person)


@given(people, conditions())
def test_a_compiled_condition_means_what_is_told(person: Person, condition: Mapping[str, Any]) -> None:
    """The compiled judge agrees with a naive evaluator on every person and condition."""
    assert judged(person, condition) == told(person, condition)


@given(people, conditions())
def test_a_negative_condition_is_the_negation(person: Person, condition: Mapping[str, Any]) -> None:
    """not_equals and not_exists say the opposite of equals and exists, whatever the person has."""
    for positive, negative in (("equals", "not_equals"), ("exists", "not_exists")):
        if condition["operator"] in (positive, negative):
            assert judged(person, {**condition, "operator": positive}) is not judged(
                person, {**condition, "operator": negative}
            )


@given(people, st.lists(conditions(), min_size=1, max_size=5))
def test_all_conditions_must_hold(person: Person, written: list[Mapping[str, Any]]) -> None:
    """Several conditions are joined by AND, in any order."""
    assert judged(person, *written) == all(judged(person, each) for each in written)
    assert judged(person, *reversed(written)) == judged(person, *written)


_segments = st.lists(st.lists(conditions(), min_size=1, max_size=2), max_size=3)


@given(people, _segments, _segments)
def test_an_audience_is_the_included_minus_the_excluded(
    person: Person, include: list[Any], exclude: list[Any]
) -> None:
    """In one of the included and in none of the excluded: exclusion always wins, and nobody else is in."""

    def made(written: list[Any]) -> list[Any]:
        return [segments.condition(segments.parse(one, types=TYPES)) for one in written]

    member = segments.audience(made(include), made(exclude))
    included = any(judged(person, *one) for one in include)
    excluded = any(judged(person, *one) for one in exclude)
    assert member(person) == (included and not excluded)
    assert not segments.audience(made(include), [*made(exclude), segments.condition(())])(person)
    assert segments.audience([*made(include), segments.condition(())], made(exclude))(person) is not excluded


# ── what is written ─────────────────────────────────────────────────────────────────────────────────


def test_built_in_fields_are_read_under_every_name_that_doors_write() -> None:
    """user_id, email, phone, first_name, last_name and zoneinfo are found wherever a door keeps them (E15)."""
    person = {
        "email": "Ana@Example.com",
        "phone_number": "+442079460123",
        "given_name": "Ana",
        "last_name": "Lund",
    }
    assert is_in(person, one("user_id", "equals", "ana"), one("email", "equals", " ANA@example.COM"))
    assert is_in(person, one("phone", "equals", "+44 20 7946 0123"), one("first_name", "equals", "Ana"))
    assert is_in(person, one("last_name", "equals", "Lund"))
    assert not is_in(person, one("last_name", "equals", "lund"))
    assert is_in({"timezone": "Europe/Rome"}, one("zoneinfo", "equals", "Europe/Rome"))
    assert is_in({"zoneinfo": "UTC", "timezone": "Europe/Rome"}, one("zoneinfo", "not_equals", "Europe/Rome"))


def test_a_number_is_a_number_however_it_was_written() -> None:
    """Both sides are read as decimals; what is none in a profile makes the condition false (A17)."""
    assert is_in({"points": "501"}, one("points", "greater_than", "500"))
    assert not is_in({"points": "many"}, one("points", "greater_than", 500))
    assert faults([one("points", "greater_than", "many")]).keys() == {"conditions[0].value"}
    assert is_in({"joined": "2026-02-01"}, one("joined", "greater_than", "2026-01-31"))


def test_an_array_is_any_of_them() -> None:
    """A list is any of its values for equals and none for not_equals, in a condition and a profile (A14, A18)."""
    assert is_in({"plan": "pro"}, one("plan", "equals", ["free", "pro"]))
    assert not is_in({"plan": "pro"}, one("plan", "not_equals", ["free", "pro"]))
    assert is_in({"bought": ["tea", "mug"]}, one("bought", "equals", "mug"))
    assert faults([one("points", "less_than", [1, 2])]).keys() == {"conditions[0].value"}


def test_a_path_reaches_into_the_profile() -> None:
    """A dotted path names a nested value; a leading $ may stand before it (A18)."""
    person = {"loyalty": {"points": 12, "log": [{"at": "home"}]}}
    assert is_in(person, one("$.loyalty.points", "equals", 12), one("loyalty.log.0.at", "equals", "home"))
    assert segments.parse([one("$.loyalty.points", "equals", 12)])[0].written["field"] == "loyalty.points"


@pytest.mark.parametrize(
    ("given", "places"),
    [
        (None, {"conditions"}),
        ([], {"conditions"}),
        ([7], {"conditions[0]"}),
        ([{}], {"conditions[0].field", "conditions[0].operator"}),
        ([one("a..b", "equals", 1)], {"conditions[0].field"}),
        ([one("a", "contains", 1)], {"conditions[0].operator"}),
        ([one("a", "equals")], {"conditions[0].value"}),
        ([one("a", "equals", [])], {"conditions[0].value"}),
        ([one("a", "equals", [None])], {"conditions[0].value"}),
        ([one("a", "equals", {"b": 1})], {"conditions[0].value"}),
        ([one("a", "exists", 3)], {"conditions[0].value"}),
        ([one("phone", "equals", "12")], {"conditions[0].value"}),
        ([one("birthdate", "greater_than", "soon")], {"conditions[0].value"}),
        ([{**one("a", "equals", 1), "feld": 1}], {"conditions[0].feld"}),
        ([one("a", "equals", 1), one("b", "between", 1)], {"conditions[1].operator"}),
    ],
)
def test_what_a_condition_cannot_be(given: object, places: set[str]) -> None:
    """A wrong condition is refused with the place of each fault; no conditions at all would be everybody."""
    assert faults(given).keys() == places


def test_telephone_numbers_are_kept_in_one_form() -> None:
    """A number without a country code is read in the installation's region and kept in E.164 (A15)."""
    (test,) = segments.parse([one("phone", "equals", "020 7946 0123")], region="GB")
    assert test.written["value"] == "+442079460123"


def test_a_segment_is_read_whole() -> None:
    """Every fault of a new segment is told at once, and only the segment of everybody is not custom."""
    with pytest.raises(errors.InvalidInput) as refusal:
        segments.define({"description": 3, "status": "actve", "conditions": [], "type": "sql", "nmae": "x"})
    assert {fault.path for fault in refusal.value.faults} == {
        "name", "description", "status", "conditions", "type", "nmae",
    }  # fmt: skip
    made = segments.define({"name": " VIPs ", "conditions": [one("vip", "equals", True)], "type": "custom"})
    assert (made.name, made.status) == ("VIPs", "active")
    assert segments.change(made, {"status": "deactivated"}).status == "deactivated"
    with pytest.raises(errors.InvalidInput):
        segments.change(made, {"name": None})


def test_a_tenants_customer_is_known_by_its_own_id() -> None:
    """What is kept as business:id is shown and compared as id (E14)."""
    assert segments.external_id("shop:7", "shop") == "7"
    assert segments.external_id("shop:7", None) == segments.external_id("shop:7", "other") == "shop:7"


def test_a_birthdate_is_a_day() -> None:
    """A field that is known to hold a date is compared as one."""
    person = {"birthdate": "1990-05-17"}
    assert is_in(person, one("birthdate", "equals", "1990-05-17"))
    assert is_in(person, one("birthdate", "less_than", "1990-05-18"))


def test_numbers_of_a_schema_are_read_in_the_region() -> None:
    """What profiles hold at a path of the type PHONE may lack the country code, as the condition's value may."""
    field = {"name": "desk", "json_path": "$.desk", "exposure": ["segments"]}
    schema = {"properties": {"desk": {"type": "string", "x-pii-type": "PHONE"}}}
    given = {"name": "s", "external_id_field": "id", "schema": schema, "fields_to_expose": [field]}
    exposed = exposures.gathered([exposures.define(given)])
    (test,) = segments.parse([one("desk", "equals", "020 7946 0123")], region="GB", exposed=exposed)
    (stored,) = segments.parse([test.written], is_stored=True)
    for made in (test, stored):
        member = segments.audience([segments.condition([made])], [])
        for desk, is_in in (
            ("(020) 79460123", True),
            ("+44 20 7946 0123", True),
            ("020 7946 0124", False),
            (7, False),
        ):
            assert member(segments.view("ana", None, {"desk": desk})) is is_in
