"""`import contacts`: streamed, resumed, told row by row what could not be taken."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.shop import generate
from heliograph.cli import contact_file, importing
from heliograph.store import database, hot_postgres, hot_sqlite, people, workspaces
from tests.cli import program


def contact(url: str, user_id: str) -> people.Contact | None:
    """A contact of the workspace default."""
    store = database.Database(url)
    with store.reading() as connection:
        owner = workspaces.find(connection, "default")
        assert owner is not None
        found = people.read_contact(connection, owner, None, user_id)
    store.close()
    return found


def profile(url: str, user_id: str) -> dict[str, object]:
    """What is known of somebody who is there."""
    found = contact(url, user_id)
    assert found is not None
    return found.profile


def shop(folder: Path, contacts: int, *, bad: bool = False) -> Path:
    """The contacts of the example shop."""
    generate.write(folder, list(generate.contacts(7, contacts)), (), bad)
    return folder / "contacts.csv"


def written(folder: Path, content: str | bytes) -> Path:
    """A file of contacts that says this."""
    file = folder / "people.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def reported(file: Path) -> list[list[str]]:
    """The rows that were not taken, without the heading."""
    with file.with_name(f"{file.name}.bad.csv").open(encoding="utf-8", newline="") as report:
        return list(csv.reader(report))[1:]


# ── what is taken ───────────────────────────────────────────────────────────────────────────────────


def test_people_are_taken_as_they_stand(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """Every row is a contact, with the addresses in one form; a cell that is empty is a key not known."""
    told = tell("import", "contacts", shop(tmp_path, 60))
    assert (told.code, told.out) == (0, "workspace default: 60 contacts made, 0 changed, 0 as they were\n")
    for given in generate.contacts(7, 60):
        known = {key: str(value) for key, value in given.items() if key != "user_id"}
        assert profile(house, given["user_id"]) == known | (
            {"email": known["email"].lower()} if "email" in known else {}
        )


def test_importing_twice_changes_nothing(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """The same file again finds everybody as they were, to the instant of the last change."""
    file = shop(tmp_path, 30)
    tell("import", "contacts", file)
    before = contact(house, "c-000001")
    again = tell("import", "contacts", file)
    assert again.out == "workspace default: 0 contacts made, 0 changed, 30 as they were\n"
    assert contact(house, "c-000001") == before


def test_a_row_is_merged_into_what_is_known(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """Cells replace what is stored under their key, and leave alone what they do not name."""
    tell("import", "contacts", written(tmp_path, "user_id,email,plan\nana,ana@example.com,free\nben,,free\n"))
    told = tell(
        "import", "contacts", written(tmp_path, "user_id,plan,city\nana,pro,\nben,free,\ncleo,,Rome\n")
    )
    assert told.out == "workspace default: 1 contacts made, 1 changed, 1 as they were\n"
    assert profile(house, "ana") == {"email": "ana@example.com", "plan": "pro"}
    assert profile(house, "cleo") == {"city": "Rome"}


def test_who_stands_there_twice_is_one_person(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """Rows of one person are merged in the order in which they stand."""
    told = tell("import", "contacts", written(tmp_path, "user_id,plan,city\nana,free,Rome\nana,pro,\n"))
    assert "1 contacts made" in told.out
    assert profile(house, "ana") == {"plan": "pro", "city": "Rome"}


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffuser_id,name\r\nana,Ana\r\n",
        "user_id;name\nana;Ana\n",
        "user_id\tname\n\nana\tAna",
        'name,user_id\n"Ana","ana"\n',
        '\ufeff"user_id","name"\r\n"ana","Ana"\r\n',
    ],
    ids=["as a spreadsheet writes it", "semicolons", "tabs, an empty line", "quotes, another order", "both"],
)
def test_csv_comes_in_many_forms(content: str, lone_house: str, tmp_path: Path, tell: program.Tell) -> None:
    """Marks of encoding, ends of lines, delimiters and quotes are read as they are meant."""
    assert "1 contacts made" in tell("import", "contacts", written(tmp_path, content)).out
    assert profile(lone_house, "ana") == {"name": "Ana"}


# ── what is not taken ───────────────────────────────────────────────────────────────────────────────


def test_bad_rows_are_told_and_the_rest_is_taken(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """Each faulty row stands in a file beside, with its line, its field and the reason; all others are there."""
    file = shop(tmp_path, 40, bad=True)
    told = tell("import", "contacts", file)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert told.lines == [
        "workspace default: 40 contacts made, 0 changed, 0 as they were",
        f"6 rows were not taken: {file}.bad.csv says which and why",
    ]
    assert [(user_id, field) for _, user_id, field, _ in reported(file)] == [
        ("", "user_id"),
        ("bad-email", "email"),
        ("bad-phone", "phone_number"),
        ("bad-birthdate", "birthdate"),
        ("bad-zone", "zoneinfo"),
        ("bad-width", ""),
    ]
    for line, user_id, _, reason in reported(file):
        assert lines[int(line) - 1].startswith(user_id)
        assert reason


def test_a_row_is_called_as_nobody_who_was_deleted(
    lone_house: str, tmp_path: Path, tell: program.Tell
) -> None:
    """An id of the form of the names in history is a fault of its row; the others are taken."""
    file = tmp_path / "people.csv"
    file.write_text("user_id,given_name\ndeleted-0123456789ab,Ana\nben,Ben\n", encoding="utf-8")
    told = tell("import", "contacts", str(file))
    assert (told.code, "1 contacts made" in told.out) == (0, True), told
    assert "stands for somebody who was deleted" in file.with_name("people.csv.bad.csv").read_text()


def test_a_line_is_counted_as_an_editor_counts(lone_house: str, tmp_path: Path, tell: program.Tell) -> None:
    """A cell of many lines does not shift the numbers of the lines after it."""
    content = 'user_id,note,email\nana,"one\ntwo",ana@example.com\n\nben,,no address\n'
    tell("import", "contacts", written(tmp_path, content))
    assert [(row[0], row[1]) for row in reported(tmp_path / "people.csv")] == [("5", "ben")]
    assert profile(lone_house, "ana")["note"] == "one\ntwo"


@pytest.mark.parametrize(
    "below", [3, 20_000], ids=["to the end of the file", "for longer than a cell may be"]
)
def test_a_quote_that_is_not_closed_takes_nobody_with_it(
    below: int, lone_house: str, tmp_path: Path, tell: program.Tell
) -> None:
    """It stops its own row alone, and who stands below is taken as they stand."""
    rows = "".join(f"ben{number},Ben\n" for number in range(below))
    told = tell(
        "import", "contacts", written(tmp_path, f'user_id,name\nana,"Ana\n{rows}cleo,"Cleo" the Great\n')
    )
    assert told.out.startswith(f"workspace default: {below:,} contacts made")
    assert [row[0] for row in reported(tmp_path / "people.csv")] == ["2", str(below + 3)]
    assert profile(lone_house, "ben0") == {"name": "Ben"}


def test_what_is_no_text_is_told(lone_house: str, tmp_path: Path, tell: program.Tell) -> None:
    """A row in another encoding, or a name that is too long, stops itself alone."""
    content = b"user_id,name\nana,J\xfcrgen\n" + b"x" * 300 + b",Long\nben,Ben\n"
    told = tell("import", "contacts", written(tmp_path, content))
    assert "1 contacts made" in told.out
    assert [row[0] for row in reported(tmp_path / "people.csv")] == ["2", "3"]


def test_a_profile_is_not_endless(lone_house: str, tmp_path: Path, tell: program.Tell) -> None:
    """A row that makes a profile of more than 256 KiB, which is refused over HTTP too, stops itself alone."""
    long = "x" * 100_000
    told = tell(
        "import", "contacts", written(tmp_path, f"user_id,a,b,c\nana,{long},{long},{long}\nben,{long},,\n")
    )
    assert "1 contacts made" in told.out
    assert reported(tmp_path / "people.csv") == [["2", "ana", "", "a profile takes at most 256 KiB"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "one of them is user_id"),
        ("email,name\nana@example.com,Ana\n", "one of them is user_id"),
        ("user_id,email,email\nana,,\n", "the column email stands there twice"),
        ("user_id,,name\nana,,\n", "column 2 has no name"),
        ("user_id,name\nana,Ana\n".encode("utf-16"), "is not UTF-8"),
        ("user_id,name\nana,Ana\n".encode("utf-16-le"), "is not UTF-8"),
        (b"\x7fELF\x00\r\xff\n", "is not UTF-8"),
        ("user_id,name\rana,Ana\r", "line 1: cannot be read as CSV: a carriage return stands in it"),
        ("user_id," + "x" * 200_000 + "\n", "line 1: cannot be read as CSV: field larger"),
        ("user_id" + ",a" * 100_000 + "\n", "the column a stands there twice"),
    ],
)
def test_a_file_without_columns_is_refused(
    content: str | bytes, said: str, lone_house: str, tmp_path: Path, tell: program.Tell
) -> None:
    """Nothing is guessed where the first line does not name the columns."""
    told = tell("import", "contacts", written(tmp_path, content))
    assert (told.code, told.out) == (1, "")
    assert said in told.err


# ── going on ────────────────────────────────────────────────────────────────────────────────────────


class StoppedError(Exception):
    """The power fails."""


def stop_after(times: int) -> Callable[[int], None]:
    """Something that fails when it was told of this many batches."""
    told = iter(range(times - 1))

    def seen(_offset: int) -> None:
        if next(told, None) is None:
            raise StoppedError

    return seen


def interrupted(url: str, file: Path, batches: int) -> None:
    """An import that ends before its time, after so many batches."""
    store = database.Database(url)
    with pytest.raises(StoppedError):
        importing.take(store, file, "default", stop_after(batches))
    store.close()


@pytest.fixture
def stopped(lone_house: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with rows that are not taken, of which an import stopped half way."""
    monkeypatch.setattr(importing, "_ROWS_AT_ONCE", 10)
    file = shop(tmp_path, 50, bad=True)
    interrupted(lone_house, file, 2)
    return file


