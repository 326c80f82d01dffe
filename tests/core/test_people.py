"""People: addresses in one form, attributes that every door knows, and the laws of merging."""

from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import people, values

profiles = st.dictionaries(
    st.sampled_from("abcd"), st.none() | st.integers(0, 3) | st.just({"x": 1}), max_size=4
)


def faults(profile: object, region: str | None = None) -> dict[str, str]:
    """What is wrong with this profile, by path."""
    with pytest.raises(errors.InvalidInput) as refusal:
        people.clean_profile(profile, "profile", region)
    return dict(refusal.value.faults)


# ── merging ─────────────────────────────────────────────────────────────────────────────────────────


@given(profiles, profiles)
def test_replace_keeps_nothing(stored: people.Profile, new: people.Profile) -> None:
    """`replace` leaves what was given and nothing else."""
    assert people.merge("replace", stored, new) == new


@given(profiles, profiles)
def test_overwrite_keeps_only_what_is_not_given(stored: people.Profile, new: people.Profile) -> None:
    """`overwrite` takes every given key, whatever its value, and keeps the other stored ones."""
    merged = people.merge("overwrite", stored, new)
    assert merged.keys() == stored.keys() | new.keys()
    assert all(merged[key] == (new if key in new else stored)[key] for key in merged)


@given(profiles, profiles)
def test_soft_merge_only_adds(stored: people.Profile, new: people.Profile) -> None:
    """`soft-merge` changes no stored key, not even one that is null, and so mirrors `overwrite`."""
    merged = people.merge("soft-merge", stored, new)
    assert stored.items() <= merged.items()
    assert merged == people.merge("overwrite", new, stored)


@given(st.none() | profiles, profiles)
def test_none_only_begins(stored: people.Profile | None, new: people.Profile) -> None:
    """`none` changes nothing where there are data, and begins with what was given where there are none."""
    assert people.merge("none", stored, new) == (stored or new)


@given(st.sampled_from(sorted(people.MERGES)), st.none() | profiles, profiles, profiles)
def test_every_merge(
    strategy: str, stored: people.Profile | None, new: people.Profile, other: people.Profile
) -> None:
    """Merging twice is merging once, in turn is as well grouped either way, and leaves its arguments alone."""
    before = (dict(stored or {}), dict(new))
    once = people.merge(strategy, stored, new)
    assert people.merge(strategy, once, new) == once
    grouped = people.merge(strategy, stored, people.merge(strategy, new, other))
    assert people.merge(strategy, once, other) == grouped
    once["a"] = "changed"
    assert (dict(stored or {}), dict(new)) == before


@pytest.mark.parametrize("strategy", sorted(people.MERGES))
@pytest.mark.parametrize("stored", [None, {}])
def test_where_nothing_is_stored_all_merges_are_alike(strategy: str, stored: people.Profile | None) -> None:
    """Absent and empty have no data: every strategy begins with what was given."""
    assert people.merge(strategy, stored, {"a": None}) == {"a": None}


def test_an_unknown_merge_is_refused() -> None:
    """A strategy that is none is refused with the one that was probably meant."""
    with pytest.raises(errors.InvalidInput) as refusal:
        people.merge("softmerge", {}, {})
    assert refusal.value.faults[0].message.endswith('"softmerge", did you mean "soft-merge"?')


# ── addresses ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (" Ana@Example.COM\n", "ana@example.com"),
        ("o'hara+news@mail.example.co.uk", "o'hara+news@mail.example.co.uk"),
        ("José@Exämple.de", "josé@xn--exmple-cua.de"),
        ("ana@localhost", "ana@localhost"),
        ("ana@shop.test", "ana@shop.test"),
    ],
)
def test_an_address_has_one_form(written: str, stored: str) -> None:
    """Addresses that are compared as equal are stored as equal texts, and a stored one stays as it is."""
    assert people.check_email(written) == stored
    assert people.check_email(stored) == stored
    assert people.email_fault(written) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "ana", "ana@", "@example.com", "a b@example.com", "a..b@example.com", "Ana <ana@example.com>",
        "ana@example.com,bob@example.com", "ana@example.com\r\nBcc: bob@example.com", "ana@[127.0.0.1]",
        "ana@exa_mple.com", "a" * 300 + "@example.com", "\ud800@example.com", None, 1, ["ana@example.com"],
    ],
)  # fmt: skip
def test_what_is_no_address(text: object) -> None:
    """What no message can be sent to, or what would smuggle in another recipient, is refused."""
    with pytest.raises(errors.InvalidInput) as refusal:
        people.check_email(text, "emails[0]")
    assert refusal.value.faults[0].path == "emails[0]"
    assert people.email_fault(text) == refusal.value.faults[0].message


