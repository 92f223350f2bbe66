"""How fast `runstone server` serves, and what it holds when nobody asks for anything."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from report import Row, megabytes, print_table

STARTS = 5
EMPTY_REACH_S = 3.0
EXISTING_REACH_S = 1.5
MEMORY_REACH = 150e6
# The health of a service is asked every two seconds; after this nothing is on its way any more.
SETTLED_S = 5.0


class Server:
    """One `runstone server` on a free port."""

    def __init__(self, folder: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RUNSTONE_")}
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "runstone.cli", "server", "--json"),
                *("--data-dir", str(folder), "--grpc-port", "0"),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        # It says where it serves once it does; health has been asked by then.
        line = self.process.stdout.readline()
        self.seconds = time.perf_counter() - started
        self.address = str(json.loads(line)["address"])

    def memory(self) -> int:
        """Resident bytes of the process and its children."""
        process = psutil.Process(self.process.pid)
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family)

    def stop(self) -> None:
        """Ends it in good order."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


def libraries_alone() -> float:
    """Seconds that Python takes to import what every server of this kind needs, and to end."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "import grpc, sqlalchemy, pydantic, structlog, numpy"],
        check=True,
    )
    return time.perf_counter() - started


def run() -> list[Row]:
    """Start on an empty and on an existing folder, each several times, and the idle memory."""
    empty: list[float] = []
    existing: list[float] = []
    libraries: list[float] = []
    memory = 0
    for attempt in range(STARTS):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "data"
            libraries.append(libraries_alone())
            first = Server(folder)
            empty.append(first.seconds)
            first.stop()
            second = Server(folder)
            existing.append(second.seconds)
            if attempt == 0:
                time.sleep(SETTLED_S)
                memory = second.memory()
            second.stop()
    return [
        _start_row("start to serving, empty folder", empty, EMPTY_REACH_S, libraries),
        _start_row("start to serving, existing folder", existing, EXISTING_REACH_S, libraries),
        Row(
            "idle memory of the suite",
            megabytes(memory),
            f"<= {megabytes(MEMORY_REACH)}",
            memory <= MEMORY_REACH,
            "resident, all services in one process",
        ),
    ]


def _start_row(what: str, seconds: list[float], reach: float, libraries: list[float]) -> Row:
    middle = statistics.median(seconds)
    alone = statistics.median(libraries)
    return Row(
        what,
        f"{middle:.2f} s",
        f"<= {reach} s",
        middle <= reach,
        f"{middle / alone:.1f}x of importing gRPC, SQLAlchemy, pydantic and numpy alone",
    )


if __name__ == "__main__":
    print_table(run())
