"""Folders of lists: the parts of a list's id before its last one, as `spring.shoes` is in the folder `spring`.

Law: a list in no folder is everybody's, and whoever sees a folder sees those that lie in it (date-automations.md B14).
"""

from __future__ import annotations

from collections.abc import Collection


def holds(folders: Collection[str], list_id: str) -> bool:
    """Whether a list of this id lies in one of these folders, or in none at all."""
    return "." not in list_id or any(list_id.startswith(f"{folder}.") for folder in folders)
