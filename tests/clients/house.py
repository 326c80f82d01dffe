"""A running Heliograph as the programs of Courier's users see it: an address, a key, and mail that arrives."""

from __future__ import annotations

import asyncio
import contextlib
import email
import threading
from collections.abc import Callable, Coroutine, Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import courier

from examples.shop import smtp_sink
from heliograph.clock import WallClock
from heliograph.store import database, keys, safe, workspaces
from tests.cli import program

Done = TypeVar("Done")
WITHIN = program.ENDS_WITHIN
"""Seconds after which what should have come counts as lost; nothing waits for it otherwise."""


class Post:
    """A mail server that remembers everything, on a loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._sink = smtp_sink.SmtpSink(keep=1_000_000)
        self._do(self._sink.__aenter__())

    @property
    def url(self) -> str:
        """Where it takes e-mails."""
        return f"smtp://127.0.0.1:{self._sink.port}"

    @property
    def repeats(self) -> int:
        """How many e-mails came again."""
        return self._sink.counts()["repeats"]

    def mails(self, address: str, count: int) -> list[EmailMessage]:
        """The e-mails to an address in the order in which they came, once there are so many."""
        while True:
            total = self._sink.received
            found = [one.content for one in tuple(self._sink.last) if address in one.recipients]
            if len(found) >= count:
                return [email.message_from_bytes(one, policy=default) for one in found]
            self._do(self._sink.until(total + 1))

    def close(self) -> None:
        """End it."""
        self._do(self._sink.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, doing: Coroutine[Any, Any, Done]) -> Done:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(WITHIN)


class House(NamedTuple):
    """A server, its mail, and the official client of Python."""

    url: str
    key: str
    post: Post
    client: courier.Courier

    def mails(self, address: str, count: int = 1) -> list[tuple[str, str]]:
        """Subject and text of the e-mails to an address, in the order in which they came; exactly so many."""
        found = self.post.mails(address, count)
        assert len(found) == count
        return [(str(one["Subject"]), text_of(one)) for one in found]


def text_of(mail: EmailMessage) -> str:
    """What an e-mail says as plain text."""
    body = mail.get_body(("plain",))
    return "" if body is None else str(body.get_content()).strip()


def until(look: Callable[[], Done], is_there: Callable[[Done], bool]) -> Done:
    """What a look shows once it is as it should be; looks again and again for a minute at most."""
    clock = WallClock()
    deadline = clock.now() + WITHIN * 1_000_000
    while not is_there(found := look()):
        assert clock.now() < deadline, f"it stayed {found}"
    return found


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[House]:
    """A server in a process of its own on an empty database, for as long as the block lasts; no e-mail came twice."""
    url = f"sqlite:///{folder / 'heliograph.db'}"
    key = _first_key(url)
    post = Post()
    try:
        settings = {"smtp_url": post.url, "sender": "Shop <shop@example.com>", "secret_key": safe.drawn()}
        with program.served(url, **settings) as served:
            client = courier.Courier(
                api_key=key, base_url=served.url, max_retries=0, _strict_response_validation=True
            )
            with client:
                yield House(served.url, key, post, client)
            assert served.end() == 0
            assert "Traceback" not in served.hear_all()
        assert post.repeats == 0
    finally:
        post.close()


def _first_key(url: str) -> str:
    store = database.Database(url)
    store.migrate()
    now = WallClock().now()
    with store.writing() as connection:
        workspace_id = workspaces.ensure(connection, "default", now)
        _, text = keys.create(connection, workspace_id, keys.Role.ADMIN, "client", now)
    store.close()
    return text
