"""`python -m heliograph` is `heliograph`: worker processes are started this way."""

from __future__ import annotations

from heliograph import cli

if __name__ == "__main__":
    cli.main()
