"""Relocking: every secret of a database under the key that locks now.

Law: all of them or none, in the caller's transaction. What was stored before there was a key is locked when a server
starts; what an older key locked, at an operator's word, because another process may not have the new key yet.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph import errors
from heliograph.store import facts, providers, recipient_secrets, schema, webhook_secrets
from heliograph.store import safe as safes


def relock(connection: sa.Connection, safe: safes.Safe, *, plain_only: bool = False) -> int:
    """Lock what stands open, and unless `plain_only` what another key locked; gives how many secrets that were.

    Raises errors.NoSecretKey where there is no key to lock with, errors.WrongSecretKey where one cannot be opened.
    """
    if not safe.has_key:
        raise errors.NoSecretKey
    count = facts.relock(connection, safe, plain_only=plain_only)
    for workspace_id in connection.execute(sa.select(schema.workspaces.c.id)).scalars().all():
        count += webhook_secrets.relock(connection, safe, workspace_id, plain_only=plain_only)
        if not plain_only:
            count += providers.relock(connection, safe, workspace_id)
            count += recipient_secrets.relock(connection, safe, workspace_id)
    return count