@pytest.mark.parametrize(
    ("written", "region", "stored"),
    [
        ("+44 20 7946 0123", None, "+442079460123"),
        ("020 7946 0123", "GB", "+442079460123"),
        ("(201) 555-0123", "US", "+12015550123"),
        ("0049 30 123456", "DE", "+4930123456"),
        ("+15551234567", "", "+15551234567"),
    ],
)
def test_a_number_has_one_form(written: str, region: str | None, stored: str) -> None:
    """A telephone number is stored in E.164, read in the region where it has no country code."""
    assert people.check_phone(written, region=region) == stored
    assert people.check_phone(stored) == stored


@pytest.mark.parametrize(
    ("number", "region", "hint"),
    [
        ("020 7946 0123", None, "country code"),
        ("020 7946 0123", "XX", "country code"),
        ("+44 20", "GB", "too few digits"),
        ("call me", "GB", "no telephone number"),
        ("", "GB", "no telephone number"),
        ("+" + "1" * 300, None, "no telephone number"),
        ("+49 30 123456 ext. 5", None, "extension"),
        (442079460123, "GB", "as text"),
    ],
)
def test_what_is_no_number(number: object, region: str | None, hint: str) -> None:
    """What cannot be called is refused with how to write it."""
    with pytest.raises(errors.InvalidInput) as refusal:
        people.check_phone(number, "phone_number", region)
    assert hint in refusal.value.faults[0].message


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("+44 20 7946 0123", None),
        ("020 7946 0123", "GB"),
        ("020 7946 0123", None),
        ("+44 20 7946 0123 ext. 5", None),
        ("+44 12", None),
        ("12", "GB"),
        ("+1" + "5" * 13, None),
        ("call me", "GB"),
        (442079460123, "GB"),
    ],
)
def test_a_number_is_one_at_every_door_or_at_none(written: Any, region: str | None) -> None:
    """What a profile takes as a number, and in which form, is what a number of a schema is compared as."""
    try:
        known: object = people.check_phone(written, region=region)
    except errors.InvalidInput:
        known = values.UNFIT
    assert values.coerced(values.phone_in(region), written) == known


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_numbers_of_every_region_are_read(region: str) -> None:
    """An example number of any region is read there in its national form."""
    example = phonenumbers.example_number(region)
    assert example is not None
    national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    assert people.check_phone(national, region=region) == e164


# ── profiles ────────────────────────────────────────────────────────────────────────────────────────


def test_known_attributes_are_stored_in_one_form_and_others_untouched() -> None:
    """Addresses and dates are brought into their form; every other key stays as it was written."""
    profile: dict[str, Any] = {
        "email": " Ana@Example.com",
        "phone_number": "020 7946 0123",
        "first_name": "Ana ",
        "given_name": "Ana",
        "birthdate": "--02-29",
        "locale": "pt_BR",
        "timezone": "Europe/Lisbon",
        "zoneinfo": None,
        "plan": {"email": "NOT AN ADDRESS"},
        "Email": "nor this",
    }
    assert people.clean_profile(profile, region="GB") == {
        **profile,
        "email": "ana@example.com",
        "phone_number": "+442079460123",
        "birthdate": "0000-02-29",
    }
    assert profile["email"] == " Ana@Example.com"


def test_null_empties_an_attribute() -> None:
    """A null is allowed for every attribute, and is stored."""
    empty = dict.fromkeys(["email", "phone_number", "given_name", "birthdate", "locale", "zoneinfo", "x"])
    assert people.clean_profile(empty) == empty


