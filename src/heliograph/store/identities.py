"""Identities: ids for what somebody makes, one at a time.

Law: the core says how an id is built and draws nothing (core/ids.py); here is the chance that it takes.
"""

from __future__ import annotations

import secrets

from heliograph.core import ids


def fresh(now: int, partition: int = 0) -> bytes:
    """An id that nobody has, of something that is made at this instant (µs)."""
    return ids.mint(now, secrets.randbits(ids.COUNTER_BITS), partition, secrets.randbits(36))
