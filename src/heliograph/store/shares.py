"""Shares: how workspaces share a turn, whatever database it is taken from."""

from __future__ import annotations


def share(room: int, workspaces: int) -> int:
    """How much of a turn is one workspace's while so many wait."""
    return room if workspaces < 2 else max(5, room // 5)


def place_of(workspace: int, start: int) -> tuple[bool, int]:
    """Where a workspace stands in a walk over workspaces that begins after `start`."""
    return workspace <= start, workspace
