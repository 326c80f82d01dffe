"""The example shop: what its generator promises, and that its rules and templates fit its events."""

import csv
import hashlib
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from ruamel.yaml import YAML

from examples.shop import generate, month, people, story
from heliograph import errors
from heliograph.core import conditions, rule_warnings, rules, templates
from heliograph.core import people as profiles

DEFINITIONS = Path(generate.__file__).parent / "definitions"
KEYS = {
    "event_type", "contact_id", "conversation_id", "source", "channel_source", "payload", "previous",
    "occurred_at", "idempotency_key",
}  # fmt: skip
EVENT_TYPE = re.compile(r"^[a-z][a-z0-9_.]{0,63}$")


@cache
def crowd() -> list[people.Contact]:
    return list(generate.contacts(7, 2_000))


@cache
def told() -> list[story.Event]:
    """A month of 10,000 events, the repeats among them."""
    return list(generate.events(7, crowd(), 10_000))


def written(event: story.Event) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


@cache
def definitions(kind: str) -> list[dict[str, Any]]:
    read = [YAML(typ="safe").load(path) for path in sorted(DEFINITIONS.glob("*.yaml"))]
    return [definition for definition in read if definition["kind"] == kind]


# ── the people ──────────────────────────────────────────────────────────────────────────────────────


def test_the_same_seed_gives_the_same_people() -> None:
    """A smaller crowd is the beginning of a larger one of the same seed, and another seed is another crowd."""
    assert list(generate.contacts(7, 100)) == crowd()[:100]
    assert list(generate.contacts(8, 100)) != crowd()[:100]


def test_people_can_be_told_apart() -> None:
    """No two people share a user_id or an e-mail address."""
    addresses = [contact["email"].lower() for contact in crowd() if "email" in contact]
    assert len({contact["user_id"] for contact in crowd()}) == len(crowd())
    assert len(set(addresses)) == len(addresses)


def test_people_are_reachable_only_in_examples() -> None:
    """Every address stands under a domain reserved for examples, and every phone number is well formed."""
    numbers = [
        phonenumbers.parse(contact["phone_number"]) for contact in crowd() if "phone_number" in contact
    ]
    domains = {contact["email"].rpartition("@")[2] for contact in crowd() if "email" in contact}
    assert all(re.fullmatch(r"(\w+\.)?example\.(com|org|net)", domain) for domain in domains)
    assert all(map(phonenumbers.is_valid_number, numbers))


def test_people_differ_as_people_do() -> None:
    """Some have no e-mail address, no number or no birthdate, and they live in many countries and zones."""
    for key, low, high in (("email", 0.9, 0.99), ("phone_number", 0.4, 0.7), ("birthdate", 0.6, 0.8)):
        assert low < sum(key in contact for contact in crowd()) / len(crowd()) < high
    assert len({contact["country"] for contact in crowd()}) == len(people.COUNTRIES)
    assert len({contact["zoneinfo"] for contact in crowd()}) > 15


def test_people_are_profiles_as_the_engine_keeps_them() -> None:
    """Every person is taken as they stand; only capitals in an address are folded."""
    for contact in crowd():
        kept = contact | ({"email": contact["email"].lower()} if "email" in contact else {})
        assert profiles.clean_profile(contact) == kept


# ── the month ───────────────────────────────────────────────────────────────────────────────────────


def test_the_same_seed_gives_the_same_month() -> None:
    """Telling the month twice gives the same bytes; another seed tells another month."""
    again = islice(generate.events(7, crowd(), 10_000), 2_000)
    assert [*map(written, again)] == [*map(written, told()[:2_000])]
    assert next(generate.events(8, crowd(), 10_000)) != told()[0]


def test_the_month_is_the_same_on_every_machine() -> None:
    """The bytes do not hang on the version of Python, its hashing or the machine: change them knowingly."""
    digest = hashlib.sha256(b"".join(map(written, generate.events(7, crowd()[:100], 400)))).hexdigest()
    assert digest[:16] == "061ad9dc10692461"


@pytest.mark.parametrize("n", [1, 60, 3_000])
def test_a_month_has_as_many_events_as_were_asked_for(n: int) -> None:
    """Whatever chance does, n different events are told, and those sent twice come on top."""
    happenings = list(generate.events(3, crowd()[:50], n))
    repeats = sum(1 for before, after in pairwise(happenings) if before is after)
    assert len(happenings) - repeats == n


def test_the_whole_month_is_of_the_promised_size() -> None:
    """By default there are ten thousand people and fifty thousand events, under twenty megabytes."""
    everybody = list(generate.contacts())
    happenings = [written(event) for event in generate.events(generate.SEED, everybody)]
    assert len(everybody) == 10_000
    assert len(set(happenings)) == 50_000
    assert sum(map(len, happenings)) < 20_000_000


