"""Whose list a date automation fills, where a workspace keeps folders of lists apart (date-automations.md B14).

Law: keys of admins see every list, others those of their own folders; what fills a list that a key does not see is not
there for it.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from heliograph.core import folders
from heliograph.store import dates
from heliograph.store.keys import Role
from heliograph.web import auth


def sight(connection: sa.Connection, who: auth.Principal) -> Callable[[dates.Kept], bool]:
    """What tells of a date automation whether this key sees it."""
    if who.role is Role.ADMIN or not dates.company(connection, who.workspace_id).keeps_folders:
        return lambda _: True
    return lambda one: (
        one.actiontype != "addtolist" or one.list_id is None or folders.holds(who.folders, one.list_id)
    )
