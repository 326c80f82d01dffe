"""What routes of Courier's family share: their bodies, words of preferences, and for whom a key may write.

Law: what a body says and nobody knows is passed over and named in `Heliograph-Ignored` (engine.md E29).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from heliograph import errors
from heliograph.core import consent, requests
from heliograph.web import auth
from heliograph.web.calls import Call

ContentChange = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Content to what it is to be."""
TopicStatus = Literal["OPTED_IN", "OPTED_OUT", "REQUIRED"]
"""What is said of a topic."""
ChannelClass = Literal["direct_message", "email", "push", "sms", "webhook", "inbox"]
"""What preferences and caps call channels."""
assert (TopicStatus.__args__, ChannelClass.__args__) == (consent.STATUSES, consent.CLASSES)  # type: ignore[attr-defined]


def body(request: Call, kind: type[msgspec.Struct]) -> tuple[dict[str, Any], list[str]]:
    """The body, and those of its fields that this kind does not know."""
    given = request.read_object()
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    return given, sorted(given.keys() - known)


def refuse_tenants(request: Call) -> None:
    """Raises errors.Forbidden for a key that is bound to a tenant: what is written belongs to the workspace."""
    if request.principal.tenant_id is not None:
        raise errors.Forbidden("a key that is bound to a tenant may read this, and not change it")


def bound(said: requests.Request, who: auth.Principal) -> requests.Request:
    """The request as a key may ask it: one that is bound to a tenant speaks for that alone."""
    return requests.bound(said, who.tenant_id)
