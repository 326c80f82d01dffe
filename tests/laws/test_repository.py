"""What holds for every file: its length, its words, its links."""

import re
import tomllib
from pathlib import Path

import pytest

import heliograph
from heliograph.store import database, migrations
from tests.laws import repository

LONGEST = 400
ELSEWHERE = re.compile(
    r"""pypi\.org | pythonhosted\.org | npmjs\.(?:org|com) | crates\.io | rubygems\.org | proxy\.golang\.org
      | docker\.io | ghcr\.io | quay\.io | huggingface\.co | anaconda\.(?:org|com) | deb\.debian\.org
      | (?<![\w.~/-]) / (?:root|home|work|mnt|Users) / \w""",
    re.VERBOSE,
)
"""Where packages come from is the installer's business, and a folder of one machine is nobody's."""

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
NO_CLOCK_IN_SQL = re.compile(
    r"\bnow\(\)|current_timestamp|current_date|clock_timestamp|'now'|transaction_timestamp", re.IGNORECASE
)


def anchors(document: Path) -> set[str]:
    """The names by which the headings of a document are linked."""
    headings = HEADING.findall(document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_broken(document: Path, link: str) -> bool:
    """Whether a link within the repository leads nowhere."""
    if re.match(r"[a-z]+:", link):
        return False
    place, _, anchor = link.partition("#")
    target = (document.parent / place).resolve() if place else document
    return not target.exists() or bool(anchor and target.suffix == ".md" and anchor not in anchors(target))


def test_the_laws_hold_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no git, the laws look at the same programs and documents."""
    with_git = repository.listed()
    monkeypatch.setenv("PATH", "")
    seen = {name for name in repository.listed() if name.endswith((".py", ".md"))}
    assert seen == {
        name for name in with_git if name.endswith((".py", ".md")) and (repository.ROOT / name).exists()
    }


def test_no_source_file_is_too_long() -> None:
    """A file of the program can be read in one sitting."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in repository.under("src")}
    assert {repository.name(path): n for path, n in lengths.items() if n > LONGEST} == {}


def test_the_repository_names_no_other_place() -> None:
    """No file names a package host or a folder of somebody's machine."""
    found = []
    for path in repository.files():
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [f"{repository.name(path)}: {match.group().strip()}" for match in ELSEWHERE.finditer(text)]
    assert found == []


def test_links_in_documents_lead_somewhere() -> None:
    """Every link within the repository names a file and a heading that exist."""
    broken = []
    for document in repository.files(".md"):
        links = LINK.findall(document.read_text(encoding="utf-8"))
        broken += [f"{repository.name(document)}: {link}" for link in links if is_broken(document, link)]
    assert broken == []


def test_the_newest_entry_of_the_changelog_is_the_packages_version() -> None:
    """Whoever installs a version can read what is new in it."""
    changelog = (repository.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    project = tomllib.loads((repository.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = re.findall(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    assert versions[0] == project["version"] == heliograph.__version__


def test_sql_does_not_read_the_clock() -> None:
    """Time comes with the values: the database is asked for it where clocks are compared, and nowhere else."""
    found = [
        f"{repository.name(path)}:{line}: {text}"
        for path in repository.under("src")
        for line, text in repository.literals(path)
        if NO_CLOCK_IN_SQL.search(text) and text != database.TIME_IS
    ]
    assert found == []


def test_decisions_are_numbered_and_listed() -> None:
    """Every record of docs/decisions is in its README, under a number of its own."""
    folder = repository.ROOT / "docs" / "decisions"
    records = sorted(path.name for path in folder.glob("*.md") if path.name != "README.md")
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert listed == records
    assert len({record[:4] for record in records}) == len(records)


def test_steps_of_the_schema_stand_in_one_line() -> None:
    """Each step is named after its number and follows the one before, so that the file's name says how far it goes."""
    steps = sorted((repository.ROOT / "src/heliograph/store/migrations/versions").glob("*.py"))
    before = None
    for file, number in zip(steps, range(1, len(steps) + 1), strict=True):
        said = dict(
            re.findall(
                r'^(revision|down_revision) = "?(\w+)"?$', file.read_text(encoding="utf-8"), re.MULTILINE
            )
        )
        assert (file.name[:4], said["down_revision"]) == (said["revision"], str(before)), file.name
        assert said["revision"] == f"{number:04}", file.name
        before = said["revision"]
    assert before == migrations.LATEST


@pytest.mark.parametrize(
    ("link", "broken"),
    [
        ("README.md", False),
        ("nowhere.md", True),
        ("README.md#no-such-heading", True),
        ("mailto:a@b.example", False),
    ],
)
def test_broken_links_are_seen(link: str, broken: bool) -> None:
    """The law about links knows a broken one."""
    assert is_broken(repository.ROOT / "CHANGELOG.md", link) is broken
