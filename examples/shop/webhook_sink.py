"""An HTTP server that takes webhooks and, on a few paths of its own, tells what both sinks have received.

Law: a call is counted, with its idempotency key, before it is answered. Paths of its own are
`GET /counts`, `/message-ids`, `/idempotency-keys`, `/messages`, `/calls` and `PUT /switches`; a request to any
other path, by any method, is a webhook.
"""

from __future__ import annotations

import json
from collections import deque
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import msgspec

from examples.shop import listener, smtp_sink

_LARGEST_REQUEST = 8 * 1024 * 1024
_KEY_HEADERS = ("idempotency-key", "webhook-id")


_SwitchesT = TypeVar("_SwitchesT", bound=listener.Switches)


class Call(NamedTuple):
    """One webhook as received; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        """The idempotency key it came with, or the empty text."""
        return next((self.headers[name] for name in _KEY_HEADERS if name in self.headers), "")


class Switches(listener.Switches):
    """How the webhook sink misbehaves."""

    status: HTTPStatus = HTTPStatus.OK  # answered to every webhook; they are counted whatever it is


class WebhookSink(listener.Listener):
    """`async with WebhookSink() as sink`: then call `http://127.0.0.1:{sink.port}/anything`."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        smtp: smtp_sink.SmtpSink | None = None,
        keep: int = 20,
    ) -> None:
        super().__init__(host, port)
        self.switches = Switches()
        self.idempotency_keys: dict[str, int] = {}
        self.last: deque[Call] = deque(maxlen=keep)
        self.smtp = smtp or smtp_sink.SmtpSink()

    def session(self) -> listener.Session:
        """The protocol of one new connection."""
        return _HttpSession(self)

    def keep(self, call: Call) -> None:
        """Remember a webhook."""
        if call.key:
            self.idempotency_keys[call.key] = self.idempotency_keys.get(call.key, 0) + 1
        self.last.append(call)
        self.note()

    def counts(self) -> dict[str, Any]:
        """What both sinks have received."""
        distinct = len(self.idempotency_keys)
        webhooks = {
            "calls": self.received,
            "distinct": distinct,
            "repeats": sum(self.idempotency_keys.values()) - distinct,
        }
        return {"smtp": self.smtp.counts(), "http": webhooks}

    def told(self, path: str) -> Any:
        """The answer of one of the sink's own paths, or None where the path is none of them."""
        match path:
            case "/counts":
                return self.counts()
            case "/message-ids":
                return self.smtp.message_ids
            case "/idempotency-keys":
                return self.idempotency_keys
            case "/messages":
                return [_shown(received._asdict()) for received in self.smtp.last]
            case "/calls":
                return [_shown(call._asdict()) for call in self.last]
        return None

    def switch(self, body: bytes) -> None:
        """Set switches as `{"smtp": {...}, "http": {...}}` says. Raises msgspec.MsgspecError, and then none is set."""
        wanted = msgspec.json.decode(body, type=_Wanted)
        smtp = _changed(self.smtp.switches, wanted.smtp)
        self.switches = _changed(self.switches, wanted.http)
        self.smtp.switches = smtp


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    smtp: dict[str, Any] = {}
    http: dict[str, Any] = {}


def _changed(switches: _SwitchesT, values: dict[str, Any]) -> _SwitchesT:
    return msgspec.convert(msgspec.structs.asdict(switches) | values, type(switches))


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for name, value in fields.items()
    }


class _HttpSession(listener.Session):
    """One client's connection (HTTP/1.1, kept open): requests with a Content-Length, one after the other."""

    def __init__(self, sink: WebhookSink) -> None:
        super().__init__(sink)
        self._sink = sink

    def take(self) -> bool:
        """One whole request."""
        end = self.buffer.find(b"\r\n\r\n")
        if len(self.buffer) > _LARGEST_REQUEST:
            return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if end < 0:
            return False
        first, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "transfer-encoding" in headers:
            return self._refuse(HTTPStatus.LENGTH_REQUIRED)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or first.count(" ") != 2:
            return self._refuse(HTTPStatus.BAD_REQUEST)
        begin, whole = end + 4, end + 4 + int(length)
        if len(self.buffer) < whole:
            return False
        method, path, _ = first.split(" ")
        call = Call(method, path, headers, bytes(self.buffer[begin:whole]))
        del self.buffer[:whole]
        self._serve(call)
        return True

    def _serve(self, call: Call) -> None:
        told = self._sink.told(call.path) if call.method == "GET" else None
        if told is not None:
            self._reply(HTTPStatus.OK, told)
        elif (call.method, call.path) == ("PUT", "/switches"):
            self._switch(call.body)
        else:
            self._receive(call)

    def _receive(self, call: Call) -> None:
        switches = self._sink.switches
        fate = switches.breaks()
        if fate != "lose":
            self._sink.keep(call)
        if fate:
            self.transport.abort()
        else:
            self._reply(switches.status, {"received": call.key}, switches.delay)

    def _switch(self, body: bytes) -> None:
        try:
            self._sink.switch(body)
        except msgspec.MsgspecError as fault:
            self._reply(HTTPStatus.BAD_REQUEST, {"error": str(fault)})
        else:
            self._reply(HTTPStatus.OK, {"set": True})

    def _reply(self, status: HTTPStatus, content: Any, delay: float = 0.0) -> None:
        body = json.dumps(content).encode()
        line = f"HTTP/1.1 {status.value} {status.phrase}"
        head = f"{line}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.answer(head.encode() + body, delay)

    def _refuse(self, status: HTTPStatus) -> bool:
        self._reply(status, {"error": status.phrase})
        self.transport.close()
        return False
