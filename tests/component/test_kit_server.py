"""The kit's server over real gRPC: what every service may rely on."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runstone_kit import peers
from runstone_kit.context import RequestContext, use
from runstone_kit.errors import FailedPrecondition, Unavailable
from runstone_kit.server import (
    MAX_RECEIVE_BYTES,
    ServerSpec,
    ServiceParts,
    StartError,
    serve,
    start,
)
from support import probe
from support.probe import handled, page
from support.probe_server import Probe, details, each_kind, refused
from support.processes import free_port, wait_until


@pytest.fixture
def server() -> Iterator[Probe]:
    with contextlib.closing(Probe()) as made:
        yield made


def trailing(call: Any) -> dict[str, str]:
    return {key: value for key, value in call.trailing_metadata() if isinstance(value, str)}


def test_all_four_kinds_of_call_pass(server: Probe) -> None:
    for call in each_kind(server, "hello").values():
        assert call() is not None


@pytest.mark.parametrize("kind", ["Unary", "ServerStream", "ClientStream", "BidiStream"])
def test_a_domain_error_keeps_its_code_reason_and_metadata(server: Probe, kind: str) -> None:
    error = refused(each_kind(server, "not-found:x7")[kind])
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "no thing x7"
    info = details(error, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("THING_NOT_FOUND", "probe.runstone")
    assert dict(info.metadata) == {"name": "x7"}
    assert trailing(error)["x-request-id"]


def test_probes_are_told_version_clock_and_each_check(server: Probe) -> None:
    before = time.time()
    ask = health_pb2_grpc.HealthStub(server.caller.channel).Check.with_call
    for name in ("", probe.PROBE, f"{probe.PROBE}/database"):
        answer, call = ask(health_pb2.HealthCheckRequest(service=name), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        told = trailing(call)
        assert told["x-runstone-version"] == metadata.version("runstone-server")
        assert before - 0.001 <= int(told["x-runstone-time-us"]) / 1e6 <= time.time() + 0.001
        assert told["x-request-id"]
    # Other calls are as small as they were.
    _, call = server.caller.channel.unary_unary(f"/{probe.PROBE}/Unary").with_call(b"", timeout=10)
    assert set(trailing(call)) == {"x-request-id"}


def test_field_violations_name_each_field(server: Probe) -> None:
    error = refused(lambda: server.caller.say("invalid:3"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(error, error_details_pb2.ErrorInfo).reason == "INVALID_FIELD"
    found = details(error, error_details_pb2.BadRequest).field_violations
    assert [violation.field for violation in found] == [f"items[{n}].key" for n in range(3)]


def test_thousands_of_violations_still_fit_the_headers(server: Probe) -> None:
    error = refused(lambda: server.caller.say("invalid:5000"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "and 4999 more" in error.details()
    assert details(error, error_details_pb2.BadRequest).field_violations[0].field == "items[0].key"


def test_a_wait_is_told(server: Probe) -> None:
    error = refused(lambda: server.caller.say("busy"))
    delay = details(error, error_details_pb2.RetryInfo).retry_delay
    assert delay.ToMilliseconds() == 1500


@pytest.mark.parametrize("kind", ["Unary", "ServerStream", "ClientStream", "BidiStream"])
def test_an_unforeseen_error_tells_its_request_id_and_no_text(
    server: Probe, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = refused(each_kind(server, "crash:sesame")[kind])
    assert error.code() is grpc.StatusCode.INTERNAL
    request_id = trailing(error)["x-request-id"]
    assert error.details() == f"internal error; request id {request_id}"
    info = details(error, error_details_pb2.ErrorInfo)
    assert (info.reason, dict(info.metadata)) == ("UNFORESEEN", {"request_id": request_id})
    assert "sesame" not in str(error)


def test_an_abort_by_hand_passes_as_it_is(server: Probe) -> None:
    error = refused(lambda: server.caller.say("abort"))
    assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "by hand")


def test_bytes_that_are_no_message_are_refused_not_internal(server: Probe) -> None:
    for path, raw in (("Unary", b"\x0a\x02\xff\xfe"), ("Unary", b"\x0a\xff")):
        call = server.caller.channel.unary_unary(f"/{probe.PROBE}/{path}")
        error = refused(lambda call=call, raw=raw: call(raw, timeout=10))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert details(error, error_details_pb2.BadRequest).field_violations[0].field == "request"
    stream = server.caller.channel.stream_unary(f"/{probe.PROBE}/ClientStream")
    error = refused(lambda: stream(iter([b"\x0a\x02\xff\xfe"]), timeout=10))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_handlers_own_deserializer_is_used() -> None:
    def shout(raw: bytes) -> StringValue:
        return StringValue(value=StringValue.FromString(raw).value.upper())

    with contextlib.closing(Probe(deserializer=shout)) as server:
        assert server.caller.say("hello") == "HELLO"


def test_an_oversize_request_is_refused_and_the_server_lives(server: Probe) -> None:
    error = refused(lambda: server.caller.say("length:" + "x" * MAX_RECEIVE_BYTES))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    most = MAX_RECEIVE_BYTES - 1024
    assert server.caller.say("length:" + "x" * most) == str(most)


def test_the_request_id_is_the_callers_or_a_new_one(server: Probe) -> None:
    mine = (("x-request-id", "mine-1"),)
    answer, call = server.caller.unary.with_call(
        StringValue(value="request-id"), metadata=mine, timeout=10
    )
    assert answer.value == trailing(call)["x-request-id"] == "mine-1"
    for bad in ("", "with blank", "x" * 129):
        answer, call = server.caller.unary.with_call(
            StringValue(value="request-id"), metadata=(("x-request-id", bad),), timeout=10
        )
        assert answer.value == trailing(call)["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", answer.value)


def test_the_actor_is_the_claimed_name(server: Probe) -> None:
    for sent, seen in (("ada", "ada"), ("Zo%C3%AB%0A", "Zoë"), ("x" * 256, "x" * 256)):
        assert server.caller.say("actor", metadata=(("x-runstone-user", sent),)) == seen
    assert server.caller.say("actor") == ""


def test_an_actor_that_is_too_long_is_refused_and_not_cut(server: Probe) -> None:
    metadata = (("x-runstone-user", "%C3%AB" * 257),)
    for call in each_kind(server, "actor", metadata=metadata).values():
        error = refused(call)
        assert details(error, error_details_pb2.ErrorInfo).reason == "INVALID_FIELD"
        wrong = details(error, error_details_pb2.BadRequest).field_violations[0]
        assert wrong.field == "x-runstone-user"
        assert wrong.description == "must have at most 256 characters"


def test_a_call_without_deadline_gets_the_default_one(server: Probe) -> None:
    remaining = float(server.caller.unary(StringValue(value="remaining")).value)
    assert 0 < remaining <= 30
    # gRPC rounds the caller's ten seconds up a little on the wire.
    assert 0 < float(server.caller.say("remaining")) < 12


def test_work_whose_caller_gave_up_in_the_queue_is_not_begun() -> None:
    with contextlib.closing(Probe(max_threads=1)) as server:
        crashes = handled(server.metrics(), "Unary", "INTERNAL")
        probe.sleeping.clear()
        slow = server.caller.unary.future(StringValue(value="sleep:0.3"), timeout=10)
        # Two calls on a channel that is still connecting may arrive in any order.
        assert probe.sleeping.wait(10)
        error = refused(lambda: server.caller.unary(StringValue(value="crash:x"), timeout=0.05))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        slow.result()
        # One thread: when the next call is answered, the given-up one has had its turn.
        server.caller.say("hello")
        assert handled(server.metrics(), "Unary", "INTERNAL") == crashes


def test_streams_leave_half_of_the_threads_to_other_calls() -> None:
    with contextlib.closing(Probe(max_threads=4)) as server:
        end = threading.Event()

        def requests() -> Iterator[StringValue]:
            yield StringValue(value="open")
            end.wait(30)

        held = [server.caller.bidi_stream(requests()) for _ in range(2)]
        for call in held:
            assert next(call).value == "open"
        kinds = each_kind(server, "hello")
        for name in ("ServerStream", "ClientStream", "BidiStream"):
            error = refused(kinds[name])
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert details(error, error_details_pb2.ErrorInfo).reason == "OVERLOADED"
            assert details(error, error_details_pb2.RetryInfo).retry_delay.nanos > 0
        assert server.caller.say("hello") == "hello"
        held[0].cancel()
        end.set()
        assert list(held[1]) == []
        wait_until(lambda: _succeeds(kinds["ServerStream"]), 10, "a place for a stream")


def test_watches_have_threads_and_places_of_their_own() -> None:
    with contextlib.closing(Probe(max_threads=1, max_watches=3, watches=["BidiStream"])) as server:
        end = threading.Event()

        def requests() -> Iterator[StringValue]:
            yield StringValue(value="open")
            end.wait(30)

        held = [server.caller.bidi_stream(requests()) for _ in range(3)]
        for call in held:
            assert next(call).value == "open"
        kinds = each_kind(server, "hello")
        error = refused(kinds["BidiStream"])
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details(error, error_details_pb2.ErrorInfo).reason == "OVERLOADED"
        for name in ("Unary", "ServerStream", "ClientStream"):
            assert kinds[name]() is not None
        held[0].cancel()
        wait_until(lambda: _succeeds(kinds["BidiStream"]), 10, "a place for a watch")
        end.set()


def test_parts_hear_of_the_end_before_the_grace_of_the_calls() -> None:
    server = Probe()
    end = threading.Event()

    def requests() -> Iterator[StringValue]:
        yield StringValue(value="open")
        end.wait(30)

    call = server.caller.bidi_stream(requests())
    assert next(call).value == "open"
    stop = threading.Thread(target=server.running.stop, kwargs={"grace_s": 20})
    stop.start()
    assert server.stopping.wait(10)
    assert not server.closed.is_set()
    end.set()
    assert list(call) == []
    stop.join()
    assert server.closed.is_set()
    server.close()


def _succeeds(call: Callable[[], object]) -> bool:
    try:
        call()
    except grpc.RpcError:
        return False
    return True


def test_refused_calls_are_counted_under_their_code(server: Probe) -> None:
    def counts() -> dict[str, float]:
        text = server.metrics()
        return {
            code: handled(text, "Unary", code)
            for code in ("OK", "NOT_FOUND", "INVALID_ARGUMENT", "INTERNAL")
        } | {"UNIMPLEMENTED": handled(text, "unknown", "UNIMPLEMENTED")}

    before = counts()
    server.caller.say("hello")
    for word in ("not-found:x", "invalid:1", "crash:x"):
        refused(lambda word=word: server.caller.say(word))
    for name in ("Nothing", "Else"):
        missing = server.caller.channel.unary_unary(f"/{probe.PROBE}/{name}")
        error = refused(lambda missing=missing: missing(b"", timeout=10))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    expected = {code: count + 1 for code, count in before.items()}
    expected["UNIMPLEMENTED"] += 1
    # The trailers may reach the caller before the server has counted.
    wait_until(lambda: counts() == expected)
    text = server.metrics()
    assert "Nothing" not in text
    assert 'grpc_server_handling_seconds_bucket{grpc_method="Unary"' in text
    assert 'grpc_server_started_total{grpc_method="Unary"' in text


def test_messages_of_streams_are_counted(server: Probe) -> None:
    def count(name: str) -> float:
        pattern = rf'^grpc_server_{name}_total\{{grpc_method="BidiStream".*\}} (.*)$'
        found = re.search(pattern, server.metrics(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    before = (count("msg_received"), count("msg_sent"))
    words = [StringValue(value=str(number)) for number in range(5)]
    assert len(list(server.caller.bidi_stream(iter(words), timeout=10))) == 5
    wait_until(lambda: (count("msg_received"), count("msg_sent")) == (before[0] + 5, before[1] + 5))


def test_a_cancelled_stream_is_counted_and_the_server_idle_again(server: Probe) -> None:
    # gRPC may end the requests of a cancelled call before it says that it was cancelled, and
    # then a handler ends well.
    codes = ("CANCELLED", "UNKNOWN", "OK")

    def counted() -> float:
        text = server.metrics()
        return sum(handled(text, "BidiStream", code) for code in codes)

    before = counted()
    gate = threading.Event()

    def endless() -> Iterator[StringValue]:
        yield StringValue(value="one")
        gate.wait(10)

    call = server.caller.bidi_stream(endless(), timeout=10)
    assert next(call).value == "one"
    assert server.running.activity.idle_s() == 0
    call.cancel()
    wait_until(lambda: server.running.activity.idle_s() > 0)
    gate.set()
    assert counted() == before + 1


def test_every_call_leaves_one_line_with_its_code(capfd: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(Probe()) as server:
        capfd.readouterr()
        metadata = (("x-request-id", "line-1"), ("x-runstone-user", "ada"))
        refused(lambda: server.caller.say('not-found:"\n', metadata=metadata))
        server.health()
        lines: list[str] = []

        def logged() -> bool:
            lines.extend(line for line in capfd.readouterr().err.splitlines() if '"rpc"' in line)
            return bool(lines)

        wait_until(logged)
    [line] = [json.loads(line) for line in lines]
    assert line["method"] == f"/{probe.PROBE}/Unary"
    assert (line["code"], line["request_id"], line["actor"]) == ("NOT_FOUND", "line-1", "ada")
    assert line["message"] == 'no thing "\n'
    assert line["ms"] > 0


def test_health_follows_the_readiness_checks(server: Probe) -> None:
    serving = health_pb2.HealthCheckResponse.SERVING
    assert server.health() == server.health(probe.PROBE) == serving
    server.trouble = OSError("the database is away")
    not_serving = health_pb2.HealthCheckResponse.NOT_SERVING
    wait_until(lambda: server.health() == server.health(probe.PROBE) == not_serving)
    server.trouble = None
    wait_until(lambda: server.health() == server.health(probe.PROBE) == serving)
    error = refused(lambda: server.health("no.such.Service"))
    assert error.code() is grpc.StatusCode.NOT_FOUND


def test_health_can_be_watched(server: Probe) -> None:
    stub = health_pb2_grpc.HealthStub(server.caller.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=probe.PROBE), timeout=10)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    server.trouble = OSError("away")
    seen = next(answer.status for answer in watch if answer.status != 1)
    assert seen == health_pb2.HealthCheckResponse.NOT_SERVING
    watch.cancel()


def test_health_answers_while_every_thread_is_busy() -> None:
    with contextlib.closing(Probe(max_threads=1)) as server:
        slow = server.caller.unary.future(StringValue(value="sleep:0.5"), timeout=10)
        wait_until(lambda: server.running.activity.idle_s() == 0)
        assert server.health() == health_pb2.HealthCheckResponse.SERVING
        assert not slow.done()
        slow.result()


def test_an_rpc_without_rule_stops_the_start() -> None:
    closed = threading.Event()
    with pytest.raises(StartError, match=r"no permission rule for /probe.v1.BareService/"):
        start(
            ServerSpec(
                name="bare",
                build=lambda: [probe.parts(probe.BARE, close=closed.set)],
                addresses=["127.0.0.1:0"],
            )
        )
    assert closed.is_set()


def test_a_taken_port_is_a_clear_error(server: Probe) -> None:
    with pytest.raises(StartError, match=re.escape(server.target)):
        Probe(addresses=[server.target])


def test_metrics_have_a_page_and_port_of_their_own() -> None:
    with contextlib.closing(Probe(metrics_address=("127.0.0.1", 0))) as server:
        server.caller.say("hello")
        wait_until(lambda: handled(page(server.running.metrics_port), "Unary", "OK") >= 1)
        with pytest.raises(StartError, match="metrics"):
            Probe(metrics_address=("127.0.0.1", server.running.metrics_port))


def test_parts_that_cannot_be_built_say_why() -> None:
    def outdated() -> list[ServiceParts]:
        raise FailedPrecondition("run `runstone db upgrade`", reason="SCHEMA_OUTDATED")

    with pytest.raises(StartError, match="db upgrade"):
        start(ServerSpec(name="probe", build=outdated, addresses=["127.0.0.1:0"]))


def test_a_database_that_is_not_up_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstone_kit.server.START_RETRY_S", 0.01)
    tries: list[int] = []

    def build() -> list[ServiceParts]:
        tries.append(1)
        if len(tries) < 3:
            raise Unavailable("not up yet", reason="DATABASE_UNAVAILABLE")
        return [probe.parts()]

    stop = threading.Event()
    spec = ServerSpec(name="probe", build=build, addresses=["127.0.0.1:0"])
    assert serve(spec, stop=stop, on_started=lambda _running: stop.set()) == 0
    assert len(tries) == 3


def test_reflection_is_a_setting() -> None:
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    for served in (True, False):
        with contextlib.closing(Probe(reflection=served)) as server:
            call = server.caller.channel.stream_stream(path)
            # Field 7 of the request: list_services.
            if served:
                [answer] = list(call(iter([b"\x3a\x00"]), timeout=10))
                assert probe.PROBE.encode() in answer
            else:
                error = refused(lambda call=call: list(call(iter([b"\x3a\x00"]), timeout=10)))
                assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_unix_socket_is_an_address(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 's'}"
    with (
        contextlib.closing(Probe(addresses=["127.0.0.1:0", address])),
        contextlib.closing(probe.Caller(address)) as caller,
    ):
        assert caller.say("hello") == "hello"


def test_stop_lets_calls_end_and_closes_the_parts(server: Probe) -> None:
    slow = server.caller.unary.future(StringValue(value="sleep:0.3"), timeout=10)
    wait_until(lambda: server.running.activity.idle_s() == 0)
    server.running.stop(grace_s=10)
    assert slow.result().value == "sleep:0.3"
    assert server.closed.is_set()
    error = refused(lambda: server.caller.say("hello"))
    assert error.code() is grpc.StatusCode.UNAVAILABLE


def test_a_peer_gets_request_id_actor_and_deadline(server: Probe) -> None:
    with contextlib.closing(peers.channel(server.target)) as channel:
        call: Any = channel.unary_unary(
            f"/{probe.PROBE}/Unary",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=StringValue.FromString,
        )
        with use(RequestContext("r-1", "Zoë A", "/x", time.monotonic() + 5)):
            said = [
                call(StringValue(value=word)).value for word in ("request-id", "actor", "remaining")
            ]
            failed = peers.failure(refused(lambda: call(StringValue(value="not-found:x"))))
        assert said[:2] == ["r-1", "Zoë A"]
        assert 0 < float(said[2]) <= 5
        assert (failed.code, failed.reason, failed.is_away) == (
            "NOT_FOUND",
            "THING_NOT_FOUND",
            False,
        )
    with contextlib.closing(peers.channel(f"127.0.0.1:{free_port()}")) as nowhere:
        gone = nowhere.unary_unary("/a/b")
        assert peers.failure(refused(lambda: gone(b"", timeout=1))).is_away