def test_events_come_in_the_order_of_time() -> None:
    """The month is told forward, within the thirty days before its end, whatever end is asked for."""
    end = datetime(2026, 3, 30, 12, 30, tzinfo=UTC)
    for happenings, last in ((told(), generate.END), (list(generate.events(7, crowd(), 500, end)), end)):
        moments = [datetime.fromisoformat(event["occurred_at"]) for event in happenings]
        assert moments == sorted(moments)
        assert last - timedelta(days=30) <= moments[0]
        assert moments[-1] < last


def test_every_event_has_the_shape_that_ingest_takes() -> None:
    """Keys, types and lengths are those of the events endpoint, and instants end in Z."""
    known = {contact["user_id"] for contact in crowd()}
    for event in told():
        assert event.keys() <= KEYS
        assert EVENT_TYPE.match(event["event_type"])
        assert event.get("contact_id", "c-000001") in known
        assert "contact_id" in event or "conversation_id" in event
        assert isinstance(event.get("previous", {}), dict)
        assert len(event.get("idempotency_key", "")) <= 128
        assert event["occurred_at"].endswith("Z")


def test_payloads_are_of_a_believable_size() -> None:
    """Every payload has 150 to 600 bytes, and items lie nested in it."""
    sizes = [len(written(event["payload"])) for event in told()]
    assert min(sizes) >= 150
    assert max(sizes) <= 600
    assert any(len(event["payload"].get("items", ())) > 1 for event in told())


def test_what_is_sent_twice_is_the_same_to_the_byte() -> None:
    """Only events with an idempotency key are sent twice, and a key never stands for two different events."""
    by_key: dict[str, set[bytes]] = {}
    for event in told():
        if "idempotency_key" in event:
            by_key.setdefault(event["idempotency_key"], set()).add(written(event))
    repeats = [after for before, after in pairwise(told()) if before == after]
    assert {len(bodies) for bodies in by_key.values()} == {1}
    assert len(repeats) > 20
    assert all("idempotency_key" in event for event in repeats)


def test_a_visit_is_told_in_its_order() -> None:
    """A cart is filled after something was looked at, and what is shipped was ordered before."""
    looked: set[str] = set()
    ordered: set[str] = set()
    for event in told():
        payload = event["payload"]
        match event["event_type"]:
            case "custom.product_viewed":
                looked.add(payload["session_id"])
            case "custom.cart_updated" | "custom.cart_abandoned":
                assert payload["session_id"] in looked
            case "custom.order_placed":
                ordered.add(payload["order_id"])
            case "custom.order_shipped" | "custom.order_delivered" | "csat_submitted":
                assert payload["order_id"] in ordered


def test_updates_say_what_was_before() -> None:
    """A changed cart or contact carries `previous`, with a value that differs."""
    for event in told():
        if event["event_type"] in ("custom.cart_updated", "contact_updated"):
            payload, previous = event["payload"], event["previous"]
            assert previous.keys() <= payload.keys()
    tiers = [event for event in told() if "loyalty_tier" in event["payload"]]
    assert tiers
    assert all(event["payload"]["loyalty_tier"] != event["previous"]["loyalty_tier"] for event in tiers)


def test_the_shop_has_nights_and_a_sale() -> None:
    """Far more is looked at in the evening than in the night, and most of all on the weekend of the sale."""
    views = [event for event in told() if event["event_type"] == "custom.product_viewed"]
    hours = Counter(event["occurred_at"][11:13] for event in views)
    days = Counter(event["occurred_at"][:10] for event in views)
    assert hours["18"] > 4 * hours["02"]
    assert {day for day, _ in days.most_common(2)} == {"2025-09-20", "2025-09-21"}
    assert datetime(2025, 9, 19, 15, tzinfo=UTC) not in month.Month(7, crowd(), 1, generate.END).sale


def test_some_buy_again_and_most_only_look() -> None:
    """There are repeat buyers, and fewer buyers than visitors."""
    buyers = Counter(event["contact_id"] for event in told() if event["event_type"] == "custom.order_placed")
    visitors = {event["contact_id"] for event in told() if event["event_type"] == "custom.product_viewed"}
    assert sum(1 for orders in buyers.values() if orders > 1) > 100
    assert len(buyers) < len(visitors) * 0.7


# ── the files ───────────────────────────────────────────────────────────────────────────────────────


def test_the_files_hold_what_the_iterators_give(tmp_path: Path) -> None:
    """The command writes the people as CSV and as lines of JSON, and the events as lines of JSON."""
    generate.main([str(tmp_path), "--contacts", "40", "--events", "200", "--seed", "9"])
    everybody = list(generate.contacts(9, 40))
    lines = (tmp_path / "contacts.ndjson").read_text(encoding="utf-8").splitlines()
    events = (tmp_path / "events.ndjson").read_text(encoding="utf-8").splitlines()
    with (tmp_path / "contacts.csv").open(encoding="utf-8", newline="") as file:
        rows = [{key: cell for key, cell in row.items() if cell} for row in csv.DictReader(file)]
    assert [json.loads(line) for line in lines] == everybody
    assert [json.loads(line) for line in events] == list(generate.events(9, everybody, 200))
    assert rows == [{key: str(value) for key, value in contact.items()} for contact in everybody]


