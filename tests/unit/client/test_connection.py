"""Calls: what they carry, how long they wait, when they are tried again."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import Any

import grpc
import pytest

from runstone import Client, _channel, _connection, exceptions
from runstone._channel import Address, pool
from runstone._connection import Connection
from runstone._uri import Remote
from runstone.artifact.v1 import artifact_pb2
from runstone.tracking.v1 import metric_pb2, run_pb2
from support.processes import wait_until


def run_answer(request: Any, context: Any) -> Any:
    return run_pb2.GetRunResponse(run=run_pb2.Run(run_id=request.run_id, name="n"))


def test_a_call_carries_its_id_and_its_user(server: Any) -> None:
    server.answers["GetRun"] = run_answer
    client = Client(server.uri, user="Ångström, A.")
    assert client.get_run("a").info.run_name == "n"
    client.get_run("a")
    first, second = (metadata for _, metadata, _ in server.calls)
    assert len(first["x-request-id"]) == 32
    assert first["x-request-id"] != second["x-request-id"]
    assert first["x-runstone-user"] == "%C3%85ngstr%C3%B6m%2C A."


def test_the_service_config_of_each_service_goes_with_its_channel() -> None:
    for name in ("tracking", "artifact", "registry"):
        arguments = dict(_channel.options(_channel.service(name), Address("x")))
        config = json.loads(arguments["grpc.service_config"])
        assert any("retryPolicy" in entry for entry in config["methodConfig"])
        assert arguments["grpc.max_receive_message_length"] == -1
        assert arguments["grpc.use_local_subchannel_pool"] == 1


def test_timeouts_come_from_the_service_config_or_the_caller(server: Any) -> None:
    remaining: list[float] = []

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        remaining.append(context.time_remaining())
        return run_answer(request, context)

    server.answers["GetRun"] = answer
    Client(server.uri).get_run("a")
    Client(server.uri, timeout=5).get_run("a")
    Client(server.uri, timeout=500).get_run("a")
    Client(server.uri).with_timeout(90).get_run("a")
    for actual, expected in zip(remaining, [30, 5, 500, 90], strict=True):
        assert expected - 4 < actual < expected + 1


def test_no_answer_in_time(server: Any) -> None:
    release = threading.Event()

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        release.wait(20)
        return run_answer(request, context)

    server.answers["GetRun"] = answer
    try:
        with pytest.raises(exceptions.DeadlineExceeded) as late:
            Client(server.uri, timeout=0.2).get_run("a")
    finally:
        release.set()
    assert str(late.value) == late.value.message
    assert late.value.message == (
        f"no answer from {server.uri} in time (0.2 s; RUNSTONE_TIMEOUT sets how long)"
    )


def test_an_outage_is_told_once_and_ends_in_plain_words(
    server: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "TELL_SECONDS", 0.0)
    caplog.set_level("INFO", "runstone")
    server.answers["GetRun"] = run_answer
    options = _channel.options
    # Without gRPC's own retries, which take seconds, the call looks many times.
    monkeypatch.setattr(
        _channel, "options", lambda of, where: options(of, replace(where, retries=False))
    )
    client = Client(server.uri, timeout=1.5)
    client.get_run("a")
    server.stop()
    for _ in range(2):
        with pytest.raises(exceptions.Unavailable) as away:
            client.get_run("a")
        plain = f"no Runstone server answers at {server.uri}: the connection was "
        assert away.value.message.startswith(plain)
        assert away.value.message.endswith(" s; RUNSTONE_TIMEOUT sets how long)")
        assert "ipv4" not in str(away.value)
    [said] = [record.getMessage() for record in caplog.records]
    # The first attempt may still meet the server that takes its leave.
    assert said.startswith(f"no Runstone server answers at {server.uri}: ")
    assert "trying for" in said
    assert "RUNSTONE_TIMEOUT" in said
    server.start()

    def answers() -> bool:
        with suppress(exceptions.Unavailable):
            return client.get_run("a").info.run_name == "n"
        return False

    wait_until(answers, 20, "the server found again")
    assert caplog.records[-1].getMessage() == f"{server.uri} answers again"
    assert len(caplog.records) == 2


def test_an_address_where_nobody_is_fails_soon(free_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(exceptions.Unavailable, match=f"no Runstone server .*:{free_port}"):
        Client(f"runstone://127.0.0.1:{free_port}").get_run("a")
    assert time.monotonic() - started < 15


def test_a_server_that_comes_back_is_found_by_the_call_under_way(server: Any) -> None:
    server.answers["GetRun"] = run_answer
    client = Client(server.uri)
    client.get_run("a")
    server.stop()
    found: list[Any] = []
    caller = threading.Thread(target=lambda: found.append(client.get_run("b")))
    caller.start()
    server.start()
    caller.join(20)
    assert found[0].info.run_id == "b"


def test_only_idempotent_calls_are_repeated(server: Any) -> None:
    server.answers["GetRun"] = run_answer
    client = Client(server.uri, timeout=3)
    client.get_run("a")

    def away(request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.UNAVAILABLE, "away")

    server.answers["DeleteRunTags"] = away
    with pytest.raises(exceptions.Unavailable):
        client.delete_tag("a", "key")
    assert len(server.named("DeleteRunTags")) == 1
    server.answers["DeleteRun"] = away
    with pytest.raises(exceptions.Unavailable):
        client.delete_run("a")
    assert len(server.named("DeleteRun")) > 1


def test_an_overloaded_server_is_asked_again_when_it_says(server: Any, refuse: Any) -> None:
    busy = refuse("RESOURCE_EXHAUSTED", "OVERLOADED", retry_after=0.3)
    times: list[float] = []

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        times.append(time.monotonic())
        if len(times) < 3:
            busy(request, context)
        return run_pb2.DeleteRunTagsResponse()

    # Not idempotent, and repeated all the same: an overloaded server did nothing.
    server.answers["DeleteRunTags"] = answer
    Client(server.uri).delete_tag("a", "key")
    assert len(times) == 3
    assert min(times[1] - times[0], times[2] - times[1]) >= 0.3
    server.answers["DeleteRunTags"] = refuse(
        "RESOURCE_EXHAUSTED", "OVERLOADED", "no place", retry_after=9
    )
    began = time.monotonic()
    with pytest.raises(exceptions.ResourceExhausted, match=r"no place \(tried for .* s;") as full:
        Client(server.uri, timeout=5).delete_tag("a", "key")
    assert full.value.retry_after == 9
    assert time.monotonic() - began < 4


def test_a_full_house_is_not_waited_for_as_long_as_a_transfer_may_take(
    server: Any, refuse: Any
) -> None:
    server.answers["GetMetricHistory"] = refuse("RESOURCE_EXHAUSTED", "OVERLOADED", retry_after=0.2)
    began = time.monotonic()
    with pytest.raises(exceptions.Overloaded):
        Client(server.uri, timeout=1).get_metric_history("a", "loss")
    assert time.monotonic() - began < 5


def test_a_full_disk_is_told_at_once(server: Any, refuse: Any) -> None:
    server.answers["GetRun"] = refuse("RESOURCE_EXHAUSTED", "STORAGE_FULL", retry_after=0.1)
    with pytest.raises(exceptions.ResourceExhausted):
        Client(server.uri).get_run("a")
    assert len(server.named("GetRun")) == 1


def test_a_repeated_create_keeps_its_request_id(server: Any) -> None:
    attempts: list[str] = []

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        attempts.append(request.request_id)
        if len(attempts) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        return run_pb2.CreateRunResponse(run=run_pb2.Run(run_id="a"))

    server.answers["CreateRun"] = answer
    assert Client(server.uri).create_run("0").info.run_id == "a"
    assert len(attempts) == 3
    assert len(set(attempts)) == 1
    assert len(attempts[0]) == 32


def test_a_failed_batch_keeps_its_number_and_no_other_batch_gets_it(server: Any) -> None:
    batches: list[tuple[int, float]] = []
    writers: list[str] = []

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        batches.append((request.sequence, request.series[0].values[0]))
        writers.append(request.writer_id)
        if len(batches) == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if request.series[0].values[0] == 2.0:
            context.abort(grpc.StatusCode.INTERNAL, "broken")
        return metric_pb2.AppendMetricsResponse()

    server.answers["AppendMetrics"] = answer
    client = Client(server.uri)
    client.log_metric("batches-run", "loss", 1.0)
    with pytest.raises(exceptions.InternalError):
        client.log_metric("batches-run", "loss", 2.0)
    client.log_metric("batches-run", "loss", 3.0)
    # The third call's writer may have written or not: the fourth call has another one.
    assert batches == [(1, 1.0), (1, 1.0), (2, 2.0), (1, 3.0)]
    assert writers[0] == writers[1] == writers[2] != writers[3]


def test_a_stream_is_repeated_only_before_its_first_message(server: Any) -> None:
    attempts = 0

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        yield metric_pb2.GetMetricHistoryResponse(steps=[1], timestamps_ms=[2], values=[3])
        if request.key == "breaks":
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")

    server.answers["GetRun"] = run_answer
    server.answers["GetMetricHistory"] = answer
    client = Client(server.uri)
    client.get_run("a")
    points = client.get_metric_history("a", "whole")
    assert [(p.key, p.step, p.timestamp, p.value) for p in points] == [("whole", 1, 2, 3.0)]
    assert attempts == 2
    with pytest.raises(exceptions.Unavailable):
        list(client._tracking.GetMetricHistory(metric_pb2.GetMetricHistoryRequest(key="breaks")))
    assert attempts == 3


def test_a_history_begins_anew_when_its_stream_breaks(server: Any) -> None:
    attempts = 0

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        nonlocal attempts
        attempts += 1
        yield metric_pb2.GetMetricHistoryResponse(steps=[1], timestamps_ms=[1], values=[attempts])
        if attempts < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        yield metric_pb2.GetMetricHistoryResponse(steps=[2], timestamps_ms=[2], values=[attempts])

    server.answers["GetMetricHistory"] = answer
    points = Client(server.uri).get_metric_history("a", "loss")
    assert [(p.step, p.value) for p in points] == [(1, 3.0), (2, 3.0)]


def test_a_clients_timeout_is_not_for_transfers(server: Any) -> None:
    remaining: list[float] = []

    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        remaining.append(context.time_remaining())
        whole = artifact_pb2.Artifact(sha256=hashlib.sha256(b"abc").hexdigest(), size=3)
        yield artifact_pb2.DownloadArtifactResponse(
            artifact=whole, data=b"abc", crc32=zlib.crc32(b"abc")
        )

    server.answers["DownloadArtifact"] = answer
    client = Client(server.uri, timeout=1)
    assert b"".join(client.download_artifact("a", "file")) == b"abc"
    assert remaining[0] > 80000
    list(client._artifact.DownloadArtifact(artifact_pb2.DownloadArtifactRequest(), timeout=5))
    assert remaining[1] < 6


def test_a_transfer_does_not_wait_a_day_for_a_server(server: Any) -> None:
    def away(request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.UNAVAILABLE, "away")

    server.answers["DownloadArtifact"] = away
    client = Client(server.uri, timeout=0.5)
    client._connections[0].reached()
    with pytest.raises(exceptions.Unavailable):
        list(client.download_artifact("a", "file"))
    assert len(server.named("DownloadArtifact")) > 1


def test_clients_of_one_place_share_a_channel(server: Any) -> None:
    server.answers["GetRun"] = run_answer
    for _ in range(3):
        Client(server.uri).get_run("a")
    address = Address(f"127.0.0.1:{server.port}")
    assert len([key for key in pool._open if key[1] == address]) == 1
    client = Client(server.uri)
    client.get_run("a")
    client.close()
    assert not [key for key in pool._open if key[1] == address]
    client.get_run("a")


def test_unknown_methods_are_attribute_errors(server: Any) -> None:
    proxy = Connection(Remote("127.0.0.1", server.port)).service("tracking")
    with pytest.raises(AttributeError, match="no method Nothing"):
        _ = proxy.Nothing
