"""Tests put to the test: break what an item promises and see whether its tests notice.

`make conformance ARGS="--sabotage N"` draws N proved items, breaks each and runs its tests again; an item whose
tests still pass is struck. Three things are asked of whoever writes tests:

* The `api` fixture builds its ASGI app through `sabotage.wrap(app)`. Until a sabotage is on, that changes nothing.
* Items of kind `endpoint`, `field` and `error` are broken on the wire, as their text says (`texts.py`): the
  endpoint fails, the query or body field is ignored, the field is missing from the answer, a refusal becomes 200.
* An item of kind `behaviour` has an entry in `named.py`, which says what to break in the code. An entry there also
  goes before what the text of any other item says.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tests import checklist
from tests.sabotage import named, texts, wire

wrap = wire.wrap
Sabotage = wire.Wire | named.Code


def of_item(item: checklist.Item) -> tuple[Sabotage, ...]:
    """Every way in which this item is broken; its tests must notice each."""
    return named.SABOTAGE.get(item.id) or texts.sabotage(item)


@contextmanager
def active(sabotage: Sabotage) -> Iterator[None]:
    """Break it for a while."""
    with wire.broken(sabotage) if isinstance(sabotage, wire.Wire) else named.replaced(sabotage):
        yield
