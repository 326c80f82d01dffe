"""A send to a list holds as many rows at a time for many people as for few."""

from collections.abc import Mapping, Sized
from typing import Any

from heliograph import testing
from heliograph.store import lists
from tests.cli.test_verifying_requests import send
from tests.engine import acts

FEW, MANY = 80, 400
INPUTS = 10


class Weighing:
    """The hot statements, and the most rows that one of them ever gave or was given."""

    def __init__(self, hot: Any):
        self._hot = hot
        self.most: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._hot, name)
        return self._weighed(name, found) if callable(found) else found

    def _weighed(self, name: str, statement: Any) -> Any:
        def asked(*given: Any, **named: Any) -> Any:
            answer = statement(*given, **named)
            if name == "write":
                writes = given[1]
                for part in writes.__slots__:
                    self._weigh(f"write {part}", getattr(writes, part))
            self._weigh(name, answer)
            return answer

        return asked

    def _weigh(self, name: str, rows: object) -> None:
        if isinstance(rows, Sized) and not isinstance(rows, str | bytes):
            self.most[name] = max(self.most.get(name, 0), len(rows))


def test_a_send_to_a_list_holds_as_much_for_many_as_for_few(world: testing.World) -> None:
    """What a turn reads of its people, what it writes and what it claims grows with the turn alone."""
    acts.sized(world.turns, INPUTS)
    session = world._session
    hot = session.hot
    most: list[Mapping[str, int]] = []
    for count in (FEW, MANY):
        names = [f"{count}-{number}" for number in range(count)]
        for name in names:
            world.contact(name, email=f"{name}@example.com")
        world.subscribe(f"list.{count}", *names)
        world.run_until_idle()
        weighing = Weighing(hot)
        session.hot = weighing  # type: ignore[assignment]
        send(world, {"list_id": f"list.{count}"})
        world.run_until_idle()
        session.hot = hot
        most.append(weighing.most)
    assert len(world.mailbox.received) == FEW + MANY
    few, many = most
    assert 0 < few["walk_subscribers"] <= 2 * INPUTS
    assert 0 < few["write messages"] <= 2 * INPUTS
    # The inbox tells the cursors of what was sent: as many as one turn has answers.
    assert {name: rows for name, rows in many.items() if rows > max(few.get(name, 0), 2 * INPUTS, 64)} == {}


def test_who_is_put_on_a_list_as_it_is_written_to_is_known(world: testing.World) -> None:
    """A journey that puts people on a list and then writes to it reaches them, those who were on it before too."""
    names = [f"c{number}" for number in range(20)]
    for name in names:
        world.contact(name, email=f"{name}@example.com")
    world.subscribe("news", *names[:10])
    world.template("hello", subject="Hi", text="Hello {{ contact.id }}")
    world.run_until_idle()
    joining = [{"action": "subscribe", "list_id": "news", "recipient_id": name} for name in names]
    world.invoke(None, *joining, {"action": "send-list", "list": "news", "template": "hello"})
    world.run_until_idle()
    reached = sorted(mail.recipient for mail in world.mailbox.received)
    assert reached == sorted(f"{name}@example.com" for name in names)


def test_what_is_said_on_one_list_holds_for_that_list(world: testing.World) -> None:
    """Who opted out on one list, and is put on another as both are written to, is written to as before and after."""
    names = [f"c{number}" for number in range(64)]
    for name in names:
        world.contact(name, email=f"{name}@example.com")
    no = {"notifications": {"hello": {"status": "OPTED_OUT"}}}
    world.template("hello", subject="Hi", text="Hello {{ contact.id }}")
    world.subscribe("shop.a", "nobody")
    wishes = [lists.Wish("shop.b", name, no) for name in names]
    lists.subscribe(world.app.store, world.workspace_id, None, wishes, world.clock.now(), overwrites=None)
    world.run_until_idle()
    joining = [{"action": "subscribe", "list_id": "shop.a", "recipient_id": name} for name in names[:48]]
    world.invoke(None, *joining)
    send(world, {"list_pattern": "shop.*"}, content=None, template="hello")
    world.run_until_idle()
    reached = sorted(mail.recipient for mail in world.mailbox.received)
    assert reached == sorted(f"{name}@example.com" for name in names[:48])