def test_all_faults_of_a_profile_are_found() -> None:
    """Every attribute that cannot be stored is named with its path."""
    found = faults(
        {
            "email": "ana",
            "phone_number": "12",
            "given_name": 1,
            "family_name": ["x"],
            "birthdate": "1990-02-30",
            "locale": "English, please",
            "zoneinfo": "Europe/Pari",
            "timezone": 2,
        }
    )
    assert list(found) == sorted(
        f"profile.{key}"
        for key in (
            "birthdate", "email", "family_name", "given_name", "locale", "phone_number", "timezone", "zoneinfo"
        )
    )  # fmt: skip
    assert found["profile.zoneinfo"] == 'unknown time zone "Europe/Pari", did you mean "Europe/Paris"?'


@pytest.mark.parametrize("profile", [None, [], "ana@example.com", 1])
def test_a_profile_is_an_object(profile: object) -> None:
    """Anything but an object is refused."""
    assert list(faults(profile)) == ["profile"]


@pytest.mark.parametrize(
    "text", ["1990-5-17", "17.05.1990", "1990-05", "0000-13-01", "--02-30", "-05-17", 19900517]
)
def test_what_is_no_birthdate(text: object) -> None:
    """A birthdate is a day that exists, with or without its year."""
    assert list(faults({"birthdate": text})) == ["profile.birthdate"]


@pytest.mark.parametrize(
    ("parts", "stored"),
    [
        ({"daybirth": 17, "monthbirth": 5, "yearbirth": 1990}, "1990-05-17"),
        ({"daybirth": "17", "monthbirth": "05", "yearbirth": None}, "0000-05-17"),
        ({"daybirth": 29, "monthbirth": 2}, "0000-02-29"),
        ({"daybirth": None, "monthbirth": None, "yearbirth": None}, None),
    ],
)
def test_a_birthday_in_parts_is_stored_as_one_date(parts: people.Profile, stored: str | None) -> None:
    """Day, month and year of birth become `birthdate`; the year may be missing."""
    assert people.clean_profile({**parts, "x": 1}) == {"birthdate": stored, "x": 1}


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        ({"daybirth": 17}, ["monthbirth"]),
        ({"monthbirth": 5}, ["daybirth"]),
        ({"yearbirth": 1990}, ["daybirth"]),
        ({"daybirth": 31, "monthbirth": 4}, ["daybirth"]),
        ({"daybirth": 29, "monthbirth": 2, "yearbirth": 1990}, ["daybirth"]),
        ({"daybirth": "x", "monthbirth": True, "yearbirth": -1}, ["daybirth", "monthbirth", "yearbirth"]),
        ({"daybirth": 17, "monthbirth": 5, "birthdate": "1990-05-17"}, ["birthdate"]),
    ],
)
def test_what_is_no_birthday_in_parts(parts: people.Profile, wrong: list[str]) -> None:
    """A birthday has a day and a month that exist, and is said once."""
    assert list(faults(parts)) == [f"profile.{key}" for key in wrong]


@pytest.mark.parametrize(
    ("birthdate", "birthday"),
    [("1990-05-17", 517), ("0000-02-29", 229), (None, None), ("17.5.", None), (517, None)],
)
def test_the_day_of_a_birthday(birthdate: object, birthday: int | None) -> None:
    """A birthday is a month and a day, whatever the year; what is no date is none."""
    assert people.birthday_of({"birthdate": birthdate}) == birthday
    assert people.birthday_of({}) is None


def test_attributes_are_read_under_their_aliases() -> None:
    """An attribute is read under its own key first, then under an alias; null is no value."""
    profile = {"given_name": None, "first_name": "Ana", "timezone": "Asia/Tokyo", "zoneinfo": "Europe/Rome"}
    assert people.attribute(profile, "given_name") == "Ana"
    assert people.attribute(profile, "zoneinfo") == "Europe/Rome"
    assert people.attribute(profile, "family_name") is None


@pytest.mark.parametrize("nothing", [{}, {"email": None}, {"email": " "}, {"email": 5}])
def test_no_address(nothing: people.Profile) -> None:
    """A profile without a usable address has none, whatever stands in its place."""
    assert people.email_of(nothing) is None
    assert people.phone_of({"phone_number": nothing.get("email")}) is None


def test_addresses_are_read_in_the_form_in_which_they_are_compared() -> None:
    """An address that was stored some other way is read in its one form."""
    assert people.email_of({"email": " Ana@Example.com "}) == "ana@example.com"
    assert people.phone_of({"phone_number": "+442079460123 "}) == "+442079460123"
