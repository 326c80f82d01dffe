"""Where the demo's and the tests' messages end: an SMTP server and a webhook receiver on this machine.

    python -m examples.shop.sinks [--smtp 8025] [--http 8026] [--log FILE]

Law: a sink counts what it received before it answers, so what the sender was told is never more than what
is counted here. Sinks misbehave only when a switch tells them to. The process prints its ports as one line
of JSON when it is ready (port 0 takes any free one) and ends on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib import request

from examples.shop import smtp_sink, webhook_sink


class Running(NamedTuple):
    """The ports of sinks in a process of their own."""

    smtp: int
    http: int

    def ask(self, path: str) -> Any:
        """What the webhook sink tells at one of its own paths, for instance `/counts`."""
        with request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=10) as answer:
            return json.load(answer)

    def switch(self, **wanted: dict[str, Any]) -> None:
        """Misbehave: `running.switch(smtp={"delay": 0.1}, http={"status": 503})`."""
        put = request.Request(
            f"http://127.0.0.1:{self.http}/switches", json.dumps(wanted).encode(), method="PUT"
        )
        with request.urlopen(put, timeout=10):
            pass


@contextmanager
def started(*, smtp: int = 0, http: int = 0, log: Path | None = None) -> Iterator[Running]:
    """Both sinks in a process of their own, for as long as the block lasts."""
    command = [sys.executable, "-m", __spec__.name, "--smtp", str(smtp), "--http", str(http)]
    command.append("--while-stdin-is-open")
    if log:
        command += ["--log", str(log.absolute())]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as child:
        assert child.stdout is not None
        try:
            yield Running(**json.loads(child.stdout.readline()))
        finally:
            child.terminate()


async def run(
    smtp_port: int, http_port: int, log: Path | None, host: str = "127.0.0.1", *, follow: bool = False
) -> None:
    """Both sinks until a signal ends them; the webhook sink answers for both at `/counts`.

    With `follow` they also end when stdin is closed, which whoever started them keeps open.
    """
    stopped = asyncio.Event()
    if follow:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stopped.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with (
        smtp_sink.SmtpSink(host, smtp_port, log=log) as smtp,
        webhook_sink.WebhookSink(host, http_port, smtp=smtp) as http,
    ):
        print(json.dumps({"smtp": smtp.port, "http": http.port}), flush=True)
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sinks that the command line describes."""
    parser = argparse.ArgumentParser(prog="python -m examples.shop.sinks", description=__doc__.split("\n")[0])
    parser.add_argument("--smtp", type=int, default=8025, metavar="PORT")
    parser.add_argument("--http", type=int, default=8026, metavar="PORT")
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="append each Message-ID before answering 250"
    )
    parser.add_argument("--while-stdin-is-open", action="store_true", help="end when stdin is closed")
    chosen = parser.parse_args(arguments)
    asyncio.run(run(chosen.smtp, chosen.http, chosen.log, follow=chosen.while_stdin_is_open))


if __name__ == "__main__":
    main()
