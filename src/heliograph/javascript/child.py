"""The program that runs expressions, in a process of its own. It is started by path and knows nothing of Heliograph.

Law: it reads the realm's text, then one request after the other, and answers each; it ends when nobody asks any more.
An expression that cannot be interrupted ends the process: the kernel sees to it.
"""

from __future__ import annotations

import signal
import struct
import sys
from typing import IO, Final

import quickjs

HEAD: Final = struct.Struct("<BdIII")
"""What is asked, now, the seed, the length of the code and of what is given; then both of them."""
SIZE: Final = struct.Struct("<I")
WANTS: Final = ("check", "value", "text", "truth")

STACK: Final = 256 << 10
MEMORY: Final = 16 << 20
FUNCTIONS: Final = 1_000
"""How many compiled expressions a realm keeps."""

OUT_OF_MEMORY: Final = "xInternalError: out of memory"
INTERRUPTED: Final = "xInternalError: interrupted"


class Realm:
    """One JavaScript realm, hardened, and the expressions that were compiled in it."""

    def __init__(self, prelude: str, seconds: float) -> None:
        self._context = quickjs.Context()
        self._context.set_max_stack_size(STACK)
        self._door = self._context.eval(prelude)
        self._context.set_time_limit(seconds)
        self._functions: dict[str, int] = {}
        self.is_spent = False
        """Whether it is to be thrown away: it was stopped, memory ran out, or something was left to be done later."""
        self._bound()

    def answer(self, want: str, code: str, text: str, now: float, seed: float) -> str:
        """What the door says; never raises."""
        try:
            told = self._asked(want, code, text, now, seed)
        except quickjs.JSException as refusal:
            self.is_spent = True
            return INTERRUPTED if "interrupted" in str(refusal) else OUT_OF_MEMORY
        try:
            has_more = self._context.execute_pending_job()
        except quickjs.JSException:
            has_more = True
        self.is_spent = has_more or told == OUT_OF_MEMORY or len(self._functions) >= FUNCTIONS
        return told

    def _asked(self, want: str, code: str, text: str, now: float, seed: float) -> str:
        if want == "check":
            return str(self._door("check", code))
        place = self._functions.get(code)
        if place is None:
            made = self._door("compile", code)
            if isinstance(made, str):
                return made
            place = self._functions[code] = int(made)
            self._bound()
        return str(self._door("run", place, text, now, seed, want))

    def _bound(self) -> None:
        """Leave so much memory for a call, whatever the realm and its functions take themselves."""
        self._context.set_memory_limit(self._context.memory()["malloc_size"] + MEMORY)


def serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until nobody asks; the first two messages are the limit in seconds and the realm's text."""
    (seconds,) = struct.unpack("<d", asked.read(8))
    prelude = asked.read(*SIZE.unpack(asked.read(SIZE.size))).decode()
    realm = Realm(prelude, seconds)
    while len(head := asked.read(HEAD.size)) == HEAD.size:
        want, now, seed, code_size, text_size = HEAD.unpack(head)
        code, text = asked.read(code_size).decode(), asked.read(text_size).decode()
        # Loops of the library itself are not interrupted: this signal, which nobody handles, ends the process.
        signal.setitimer(signal.ITIMER_PROF, 1.5 * seconds)
        # The library hands over integers of 32 bits; a float holds any millisecond.
        told = realm.answer(WANTS[want], code, text, now, float(seed)).encode("utf-8", "replace")
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(SIZE.pack(len(told)) + told)
        answers.flush()
        if realm.is_spent:
            realm = Realm(prelude, seconds)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it says when it ends
    serve(sys.stdin.buffer, sys.stdout.buffer)
