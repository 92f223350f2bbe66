"""Runs every benchmark here, each in a process of its own, and prints one table.

python tests/load/run.py               all of them
python tests/load/run.py server runs   bench_server.py and bench_runs.py
python tests/load/run.py --json        for programs
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from report import Row, print_table

FOLDER = Path(__file__).resolve().parent
# A benchmark that hangs must not take the others with it.
LONGEST_SECONDS = 900


def measured(bench: Path) -> list[Row]:
    """The rows of one benchmark; when it fails, one row that says how."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), str(FOLDER.parent)])}
    # As on a user's machine: a module is compiled once, and not at each start.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        finished = subprocess.run(
            [sys.executable, str(bench), "--json"],
            stdout=subprocess.PIPE,
            text=True,
            timeout=LONGEST_SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [Row(bench.stem, "hangs", met=False, detail=f"ended after {LONGEST_SECONDS} s")]
    if finished.returncode != 0:
        return [Row(bench.stem, "fails", met=False, detail=f"exit code {finished.returncode}")]
    # A library may print before; the rows are the last line.
    return [Row(**row) for row in json.loads(finished.stdout.splitlines()[-1])]


def chosen() -> list[Path]:
    """The benchmarks that the command line names; all when it names none."""
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not names:
        return sorted(FOLDER.glob("bench_*.py"))
    return [
        FOLDER / f"bench_{name.removeprefix('bench_').removesuffix('.py')}.py" for name in names
    ]


def main() -> int:
    """0 when every benchmark ran, whatever it measured."""
    rows: list[Row] = []
    for bench in chosen():
        started = time.monotonic()
        print(f"{bench.stem} ...", file=sys.stderr, flush=True)
        rows += measured(bench)
        print(f"{bench.stem}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print_table(rows)
    return 1 if any(row.figure in {"fails", "hangs"} for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
