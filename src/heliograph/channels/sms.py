"""Text messages by Twilio's HTTP interface, which other services speak too.

Law: one message, one request, one answer; it goes through the one HTTP door, whose guard holds for it. A number that is
none, or that wants nothing, is the recipient's fault; a refused login, a limit or a broken service is the provider's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from heliograph import channels

BASE = "https://api.twilio.com"
_PATIENCE = 15.0
_LONGEST_NAME = 200
"""Characters of what a service calls a message."""
_TYPE = "application/x-www-form-urlencoded"
_RECIPIENTS = frozenset((21211, 21214, 21217, 21265, 21407, 21610, 21614, 30003, 30005, 30006))
"""Twilio's codes for numbers that are none, cannot get text messages, or said STOP."""
_NOT_ASKED = frozenset(("lease_over", "malformed", "lost"))


class Account(NamedTuple):
    """By whose account text messages go, and from whom."""

    sid: str
    token: str
    user: str  # who logs in: the account, or a key of it
    sender: str | None = None  # a number in E.164, a short code or a name
    service: str | None = None  # a messaging service, instead of a sender
    base: str = BASE
    callback: str | None = None  # where what becomes of a message is told; its id is added

    def __repr__(self) -> str:
        return f"Account({self.sid!r}, {self.base!r})"  # no token in a log


class TwilioChannel:
    """Sends text messages by one account."""

    name = "sms"

    def __init__(self, account: Account, http: channels.Channel, concurrency: int = 16):
        """`http` makes the requests."""
        self._account, self._http, self.concurrency = account, http, concurrency
        login = base64.b64encode(f"{account.user}:{account.token}".encode()).decode()
        self._headers = (("Authorization", f"Basic {login}"), ("Content-Type", _TYPE))
        self._url = (
            f"{account.base.rstrip('/')}/2010-04-01/Accounts/{quote(account.sid, safe='')}/Messages.json"
        )

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Hands one text message to the service."""
        if not isinstance(outgoing.content, channels.Words) or not outgoing.content.text:
            return channels.Answer(channels.Outcome.PERMANENT, "", None, "malformed", "has no text")
        account = self._account
        form = {"To": outgoing.address, "Body": outgoing.content.text}
        if account.service and not outgoing.sender:
            form["MessagingServiceSid"] = account.service
        else:
            form["From"] = outgoing.sender or account.sender or ""
        if account.callback:
            form["StatusCallback"] = f"{account.callback}?message={outgoing.message_id}"
        request = channels.HttpRequest("POST", self._headers, urlencode(form).encode(), _PATIENCE)
        answer = await self._http.send(msgspec.structs.replace(outgoing, address=self._url, content=request))
        return _judged(answer)

    async def close(self) -> None:
        """The door is closed by whoever opened it."""


def _judged(answer: channels.Answer) -> channels.Answer:
    """What the service's answer means; the ledger keeps its words and none of the rest."""
    plain = answer._replace(detail=None, reference=None)
    if answer.detail is None:
        if answer.code in _NOT_ASKED:
            return plain
        if answer.code == "forbidden":
            return plain._replace(
                outcome=channels.Outcome.TEMPORARY, code="misconfigured", blames_provider=True
            )
        return plain._replace(blames_provider=True)
    status, told = int(answer.detail["status"]), _told(answer.detail["body"])
    if answer.outcome is channels.Outcome.ACCEPTED:
        reference = told.get("sid")
        is_name = isinstance(reference, str) and reference.isprintable() and len(reference) <= _LONGEST_NAME
        return plain._replace(reference=reference if is_name else None, text=_words(told))
    plain = plain._replace(code=f"{status} {_code(told)}".strip(), text=_words(told) or answer.text)
    if status in (401, 403, 404) or 300 <= status < 400:
        # The login, the account or the address is wrong: only an operator can mend that.
        words = f"{plain.code}: {plain.text}"[: channels.LONGEST_TEXT]
        misset = plain._replace(outcome=channels.Outcome.TEMPORARY, code="misconfigured", text=words)
        return misset._replace(blames_provider=True)
    return plain._replace(blames_provider=_code(told) not in _RECIPIENTS)


def _told(body: str) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def _code(told: Mapping[str, Any]) -> int | str:
    """The service's number for what is wrong; nothing where it is none."""
    code = told.get("code")
    if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) < 7:
        return int(code)
    return code if type(code) is int and 0 <= code < 1_000_000 else ""


def _words(told: Mapping[str, Any]) -> str:
    said = told.get("message") or told.get("status") or ""
    text = "".join(sign if sign.isprintable() else " " for sign in str(said))
    return text[: channels.LONGEST_TEXT]
