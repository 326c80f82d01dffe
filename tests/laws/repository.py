"""What the laws look at: the files of the repository, and the syntax of its programs."""

import ast
import contextlib
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """The files that belong to the repository, those with one of the suffixes where any is given."""
    paths = (ROOT / name for name in listed())
    return tuple(path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes))


def listed() -> list[str]:
    """What is committed or could be; without git, everything outside hidden folders and those of other programs."""
    options = ("-c", "safe.directory=*", "-C", str(ROOT))
    asked = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    with contextlib.suppress(FileNotFoundError):
        done = subprocess.run(["git", *options, *asked], capture_output=True, check=False)
        if done.returncode == 0:
            return [said for said in done.stdout.decode().split("\0") if said]
    return [name(path) for path in ROOT.rglob("*") if not _FOREIGN.search(f"/{name(path)}")]


_FOREIGN = re.compile(r"/\.|/__pycache__|/node_modules")


def under(*folders: str) -> Iterator[Path]:
    """The Python files of some folders of the repository."""
    for path in files(".py"):
        if any(path.is_relative_to(ROOT / folder) for folder in folders):
            yield path


def name(path: Path) -> str:
    """A file's name as one says it."""
    return path.relative_to(ROOT).as_posix()


@cache
def syntax(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """The texts in a Python file that are not docstrings, each with its line."""
    tree = syntax(path)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value
