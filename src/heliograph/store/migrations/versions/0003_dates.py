"""Date automations: birthdays by day, and messages that can be edited no more."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

from heliograph.core import people

revision = "0003"
down_revision = "0002"

_AT_ONCE = 1_000


def upgrade() -> None:
    """Make the table, and put into it the birthdays of everybody who is there."""
    op.add_column(
        "templates", sa.Column("is_editable", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.create_table(
        "birthdays",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("birthday", sa.SmallInteger(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "partition", "birthday", "user_id"),
        sqlite_with_rowid=False,
    )
    _fill()


def _fill() -> None:
    connection = op.get_bind()
    decode = msgspec.json.Decoder().decode
    last: tuple[int, str] = (0, "")
    while True:
        found = connection.execute(_PEOPLE, {"workspace_id": last[0], "user_id": last[1]}).all()
        born = []
        for row in found:
            birthday = people.birthday_of(decode(row.profile))
            if birthday is not None:
                values = row._asdict()
                del values["profile"]
                born.append({**values, "birthday": birthday})
        if born:
            connection.execute(_ADD, born)
        if len(found) < _AT_ONCE:
            return
        last = (found[-1].workspace_id, found[-1].user_id)


_PEOPLE = sa.text(
    "SELECT workspace_id, user_id, partition, tenant_id, profile, updated_at AS known_at FROM contacts"
    " WHERE (workspace_id, user_id) > (:workspace_id, :user_id) ORDER BY workspace_id, user_id"
    f" LIMIT {_AT_ONCE}"
)
_ADD = sa.text(
    "INSERT INTO birthdays (workspace_id, partition, birthday, user_id, tenant_id, known_at)"
    " VALUES (:workspace_id, :partition, :birthday, :user_id, :tenant_id, :known_at)"
)
