"""How clients start a background suite; people say `runstone server`."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path


def main() -> int:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m runstone_suite", description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="default: ./runstone-data")
    parser.add_argument("--background", action="store_true", help="unix socket; ends when idle")
    parser.add_argument("--idle-timeout", type=float, help="seconds until idle (default 30)")
    parser.add_argument("--socket", type=Path, help="unix socket; default: in the data folder")
    parser.add_argument("--host", help="default: 127.0.0.1")
    parser.add_argument("--grpc-port", type=int, help="default: 5051; 0: any free one")
    parser.add_argument("--http-port", type=int, help="default: 5000; 0: any free one")
    parser.add_argument("--no-http", action="store_true", help="no REST API")
    parser.add_argument("--metrics-port", type=int, help="Prometheus metrics; default: none")
    parser.add_argument("--tokens-file", type=Path, help="who may call; default: all")
    parser.add_argument("--workers", type=int, help="processes; needs PostgreSQL")
    parser.add_argument("--json", dest="as_json", action="store_true", help="say where in JSON")
    arguments = parser.parse_args()

    # Collections while modules load find nothing and take a tenth of a start; `run` enables them.
    gc.disable()
    from runstone_suite.server import Options, run

    return run(Options(**vars(arguments)))


if __name__ == "__main__":
    sys.exit(main())
