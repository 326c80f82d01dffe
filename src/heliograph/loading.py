"""Loading a program: its modules come in while the collector of garbage is nearly at rest.

Law: nothing is imported here but the standard library, so that what is set here holds for all that is loaded after it.
A program's modules are half a million values that stay: to look through them after each seven hundred, as Python does,
is a quarter of the time that a process takes to start.
"""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType


def load(name: str) -> ModuleType:
    """The module of this name, as a process loads its program."""
    calm_collector()
    return importlib.import_module(name)


def command(module: str) -> list[str]:
    """By what a process is started that loads a module and calls its `main`; what follows are its arguments."""
    return [sys.executable, "-m", __name__, module]


def calm_collector() -> None:
    """A turn makes and drops a hundred thousand small values: the collector need not look at each thousand."""
    gc.set_threshold(100_000, 20, 50)


def settle_garbage() -> None:
    """All that is there stays: the collector need never look at it again."""
    gc.collect()
    gc.freeze()
    calm_collector()


if __name__ == "__main__":
    load(sys.argv.pop(1)).main()
