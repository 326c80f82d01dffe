"""Providers by files and commands."""

import contextlib
import http.server
import threading
from pathlib import Path
from typing import ClassVar

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


class Service(http.server.BaseHTTPRequestHandler):
    """A service that takes everything."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """Take it."""
        Service.asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(201)
        self.send_header("Content-Length", "14")
        self.end_headers()
        self.wfile.write(b'{"sid": "SM1"}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_provider_is_tried_out(
    lone_house: str, tmp_path: Path, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message past the ledger, by each kind of channel; what was answered is told, and a failure ends with 1."""
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    place = f"127.0.0.1:{service.server_address[1]}"
    monkeypatch.setenv("HELIOGRAPH_ALLOWED_HOSTS", f"{place},127.0.0.1:1")
    monkeypatch.setenv("HELIOGRAPH_SECRET_KEY", safe.drawn())
    monkeypatch.setenv("TOKEN", "t")
    files = {
        "texts": f"provider: twilio\nsettings: {{account_sid: AC1, auth_token: {{env: TOKEN}}, from: '+15005550006',"
        f" base_url: 'http://{place}'}}",
        "hooks": "provider: webhook",
        "dead": "provider: smtp\nsettings: {host: 127.0.0.1, port: 1}",
        "inside": "provider: smtp\nsettings: {host: 127.0.0.1, port: 2}",
        "inside6": "provider: smtp\nsettings: {host: '[::1]', port: 2}",
    }
    for name, said in files.items():
        (tmp_path / f"{name}.yaml").write_text(f"kind: provider\nid: {name}\n{said}\n")
    assert tell("apply", tmp_path).code == 0
    told = tell("provider", "test", "texts", "--to", "+442079460100")
    assert (told.code, told.lines[-1]) == (0, "texts to +442079460100: accepted (201)")
    assert tell("provider", "test", "hooks", "--to", f"http://{place}/hook").code == 0
    assert ["trial" in one for one in Service.asked] == [True, True]
    dead = tell("provider", "test", "dead", "--to", "ana@example.com")
    assert dead.code == 1
    assert "dead to ana@example.com: temporary (unreachable no connection to 127.0.0.1:1" in dead.out
    for name, entry in (("inside", "127.0.0.1:2"), ("inside6", "[::1]:2")):
        inside = tell("provider", "test", name, "--to", "ana@example.com")
        assert inside.code == 1
        assert f"is loopback: to allow it, name {entry} in HELIOGRAPH_ALLOWED_HOSTS" in inside.out
    assert 'did you mean "texts"' in tell("provider", "test", "text", "--to", "x").err
    service.shutdown()
    service.server_close()
