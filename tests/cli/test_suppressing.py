"""`heliograph suppression`, as it is typed."""

from pathlib import Path

import pytest

from tests.cli import program


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"address,reason\nana@example.com,\xff\n", "is not UTF-8"),
        (b"address\n" + b'"' + b"a" * 200_000 + b'"\n', "cannot be read as CSV"),
        (b"email\nana@example.com\n", "names no column `address`"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    content: bytes, said: str, lone_house: str, tmp_path: Path, tell: program.Tell
) -> None:
    """What is wrong with a file is told, and nothing of it is stored."""
    tell("key", "create", "--role", "admin")  # and with it the workspace
    file = tmp_path / "those.csv"
    file.write_bytes(content)
    told = tell("suppression", "import", file)
    assert (told.code, told.out) == (1, "")
    assert said in told.err
    assert told.err.count("\n") == 1
    assert tell("suppression", "export").lines == ["address,reason,created_at"]
