"""A client of MLflow's REST that takes as little of the machine as it can: bytes out, bytes in.

Servers are measured with it, so its own work must not count: a request is made before the clock
starts, and of an answer only status and length are looked at.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SECONDS = 5.0
WARM_UP_S = 1.0

LARGEST_PIECE = 2**20


def post(call: str, body: dict[str, Any] | bytes) -> bytes:
    """The bytes of a POST to a call of MLflow's API."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"POST /api/2.0/mlflow/{call} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


def get(call: str) -> bytes:
    """The bytes of a GET of a call of MLflow's API, with its query."""
    return f"GET /api/2.0/mlflow/{call} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


class Wire:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=300)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def ask(self, request: bytes) -> bytes:
        """The body of the answer; AssertionError with what was said when it is refused."""
        self._socket.sendall(request)
        head, body = self._until(self._rest, b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        fields = dict(line.split(b": ", 1) for line in lines[1:])
        if b"content-length" in fields:
            length = int(fields[b"content-length"])
            pieces, have = [body], len(body)
            while have < length:
                piece = self._receive()
                pieces.append(piece)
                have += len(piece)
            whole = b"".join(pieces)
            body, self._rest = whole[:length], whole[length:]
        else:
            body = self._chunked(body)
        assert lines[0].split()[1] == b"200", f"{head[:200]!r} {body[:300]!r}"
        return body

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _receive(self) -> bytes:
        piece = self._socket.recv(LARGEST_PIECE)
        assert piece, "the server closed the connection"
        return piece

    def _until(self, have: bytes, mark: bytes) -> tuple[bytes, bytes]:
        while mark not in have:
            have += self._receive()
        before, _, after = have.partition(mark)
        return before, after

    def _chunked(self, have: bytes) -> bytes:
        pieces = []
        while True:
            size, have = self._until(have, b"\r\n")
            length = int(size.partition(b";")[0], 16)
            while len(have) < length + 2:
                have += self._receive()
            pieces.append(have[:length])
            have = have[length + 2 :]
            if not length:
                self._rest = have
                return b"".join(pieces)


def ask(port: int, request: bytes) -> Any:
    """One answer's JSON, over a connection of its own."""
    wire = Wire(port)
    try:
        return json.loads(wire.ask(request) or b"{}")
    finally:
        wire.close()


def metrics(first: int, count: int) -> list[dict[str, Any]]:
    """Points of ten metrics with the next steps, as log-batch takes them."""
    return [
        {
            "key": f"train/loss_{number % 10}",
            "value": 1.0 / (first + number + 1),
            "timestamp": 1_700_000_000_000 + (first + number) * 50,
            "step": (first + number) // 10,
        }
        for number in range(count)
    ]


def _bodies(kind: str, run_id: str, count: int, caller: int) -> list[bytes]:
    if kind == "log-batch":
        return [
            post("runs/log-batch", {"run_id": run_id, "metrics": metrics(number * 1000, 1000)})
            for number in range(count)
        ]
    points = metrics(caller * count, count)
    return [post("runs/log-metric", {"run_id": run_id, **point}) for point in points]


def _work(port: int, requests: Sequence[bytes]) -> list[float]:
    wire = Wire(port)
    took = []
    begin = time.monotonic()
    for request in requests:
        before = time.monotonic()
        if before > begin + WARM_UP_S + SECONDS:
            break
        wire.ask(request)
        if before > begin + WARM_UP_S:
            took.append(time.monotonic() - before)
    else:
        raise AssertionError(f"{len(requests)} requests were too few for {SECONDS} s")
    wire.close()
    return took


def drive(kind: str, port: int, run_ids: Sequence[str], count: int) -> tuple[float, list[float]]:
    """Calls a second over all writers, each of its own run, and the seconds each call took.

    ``kind`` is "log-batch" (1,000 points a call) or "log-metric"; ``count`` the requests that are
    made for each writer, more than it gets through. Writers are threads of two processes.
    """
    halves = [half for half in (run_ids[::2], run_ids[1::2]) if half]

    def one(half: Sequence[str]) -> Any:
        finished = subprocess.run(
            [sys.executable, __file__, kind, str(port), json.dumps(list(half)), str(count)],
            stdout=subprocess.PIPE,
            check=True,
        )
        return json.loads(finished.stdout)

    with ThreadPoolExecutor(len(halves)) as pool:
        samples = [each for found in pool.map(one, halves) for each in found]
    return len(samples) / SECONDS, samples


def _main(kind: str, port: str, run_ids: str, count: str) -> None:
    runs = json.loads(run_ids)
    made = [_bodies(kind, run_id, int(count), caller) for caller, run_id in enumerate(runs)]
    with ThreadPoolExecutor(len(runs)) as pool:
        found = list(pool.map(lambda requests: _work(int(port), requests), made))
    print(json.dumps([each for took in found for each in took]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
