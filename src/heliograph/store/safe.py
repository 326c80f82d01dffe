"""The safe: what is stored locked (AES-256-GCM), with a key that is never in the database.

Law: a locked secret says by which key, and opens in its own place alone: moved to another row it is refused. Of several
keys the first locks and all of them open, so keys are replaced without a moment in which nothing opens.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from heliograph import errors

SETTING, FILE_SETTING = "HELIOGRAPH_SECRET_KEY", "HELIOGRAPH_SECRET_KEY_FILE"
_OCTETS, _NONCE, _NAME = 32, 12, 8
_MARK = "locked:1:"


class Safe:
    """Locks and opens secrets; without keys it opens nothing."""

    def __init__(self, keys: Sequence[bytes] = ()):
        """`keys` are 32 octets each, the one that locks first."""
        self._keys = {_name_of(key): AESGCM(key) for key in keys}
        self._first = next(iter(self._keys), None)

    @property
    def has_key(self) -> bool:
        """Whether it can lock."""
        return self._first is not None

    def lock(self, secret: str, place: str) -> str:
        """A secret as it is stored; `place` names what it belongs to. Raises errors.NoSecretKey."""
        if self._first is None:
            raise errors.NoSecretKey
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._keys[self._first].encrypt(nonce, secret.encode(), _bound(place))
        return f"{_MARK}{self._first}:{base64.b64encode(sealed).decode()}"

    def open(self, stored: str, place: str) -> str:
        """The secret. Raises errors.NoSecretKey or errors.WrongSecretKey."""
        name, _, text = stored.removeprefix(_MARK).partition(":")
        if not self._keys:
            raise errors.NoSecretKey
        if not stored.startswith(_MARK) or name not in self._keys:
            raise errors.WrongSecretKey
        sealed = base64.b64decode(text)
        try:
            return self._keys[name].decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(place)).decode()
        except InvalidTag:
            raise errors.WrongSecretKey from None

    def is_current(self, stored: str) -> bool:
        """Whether a stored secret is locked by the key that locks now."""
        return self._first is not None and stored.startswith(f"{_MARK}{self._first}:")


def is_locked(stored: str) -> bool:
    """Whether it is locked, and not as it was before there was a key."""
    return stored.startswith(_MARK)


def drawn() -> str:
    """A new key, as the setting takes it."""
    return base64.b64encode(secrets.token_bytes(_OCTETS)).decode()


def opened(keys: str, file: str) -> Safe:
    """The safe of an installation: keys divided by commas, or in a file, one a line. Raises errors.BadSetting."""
    if keys and file:
        raise errors.BadSetting(f"{SETTING} and {FILE_SETTING} are both set: keep one of them")
    name, written = SETTING, keys.split(",")
    if file:
        name = FILE_SETTING
        try:
            written = Path(file).read_text(encoding="ascii").split()
        except (OSError, UnicodeDecodeError) as fault:
            raise errors.BadSetting(f"{FILE_SETTING}={file!r} cannot be read: {fault}") from None
    found = [_key(one.strip(), name) for one in written if one.strip()]
    if file and not found:
        raise errors.BadSetting(f"{FILE_SETTING}={file!r} holds no key: `heliograph secret key` makes one")
    return Safe(found)


def _key(written: str, name: str) -> bytes:
    try:
        key = base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _OCTETS:
        # Not a word of what was written: it may be a key with one letter missing.
        raise errors.BadSetting(
            f"{name} takes keys of {_OCTETS} octets in base64, as `heliograph secret key` makes them"
        )
    return key


def _name_of(key: bytes) -> str:
    return hashlib.sha256(b"heliograph key" + key).hexdigest()[:_NAME]


def _bound(place: str) -> bytes:
    return f"heliograph:{place}".encode()