@pytest.mark.parametrize("batches", [1, 3, 5])
def test_an_import_goes_on_where_it_stopped(
    batches: int, house: str, tmp_path: Path, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started again, it does not look at what it has done, and tells the whole as if it had never stopped."""
    monkeypatch.setattr(importing, "_ROWS_AT_ONCE", 10)
    file = shop(tmp_path, 50, bad=True)
    interrupted(house, file, batches)
    told = tell("import", "contacts", file)
    assert told.lines == [
        f"went on after line {1 + 10 * batches}",
        "workspace default: 50 contacts made, 0 changed, 0 as they were",
        f"6 rows were not taken: {file}.bad.csv says which and why",
    ]
    assert len(reported(file)) == 6
    assert tell("import", "contacts", file).lines[0].endswith("0 contacts made, 0 changed, 50 as they were")


@pytest.mark.parametrize("batches", [1, 3])
def test_rows_and_position_are_stored_as_one(
    batches: int, house: str, tmp_path: Path, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended where the rows are written and the position is not, an import leaves neither: nothing is done twice."""
    monkeypatch.setattr(importing, "_ROWS_AT_ONCE", 10)
    file = shop(tmp_path, 50, bad=True)
    fail = stop_after(batches)
    hot = hot_sqlite if house.startswith("sqlite") else hot_postgres
    keep_fact = hot.keep_fact
    with monkeypatch.context() as broken:
        broken.setattr(hot, "keep_fact", lambda *given: (fail(0), keep_fact(*given)))
        interrupted(house, file, 100)
    told = tell("import", "contacts", file)
    assert told.lines[-2:] == [
        "workspace default: 50 contacts made, 0 changed, 0 as they were",
        f"6 rows were not taken: {file}.bad.csv says which and why",
    ]
    assert len(reported(file)) == 6


def test_what_was_reported_before_the_stop_is_reported_once(stopped: Path, tell: program.Tell) -> None:
    """A report that ran ahead of its import is cut back to where the import stood."""
    with stopped.with_name(f"{stopped.name}.bad.csv").open("a", encoding="utf-8") as report:
        report.write("999,half,a row")
    tell("import", "contacts", stopped)
    assert [row[1] for row in reported(stopped)][:2] == ["", "bad-email"]
    assert len(reported(stopped)) == 6


def test_a_report_that_cannot_be_written_is_one_clear_line(
    lone_house: str, tmp_path: Path, tell: program.Tell
) -> None:
    """It names the file and what the system says."""
    file = written(tmp_path, "user_id\nana\n")
    report = file.with_name(f"{file.name}.bad.csv")
    report.mkdir()
    told = tell("import", "contacts", file)
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith(f"heliograph: {report}: ")


def test_a_report_that_was_taken_away_begins_anew(stopped: Path, tell: program.Tell) -> None:
    """Who has seen to the rows of an import that stopped, and put its report away, can still let it go on."""
    first = reported(stopped)
    stopped.with_name(f"{stopped.name}.bad.csv").unlink()
    assert tell("import", "contacts", stopped).code == 0
    assert first
    assert len(first) + len(reported(stopped)) == 6


def test_a_file_that_was_changed_is_read_from_its_head(
    lone_house: str, tmp_path: Path, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it stopped in another version of the file says nothing about this one."""
    monkeypatch.setattr(importing, "_ROWS_AT_ONCE", 10)
    file = shop(tmp_path, 30)
    interrupted(lone_house, file, 2)
    file.write_text("user_id,name\nana,Ana\n", encoding="utf-8")
    assert tell("import", "contacts", file).out.startswith("workspace default: 1 contacts made")


def test_a_place_in_the_file_is_enough_to_go_on(tmp_path: Path) -> None:
    """Reading from the end of any row gives the rows that follow it, with their lines."""
    file = written(tmp_path, 'user_id,note\nana,"one\ntwo"\n\nben,ü\ncleo,\n')
    whole = contact_file.ContactFile(file, None)
    rows = list(whole.rows())
    whole.close()
    for number, row in enumerate(rows):
        rest = contact_file.ContactFile(file, None)
        assert list(rest.rows(row.end)) == rows[number + 1 :]
        rest.close()
