"""Signatures: how who receives a webhook knows that we sent it (Standard Webhooks, https://www.standardwebhooks.com).

Law: what is signed is the message's id, the second of the attempt, and the body's own bytes, with HMAC-SHA256. While a
secret is being replaced there are two, and as many signatures.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"


def write_secret(drawn: bytes) -> str:
    """Random octets (24 or more) as a secret."""
    return PREFIX + base64.b64encode(drawn).decode()


def headers(secrets: Sequence[str], message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers of a message that is sent at an instant (µs)."""
    second = at // 1_000_000
    signed = b"%b.%d.%b" % (message_id.encode(), second, body)
    signatures = [
        base64.b64encode(
            hmac.digest(base64.b64decode(secret.removeprefix(PREFIX)), signed, hashlib.sha256)
        ).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(second),
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }
