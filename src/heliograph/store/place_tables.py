"""The tables of places: by what events are found that no hot table is sorted by, and up to which id they are filled.

Law: written by housekeeping alone, in bulk and sorted (store/places.py); no turn touches them.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store import columns

event_places = columns.table(
    "event_places",
    columns.column("workspace_id", sa.Integer, primary_key=True),
    columns.column("kind", sa.SmallInteger, primary_key=True),
    columns.column("key", columns.Identity, primary_key=True),
    columns.column("event_id", columns.Identity, primary_key=True),
)

event_place_marks = columns.table(
    "event_place_marks",
    columns.column("workspace_id", sa.Integer, primary_key=True),
    columns.column("kind", sa.SmallInteger, primary_key=True),
    columns.column("id", columns.Identity),
)
