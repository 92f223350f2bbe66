"""A server of ProbeService in this process, and what its answers are looked at with."""

import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from prometheus_client import REGISTRY, generate_latest

from runstone_kit.server import Running, ServerSpec, start
from support import probe


class Probe:
    """A server with its caller, and a database that can go away."""

    def __init__(self, **changes: Any) -> None:
        self.trouble: Exception | None = None
        self.closed = threading.Event()
        service = changes.pop("service", probe.PROBE)
        deserializer = changes.pop("deserializer", StringValue.FromString)
        watches = changes.pop("watches", ())
        self.stopping = threading.Event()

        def ready() -> None:
            if self.trouble is not None:
                raise self.trouble

        spec: dict[str, Any] = {
            "name": "probe",
            "build": lambda: [
                probe.parts(
                    service,
                    deserializer=deserializer,
                    readiness={"database": ready},
                    close=self.closed.set,
                    stopping=self.stopping.set,
                    watches=watches,
                )
            ],
            "addresses": ["127.0.0.1:0"],
            "readiness_interval_s": 0.02,
            "default_deadline_s": 30.0,
        }
        self.running: Running = start(ServerSpec(**(spec | changes)))
        self.target = f"127.0.0.1:{self.running.port}"
        self.caller = probe.Caller(self.target)

    def health(self, service: str = "") -> int:
        stub = health_pb2_grpc.HealthStub(self.caller.channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        return int(answer.status)

    def metrics(self) -> str:
        return generate_latest(REGISTRY).decode()

    def close(self) -> None:
        self.running.stop(grace_s=0)
        self.caller.close()


def refused(call: Callable[[], object]) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def details(error: Any, kind: Any) -> Any:
    """The one detail of a kind in an error's status."""
    status = rpc_status.from_call(error)
    assert status is not None
    found = []
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            found.append(detail)
    assert len(found) == 1, status
    return found[0]


def each_kind(server: Probe, word: str, **options: Any) -> dict[str, Callable[[], object]]:
    request = StringValue(value=word)
    caller, options = server.caller, {"timeout": 10} | options
    return {
        "Unary": lambda: caller.unary(request, **options),
        "ServerStream": lambda: list(caller.server_stream(request, **options)),
        "ClientStream": lambda: caller.client_stream(iter([request]), **options),
        "BidiStream": lambda: list(caller.bidi_stream(iter([request]), **options)),
    }
