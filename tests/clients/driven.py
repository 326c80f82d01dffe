"""Which methods of Courier's clients the tests of this folder call, read from their text.

A client is what is called `client`, and what `with_options` makes of one; a name that holds a part of it
(`of = client.lists`) stands for that part.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
_CLIENT = "client"
_PASSED_OVER = frozenset({"with_raw_response", "with_options"})


def by_python() -> set[str]:
    """The methods of the client of Python that are called, by their dotted names."""
    return {name for file in FOLDER.glob("test_*.py") for name in in_python(file.read_text(encoding="utf-8"))}


def in_python(text: str) -> Iterator[str]:
    """The methods that a module of tests calls."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            yield from _of_function(node)


def _of_function(function: ast.FunctionDef) -> Iterator[str]:
    known = {_CLIENT: ""}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            part = _part(node.value, known)
            if part is not None:
                known[node.targets[0].id] = part
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and (name := _part(node.func, known)):
            yield name


def _part(node: ast.AST, known: dict[str, str]) -> str | None:
    """The dotted name of a part of the client; None for anything else."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Call):
        # What `with_options` gives is a client again, what a method gives is not.
        made_by = _part(node.func, known)
        return None if made_by else made_by
    if isinstance(node, ast.Attribute):
        above = _part(node.value, known)
        if above is None or node.attr in _PASSED_OVER:
            return above
        return f"{above}.{node.attr}".lstrip(".")
    return None


def by_node() -> set[str]:
    """The methods of the client of Node that are called, as the client of Python has their names."""
    return {
        name
        for file in (FOLDER / "node").glob("*.js")
        for name in in_script(file.read_text(encoding="utf-8"))
    }


def in_script(text: str) -> Iterator[str]:
    """The methods that a script calls, as the client of Python has their names."""
    known = {_CLIENT: ""}
    for name, held in re.findall(r"\bconst (\w+) = ([\w.]+);", text):
        first, _, rest = held.partition(".")
        if first in known:
            known[name] = f"{known[first]}.{rest}".strip(".")
    for first, rest in re.findall(r"\b(\w+)((?:\.\w+)+)\(", text):
        if first in known:
            yield re.sub(r"(?<=[a-z])(?=[A-Z])", "_", f"{known[first]}{rest}".strip(".")).lower()
