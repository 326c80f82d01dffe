"""What lists of history have in common: walks by cursor, pages, orders, and a history to go through."""

from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import events, ids
from heliograph.store import schema
from tests.web import client

SECOND = 1_000_000


class History(NamedTuple):
    """Seven events, a second apart, and what there is besides."""

    events: list[str]
    """Oldest first; the fourth is given up, the sixth waits."""
    rule: str
    """The rule that met every event but those two and the last, of which there were four."""
    other: str
    """A rule that was considered with it, and matched the second and third event alone."""


PAYLOADS: list[dict[str, Any]] = [{"n": 1}, {"n": 2}, {"n": 2.0}, {"n": 1}, {"n": 1}, {"n": 3}, {"n": 1}]


def made(api: client.Client) -> History:
    """A history: a second between events, conversations c/1 and c-2 in turn."""
    rule = api.make_rule(name="every", trigger_type="custom.a", conditions=[], priority=1)["id"]
    n = {"field": "payload.n", "operator": "equals", "value": 2}
    other = api.make_rule(name="twos", trigger_type="custom.a", conditions=[n], priority=2)["id"]
    found = []
    for place, payload in enumerate(PAYLOADS):
        api.clock.move(SECOND)
        last = place == len(PAYLOADS) - 1
        found.append(
            api.happen(
                "custom.b" if last else "custom.a",
                contact_id=f"person {place}",
                conversation_id="c-2" if place % 2 else "c/1",
                source="crm" if place in (1, 2) else "api",
                payload=payload,
            )
        )
        if place == 3:
            give_up(api, found[-1])
        elif place != 5:
            api.decide()
        else:
            put_off(api, found[-1])
    return History(found, rule, other)


def give_up(api: client.Client, event_id: str) -> None:
    """Leave an event as the engine leaves one that raised five times."""
    _decided(api, event_id, events.State.FAILED, events.MAX_ATTEMPTS, None, api.clock.now())


def put_off(api: client.Client, event_id: str) -> None:
    """Leave an event as the engine leaves one that raised once, and is to be tried in an hour."""
    _decided(api, event_id, events.State.PENDING, 1, api.clock.now() + 3_600 * SECOND, None)


def _decided(
    api: client.Client,
    event_id: str,
    state: events.State,
    attempts: int,
    available_at: int | None,
    decided_at: int | None,
) -> None:
    identity = ids.parse(event_id)
    with api.store.writing() as connection:
        connection.execute(sa.delete(schema.due).where(schema.due.c.event_id == identity))
        connection.execute(
            sa.insert(schema.decisions).values(
                workspace_id=api.world.workspace_id,
                event_id=identity,
                status=state,
                attempts=attempts,
                available_at=available_at,
                decided_at=decided_at,
                definitions_version=sa.select(
                    sa.func.max(schema.workspaces.c.definitions_version)
                ).scalar_subquery(),
                error="ZeroDivisionError: division by zero",
            )
        )


def page(api: client.Client, path: str, **query: Any) -> dict[str, Any]:
    """One page of a list."""
    answer = api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def shown(api: client.Client, path: str, **query: Any) -> list[str]:
    """The ids on one page."""
    return [row["id"] for row in page(api, path, **query)["data"]]


def walked(api: client.Client, path: str, **query: Any) -> list[str]:
    """The ids on all pages, by cursor, which is that of the last item of each."""
    seen: list[str] = []
    while True:
        found = page(api, path, **query)
        seen += [row["id"] for row in found["data"]]
        if found["next_cursor"] is None:
            return seen
        assert len(found["data"]) == query["per_page"]
        assert found["next_cursor"] == f"{found['data'][-1]['created_at']}|{found['data'][-1]['id']}"
        assert len(seen) <= 100, "it goes round in circles"
        query["cursor"] = found["next_cursor"]


def check_walk(api: client.Client, path: str, wanted: list[str]) -> None:
    """A walk by cursor shows every row once, in either direction; `wanted` is newest first."""
    assert shown(api, path, per_page=1) == wanted[:1]
    assert walked(api, path, per_page=2) == wanted
    assert walked(api, path, per_page=1, sort_order="asc") == wanted[::-1]
    whole = page(api, path)
    assert ([row["id"] for row in whole["data"]], whole["next_cursor"]) == (wanted, None)


def check_pages(api: client.Client, path: str, wanted: list[str]) -> None:
    """Pages show the same as the whole, a part at a time; `total` is that of the whole."""
    assert shown(api, path, page=2, per_page=1) == wanted[1:2]
    assert shown(api, path, page=1, per_page=2) == wanted[:2]
    assert shown(api, path, page=len(wanted) + 1, per_page=1) == []
    assert page(api, path, page=2, per_page=1)["total"] == len(wanted)
    assert page(api, path, page=1, per_page=1)["next_cursor"].endswith(f"|{wanted[0]}")
    assert page(api, path, page=len(wanted), per_page=1)["next_cursor"] is None
