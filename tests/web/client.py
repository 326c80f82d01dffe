"""A client of the whole application: HTTP in by ASGI, a clock that is moved by hand, turns when they are asked for."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Self, TypeVar

import httpx2

from heliograph import testing
from heliograph.core import schedule
from heliograph.store import keys, workspaces
from tests import sabotage

Done = TypeVar("Done")
START = schedule.parse_instant("2026-01-05T12:00:00Z", "")
"""A Monday."""

RULE: dict[str, Any] = {
    "name": "Tag refunds",
    "trigger_type": "message_received",
    "conditions": [{"field": "message.text", "operator": "contains", "value": "refund"}],
    "actions": [{"type": "add_tags", "tags": ["refund"]}],
}
"""A rule that is complete and touches nothing outside."""


class Client:
    """One program that speaks to Heliograph, as an admin unless a request says otherwise."""

    def __init__(self, url: str, **changed: object):
        self.world = testing.World(url, start=START, **changed)
        self.clock, self.mailbox, self.store = self.world.clock, self.world.mailbox, self.world.app.store
        self._runner = asyncio.Runner()
        transport = httpx2.ASGITransport(sabotage.wrap(self.world.app.asgi()))
        self._http = httpx2.AsyncClient(transport=transport, base_url="http://heliograph")
        self.admin = self.key("admin")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()
        self.world.close()

    def run(self, doing: Coroutine[Any, Any, Done]) -> Done:
        """Do something that waits."""
        return self._runner.run(doing)

    def key(
        self, role: str, *, workspace: str = "default", tenant: str | None = None, folders: Sequence[str] = ()
    ) -> str:
        """The text of a new key."""
        with self.store.writing() as connection:
            workspace_id = workspaces.ensure(connection, workspace, self.clock.now())
            _, text = keys.create(
                connection, workspace_id, keys.Role(role), role, self.clock.now(), tenant, folders
            )
        return text

    def send(self, method: str, path: str, *, key: str | None = "", **given: Any) -> httpx2.Response:
        """One request; `key` is the admin's unless one is given, None sends none."""
        headers = dict(given.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {key or self.admin}"
        return self._runner.run(self._http.request(method, path, headers=headers, **given))

    def get(self, path: str, **given: Any) -> httpx2.Response:
        """GET."""
        return self.send("GET", path, **given)

    def post(self, path: str, json: Any = None, **given: Any) -> httpx2.Response:
        """POST of JSON."""
        return self.send("POST", path, json=json, **given)

    def put(self, path: str, json: Any = None, **given: Any) -> httpx2.Response:
        """PUT of JSON."""
        return self.send("PUT", path, json=json, **given)

    def patch(self, path: str, json: Any = None, **given: Any) -> httpx2.Response:
        """PATCH of JSON."""
        return self.send("PATCH", path, json=json, **given)

    def delete(self, path: str, **given: Any) -> httpx2.Response:
        """DELETE."""
        return self.send("DELETE", path, **given)

    def make_rule(self, key: str = "", **fields: Any) -> dict[str, Any]:
        """RULE with these fields, created."""
        answer = self.post("/api/automation/rules", {**RULE, **fields}, key=key)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def happen(self, event_type: str = "message_received", key: str = "", **fields: Any) -> str:
        """An event that was taken in; its id."""
        answer = self.post("/api/automation/events", {"event_type": event_type, **fields}, key=key)
        assert answer.status_code == 202, answer.text
        (identity,) = answer.json()["ids"]
        return str(identity)

    def decide(self) -> None:
        """Let turns and deliveries do everything that is due."""
        self.world.run_until_idle()

    def runs(self, event_id: str, **query: Any) -> list[dict[str, Any]]:
        """The runs of an event."""
        answer = self.get(f"/api/automation/runs/by-event/{event_id}", params=query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found


def faults(answer: httpx2.Response) -> dict[str, str]:
    """The faults of a refusal, by their place."""
    body = answer.json()
    listed = body["error"]["details"] if "error" in body else body["errors"]
    return {one["path"]: one["message"] for one in listed}
