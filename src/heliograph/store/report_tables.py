"""The table of references: by what providers that report call the messages that they took.

Law: a row is written with the answer that a message was taken, and only where its provider tells of it later.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

message_references = columns.table(
    "message_references",
    columns.column("workspace_id", sa.Integer, primary_key=True),
    columns.column("reference", sa.Text, primary_key=True),
    columns.column("message_id", columns.Identity),
    # By it they go with their messages.
    sa.Index("message_references_by_message", "workspace_id", "message_id"),
)
