"""A server made of functions, and a client that knows nothing of the machine it runs on."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, message_factory
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from runstone._fluent import _runs, _state
from support.fluent import abandon_journals

Answer = Callable[[Any, grpc.ServicerContext], Any]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No RUNSTONE_ variable, an empty working folder, nothing left of another test."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("RUNSTONE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    _state.reset()
    yield
    abandon_journals()
    _runs._open.clear()
    _runs._last = None
    _state.reset()
    for name in [name for name in os.environ if name not in before]:
        del os.environ[name]


_used_ports: set[int] = set()


class FakeServer:
    """The three services, answering what a test says: ``answers["GetRun"] = function``."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.calls: list[tuple[str, dict[str, str], Any]] = []
        self.pids: list[str] = []
        self._lock = threading.Lock()
        self._server: grpc.Server | None = None
        self.port = 0

    def start(self) -> None:
        while True:
            self._server = grpc.server(
                futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)]
            )
            port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
            # A connection that failed at an earlier test's server would fail here at once.
            if port == self.port or port not in _used_ports:
                break
            self._server.stop(None)
        self.port = port
        _used_ports.add(port)
        for name in ("tracking", "artifact", "registry"):
            module = importlib.import_module(f"runstone.{name}.v1.{name}_service_pb2")
            (service,) = module.DESCRIPTOR.services_by_name.values()
            handlers = {each.name: self._handler(each) for each in service.methods}
            generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
            self._server.add_generic_rpc_handlers((generic,))
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(0).wait()
            self._server = None

    @property
    def uri(self) -> str:
        return f"runstone://127.0.0.1:{self.port}"

    def named(self, method: str) -> list[tuple[str, dict[str, str], Any]]:
        return [call for call in self.calls if call[0] == method]

    def _handler(self, method: Any) -> grpc.RpcMethodHandler:
        request = message_factory.GetMessageClass(method.input_type)

        def answer(message: Any, context: grpc.ServicerContext) -> Any:
            metadata = {key: str(value) for key, value in context.invocation_metadata()}
            with self._lock:
                self.calls.append((method.name, metadata, message))
            if method.name not in self.answers:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, method.name)
            return self.answers[method.name](message, context)

        def answers(message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            yield from answer(message, context)

        def gathered(messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
            return answer(list(messages), context)

        serializers = {
            "request_deserializer": request.FromString,
            "response_serializer": lambda message: message.SerializeToString(),
        }
        if method.client_streaming:
            return grpc.stream_unary_rpc_method_handler(gathered, **serializers)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(answers, **serializers)
        return grpc.unary_unary_rpc_method_handler(answer, **serializers)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    fake.start()
    try:
        yield fake
    finally:
        fake.stop()


@pytest.fixture
def refuse() -> Callable[..., Answer]:
    """refuse("NOT_FOUND", "RUN_NOT_FOUND", …): an answer that fails as a service does."""

    def make(
        code: str,
        reason: str,
        message: str = "no",
        *,
        metadata: dict[str, str] | None = None,
        violations: list[tuple[str, str]] | None = None,
        retry_after: float | None = None,
    ) -> Answer:
        details = [
            error_details_pb2.ErrorInfo(
                reason=reason, domain="tracking.runstone", metadata=metadata or {}
            )
        ]
        if violations:
            bad = error_details_pb2.BadRequest()
            for field, description in violations:
                bad.field_violations.add(field=field, description=description)
            details.append(bad)
        if retry_after is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(int(retry_after * 1000))
            details.append(retry)
        status = status_pb2.Status(code=code_pb2.Code.Value(code), message=message)
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)

        def answer(_: Any, context: grpc.ServicerContext) -> Any:
            context.abort_with_status(rpc_status.to_status(status))

        return answer

    return make
