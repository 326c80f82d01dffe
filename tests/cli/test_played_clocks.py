"""Commands beside a server on a clock of its own go by that clock, also where it is behind the wall's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from heliograph import testing as helpers
from heliograph.store import facts
from tests.cli import program

HOUR = 3_600_000_000


@pytest.fixture
def play(ready_sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[helpers.World]:
    """A world on a clock of its own, which begins long before the wall's."""
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", ready_sqlite_url)
    with helpers.World(ready_sqlite_url, start=1_600_000_000_000_000) as made:
        with made.app.store.writing() as connection:
            facts.note_clock(connection, "scaled")
        made.contact("ana", email="ana@example.com")
        made.date_automation(actiontype="notify", actiontarget="staff@example.com", actionhour="09:00:00")
        made.run_until_idle()
        yield made


def test_birthdays_that_are_imported_are_known_from_then_on(
    play: helpers.World, tell: program.Tell, tmp_path: Path
) -> None:
    """Whoever is imported while a clock is played has their birthday on its next day."""
    # It began on the 13th of September 2020.
    file = tmp_path / "contacts.csv"
    file.write_text("user_id,birthdate\nben,1990-09-15\n")
    assert tell("import", "contacts", str(file)).code == 0
    play.pass_time(days=3)
    assert [mail.subject for mail in play.mailbox.to("staff@example.com")] == ["A birthday: ben"]


def test_what_is_released_goes_on_by_the_clock_that_is_played(
    play: helpers.World, tell: program.Tell
) -> None:
    """A run that an operator lets go goes on at once, and not when the clock has caught up with the wall's."""
    run = play.invoke(None, {"action": "delay", "duration": "1 hour"}, recipient="ana")
    play.run_until_idle()
    play.clock.move(30 * HOUR)
    play.run_until_idle()
    assert tell("held", "release", "--all").out.startswith("1 released")
    play.run_until_idle()
    assert play.run(run).status == "PROCESSED"
