"""The safe: secrets locked in the database, by keys that are replaced while it is in use."""

import base64
from pathlib import Path

import pytest
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import providers
from heliograph.store import database, facts, relocking, safe, webhook_secrets, workspaces
from heliograph.store import providers as stored_providers
from tests.store import samples

OLD, NEW = safe.drawn(), safe.drawn()


def test_a_secret_opens_in_its_place_with_its_key() -> None:
    """Another place, another key or a changed letter open nothing; two locks of one secret are never the same."""
    ours = safe.opened(OLD, "")
    locked = ours.lock("ünseen", "1/providers/a/password")
    assert ours.open(locked, "1/providers/a/password") == "ünseen"
    assert ours.lock("ünseen", "1/providers/a/password") != locked
    with pytest.raises(errors.WrongSecretKey):
        ours.open(locked, "2/providers/a/password")
    with pytest.raises(errors.WrongSecretKey):
        safe.opened(NEW, "").open(locked, "1/providers/a/password")
    head, _, text = locked.rpartition(":")
    flipped = bytearray(base64.b64decode(text))
    flipped[-1] ^= 1
    with pytest.raises(errors.WrongSecretKey):
        ours.open(f"{head}:{base64.b64encode(flipped).decode()}", "1/providers/a/password")
    with pytest.raises(errors.NoSecretKey):
        safe.Safe().open(locked, "1/providers/a/password")


def test_keys_come_from_a_setting_or_a_file(tmp_path: Path) -> None:
    """A wrong key is refused without a word of what was written, and two places for keys are one too many."""
    file = tmp_path / "keys"
    file.write_text(f"{NEW}\n{OLD}\n")
    locked = safe.opened("", str(file)).lock("s", "p")
    assert safe.opened(f"{OLD}, {NEW}", "").open(locked, "p") == "s"
    for keys, named in (("c2hvcnQ=", ""), ("", "/nowhere"), (OLD, str(file))):
        with pytest.raises(errors.BadSetting) as refused:
            safe.opened(keys, named)
        assert "HELIOGRAPH_SECRET_KEY" in refused.value.message
        assert "c2hvcnQ" not in refused.value.message
    file.write_text("\n")
    with pytest.raises(errors.BadSetting):
        safe.opened("", str(file))


def test_all_secrets_are_locked_by_a_new_key(store: database.Database) -> None:
    """What stood open is locked; after relocking the old key opens nothing and the new one everything."""
    now = samples.NOW
    with store.writing() as connection:
        plain = facts.secret(connection, "ab" * 32, safe.Safe())
        signing = webhook_secrets.read(connection, 1, now, safe.Safe())
        assert relocking.relock(connection, safe.opened(OLD, ""), plain_only=True) == 4
        assert relocking.relock(connection, safe.opened(OLD, ""), plain_only=True) == 0
        definition = providers.define(
            {"provider": "smtp", "settings": {"host": "h", "username": "u", "password": "pw"}}
        )
        workspaces.raise_version(connection, 1)
        stored_providers.create(connection, safe.opened(OLD, ""), 1, definition, now)
    with pytest.raises(errors.NoSecretKey), store.writing() as connection:
        relocking.relock(connection, safe.Safe())
    with store.writing() as connection:
        assert relocking.relock(connection, safe.opened(f"{NEW},{OLD}", "")) == 5
    keys = safe.opened(NEW, "")
    with store.reading() as connection:
        (one,) = stored_providers.listed(connection, 1)
        assert stored_providers.defined(keys, 1, one) == definition
        assert "pw" not in repr(definition)
        assert webhook_secrets.read(connection, 1, now, keys) == signing
        with pytest.raises(errors.WrongSecretKey):
            webhook_secrets.read(connection, 1, now, safe.opened(OLD, ""))
        whole = repr(connection.execute(sa.text("SELECT webhook_secrets FROM workspaces")).all())
        assert "whsec_" not in whole
    with store.writing() as connection:
        assert facts.secret(connection, "cd" * 32, keys) == plain
