"""Cursors that name a place without telling whose it is.

Law: a page may end on a row that is not of whoever asks. They can go on behind it, and learn neither its id nor when
it was made.
"""

from __future__ import annotations

import hmac
from hashlib import blake2b
from typing import NamedTuple

_ID, _PROOF = 16, 8


class Veil(NamedTuple):
    """What hides the places of somebody's lists."""

    secret: bytes
    whose: str

    def hide(self, identity: bytes) -> str:
        """A place, as it is shown."""
        proof = self._digest(identity, _PROOF)
        return (proof + self._cover(identity, proof)).hex()

    def find(self, written: str) -> bytes | None:
        """The place that was shown so; None where it is none of theirs."""
        try:
            given = bytes.fromhex(written)
        except ValueError:
            return None
        proof, covered = given[:_PROOF], given[_PROOF:]
        if len(covered) != _ID:
            return None
        identity = self._cover(covered, proof)
        return identity if hmac.compare_digest(self._digest(identity, _PROOF), proof) else None

    def _cover(self, given: bytes, proof: bytes) -> bytes:
        mask = self._digest(proof, _ID)
        return bytes(one ^ other for one, other in zip(given, mask, strict=True))

    def _digest(self, given: bytes, size: int) -> bytes:
        key = blake2b(self.secret, digest_size=32, person=b"cursor").digest()
        return blake2b(
            given + self.whose.encode("utf-8", "surrogatepass"), digest_size=size, key=key
        ).digest()
