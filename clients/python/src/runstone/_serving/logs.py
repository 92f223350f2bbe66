"""Where the server's log goes: to standard error, a line each."""

from __future__ import annotations

import logging


def configure() -> None:
    """Have what the server says written; only where the process is the server."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("runstone.serving").setLevel(logging.INFO)
