"""A YAML file as the JSON that it could have been, with the lines on which its parts stand.

Law: what YAML has and JSON has not (dates, keys that are no text) is read as it was written or refused; nothing is
guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from heliograph import errors
from heliograph.core import documents

_MOST = 8 * 1024 * 1024
"""Of a definition, as of the body of a request."""
_STEP = re.compile(r'\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.\[]+)')


class _Constructor(SafeConstructor):
    """Reads dates as the text that was written: JSON has none."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", lambda _constructor, node: node.value)

_PLAINLY = {
    "found unhashable key": "a text with {{ … }} in it takes quotes",
    "mapping values are not allowed here": "`:` cannot stand here: a text with a colon in it takes quotes",
    "but found another document": "a file holds one definition, and another begins here",
}
"""What the library says of what is often written, as whoever wrote it understands it."""


def read(file: Path) -> tuple[Node, Any]:
    """What a file says, and its nodes, which know their lines. Raises errors.InvalidInput with file and line."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        text = file.read_text(encoding="utf-8")
        node = yaml.compose(text)
        if _size(node, {}) > _MOST:
            raise errors.InvalidInput.at(
                str(file), f"has more than {_MOST >> 20} MiB where its aliases are written out"
            )
        return node, yaml.load(text)
    except OSError as fault:
        raise errors.InvalidInput.at(str(file), f"cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise errors.InvalidInput.at(str(file), "is not UTF-8") from None
    # A tag on what cannot be of its kind (`!!bool maybe`) ends in whatever error the library comes upon.
    except (YAMLError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as fault:
        mark = fault.problem_mark if isinstance(fault, MarkedYAMLError) else None
        problem = (fault.problem if isinstance(fault, MarkedYAMLError) else None) or str(fault)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        words = _PLAINLY.get(problem, " ".join(problem.split()))
        raise errors.InvalidInput.at(where, f"cannot be read as YAML: {words}") from None


def _size(node: Node | None, known: dict[int, int]) -> int:
    """How many characters and values stand in it, where aliases are written out."""
    if id(node) not in known:
        # What holds itself counts once: how deep it is will be told.
        known[id(node)] = 0
        parts: list[Node] = []
        if isinstance(node, MappingNode):
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, SequenceNode):
            parts = node.value
        own = len(node.value) if isinstance(node, ScalarNode) else 0
        known[id(node)] = 1 + own + sum(_size(part, known) for part in parts)
    return known[id(node)]


def not_json(value: Any, path: str = "", depth: int = 0) -> Iterator[errors.Fault]:
    """The faults of what YAML can say and JSON cannot, and of what no JSON of ours may hold."""
    if depth > documents.MAX_DEPTH:
        yield errors.Fault(path, f"is nested deeper than {documents.MAX_DEPTH} levels")
    elif isinstance(value, dict):
        for key, child in value.items():
            if isinstance(key, str):
                yield from not_json(child, documents.below(path, key), depth + 1)
            else:
                yield errors.Fault(path, f"has the key {key!r}, which is no text: put it in quotes")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from not_json(child, documents.below(path, index), depth + 1)
    elif value is not None and not isinstance(value, (str, int, float)):
        yield errors.Fault(path, f"is of a kind that JSON does not have ({type(value).__name__})")
    else:
        yield from documents.faults(value, path)


def line_of(node: Node | None, path: str) -> int:
    """The line (from 1) on which a place (`conditions.all[1].value`) stands, or the nearest that is there."""
    line = 1 if node is None else node.start_mark.line + 1
    for step in _STEP.finditer(path):
        found = _below(node, step)
        if found is None:
            return line
        line, node = found
    return line


def _below(node: Node | None, step: re.Match[str]) -> tuple[int, Node] | None:
    if step[1] is not None:
        if isinstance(node, SequenceNode) and int(step[1]) < len(node.value):
            child = node.value[int(step[1])]
            return child.start_mark.line + 1, child
        return None
    wanted = step[2] if step[2] is not None else step[3]
    if isinstance(node, MappingNode):
        for key, child in node.value:
            if key.value == wanted:
                return key.start_mark.line + 1, child
    return None