def test_bad_rows_come_only_when_asked_for(tmp_path: Path) -> None:
    """With the flag every bad row stands once among the good ones, which are all still there."""
    generate.main([str(tmp_path), "--contacts", "40", "--events", "1", "--with-bad-rows"])
    with (tmp_path / "contacts.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    good = [row for row in rows if row[0].startswith("c-")]
    bad = [tuple(row) for row in rows[1:] if row not in good]
    assert len(good) == 40
    assert bad == list(generate.BAD_ROWS)


@pytest.mark.parametrize(
    ("number", "key"), [(1, "email"), (2, "phone_number"), (3, "birthdate"), (4, "zoneinfo")]
)
def test_bad_rows_break_what_their_user_id_says(number: int, key: str) -> None:
    """Of each of these rows the engine refuses the one cell that is meant, and no other."""
    row = zip(generate.COLUMNS, generate.BAD_ROWS[number], strict=False)
    cells = {column: cell for column, cell in row if cell}
    with pytest.raises(errors.InvalidInput) as refused:
        profiles.clean_profile(cells)
    assert [fault.path for fault in refused.value.faults] == [f"profile.{key}"]


# ── rules and templates ─────────────────────────────────────────────────────────────────────────────


def test_definitions_are_known_by_a_name_of_their_own() -> None:
    """There are a dozen rules at least and six templates, each under its own id, in a file named for its kind."""
    for kind, least in (("rule", 12), ("template", 6)):
        assert len({definition["id"] for definition in definitions(kind)}) == len(definitions(kind)) >= least
        assert len(list(DEFINITIONS.glob(f"{kind}-*.yaml"))) == len(definitions(kind))
    assert not [
        path for path in DEFINITIONS.iterdir() if not path.name.startswith(("brand-", "rule-", "template-"))
    ]


def test_every_rule_is_accepted_as_it_stands() -> None:
    """The engine takes each rule without a fault or a warning, and each listens to an event that occurs."""
    known = rule_warnings.References(frozenset(template["id"] for template in definitions("template")))
    occurring = {event["event_type"] for event in told()}
    for definition in definitions("rule"):
        given = {key: value for key, value in definition.items() if key not in ("kind", "id")}
        rule = rules.define(given)
        assert rule_warnings.of_content(rule, known) == ()
        assert rule.trigger_type in occurring


def test_every_template_is_used() -> None:
    """No template lies about that no rule sends."""
    sent = {action.get("template_id") for rule in definitions("rule") for action in rule["actions"]}
    assert {template["id"] for template in definitions("template")} == sent - {None}


def facts(event: story.Event) -> conditions.Facts:
    contact = next((one for one in crowd() if one["user_id"] == event.get("contact_id")), None)
    return conditions.Facts(
        event["event_type"], event["source"], event.get("channel_source"), event["payload"],
        event.get("previous"), contact, None,
    )  # fmt: skip


@pytest.mark.parametrize("rule", definitions("rule"), ids=lambda rule: rule["name"])
def test_every_rule_matches_some_events_and_passes_over_others(rule: dict[str, Any]) -> None:
    """The conditions of a rule hold for events of the month, and unless there are none, not for all."""
    condition = conditions.parse(rule.get("conditions"))
    events = [event for event in told() if event["event_type"] == rule["trigger_type"]]
    holding = sum(conditions.holds(condition, facts(event)) for event in events)
    assert holding > 0
    assert (
        holding < len(events)
        or rule["name"] in ("Order confirmation", "Renewal notice")
        or not rule.get("conditions")
    )


@pytest.mark.parametrize("rule", definitions("rule"), ids=lambda rule: rule["name"])
def test_what_a_rule_writes_has_no_gaps(rule: dict[str, Any]) -> None:
    """Everything that a rule's texts and its template name is there in an event that it matches."""
    condition = conditions.parse(rule.get("conditions"))
    events = (event for event in told() if event["event_type"] == rule["trigger_type"])
    event = next(event for event in events if conditions.holds(condition, facts(event)))
    by_id = {template["id"]: template for template in definitions("template")}
    for action in rule["actions"]:
        context = templates.context_for(
            event["payload"], event=event, contact=facts(event).contact, data=action.get("data")
        )
        texts = templates.compile_value([action, by_id.get(action.get("template_id"))])
        assert texts.fill(context, 0)
        # What a template takes from `data` is for some of its rules alone.
        missing = [
            name for name in templates.missing(texts, context) if action.get("data") or name[:5] != "data."
        ]
        assert missing == []
