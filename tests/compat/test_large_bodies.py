"""Bodies that are larger than what the server may take of memory: they pass, or are refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator

import psutil
import pytest

from support.artifact import MIB, noise
from support.http_gateway import MLFLOW, PROXY, Gateway, gateway, root
from support.memory import Growth

FILES_MIB = [128, pytest.param(5 * 1024, marks=pytest.mark.whole)]
"""The small one shows as well whether a file is held; the large one, that nothing piles up."""

MOST_GROWTH = 96 * MIB
"""Of the whole suite: the three chunks of each transfer, twice, and what the allocator keeps."""

BLOCK = noise(MIB)
JSON_BYTES = 100 * 10**6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("large")
    with gateway(folder) as started:
        yield started
    # pytest would keep it for two more sessions.
    shutil.rmtree(folder)


def growth(server: Gateway) -> Growth:
    return Growth(psutil.Process(server.suite.process.pid))


def blocks(count: int) -> Iterator[bytes]:
    """Each of a MiB, and no two alike."""
    for number in range(count):
        yield number.to_bytes(8, "big") + BLOCK[8:]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("size_mib", FILES_MIB)
def test_a_large_file_passes_through_little_memory(server: Gateway, size_mib: int) -> None:
    digest = hashlib.sha256()

    def sent() -> Iterator[bytes]:
        for block in blocks(size_mib):
            digest.update(block)
            yield block

    path = f"{PROXY}/artifacts/{root(server.new_run())}/large.bin"
    with growth(server) as up:
        answer = server.ask("PUT", path, sent(), {"Content-Length": str(size_mib * MIB)})
    assert (answer.status, answer.json) == (200, {})
    connection = server.connect()
    received = hashlib.sha256()
    with growth(server) as down:
        connection.request("GET", path)
        got = connection.getresponse()
        while block := got.read(MIB):
            received.update(block)
    connection.close()
    assert got.headers["etag"] == f'"{digest.hexdigest()}"'
    assert received.digest() == digest.digest()
    print(f"{size_mib} MiB: memory grew by {up.most // MIB} MiB up, {down.most // MIB} MiB down")
    assert max(up.most, down.most) < MOST_GROWTH


@pytest.mark.parametrize("counted", [True, False], ids=["with its length", "in chunks"])
def test_a_large_body_of_json_is_refused(server: Gateway, counted: bool) -> None:
    padding = b'{"run_id": "' + b"x" * (JSON_BYTES - 14) + b'"}'
    pieces = [padding[start : start + MIB] for start in range(0, len(padding), MIB)]
    length = {"Content-Length": str(len(padding))}
    headers = length if counted else {"Transfer-Encoding": "chunked"}
    headers["Content-Type"] = "application/json"
    connection = server.connect()
    with growth(server) as grown:
        connection.request(
            "POST", f"{MLFLOW}/runs/log-batch", iter(pieces), headers, encode_chunked=not counted
        )
        answer = connection.getresponse()
        told = json.loads(answer.read())
    connection.close()
    assert (answer.status, told["error_code"]) == (413, "BAD_REQUEST")
    assert "at most 67108864 bytes" in told["message"]
    print(f"memory grew by {grown.most // MIB} MiB")
    assert grown.most < JSON_BYTES
    assert server.ask("GET", "/health").status == 200
