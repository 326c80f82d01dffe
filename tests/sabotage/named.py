"""How behaviour is broken: for each item, the names in the code that are replaced.

Modules are imported whole (`from heliograph.core import rules`), so replacing a module's name breaks it for every
caller. A replacement is made from the original: `always(True)`, `lambda original: …`.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.sabotage import wire


class Code(NamedTuple):
    """`place` (`package.module:name`, `package.module:Class.name`) is replaced by what `made` makes of it."""

    place: str
    made: Callable[[Any], Any]

    def __str__(self) -> str:
        return f"{self.place} replaced"


def always(answer: object) -> Callable[[Any], Any]:
    """A function that gives this answer whatever it is asked."""
    return lambda _original: lambda *_args, **_kwargs: answer


SABOTAGE: dict[str, tuple[wire.Wire | Code, ...]] = {}


@contextmanager
def replaced(code: Code) -> Iterator[None]:
    """Replace the name for a while; LookupError where there is no such name (any more)."""
    module, _, path = code.place.partition(":")
    *owners, name = path.split(".")
    try:
        owner = importlib.import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        original = owner.__dict__[name]
    except (ImportError, AttributeError, KeyError):
        raise LookupError(f"there is no {code.place} to break") from None
    setattr(owner, name, code.made(original))
    try:
        yield
    finally:
        setattr(owner, name, original)
