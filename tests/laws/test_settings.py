"""Every setting is documented as it is."""

import ast
import itertools
import re

import msgspec
import pytest

from heliograph import errors, settings
from tests.laws import repository

DOCUMENT = repository.ROOT / "docs" / "settings.md"
OURS = {"HELIOGRAPH_TEST_POSTGRES", "HELIOGRAPH_TORTURE"}
"""What the tests are told, which is no setting of the program."""


def meanings() -> dict[str, str]:
    """What settings.py says about each field."""
    tree = repository.syntax(repository.ROOT / "src" / "heliograph" / "settings.py")
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    found = {}
    for field, said in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(said, ast.Expr):
            found[ast.unparse(field.target)] = " ".join(str(ast.literal_eval(said.value)).split())
    return found


def rows() -> list[str]:
    """The table that docs/settings.md must have."""
    said = meanings()
    return [
        f"| `HELIOGRAPH_{field.name.upper()}` | {shown(field.default)} | {said[field.name]} |"
        for field in msgspec.structs.fields(settings.Settings)
    ]


def shown(default: object) -> str:
    """A default as the document shows it."""
    return f"`{default}`" if default not in ("", (), None) else ""


def test_the_settings_page_tells_every_setting() -> None:
    """docs/settings.md has each variable with its default and the words of settings.py, and no other."""
    table = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert table == rows()


def test_documents_name_no_setting_that_does_not_exist() -> None:
    """A variable that a document names can be set."""
    known = {f"HELIOGRAPH_{field.name.upper()}" for field in msgspec.structs.fields(settings.Settings)} | OURS
    for document in repository.files(".md"):
        named = set(re.findall(r"\bHELIOGRAPH_[A-Z_]+[A-Z]\b", document.read_text(encoding="utf-8")))
        assert named <= known, repository.name(document)


@pytest.mark.parametrize(
    "name", [f.name for f in msgspec.structs.fields(settings.Settings) if f.type in (int, float)]
)
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "99999999999", "many"])
def test_every_number_has_bounds(name: str, value: str) -> None:
    """A number that makes no sense is refused in a line that names the variable, and what it takes or what is wrong."""
    variable = f"HELIOGRAPH_{name.upper()}"
    with pytest.raises(errors.BadSetting, match=variable):
        settings.load({variable: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENDER", "nobody"),
        ("DEFAULT_REGION", "Germany"),
        ("DEFAULT_REGION", "de"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://[shop"),
        ("SMTP_URL", "smtp://[::1"),
        ("DATABASE_URL", "sqlite:data.db"),
        ("DATABASE_URL", "SQLITE:///data.db"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "postgresql:name"),
        ("DATABASE_URL", "postgresql://[db/name"),
        ("ALLOWED_HOSTS", "crm.internal,http://crm.internal"),
        ("ALLOWED_HOSTS", "crm.internal/hook"),
        ("ALLOWED_HOSTS", "crm.internal:http"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused(name: str, value: str) -> None:
    """A sender without an address, or what is no region or address, is told at the start and not by every message."""
    with pytest.raises(errors.BadSetting, match=f"HELIOGRAPH_{name} takes"):
        settings.load({f"HELIOGRAPH_{name}": value})


def test_hosts_are_named_in_many_ways() -> None:
    """A host is a name in any script or an address, with or without a port."""
    hosts = ("crm.internal", "my_crm:8080", "bücher.example", "10.0.0.7", "::1", "[::1]", "[fd00::7]:8080")
    assert settings.load({"HELIOGRAPH_ALLOWED_HOSTS": ", ".join(hosts)}).allowed_hosts == hosts


def test_a_refused_address_is_told_without_its_password() -> None:
    """What is wrong with the database's address is told; who logs in there is not."""
    with pytest.raises(errors.BadSetting, match="mysql://…@db/shop") as refusal:
        settings.load({"HELIOGRAPH_DATABASE_URL": "mysql://shop:pass@word@db/shop"})
    assert "pass" not in str(refusal.value)
