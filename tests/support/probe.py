"""A gRPC service made for testing the kit: every kind of call, every way to end one.

What a call does is said by its request, a StringValue: see `_act`. BareService has an RPC without
a permission rule. `python -m support.probe PORT [--workers N] [--metrics-port M] [--grace S]`
serves ProbeService until SIGTERM.
"""

import argparse
import os
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.wrappers_pb2 import StringValue

from runstone.auth.v1 import permission_pb2
from runstone_kit import context, errors, logs
from runstone_kit.server import ServerSpec, ServiceParts, serve

PROBE = "probe.v1.ProbeService"
BARE = "probe.v1.BareService"

_KINDS = {
    "Unary": (False, False),
    "ServerStream": (False, True),
    "ClientStream": (True, False),
    "BidiStream": (True, True),
}

sleeping = threading.Event()
"""Set when a call to sleep has begun in this process."""


class ThingNotFound(errors.NotFound):
    """As a service would declare it."""

    reason = "THING_NOT_FOUND"
    domain = "probe.runstone"

    def __init__(self, name: str) -> None:
        super().__init__(f"no thing {name}", metadata={"name": name})


def _declare() -> None:
    file = descriptor_pb2.FileDescriptorProto(
        name="probe/v1/probe.proto",
        package="probe.v1",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto", "runstone/auth/v1/permission.proto"],
    )
    for name in ("ProbeService", "BareService"):
        service = file.service.add(name=name)
        for method, (client_streaming, server_streaming) in _KINDS.items():
            declared = service.method.add(
                name=method,
                input_type=".google.protobuf.StringValue",
                output_type=".google.protobuf.StringValue",
                client_streaming=client_streaming,
                server_streaming=server_streaming,
            )
            if name == "ProbeService":
                rule = declared.options.Extensions[permission_pb2.permission]
                rule.resource = "run"
                rule.action = permission_pb2.ACTION_READ
    descriptor_pool.Default().Add(file)


_declare()


def _act(word: str, servicer_context: grpc.ServicerContext) -> str:
    """Does what the request says and returns what to answer."""
    about = context.current()
    command, _, argument = word.partition(":")
    if command == "not-found":
        raise ThingNotFound(argument)
    if command == "invalid":
        violations = errors.Violations()
        for number in range(int(argument)):
            violations.add(f"items[{number}].key", "must not be so long, " + "x" * 40)
        violations.raise_if_any()
    if command == "busy":
        raise errors.ResourceExhausted("try later", reason="OVERLOADED", retry_after=1.5)
    if command == "crash":
        raise RuntimeError(f"a secret: {argument}")
    if command == "abort":
        servicer_context.abort(grpc.StatusCode.DATA_LOSS, "by hand")
    if command == "sleep":
        sleeping.set()
        time.sleep(float(argument))
    answers: dict[str, Callable[[], str]] = {
        "request-id": lambda: about.request_id,
        "actor": lambda: about.actor,
        "remaining": lambda: str(about.remaining()),
        "pid": lambda: str(os.getpid()),
        "length": lambda: str(len(argument)),
    }
    return answers.get(command, lambda: word)()


def _unary(request: StringValue, servicer_context: grpc.ServicerContext) -> StringValue:
    return StringValue(value=_act(request.value, servicer_context))


def _server_stream(request: StringValue, about: grpc.ServicerContext) -> Iterator[StringValue]:
    yield StringValue(value="first")
    yield StringValue(value=_act(request.value, about))


def _client_stream(requests: Iterator[StringValue], about: grpc.ServicerContext) -> StringValue:
    return StringValue(value=",".join(_act(request.value, about) for request in requests))


def _bidi_stream(
    requests: Iterator[StringValue], about: grpc.ServicerContext
) -> Iterator[StringValue]:
    for request in requests:
        yield StringValue(value=_act(request.value, about))


def generic_handlers(deserializer: Callable[[bytes], Any]) -> dict[str, Any]:
    """Method name to handler."""
    told: dict[str, Any] = {
        "request_deserializer": deserializer,
        "response_serializer": StringValue.SerializeToString,
    }
    return {
        "Unary": grpc.unary_unary_rpc_method_handler(_unary, **told),
        "ServerStream": grpc.unary_stream_rpc_method_handler(_server_stream, **told),
        "ClientStream": grpc.stream_unary_rpc_method_handler(_client_stream, **told),
        "BidiStream": grpc.stream_stream_rpc_method_handler(_bidi_stream, **told),
    }


def parts(
    service: str = PROBE,
    *,
    deserializer: Callable[[bytes], Any] = StringValue.FromString,
    readiness: dict[str, Callable[[], object]] | None = None,
    close: Callable[[], None] = lambda: None,
    **more: Any,
) -> ServiceParts:
    """The service, ready for a server."""
    handlers = generic_handlers(deserializer)

    def add(server: grpc.Server) -> None:
        generic = grpc.method_handlers_generic_handler(service, handlers)
        server.add_generic_rpc_handlers((generic,))
        server.add_registered_method_handlers(service, handlers)

    return ServiceParts(
        name=service, add_to_server=add, readiness=readiness or {}, close=close, **more
    )


class Caller:
    """Calls a probe over a channel, with strings for messages."""

    def __init__(self, target: str, service: str = PROBE, **options: Any) -> None:
        self.channel = grpc.insecure_channel(target, list(options.items()))
        told: dict[str, Any] = {
            "request_serializer": StringValue.SerializeToString,
            "response_deserializer": StringValue.FromString,
        }
        self.unary: Any = self.channel.unary_unary(f"/{service}/Unary", **told)
        self.server_stream: Any = self.channel.unary_stream(f"/{service}/ServerStream", **told)
        self.client_stream: Any = self.channel.stream_unary(f"/{service}/ClientStream", **told)
        self.bidi_stream: Any = self.channel.stream_stream(f"/{service}/BidiStream", **told)

    def say(self, word: str, **options: Any) -> str:
        """One unary call."""
        return str(self.unary(StringValue(value=word), timeout=10, **options).value)

    def close(self) -> None:
        """Closes the channel."""
        self.channel.close()


def page(port: int | None) -> str:
    """The text of a server's metrics page."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text: bytes = answer.read()
        return text.decode()


def handled(text: str, method: str, code: str) -> float:
    """The counter grpc_server_handled_total of a method and code."""
    for line in text.splitlines():
        if (
            line.startswith("grpc_server_handled_total{")
            and f'grpc_method="{method}"' in line
            and f'grpc_code="{code}"' in line
        ):
            return float(line.rpartition(" ")[2])
    return 0.0


def main(arguments: list[str]) -> int:
    """Serves ProbeService as a service's main would."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--metrics-port", type=int)
    parser.add_argument("--grace", type=float, default=10.0)
    parser.add_argument("--service", default=PROBE)
    told = parser.parse_args(arguments)
    logs.configure("probe")
    return serve(
        ServerSpec(
            name="probe",
            build=lambda: [parts(told.service, close=lambda: print("closed", flush=True))],
            addresses=[f"127.0.0.1:{told.port}"],
            workers=told.workers,
            metrics_address=("127.0.0.1", told.metrics_port) if told.metrics_port else None,
            shutdown_grace_s=told.grace,
            readiness_interval_s=0.05,
        ),
        on_started=lambda running: print("started", threading.active_count(), flush=True),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
