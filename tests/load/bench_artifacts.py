"""Artifacts: 1 GiB by stream and by presigned URL, the plain `minio` client beside it, small files.

The service is a process of its own on this machine, with PostgreSQL and either a folder or MinIO.
The plain client moves the same file to the same MinIO in the same run, in turns with ours. What it
does not do is part of our time: the service verifies the digest of every byte, and so does our
client on the way down. Beside each figure stands the processor time that client and server took
together: on a machine that is busy with other things, two cores would give no more than the bytes
divided by half of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from report import Row, megabytes, print_table

from runstone import _transfer
from runstone._connection import Connection
from runstone._uri import Remote
from support.artifact import ArtifactServer, run_owner
from support.memory import Growth
from support.postgres import PostgresServer
from support.s3 import S3Server

GIB = 2**30
ROUNDS = 3
FILES = 10_000
FILE_BYTES = 4096
STREAM_REACH = 300e6
GROWTH_REACH = 64 * 2**20
PRESIGNED_REACH = 0.85
FILES_REACH = 500


@dataclass
class Taken:
    """Several goes at the same thing."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def go(self, act: Callable[[], object], processes: list[psutil.Process]) -> None:
        before, started = cpu_of(processes), time.monotonic()
        act()
        self.seconds.append(time.monotonic() - started)
        self.cpu.append(cpu_of(processes) - before)

    def rate(self, size: int) -> float:
        """Of the best go: the others met more of what else the machine does."""
        return size / min(self.seconds)

    def told(self, size: int) -> str:
        """What the cores were busy with it."""
        least = min(self.cpu)
        return f"CPU {least:.1f} s, so 2 cores bound it to {megabytes(2 * size / least)}/s"


def cpu_of(processes: list[psutil.Process]) -> float:
    """Processor seconds that processes have taken."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


@contextlib.contextmanager
def service(folder: Path, database: str, objects: str) -> Iterator[tuple[Any, psutil.Process]]:
    """The client's stub of a service in a process of its own, and that process."""
    command = [sys.executable, __file__, "--server", str(folder), database, objects]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdin is not None
        port = int(process.stdout.readline())
        yield Connection(Remote("127.0.0.1", port)).service("artifact"), psutil.Process(process.pid)
    finally:
        process.communicate()


def serve(folder: str, database: str, objects: str) -> None:
    """What the process of `service` does: serve until stdin ends."""
    server = ArtifactServer(Path(folder), database, objects).start()
    print(server.port, flush=True)
    sys.stdin.read()
    server.stop()


def by_stream(folder: Path, source: Path, database: str) -> list[Row]:
    """1 GiB up and down through the service, into a folder."""
    up, down = Taken(), Taken()
    with service(folder, database, str(folder / "objects")) as (stub, process):
        both = [process, psutil.Process()]
        owner = run_owner()
        # Threads, pools and arenas of the first small transfers are no growth by size.
        small = folder / "small"
        small.write_bytes(os.urandom(4 * 2**20))
        _transfer.upload_file(stub, owner, small, "small")
        _transfer.download(stub, owner, "small", folder / "down")
        with Growth(process) as growth:
            for number in range(ROUNDS):
                path = f"big{number}"
                up.go(lambda p=path: _transfer.upload_file(stub, owner, source, p), both)
                down.go(lambda p=path: _transfer.download(stub, owner, p, folder / "down"), both)
                (folder / "down" / path).unlink()
    rows = [
        Row(
            f"{what} 1 GiB by gRPC stream, folder and PostgreSQL",
            f"{megabytes(taken.rate(GIB))}/s",
            f">= {megabytes(STREAM_REACH)}/s",
            taken.rate(GIB) >= STREAM_REACH,
            taken.told(GIB),
        )
        for what, taken in (("upload", up), ("download", down))
    ]
    reach = f"<= {megabytes(GROWTH_REACH)}"
    rows.append(
        Row(
            "server memory growth meanwhile",
            megabytes(growth.most),
            reach,
            growth.most <= GROWTH_REACH,
        )
    )
    return rows


