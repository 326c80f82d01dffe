"""Courier's official client of Python sends: to one, to lists, to audiences, once."""

from __future__ import annotations

from typing import Any

import courier

from tests.clients import house as houses

FILTER: Any = {"operator": "AND", "filters": [{"operator": "EQ", "path": "shop", "value": "sending"}]}


def test_a_shop_confirms_an_order(house: houses.House, client: courier.Courier) -> None:
    """The buyer, the shop's crew by a list and its partners by an audience have the mail once, and nobody else does."""
    for name, shop in (
        ("buyer", ""),
        ("crew", ""),
        ("clerk", ""),
        ("partner", "sending"),
        ("stranger", "other"),
    ):
        client.profiles.create(name, profile={"email": f"{name}@sending.example", "name": name, "shop": shop})
    client.lists.subscriptions.subscribe(
        "sending.crew", recipients=[{"recipient_id": "crew"}, {"recipient_id": "clerk"}]
    )
    client.audiences.update("partners", name="Partners", filter=FILTER)
    message: Any = {
        "to": [{"user_id": "buyer"}, {"list_id": "sending.crew"}, {"audience_id": "partners"}],
        "content": {"title": "Order {order}", "body": "Thanks for order {{data.order}}, {name}"},
        "data": {"order": 1042},
        "metadata": {"event": "order-confirmed", "tags": ["order"], "trace_id": "order-1042"},
    }
    asked: Any = {"message": message, "idempotency_key": "order-1042"}
    request_id = client.send.message(**asked).request_id
    assert client.send.message(**asked).request_id == request_id

    def status() -> dict[str, str]:
        found = client.messages.list(trace_id=request_id).results
        return {one.recipient: one.status for one in found}

    names = ("buyer", "clerk", "crew", "partner")
    houses.until(status, lambda found: found == dict.fromkeys(names, "SENT"))
    for name in names:
        assert house.mails(f"{name}@sending.example") == [("Order 1042", "Thanks for order 1042, {name}")]
    assert house.post.mails("stranger@sending.example", 0) == []
    assert {one.recipient for one in client.messages.list(tag=["order"]).results} == {*names}
    message["to"] = {"email": "guest@sending.example"}
    single = client.send.message(message=message).request_id
    assert house.mails("guest@sending.example") == [("Order 1042", "Thanks for order 1042, {name}")]
    assert client.messages.retrieve(single).id == single
    client.requests.archive(single)
    assert single not in {one.id for one in client.messages.list(trace_id="order-1042").results}
