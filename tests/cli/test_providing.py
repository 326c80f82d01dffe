"""Providers by files and commands."""

import contextlib
from pathlib import Path

import pytest

from heliograph.store import database, safe, workspaces
from heliograph.store import providers as stored
from tests.cli import program

FILE = """\
kind: provider
id: main-mail
provider: smtp
title: Our mail server
settings:
  host: mail.example.com
  username: shop
  password: {env: SHOP_PASSWORD}
"""


def test_a_provider_comes_from_a_file_its_secret_from_elsewhere(
    house: str, tmp_path: Path, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Created, unchanged, changed by another secret in another place; without a key or the variable it is refused."""
    file = tmp_path / "mail.yaml"
    file.write_text(FILE)
    missing = tell("apply", file)
    assert missing.code == 1
    assert f"{file}:8: settings.password.env: the variable SHOP_PASSWORD is not set" in missing.err
    monkeypatch.setenv("SHOP_PASSWORD", "first")
    assert "heliograph secret key" in tell("apply", file).err
    key = tell("secret", "key").lines[-1]
    monkeypatch.setenv("HELIOGRAPH_SECRET_KEY", key)
    assert tell("apply", file).lines[0] == "provider  main-mail: created"
    assert tell("apply", file).lines[0] == "provider  main-mail: unchanged"
    (tmp_path / "password").write_text("second\n")
    file.write_text(FILE.replace("{env: SHOP_PASSWORD}", f"{{file: {tmp_path / 'password'}}}"))
    assert tell("apply", file).lines[0] == "provider  main-mail: changed: secrets (version 2)"
    file.write_text(FILE.replace("{env: SHOP_PASSWORD}", "second"))
    assert "{env: NAME_OF_A_VARIABLE}" in tell("apply", file).err
    listed = tell("provider", "list").lines
    assert any("main-mail" in line and "password" in line for line in listed)
    assert "second" not in "".join(listed)
    store = database.Database(house)
    with contextlib.closing(store), store.writing() as connection:
        owner = workspaces.ensure(connection, workspaces.DEFAULT, 0)
        (one,) = stored.listed(connection, owner)
        assert stored.opened(safe.opened(key, ""), owner, one) == {"password": "second"}
    monkeypatch.setenv("HELIOGRAPH_SECRET_KEY", f"{safe.drawn()},{key}")
    # The provider's and the workspace's own.
    assert tell("secret", "relock").lines[-1] == "2 of the secrets were locked anew."
