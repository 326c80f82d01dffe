"""The program: `heliograph`, and `python -m heliograph`, by which worker processes are started."""

from __future__ import annotations

import signal

from heliograph import loading


def main() -> None:
    """Load the commands, and carry one out."""
    # Who interrupts the loading, which takes a while, ends it: where it stood is nothing to tell.
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    cli = loading.load("heliograph.cli")  # after the signal is set

    if is_heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
