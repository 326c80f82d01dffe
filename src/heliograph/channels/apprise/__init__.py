"""Push and chat messages by any service that Apprise knows (`pip install heliograph[apprise]`).

Law: one message, one notification, one answer. The library says that a service took a message or did not, and no more:
what was not taken is tried again; what ran out of time, or had no answer, may have been taken. It connects by itself,
and is held to the addresses that the guard lets through.
"""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from heliograph import channels, errors, guard
from heliograph.channels.apprise import confinement

PLACE = "{address}"
_PATIENCE = 30.0
_DATA = ("data_kwargs", "postback_data")
"""Where services of the library keep what an app is told: Firebase, OneSignal."""
_NO_DATA = "it was handed over without its data, which this service does not take"
_WAYS_ON = frozenset("/\\?%")
_LOCAL = frozenset(("blink1", "dbus", "glib", "gnome", "kde", "macosx", "qt", "rsyslog", "syslog", "windows"))
"""Services that are the machine itself."""
_THREADED = frozenset(("mqtt", "mqtts", "xmpp", "xmpps"))
"""Services that are reached from threads of their own, where nobody could hold them."""


class _Told(NamedTuple):
    """What a service said."""

    is_taken: bool
    is_whole: bool
    """Whether the message's data went with it, where it has any."""
    is_lost: bool
    """Whether it was asked and did not answer."""


class AppriseChannel:
    """Sends to one service; the recipient's address is put into its URL, or the message goes where the URL says."""

    def __init__(
        self, name: str, url: str, guarded: guard.Guard, now: Callable[[], int], concurrency: int = 8
    ):
        """`name` is the channel's. Raises errors.BadSetting where the library is not there or knows no such URL."""
        self.name, self._url, self._guard, self.concurrency = name, url, guarded, concurrency
        self._library, self._now = _library(), now
        if url.partition(":")[0] in _LOCAL | _THREADED or not self._is_known():
            raise errors.BadSetting(
                "Apprise knows no service with such a URL: see https://appriseit.com/services"
            )

    def _is_known(self) -> bool:
        try:
            return confinement.held(self._guard, lambda: self._service("address")) is not None
        except guard.Forbidden:
            return False

    def _service(self, address: str) -> Any:
        """The service at an address; it is held to what it may already as it is made."""
        if not address.isprintable() or any(sign in _WAYS_ON for sign in address):
            # The library decodes what stands in a URL: such an address would lead elsewhere.
            return None
        place = quote(address, safe="")
        return self._library.Apprise.instantiate(self._url.replace(PLACE, place), suppress_exceptions=True)

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Hands one message to the service."""
        words = outgoing.content
        if not isinstance(words, channels.Words):
            return channels.Answer(channels.Outcome.PERMANENT, "", None, "malformed", "has no words")
        if self._now() >= outgoing.expires_at:
            why = channels.OUR_CODES["lease_over"]
            return channels.Answer(channels.Outcome.TEMPORARY, "", None, "lease_over", why)
        try:
            async with asyncio.timeout(_PATIENCE):
                told = await asyncio.to_thread(self._notified, outgoing.address, words)
        except guard.Forbidden as refused:
            # What leads behind our walls is the provider's setting: messages wait, or go by the next one.
            return channels.Answer(
                channels.Outcome.TEMPORARY, "", None, "misconfigured", str(refused), blames_provider=True
            )
        except TimeoutError:
            return channels.Answer(
                channels.Outcome.UNCERTAIN, "", None, "lost", f"no answer within {_PATIENCE:g} s"
            )
        return _judged(told)

    def _notified(self, address: str, words: channels.Words) -> _Told | None:
        """What the service said; None where it knows no such address."""
        return confinement.held(self._guard, lambda: self._told(address, words))

    def _told(self, address: str, words: channels.Words) -> _Told | None:
        service = self._service(address)
        if service is None:
            return None
        if urllib.request.getproxies():
            # The library connects to the proxy, which is judged then: what it is to lead to is judged here.
            confinement.look(service.host, service.port)
        is_whole = give(service, words.data)
        is_taken = bool(service.notify(body=words.text, title=words.title))
        return _Told(is_taken, is_whole, confinement.is_lost())

    async def close(self) -> None:
        """Nothing is held open."""


def _judged(told: _Told | None) -> channels.Answer:
    if told is None:
        return channels.Answer(
            channels.Outcome.PERMANENT, "", None, "malformed", "the service knows no such address"
        )
    if told.is_taken:
        return channels.Answer(channels.Outcome.ACCEPTED, "", text="" if told.is_whole else _NO_DATA)
    if told.is_lost:
        why = "the service was asked and gave no answer"
        return channels.Answer(channels.Outcome.UNCERTAIN, "", None, "lost", why)
    return channels.Answer(
        channels.Outcome.TEMPORARY,
        "",
        None,
        "refused",
        "the service did not take it, and Apprise knows no more",
    )


def give(service: Any, data: Sequence[tuple[str, str]]) -> bool:
    """Let a service hand data on beside the words; False where it takes none."""
    if not data:
        return True
    if getattr(service, "protocol", None) == "json":
        service.payload_extras["data"] = dict(data)
        return True
    for name in _DATA:
        held = getattr(service, name, None)
        if isinstance(held, dict):
            held.update(data)
            return True
    return False


def _library() -> Any:
    try:
        import apprise  # noqa: PLC0415 - an extra: it is there or it is not
    except ImportError:
        raise errors.BadSetting("push and chat need: pip install heliograph[apprise]") from None
    return apprise
