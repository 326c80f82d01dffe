"""DKIM: what a verifier that knows nothing of us says of our signatures."""

import re
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from heliograph import errors, settings
from heliograph.channels import email
from heliograph.core import mime
from tests.channels.post import deliver
from tests.channels.smtp_sink import Sink

NOW = 1_767_225_600_000_000
PRIVATE = rsa.generate_private_key(65537, 2048)
LETTER = mime.Letter(
    "019b0000-0000-7000-8000-000000000001",
    NOW,
    mime.Mailbox("hello@mail.shop.example", "Shöp"),
    mime.Mailbox("ana@example.com"),
    "Ä subject that is so long that it has to be folded over more than one line, with  two blanks",
    "One  line \n\n.\nanother\t \n\n\n",
    "<p>Grüße</p>",
    mime.Mailbox("reply@shop.example"),
)


def pem(key: Any) -> bytes:
    """A private key as a file holds it."""
    plain = serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the private key."""
    path = tmp_path_factory.mktemp("keys") / "dkim.pem"
    path.write_bytes(pem(PRIVATE))
    return path


def published(name: bytes, timeout: int = 5) -> bytes:
    """The DNS record of the public key."""
    assert name.rstrip(b".") == b"mail2026._domainkey.shop.example"
    public = PRIVATE.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return b"v=DKIM1; k=rsa; p=" + b"".join(public.splitlines()[1:-1])


def verified(message: bytes) -> bool:
    """What dkimpy says."""
    return bool(dkim.verify(message, dnsfunc=published))


def test_a_verifier_believes_what_we_sign(key_file: Path) -> None:
    """A letter with folds, blanks, dots and letters beyond ASCII is verified, and with anything changed it is not."""
    signer = email.signer("shop.example", "mail2026", str(key_file))
    signed = signer.signed(mime.compose(LETTER), LETTER.sender.address, NOW)
    assert verified(signed)
    assert verified(signed.replace(b"One  line ", b"One line"))  # blanks do not count
    assert not verified(signed.replace(b"another", b"anothe"))
    assert not verified(signed.replace(b"ana@", b"bob@", 1))
    assert not verified(b"From: eve@shop.example\r\n" + signed)
    assert all(len(line) <= 78 for line in signed.split(b"\r\n\r\n")[0].split(b"\r\n"))


@pytest.mark.parametrize(
    ("sender", "signs"),
    [
        ("a@shop.example", True),
        ("a@Mail.Shop.Example", True),
        ("a@workshop.example", False),
        ("a@example", False),
    ],
)
def test_a_domain_signs_for_itself(key_file: Path, sender: str, signs: bool) -> None:
    """Messages from the domain and those below it are signed; others go as they are."""
    signer = email.signer("shop.example", "mail2026", str(key_file))
    message = mime.compose(LETTER)
    assert (signer.signed(message, sender, NOW) != message) is signs


def test_what_arrives_is_signed(key_file: Path) -> None:
    """Over a real connection, lines of dots and all, the signature still holds."""
    signer = email.signer("shop.example", "mail2026", str(key_file))

    async def story(sink: Sink, post: Any) -> None:
        await post.send(content=mime.compose(LETTER), sender="hello@shop.example")

    sink = deliver(story, signer=signer)
    (mail,) = sink.mails
    assert re.match(rb"DKIM-Signature: v=1; a=rsa-sha256", mail.content)
    assert verified(mail.content)


def test_a_key_that_is_none_stops_the_program(tmp_path: Path) -> None:
    """The setting is named where its file is not there, holds no key, or one of another kind."""
    small, none = tmp_path / "small.pem", tmp_path / "none.pem"
    small.write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    none.write_bytes(b"nothing")
    for path in (tmp_path / "absent.pem", small, none):
        with pytest.raises(errors.BadSetting, match="HELIOGRAPH_DKIM_KEY_FILE"):
            email.signer("shop.example", "x", str(path))
    assert settings.load({"HELIOGRAPH_DKIM_DOMAIN": "shop.example"}).dkim_domain == "shop.example"
