"""The shop's ten thousand customers.

Law: the same seed gives the same people, whatever the machine; the first n of a larger crowd are the crowd of
n. Nobody here exists: addresses stand under the domains reserved for examples, and phone numbers are only
well formed.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple

Contact = dict[str, Any]
"""`user_id` and, beside it, the keys of the profile; a key that is absent is not known of this person."""


class Country(NamedTuple):
    """A place the shop ships to, and what its people are called."""

    share: int  # of all customers, in per mille
    locale: str
    mobile: str  # E.164, `#` a digit
    places: dict[str, str]  # city → time zone
    given: tuple[str, ...]
    family: tuple[str, ...]


# A name whose letters are not Latin is written "佐藤/Sato": as its owner writes it, and as an address spells it.
COUNTRIES: dict[str, Country] = {
    "DE": Country(
        240, "de-DE", "+49151########",
        {"Hamburg": "Europe/Berlin", "Leipzig": "Europe/Berlin", "Köln": "Europe/Berlin", "Münster": "Europe/Berlin"},
        ("Anna", "Jörg", "Lena", "Felix", "Sabine", "Uwe", "Käthe", "Jonas", "Miriam", "Björn", "Heike", "Lukas"),
        ("Müller", "Schäfer", "Weiß", "Krüger", "Hoffmann", "Köhler", "Vogel", "Brandt", "Lorenz", "Jansen"),
    ),
    "GB": Country(
        170, "en-GB", "+447400######",
        {"Bristol": "Europe/London", "Leeds": "Europe/London", "Glasgow": "Europe/London"},
        ("Olivia", "George", "Amelia", "Harry", "Imogen", "Callum", "Priya", "Rhys", "Maeve", "Tariq", "Poppy"),
        ("Smith", "Patel", "Evans", "O'Connor", "Whitfield", "Begum", "Harrison", "McLeod", "Fletcher", "Shaw"),
    ),
    "US": Country(
        130, "en-US", "+1202555####",
        {"Boston": "America/New_York", "Austin": "America/Chicago", "Denver": "America/Denver",
         "Portland": "America/Los_Angeles"},
        ("Emma", "Liam", "Sophia", "Noah", "Maria", "Ethan", "Zoe", "Carlos", "Grace", "Tyrone", "Hannah"),
        ("Johnson", "Garcia", "Nguyen", "Miller", "Washington", "Kowalski", "Brooks", "Rivera", "Cohen", "Lee"),
    ),
    "FR": Country(
        95, "fr-FR", "+3361#######",
        {"Lyon": "Europe/Paris", "Nantes": "Europe/Paris", "Lille": "Europe/Paris", "Orléans": "Europe/Paris"},
        ("Chloé", "Hugo", "Inès", "Théo", "Françoise", "Rémi", "Zoé", "Jean-Luc", "Aïcha", "Benoît"),
        ("Lefèvre", "Dubois", "Moreau", "Garçon", "Mercier", "Benali", "Rousseau", "Léger", "Fontaine"),
    ),
    "NL": Country(
        70, "nl-NL", "+3161#######",
        {"Utrecht": "Europe/Amsterdam", "Groningen": "Europe/Amsterdam", "Haarlem": "Europe/Amsterdam"},
        ("Sanne", "Daan", "Fleur", "Bram", "Lotte", "Sem", "Noor", "Joost", "Femke"),
        ("de Vries", "Jansen", "van den Berg", "Bakker", "Visser", "Smit", "Mulder", "Hoekstra"),
    ),
    "ES": Country(
        65, "es-ES", "+346########",
        {"Sevilla": "Europe/Madrid", "Bilbao": "Europe/Madrid", "Las Palmas": "Atlantic/Canary"},
        ("Lucía", "Álvaro", "Carmen", "Iñaki", "Sofía", "Pablo", "Nuria", "Martín", "Begoña"),
        ("García", "Fernández", "Muñoz", "Peña", "Ibáñez", "Romero", "Núñez", "Ortega"),
    ),
    "IT": Country(
        55, "it-IT", "+39333#######",
        {"Torino": "Europe/Rome", "Bologna": "Europe/Rome", "Palermo": "Europe/Rome"},
        ("Giulia", "Matteo", "Chiara", "Lorenzo", "Niccolò", "Elisa", "Davide", "Noemi"),
        ("Rossi", "Esposito", "Ricci", "Colombo", "D'Angelo", "Conti", "Ferrara", "Barbieri"),
    ),
    "SE": Country(
        45, "sv-SE", "+4670#######",
        {"Malmö": "Europe/Stockholm", "Uppsala": "Europe/Stockholm", "Göteborg": "Europe/Stockholm"},
        ("Åsa", "Erik", "Linnéa", "Göran", "Maja", "Nils", "Elsa", "Håkan"),
        ("Andersson", "Nyström", "Lindqvist", "Sjöberg", "Åkesson", "Holm", "Björk"),
    ),
    "PL": Country(
        40, "pl-PL", "+48512######",
        {"Gdańsk": "Europe/Warsaw", "Łódź": "Europe/Warsaw", "Kraków": "Europe/Warsaw"},
        ("Zofia", "Łukasz", "Małgorzata", "Paweł", "Agnieszka", "Michał", "Hania"),
        ("Nowak", "Wiśniewska", "Wójcik", "Zieliński", "Dąbrowska", "Kamiński"),
    ),
    "BR": Country(
        35, "pt-BR", "+55119########",
        {"Curitiba": "America/Sao_Paulo", "Manaus": "America/Manaus", "Recife": "America/Recife"},
        ("João", "Beatriz", "Thiago", "Conceição", "Rafael", "Luíza"),
        ("Silva", "Souza", "Gonçalves", "Araújo", "Pereira", "Assunção"),
    ),
    "JP": Country(
        30, "ja-JP", "+81902#######",
        {"札幌": "Asia/Tokyo", "横浜": "Asia/Tokyo", "京都": "Asia/Tokyo"},
        ("陽菜/Hina", "蓮/Ren", "美咲/Misaki", "大翔/Hiroto", "結衣/Yui", "健/Ken"),
        ("佐藤/Sato", "鈴木/Suzuki", "高橋/Takahashi", "渡辺/Watanabe", "伊藤/Ito", "小林/Kobayashi"),
    ),
    "AU": Country(
        25, "en-AU", "+61412######",
        {"Newcastle": "Australia/Sydney", "Adelaide": "Australia/Adelaide", "Perth": "Australia/Perth"},
        ("Charlotte", "Jack", "Matilda", "Cooper", "Ruby", "Angus"),
        ("Williams", "Nguyen", "Taylor", "Kelly", "Papadopoulos", "Chen"),
    ),
}  # fmt: skip

_DOMAINS = (
    "example.com",
    "example.org",
    "example.net",
    "mail.example.com",
    "post.example.org",
    "home.example.net",
)
_FOLDED = str.maketrans({"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "'": "", " ": ""})
_TIERS = ("bronze", "silver", "gold")
_POINTS = {"bronze": (0, 500), "silver": (500, 2000), "gold": (2000, 9000)}


def contacts(seed: int, n: int) -> Iterator[Contact]:
    """The first `n` customers of the shop of this seed, `user_id` c-000001 and on.

    About 4 % have no e-mail address, 45 % no phone number, 30 % no birthdate: as people do.
    """
    rng = random.Random(f"{seed}/people")
    codes = list(COUNTRIES)
    shares = [COUNTRIES[code].share for code in codes]
    for index in range(1, n + 1):
        yield _contact(rng, index, rng.choices(codes, shares)[0])


def _contact(rng: random.Random, index: int, code: str) -> Contact:
    country = COUNTRIES[code]
    given, given_latin = _name(rng.choice(country.given))
    family, family_latin = _name(rng.choice(country.family))
    tier = rng.choices(_TIERS, (68, 24, 8))[0]
    # Every seventh of the bronze has not bought or signed up yet: the events of this month open their accounts.
    points = 0 if tier == "bronze" and rng.random() < 0.14 else rng.randrange(*_POINTS[tier])
    contact: Contact = {"user_id": f"c-{index:06d}", "given_name": given, "family_name": family}
    if rng.random() < 0.96:
        contact["email"] = _address(rng, index, given_latin, family_latin)
    if rng.random() < 0.55:
        contact["phone_number"] = "".join(str(rng.randrange(10)) if c == "#" else c for c in country.mobile)
    if rng.random() < 0.70:
        contact["birthdate"] = (
            f"{rng.randrange(1944, 2008)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
        )
    city = rng.choice(list(country.places))
    return contact | {
        "locale": country.locale,
        "zoneinfo": country.places[city],
        "country": code,
        "city": city,
        "loyalty_tier": tier,
        "loyalty_points": points,
        "newsletter": rng.choices(("subscribed", "unsubscribed", "never_asked"), (70, 12, 18))[0],
        "sms_offers": rng.choices(("subscribed", "unsubscribed", "never_asked"), (18, 22, 60))[0],
    }


def _name(written: str) -> tuple[str, str]:
    """A name as its owner writes it, and in the letters of an address."""
    own, _, latin = written.partition("/")
    bare = unicodedata.normalize("NFKD", (latin or own).translate(_FOLDED))
    return own, bare.encode("ascii", "ignore").decode()


def _address(rng: random.Random, index: int, given: str, family: str) -> str:
    """One address a person; some written in capitals, some with a plus part, as forms receive them."""
    local = f"{given}.{family}{index}"
    style = rng.random()
    if style >= 0.03:
        local = local.lower()
    if style < 0.05:
        local += "+shop"
    return f"{local}@{rng.choice(_DOMAINS)}"
