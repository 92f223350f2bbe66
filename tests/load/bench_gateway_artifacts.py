"""Files through the gateway: 1 GiB by PUT and GET, and what a request for a small one takes.

The suite is one process on SQLite and a folder. `make bench-peers` has MLflow's server beside it in
the same run, in turns, with the same client: a socket that sends a file by `sendfile` and receives
into one buffer, so that its own work does not count. MLflow keeps files as they come; our service
also takes their SHA-256, writes them durably and tells nobody of half a file: one core's SHA-256
stands beside the figures, for no upload is faster than it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
from bench_artifacts import GIB, Taken, hashing
from report import Row, megabytes, milliseconds, p50, print_table

from support.http_gateway import gateway
from support.memory import Growth

ROUNDS = 3
SMALL = 200
REACH = 2.0
GROWTH_REACH = 64 * 2**20

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


class Place(NamedTuple):
    """A server and where a run's files are on it."""

    name: str
    port: int
    root: str
    process: psutil.Process


def put(place: Place, path: str, source: Path) -> None:
    """Send a file."""
    size = source.stat().st_size
    head = f"PUT {place.root}/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", place.port)) as sending, source.open("rb") as file:
        sending.sendall(head.encode())
        sending.sendfile(file)
        answer = sending.recv(65536)
        assert b" 200 " in answer[:20], answer


def get(place: Place, path: str, size: int) -> None:
    """Receive a file, into nowhere."""
    head = f"GET {place.root}/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    buffer, received = bytearray(2**20), 0
    with socket.create_connection(("127.0.0.1", place.port)) as receiving:
        receiving.sendall(head.encode())
        while count := receiving.recv_into(buffer):
            if not received:
                assert b" 200 " in buffer[:20], buffer[:200]
            received += count
    assert received > size, received


class Figures:
    """What was measured at one server."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.up, self.down = Taken(), Taken()
        self.growth = 0
        self.memory = 0

    def round(self, source: Path, number: int) -> None:
        """A file up and down once."""
        path = f"big{number}"
        whole = [self.place.process, *self.place.process.children(recursive=True)]
        self.memory = sum(process.memory_info().rss for process in whole)
        with Growth(self.place.process) as growth:
            self.up.go(lambda: put(self.place, path, source), whole)
            self.down.go(lambda: get(self.place, path, GIB), whole)
        self.growth = max(self.growth, growth.most)


def small(place: Place, source: Path) -> list[float]:
    """Seconds that a small file takes, up and down, one after another."""
    samples = []
    for number in range(SMALL):
        began = time.perf_counter()
        put(place, f"small/{number}", source)
        get(place, f"small/{number}", source.stat().st_size)
        samples.append(time.perf_counter() - began)
    return samples


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[Place]:
    """The suite, with a run."""
    folder.mkdir()
    with gateway(folder) as started:
        root = f"{PROXY}/0/{started.new_run()}/artifacts"
        yield Place("Runstone", started.port, root, psutil.Process(started.suite.process.pid))


def measured(folder: Path, others: list[Place]) -> tuple[list[Figures], list[Row]]:
    """The figures of the suite and the others, in turns, and the rows of the suite alone."""
    source, little = folder / "source", folder / "little"
    little.write_bytes(os.urandom(4096))
    with source.open("wb") as file:
        for _ in range(GIB // 2**24):
            file.write(os.urandom(2**24))
    with ours(folder / "ours") as place:
        all_of_them = [Figures(each) for each in (place, *others)]
        # Threads, pools and arenas of the first transfers are no growth by size.
        samples = small(place, little)
        for number in range(ROUNDS):
            for each in all_of_them:
                each.round(source, number)
    own = all_of_them[0]
    rows = [
        Row(
            f"{what} 1 GiB through the gateway, SQLite and a folder",
            f"{megabytes(taken.rate(GIB))}/s",
            detail=taken.told(GIB),
        )
        for what, taken in (("PUT", own.up), ("GET", own.down))
    ]
    rows.append(
        Row(
            "memory growth of the whole suite meanwhile",
            megabytes(own.growth),
            f"<= {megabytes(GROWTH_REACH)}",
            own.growth <= GROWTH_REACH,
        )
    )
    rows.append(Row("PUT and GET of 4 KiB, new connections, p50", milliseconds(p50(samples))))
    return all_of_them, rows


Beside = Callable[[Path], contextlib.AbstractContextManager[Place]]


def run(beside: Beside | None = None) -> list[Row]:
    """Every row; with those of a server ``beside`` it. Needs 10 GiB of disk."""
    folder = Path(tempfile.mkdtemp(prefix="runstone-bench-"))
    try:
        with contextlib.ExitStack() as stack:
            others = [] if beside is None else [stack.enter_context(beside(folder))]
            figures, rows = measured(folder, others)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    own = figures[0]
    for other in figures[1:]:
        for what, taken, theirs in (("PUT", own.up, other.up), ("GET", own.down, other.down)):
            ratio = taken.rate(GIB) / theirs.rate(GIB)
            rows.append(
                Row(
                    f"{other.place.name}, {what} 1 GiB",
                    f"{megabytes(theirs.rate(GIB))}/s",
                    f"Runstone >= {REACH:.0f}x",
                    ratio >= REACH,
                    f"Runstone {ratio:.1f}x; {theirs.told(GIB)}",
                )
            )
        rows.append(
            Row(
                f"{other.place.name}, memory of its processes",
                megabytes(other.memory),
                detail=f"Runstone's whole suite {megabytes(own.memory)}",
            )
        )
    return [hashing(), *rows]


if __name__ == "__main__":
    print_table(run())
