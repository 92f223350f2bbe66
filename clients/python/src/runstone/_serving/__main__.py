"""``python -m runstone._serving SETTINGS``: one worker, as its parent starts it."""

from __future__ import annotations

import argparse
import sys

from runstone._serving import worker
from runstone._serving.logs import configure
from runstone._serving.settings import Settings


def main() -> int:
    """Serve; the exit status."""
    parser = argparse.ArgumentParser(prog="runstone._serving", description=__doc__)
    parser.add_argument("settings")
    parser.add_argument("--parent", type=int)
    given = parser.parse_args()
    configure()
    settings = Settings.from_json(given.settings)
    return worker.main(settings, shared=given.parent is not None, parent=given.parent)


if __name__ == "__main__":
    sys.exit(main())
