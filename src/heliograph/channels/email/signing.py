"""DKIM: e-mails carry the signature of their sender's domain (RFC 6376, rsa-sha256).

Law: what is signed is what is sent, to the byte; a message from another domain is sent as it is. Headers and body are
signed in their relaxed forms, so that servers on the way may fold lines without breaking anything.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from heliograph import errors

SIGNED = (
    *("from", "reply-to", "to", "subject", "date", "message-id", "mime-version", "content-type"),
    *("content-transfer-encoding", "list-unsubscribe", "list-unsubscribe-post"),
)
"""The headers that are signed where they are there; `from` once more than that, so that nobody can add one."""

_BLANKS = re.compile(rb"[ \t]+")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_DOMAIN = re.compile(r"@([^@<>\s]+)$")


class Signer:
    """Signs the messages of one domain and those below it."""

    def __init__(self, domain: str, selector: str, key: bytes):
        """`key` is a private key in PEM. Raises errors.BadSetting for what is none."""
        self._domain, self._selector = domain.lower(), selector
        self._sign = _way(key)

    def signs(self, sender: str) -> bool:
        """Whether messages from this address are signed."""
        found = _DOMAIN.search(sender)
        domain = found[1].lower() if found else ""
        return domain == self._domain or domain.endswith(f".{self._domain}")

    def signed(self, message: bytes, sender: str, at: int) -> bytes:
        """The message with its signature in front; `at` is now (µs). What is not to be signed comes back as it is."""
        if not self.signs(sender):
            return message
        head, _, body = message.partition(b"\r\n\r\n")
        known = dict(map(_split, _FOLD.sub(b"", head).split(b"\r\n")))
        names = [name for name in SIGNED if name.encode() in known]
        field = (
            f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d={self._domain};"
            f"\r\n s={self._selector}; t={at // 1_000_000};\r\n h={_listed([*names, 'from'])};"
            f"\r\n bh={_base64(sha256(_relaxed(body)).digest())};\r\n b="
        )
        own = _split(_FOLD.sub(b"", field.encode()))
        said = [b":".join(one) for one in (*((name.encode(), known[name.encode()]) for name in names), own)]
        signature = _base64(self._sign(b"\r\n".join(said)))
        # A signature is longer than a line; folds in it do not count.
        folded = "\r\n ".join(signature[start : start + 72] for start in range(0, len(signature), 72))
        return f"{field}{folded}\r\n".encode() + message


def signer(domain: str, selector: str, key_file: str) -> Signer:
    """The signer that the settings name. Raises errors.BadSetting where its key cannot be read."""
    try:
        key = Path(key_file).read_bytes()
    except OSError as fault:
        raise errors.BadSetting(f"HELIOGRAPH_DKIM_KEY_FILE={key_file!r}: {fault.strerror}") from None
    return Signer(domain, selector, key)


def _way(key: bytes) -> Callable[[bytes], bytes]:
    """What signs with a key."""
    # It takes a while to load, and most installations leave signing to their mail server.
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415

    try:
        private = serialization.load_pem_private_key(key, None)
    except (TypeError, ValueError):
        raise errors.BadSetting(
            "HELIOGRAPH_DKIM_KEY_FILE holds no private key in PEM without a password"
        ) from None
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= 1024:
        return lambda said: private.sign(said, padding.PKCS1v15(), hashes.SHA256())
    raise errors.BadSetting("HELIOGRAPH_DKIM_KEY_FILE takes an RSA key of at least 1024 bits")


def _listed(names: list[str]) -> str:
    """The names of headers, some on a line."""
    return ":\r\n  ".join(":".join(names[start : start + 5]) for start in range(0, len(names), 5))


def _split(line: bytes) -> tuple[bytes, bytes]:
    """A header's name in small letters, and its relaxed value."""
    name, _, value = line.partition(b":")
    return name.strip().lower(), _BLANKS.sub(b" ", value).strip()


def _relaxed(body: bytes) -> bytes:
    """The body with blanks as one space, none at the end of lines, and no empty lines at its end."""
    lines = [_BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")