def by_url(folder: Path, source: Path, database: str, minio: S3Server) -> list[Row]:
    """1 GiB up and down by presigned URLs, in turns with the plain client."""
    bucket = minio.create_bucket()
    plain, client = minio.create_bucket(), minio.client()
    up, down, plain_up, plain_down = Taken(), Taken(), Taken(), Taken()
    target = folder / "plain"
    with service(folder, database, minio.url(bucket)) as (stub, process):
        all_three = [process, psutil.Process(), psutil.Process(minio.pid)]
        owner = run_owner()
        for number in range(ROUNDS):
            path = f"big{number}"
            plain_up.go(lambda p=path: client.fput_object(plain, p, str(source)), all_three)
            up.go(lambda p=path: _transfer.upload_file(stub, owner, source, p), all_three)
            plain_down.go(lambda p=path: client.fget_object(plain, p, str(target)), all_three)
            # Whoever writes second must not be the one for whom memory has to be found.
            target.unlink()
            down.go(lambda p=path: _transfer.download(stub, owner, p, folder / "down"), all_three)
            (folder / "down" / path).unlink()
            client.remove_object(plain, path)
    rows = []
    for what, ours, theirs in (("upload", up, plain_up), ("download", down, plain_down)):
        ratio = ours.rate(GIB) / theirs.rate(GIB)
        rows.append(
            Row(
                f"{what} 1 GiB by presigned URL, digest verified",
                f"{megabytes(ours.rate(GIB))}/s",
                f">= {PRESIGNED_REACH:.0%} of the plain client",
                ratio >= PRESIGNED_REACH,
                f"{ratio:.0%} of {megabytes(theirs.rate(GIB))}/s; {ours.told(GIB)}, "
                f"plain: {theirs.told(GIB)}",
            )
        )
    return rows


def small_files(folder: Path, database: str, objects: str, where: str) -> Row:
    """Many small files as `log_artifacts` sends them."""
    tree = folder / "tree"
    for number in range(FILES):
        directory = tree / f"{number // 100:03}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{number % 100:02}.bin").write_bytes(os.urandom(FILE_BYTES))
    taken = Taken()
    with service(folder, database, objects) as (stub, process):
        both = [process, psutil.Process()]
        taken.go(lambda: _transfer.upload_tree(stub, run_owner(), tree, "tree"), both)
    shutil.rmtree(tree)
    rate = taken.rate(FILES)
    return Row(
        f"10,000 files of 4 KiB by log_artifacts, {where}",
        f"{rate:,.0f} files/s",
        f">= {FILES_REACH} files/s",
        rate >= FILES_REACH,
        f"CPU of client and service {taken.cpu[0]:.1f} s",
    )


def hashing() -> Row:
    """What bounds a verified transfer: SHA-256 on one core."""
    block, count = os.urandom(2**20), 256
    digest, started = hashlib.sha256(), time.thread_time()
    for _ in range(count):
        digest.update(block)
    rate = count * 2**20 / (time.thread_time() - started)
    return Row("SHA-256, one core", f"{megabytes(rate)}/s", detail="bounds what is below")


def run() -> list[Row]:
    """Every row; needs 8 GiB of disk."""
    rows = [hashing()]
    postgres, minio = PostgresServer(), S3Server()
    folder = Path(tempfile.mkdtemp(prefix="runstone-bench-"))
    try:
        postgres.start()
        minio.start()
        source = folder / "source"
        with source.open("wb") as file:
            for _ in range(GIB // 2**24):
                file.write(os.urandom(2**24))
        steps: list[Callable[[Path, str], list[Row]]] = [
            lambda place, url: by_stream(place, source, url),
            lambda place, url: by_url(place, source, url, minio),
            lambda place, url: [
                small_files(place, url, minio.url(minio.create_bucket()), "MinIO, PostgreSQL")
            ],
            lambda place, url: [
                small_files(place, f"sqlite:///{place}/a.db", str(place / "o"), "folder, SQLite")
            ],
        ]
        for number, step in enumerate(steps):
            place = folder / str(number)
            place.mkdir()
            with postgres.database() as url:
                rows += step(place, url)
            shutil.rmtree(place)
        return rows
    finally:
        postgres.close()
        minio.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--server"]:
        serve(*sys.argv[2:5])
    else:
        print_table(run())
