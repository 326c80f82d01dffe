"""What a message of `/send` may say, as the API describes itself (Courier's shape, courier-wire.md 2.1).

Law: shapes alone. core.requests reads what is sent, and tells each fault with its place; what stands here is what it
knows, by a law of the tests.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from heliograph.core import people, requests, timeouts
from heliograph.core.elemental import reading

_Meta = msgspec.Meta
_Milliseconds = Annotated[int, _Meta(ge=0, le=timeouts.LONGEST, description="Milliseconds.")]
_Method = Literal["single", "all"]
_Condition = Annotated[
    str, _Meta(description="On `data` and `profile`; where it does not hold, it is passed by.")
]


class TenantContext(msgspec.Struct, kw_only=True):
    """In whose name something is sent."""

    tenant_id: str | None = None


class MemberFilter(msgspec.Struct, kw_only=True):
    """Of a group, those who are members of a tenant."""

    operator: Literal["MEMBER_OF"]
    path: Literal["account_id"]
    value: Annotated[str, _Meta(description="The tenant's id.")]


class MessageRecipient(msgspec.Struct, kw_only=True):
    """A person, by the id of a contact or by an address, or a group of people: one of the three.

    Keys of a profile, whole in `profile` or beside it, win over what is stored, and are not stored.
    """

    user_id: Annotated[str, _Meta(max_length=people.MAX_ID)] | None = None
    list_id: str | None = None
    list_pattern: Annotated[str, _Meta(examples=["news.*"])] | None = None
    audience_id: str | None = None
    filters: Annotated[list[MemberFilter], _Meta(max_length=1)] | None = None
    email: str | None = None
    phone_number: str | None = None
    locale: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    zoneinfo: Annotated[str, _Meta(examples=["Europe/Berlin"])] | None = None
    timezone: str | None = None
    slack: dict[str, Any] | None = None
    ms_teams: dict[str, Any] | None = None
    discord: dict[str, Any] | None = None
    pagerduty: dict[str, Any] | None = None
    webhook: dict[str, Any] | None = None
    firebaseToken: Any = None  # noqa: N815 - the wire's name
    apn: Any = None
    expo: Any = None
    one_signal_player_id: Any = None
    profile: dict[str, Any] | None = None
    data: Annotated[dict[str, Any], _Meta(description="Added to the message's.")] | None = None
    preferences: Annotated[dict[str, Any], _Meta(description="May say that they want none of it.")] | None = (
        None
    )
    tenant_id: str | None = None
    account_id: Annotated[str, _Meta(description="The same as `tenant_id`.")] | None = None
    context: TenantContext | None = None


class Content(msgspec.Struct, kw_only=True):
    """What is said: `title` and `body`, filled as `{name}` from `data`; or Elemental, as `version` and `elements`."""

    title: str | None = None
    body: str | None = None
    version: Annotated[str, _Meta(examples=[reading.VERSION])] | None = None
    elements: list[dict[str, Any]] | None = None


class Utm(msgspec.Struct, kw_only=True):
    """What links of the e-mail tell of where their reader comes from."""

    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    term: str | None = None
    content: str | None = None


class UtmMetadata(msgspec.Struct, kw_only=True):
    """What is told with the message."""

    utm: Utm | None = None


_Tag = Annotated[str, _Meta(min_length=1, max_length=requests.LONGEST_TAG)]


class Metadata(UtmMetadata, kw_only=True):
    """By what messages are found again."""

    event: str | None = None
    trace_id: str | None = None
    tags: Annotated[list[_Tag], _Meta(max_length=requests.MOST_TAGS)] | None = None


class TopicPreferences(msgspec.Struct, kw_only=True):
    """Of what topic it is: who opted out of that is not written to."""

    subscription_topic_id: str | None = None


class Ways(msgspec.Struct, kw_only=True):
    """By which channels, or providers: by the first that it can, or by all of them."""

    method: _Method
    channels: Annotated[list[str | Ways], _Meta(min_length=1)]


class Routing(msgspec.Struct, kw_only=True):
    """By which channels, or providers, as `method` and `channels`; or `strategy_id`, a strategy that says so."""

    method: _Method | None = None
    channels: Annotated[list[str | Ways], _Meta(min_length=1)] | None = None
    strategy_id: str | None = None


class ChannelTimeouts(msgspec.Struct, kw_only=True):
    """After how long something else is tried."""

    channel: _Milliseconds | None = None
    provider: _Milliseconds | None = None


class OnChannel(msgspec.Struct, kw_only=True):
    """What holds on one channel."""

    brand_id: str | None = None
    condition: _Condition | None = msgspec.field(default=None, name="if")
    override: dict[str, Any] | None = None
    timeouts: ChannelTimeouts | None = None
    providers: Annotated[list[str], _Meta(description="The only ones, in this order.")] | None = None
    routing_method: _Method | None = None
    metadata: UtmMetadata | None = None


class ByProvider(msgspec.Struct, kw_only=True):
    """What holds by one provider."""

    override: dict[str, Any] | None = None
    condition: _Condition | None = msgspec.field(default=None, name="if")
    timeouts: _Milliseconds | None = None
    metadata: UtmMetadata | None = None


class Timeout(msgspec.Struct, kw_only=True):
    """How long is waited."""

    message: _Milliseconds | None = None
    channel: Annotated[dict[str, _Milliseconds], _Meta(description="By channel.")] | None = None
    provider: Annotated[dict[str, _Milliseconds], _Meta(description="By provider.")] | None = None
    escalation: _Milliseconds | None = None
    criteria: Literal["no-escalation", "delivered", "viewed", "engaged"] | None = None


class Delay(msgspec.Struct, kw_only=True):
    """When it goes: after some milliseconds, or at a moment, or within opening hours."""

    duration: (
        Annotated[int, _Meta(ge=0, description="Milliseconds, rounded up to the next minute.")] | None
    ) = None
    until: Annotated[str, _Meta(examples=["2026-01-02T09:00:00Z", "Mo-Fr 09:00-17:00"])] | None = None
    timezone: str | None = None


class MessageToSend(msgspec.Struct, kw_only=True):
    """A message: `template` or `content`, and to whom."""

    to: (
        MessageRecipient
        | Annotated[list[MessageRecipient], _Meta(min_length=1, max_length=requests.MOST_RECIPIENTS)]
    )
    template: Annotated[str, _Meta(description="The id or alias of a template.")] | None = None
    content: Content | None = None
    data: Annotated[dict[str, Any], _Meta(description="Fills either.")] | None = None
    brand_id: str | None = None
    context: TenantContext | None = None
    metadata: Metadata | None = None
    preferences: TopicPreferences | None = None
    routing: Routing | None = None
    channels: Annotated[dict[str, OnChannel], _Meta(description="By channel.")] | None = None
    providers: Annotated[dict[str, ByProvider], _Meta(description="By a provider's name or kind.")] | None = (
        None
    )
    timeout: Timeout | None = None
    delay: Delay | None = None
