"""Courier's official client of Node keeps the same promises: one script for each family, beside this file."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import environment
from tests.clients import house as houses

FOLDER = Path(__file__).parent / "node"
NODE = shutil.which("node")
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.js") if path.stem != "client")

pytestmark = pytest.mark.skipif(
    NODE is None or not (FOLDER / "node_modules").exists(),
    reason="Tests of the Node client skipped: install node and npm, then `make setup`",
)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_family_is_driven_by_the_client_of_node(house: houses.House, script: str) -> None:
    """The script comes to its end, and what it says shall arrive arrives, in order, once."""
    assert NODE is not None
    told = subprocess.run(
        [NODE, f"{script}.js"],
        cwd=FOLDER,
        env=environment.for_program() | {"COURIER_BASE_URL": house.url, "COURIER_API_KEY": house.key},
        capture_output=True,
        text=True,
        timeout=houses.WITHIN,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    for line in told.stdout.splitlines():
        expected = json.loads(line)
        arrived = house.mails(expected["address"], len(expected["letters"]))
        assert [list(one) for one in arrived] == expected["letters"]
