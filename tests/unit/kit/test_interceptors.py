"""The layers one by one, with a context that only remembers."""

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from prometheus_client import CollectorRegistry

from runstone_kit import errors, logs
from runstone_kit.context import RequestContext, current, use
from runstone_kit.interceptors import Chain, Layer, Method
from runstone_kit.interceptors.deadline import DeadlineLayer
from runstone_kit.interceptors.error_mapping import status_of_any
from runstone_kit.interceptors.metrics import MetricsLayer, RpcMetrics
from runstone_kit.interceptors.permission import PermissionLayer, paths_without_rule, rule_of
from runstone_kit.interceptors.request_context import read_actor
from runstone_kit.peers import PeerFailure, failure, refusal
from support import probe

UNARY = Method("/a.B/C", False, False)
STREAM = Method("/a.B/C", False, True)


class Context:
    def __init__(self) -> None:
        self.set: Any = None

    def code(self) -> Any:
        return self.set


class Order:
    """A layer that writes down when it was entered."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self.name = name
        self.seen = seen

    def wrap(self, method: Method, call: Any) -> Any:
        self.seen.append(f"wrap {self.name}")

        def wrapped(request: Any, context: Any) -> Any:
            self.seen.append(self.name)
            return call(request, context)

        return wrapped


class Details:
    method = "/a.B/C"
    invocation_metadata = ()


def intercept(chain: Chain, handler: Any) -> Any:
    return chain.intercept_service(lambda _details: handler, Details())  # type: ignore[arg-type]


def test_layers_are_composed_once_and_entered_in_order() -> None:
    seen: list[str] = []
    layers: list[Layer] = [Order("outer", seen), Order("inner", seen)]
    chain = Chain(layers)
    seen.clear()
    handler = grpc.unary_unary_rpc_method_handler(lambda request, _context: request)
    for _ in range(2):
        assert intercept(chain, handler).unary_unary(7, None) == 7
    assert seen == ["wrap inner", "wrap outer", "outer", "inner", "outer", "inner"]


def test_the_response_serializer_stays_and_the_deserializer_moves_inside() -> None:
    handler = grpc.unary_unary_rpc_method_handler(
        lambda request, _context: request,
        request_deserializer=lambda raw: raw.decode(),
        response_serializer=str.encode,
    )
    wrapped = intercept(Chain([]), handler)
    assert wrapped.request_deserializer is None
    assert wrapped.response_serializer is handler.response_serializer
    assert wrapped.unary_unary(b"abc", None) == "abc"
    with pytest.raises(errors.InvalidArgument):
        wrapped.unary_unary(b"\xff", None)


def test_a_defect_in_a_deserializer_is_not_the_callers() -> None:
    def broken(_raw: bytes) -> Any:
        raise KeyError

    handler = grpc.unary_unary_rpc_method_handler(lambda request, _: request, broken)
    with pytest.raises(KeyError):
        intercept(Chain([]), handler).unary_unary(b"", None)


def test_handlers_that_do_not_block_pass_unwrapped() -> None:
    def watch(_request: Any, _context: Any) -> Iterator[Any]:
        yield from ()

    watch.experimental_non_blocking = True  # type: ignore[attr-defined]
    handler = grpc.unary_stream_rpc_method_handler(watch)
    assert intercept(Chain([Order("x", [])]), handler) is handler


def test_unknown_methods_do_not_fill_the_memory() -> None:
    chain = Chain([])
    assert intercept(chain, None) is intercept(chain, None)
    assert not chain._handlers


@pytest.mark.parametrize("kind", [UNARY, STREAM])
def test_an_rpc_without_rule_is_refused(kind: Method) -> None:
    call = PermissionLayer().wrap(
        Method(f"/{probe.BARE}/Unary", False, kind.response_streaming), lambda *_: ["in"]
    )
    with pytest.raises(errors.PermissionDenied) as caught:
        list(call(None, None))  # type: ignore[arg-type]
    assert caught.value.reason == "PERMISSION_RULE_MISSING"


def test_a_rule_or_the_allow_list_lets_a_call_in() -> None:
    def call(_request: Any, _context: Any) -> str:
        return "in"

    for path in (f"/{probe.PROBE}/Unary", "/grpc.health.v1.Health/Check"):
        assert PermissionLayer().wrap(Method(path, False, False), call) is call
    rule = rule_of(f"/{probe.PROBE}/Unary")
    assert rule is not None
    assert rule.resource == "run"
    missing = paths_without_rule([f"/{probe.PROBE}/Unary", f"/{probe.BARE}/Unary", "/no.S/M"])
    assert missing == ["/no.S/M", f"/{probe.BARE}/Unary"]


def test_no_work_is_begun_after_the_deadline() -> None:
    call = DeadlineLayer().wrap(UNARY, lambda *_: "in")
    assert call(None, None) == "in"  # type: ignore[arg-type]
    with use(RequestContext(deadline=0.0)), pytest.raises(errors.DeadlineExceeded):
        call(None, None)  # type: ignore[arg-type]


def test_a_stream_ends_at_the_first_message_after_the_deadline() -> None:
    def call(_request: Any, _context: Any) -> Iterator[int]:
        yield from range(10)

    stream = DeadlineLayer().wrap(STREAM, call)(None, None)  # type: ignore[arg-type]
    assert next(stream) == 0
    with use(RequestContext(deadline=0.0)), pytest.raises(errors.DeadlineExceeded):
        next(stream)


def test_outcomes_are_counted_by_code() -> None:
    registry = CollectorRegistry()
    layer = MetricsLayer(RpcMetrics(registry))
    context: Any = Context()
    answers: list[Any] = ["fine", grpc.RpcError(), Exception()]

    def call(_request: Any, _context: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    counted = layer.wrap(UNARY, call)
    assert counted(None, context) == "fine"
    with pytest.raises(grpc.RpcError):
        counted(None, context)
    context.set = grpc.StatusCode.NOT_FOUND
    with pytest.raises(Exception):  # noqa: B017 - what context.abort raises
        counted(None, context)
    labels = {"grpc_type": "unary", "grpc_service": "a.B", "grpc_method": "C"}
    for code in ("OK", "CANCELLED", "NOT_FOUND"):
        value = registry.get_sample_value("grpc_server_handled_total", labels | {"grpc_code": code})
        assert value == 1, code
    assert registry.get_sample_value("grpc_server_started_total", labels) == 3
    assert registry.get_sample_value("grpc_server_handling_seconds_count", labels) == 3


@pytest.mark.parametrize(
    ("sent", "seen"),
    [("ada", "ada"), ("a%20b", "a b"), ("%00%0a\n", ""), ("%ff", "\ufffd"), ("%", "%")],
)
def test_the_actor_is_one_printable_line(sent: str, seen: str) -> None:
    assert read_actor(sent) == seen


def test_outside_a_call_the_context_is_empty() -> None:
    assert current() == RequestContext()
    assert current().remaining() is None
    with use(RequestContext("r", "ada")):
        assert current().actor == "ada"
    assert current().actor == ""


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_access_line_is_one_line_whatever_it_quotes(form: Any) -> None:
    lines: list[str] = []
    write = logs.access_writer("probe", form, lines.append)
    write("/a.B/C", "NOT_FOUND", 1.5, 'r"1', "Zoë", 'no "thing"\nhere')
    [line] = lines
    assert line.count("\n") == 1
    if form == "json":
        assert json.loads(line)["message"] == 'no "thing"\nhere'
        assert json.loads(line)["request_id"] == 'r"1'


def test_a_full_disk_behind_the_log_does_not_fail_a_call() -> None:
    def full(_line: str) -> None:
        raise OSError(28, "No space left on device")

    logs.access_writer("probe", "json", full)("/a.B/C", "OK", 1.0, "r", "", "")


def test_strings_that_are_not_utf8_are_the_callers_mistake() -> None:
    handler = grpc.unary_unary_rpc_method_handler(
        lambda request, _context: request, request_deserializer=StringValue.FromString
    )
    with pytest.raises(errors.InvalidArgument, match="UTF-8"):
        intercept(Chain([]), handler).unary_unary(b"\x0a\x02\xff\xfe", None)


def test_the_status_of_what_is_unforeseen_has_the_request_id_and_no_text() -> None:
    with use(RequestContext(request_id="r")):
        status = status_of_any(ValueError("sesame"), "a.runstone")
    assert failure(refusal(status.SerializeToString())) == PeerFailure(
        "INTERNAL", "internal error; request id r", "UNFORESEEN", "a.runstone", {"request_id": "r"}
    )


def test_a_status_that_is_told_beside_others_is_read_as_that_of_a_call() -> None:
    status = status_of_any(errors.invalid_field("f", "must be there"), "a.runstone")
    found = failure(refusal(status.SerializeToString()))
    assert (found.code, found.reason, found.field) == ("INVALID_ARGUMENT", "INVALID_FIELD", "f")
