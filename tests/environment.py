"""What the tests are told from outside; the only reader of the environment here.

`HELIOGRAPH_TEST_POSTGRES` names a PostgreSQL server on which databases may be made and dropped
(`postgresql://postgres@127.0.0.1:5432/postgres`); without it the tests that need one are skipped.
`HELIOGRAPH_TORTURE=1` asks for the full counts of `make torture`.
"""

import os


def postgres_server() -> str | None:
    """The URL of the PostgreSQL server for tests, if there is one."""
    return os.environ.get("HELIOGRAPH_TEST_POSTGRES") or None


def is_torture() -> bool:
    """Whether the full counts are asked for."""
    return os.environ.get("HELIOGRAPH_TORTURE") == "1"


def for_program(**settings: object) -> dict[str, str]:
    """The environment for a program under test: this one's with HELIOGRAPH_<SETTING> for each setting given."""
    given = {f"HELIOGRAPH_{name.upper()}": str(value) for name, value in settings.items()}
    kept = {name: text for name, text in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    return kept | given
