"""A sender's one call against the real service: what it takes, refuses, and repeats."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from runstone._sender.server import NotNow, Refused, Server
from runstone._sender.wire import NO_RANK, Series, append_request
from support.lossy_proxy import LossyProxy
from support.processes import free_port
from support.suites import suite


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    number = free_port()
    with suite(tmp_path_factory.mktemp("suite") / "data", "--grpc-port", str(number)):
        yield number


@pytest.fixture(scope="module")
def client(port: int) -> runstone.Client:
    return runstone.Client(f"runstone://127.0.0.1:{port}")


@contextlib.contextmanager
def server(address: str) -> Iterator[Server]:
    opened = Server(f"runstone://{address}", "Ada / Ω")
    try:
        yield opened
    finally:
        opened.release()


def request(run_id: str, sequence: int, values: list[float], writer: str = "w") -> bytes:
    count = len(values)
    series = Series(
        "loss",
        NO_RANK,
        array("q", range(count)),
        array("q", [1_700_000_000_000] * count),
        array("d", values),
    )
    return append_request(run_id, writer, sequence, [series])


def test_a_batch_is_taken_once(port: int, client: runstone.Client) -> None:
    run = client.create_run("0").info.run_id
    with server(f"127.0.0.1:{port}") as to:
        assert to.append(request(run, 1, [0.5, 0.25]))
        assert not to.append(request(run, 1, [0.5, 0.25]))
        assert to.append(request(run, 2, [0.125]))
    history = client.get_metric_history(run, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 0.125), (0, 0.5), (1, 0.25)]


def test_an_answer_lost_after_the_commit_is_asked_for_again(
    port: int, client: runstone.Client
) -> None:
    run = client.create_run("0").info.run_id
    with LossyProxy(port) as proxy, server(proxy.address) as to:
        assert to.append(request(run, 1, [0.5]))
        proxy.lose()
        with pytest.raises(NotNow):
            to.append(request(run, 2, [0.25]))
        assert proxy.lost == 1
        # It is there already: the same number again writes nothing.
        while True:
            try:
                assert not to.append(request(run, 2, [0.25]))
                break
            except NotNow:
                continue
    summary = {each.key: each.count for each in client.list_metric_keys(run)}
    assert summary == {"loss": 2}


def test_what_can_never_be_taken_is_refused(port: int, client: runstone.Client) -> None:
    run = client.create_run("0").info.run_id
    deleted = client.create_run("0").info.run_id
    client.delete_run(deleted)
    with server(f"127.0.0.1:{port}") as to:
        for batch, reason in (
            (request("0" * 32, 1, [1.0]), "RUN_NOT_FOUND"),
            (request(deleted, 1, [1.0]), "RUN_DELETED"),
            (request(run, 0, [1.0]), "INVALID_FIELD"),
        ):
            with pytest.raises(Refused) as caught:
                to.append(batch)
            assert caught.value.reason == reason
            assert caught.value.message


def test_a_server_that_is_away_is_not_a_refusal() -> None:
    with server(f"127.0.0.1:{free_port()}") as to, pytest.raises(NotNow, match="runstone://"):
        to.append(request("0" * 32, 1, [1.0]))


def test_a_suite_that_does_not_start_is_not_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    to = Server(str(tmp_path / "data"))
    with pytest.raises(NotNow):
        to.append(request("0" * 32, 1, [1.0]))
    to.release()
