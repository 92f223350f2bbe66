"""Failures that no server gave a reason for: told in plain words, never in gRPC's."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import grpc
import pytest

from runstone import Client, exceptions
from runstone._failures import plainly
from runstone.tracking.v1 import run_pb2

PLACE = "runstone://h:1"

GRPC_WORDS = re.compile(
    r"StatusCode|ipv4:|ipv6:|last error|all addresses|Exception|frame|Stream removed|RST_STREAM"
    r"|GOAWAY|recvmsg|TSI_|SSL_ERROR|C-ares|[Mm]etadata|http2|application"
)


@pytest.mark.parametrize(
    ("code", "said", "meant"),
    [
        (
            "UNAVAILABLE",
            "failed to connect to all addresses; last error: ipv4:1.2.3.4:1: Connection refused",
            "no Runstone server answers at runstone://h:1: the connection was refused",
        ),
        ("UNAVAILABLE", "DNS resolution failed for h:1: C-ares status is not", "name is not known"),
        ("UNAVAILABLE", "errors resolving h:1: [field:hostname lookup", "name is not known"),
        ("UNAVAILABLE", "Ssl handshake failed: SSL_ERROR_SSL: WRONG_VERSION_NUMBER", "no TLS is"),
        ("UNAVAILABLE", "Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: x", "TLS"),
        ("UNAVAILABLE", "SSL_ERROR_SSL: CERTIFICATE_VERIFY_FAILED: unable", "is not trusted here"),
        ("UNAVAILABLE", "recvmsg:Connection reset by peer", "the connection was lost"),
        ("UNAVAILABLE", "GOAWAY received; Error code: 11", "the connection was lost"),
        ("UNAVAILABLE", "Failed parsing HTTP/2 (Expected SETTINGS frame)", "does not speak gRPC"),
        ("UNAVAILABLE", "Cancelling all calls", "it stops"),
        ("UNAVAILABLE", "unix:/x: connect failed: No such file or directory", "socket is gone"),
        ("UNAVAILABLE", "last error: of a later release", "the connection failed"),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", "no answer from runstone://h:1 in time"),
        ("UNIMPLEMENTED", "Method not found!", "older than this client, or another"),
        ("UNIMPLEMENTED", "Received http2 header with status: 404", "is no Runstone server"),
        (
            "RESOURCE_EXHAUSTED",
            "Stream removed (CLIENT: Received message larger than max (9000 vs. 4096))",
            "the answer of runstone://h:1 is too large: 9000 bytes, and 4096 are allowed",
        ),
        (
            "RESOURCE_EXHAUSTED",
            "SERVER: Received message larger than max (9000 vs. 4096)",
            "the request to runstone://h:1 is too large: 9000 bytes",
        ),
        ("RESOURCE_EXHAUSTED", "Concurrent RPC limit exceeded!", "too much to do"),
        ("UNKNOWN", "Exception calling application: division by zero", "its log may tell"),
        ("UNKNOWN", "Stream removed", "the connection to runstone://h:1 was lost"),
        (
            "UNKNOWN",
            "Failed to create channel to 'x': the target uri is not valid: x",
            "no address",
        ),
        ("INTERNAL", "Received RST_STREAM with error code 2", "was lost during the call"),
        ("INTERNAL", "Exception deserializing response!", "the answer of runstone://h:1 cannot"),
        ("INTERNAL", "Exception serializing request!", "the request to runstone://h:1 cannot be"),
        ("INTERNAL", "Failed to serialize response!", "its log may tell"),
        ("CANCELLED", "Locally cancelled by application!", "was given up"),
        ("PERMISSION_DENIED", "Received http2 header with status: 403", "such as a proxy"),
        ("UNAUTHENTICATED", "Received http2 header with status: 401", "such as a proxy"),
        ("DATA_LOSS", "Exception: frame", "the call to runstone://h:1 failed (DATA_LOSS)"),
    ],
)
def test_what_grpc_says_is_said_plainly(code: str, said: str, meant: str) -> None:
    told = plainly(code, said, PLACE)
    assert meant in told
    assert PLACE in told
    assert not GRPC_WORDS.search(told)


def test_its_own_words_are_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "runstone")
    plainly("UNAVAILABLE", "last error: ipv4:1.2.3.4:1", PLACE)
    assert caplog.messages == [f"{PLACE}: UNAVAILABLE: last error: ipv4:1.2.3.4:1"]


class _WebServer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(400)

    def log_message(self, *_: object) -> None:
        """Not among the tests' output."""


@pytest.fixture
def web_server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _WebServer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _plain_failure(uri: str) -> exceptions.RunstoneException:
    with pytest.raises(exceptions.RunstoneException) as caught:
        Client(uri, timeout=5).get_run("a" * 32)
    assert not GRPC_WORDS.search(str(caught.value))
    assert uri in str(caught.value)
    return caught.value


@pytest.mark.parametrize("scheme", ["runstone", "runstones"])
def test_a_web_server_is_no_runstone_server(scheme: str, web_server: str) -> None:
    said = _plain_failure(f"{scheme}://{web_server}")
    assert isinstance(said, exceptions.Unavailable)


def _of_another(answer: Callable[..., Any]) -> grpc.Server:
    """A gRPC server whose GetRun does as ``answer`` does, without ErrorInfo."""
    method = grpc.unary_unary_rpc_method_handler(answer)
    handler = grpc.method_handlers_generic_handler(
        "runstone.tracking.v1.TrackingService", {"GetRun": method}
    )
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((handler,))
    return server


def _defect(*_: object) -> bytes:
    raise ZeroDivisionError("a secret")


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        (_defect, "failed and did not say why"),
        (lambda *_: b"\xff\xff no message", "cannot be read"),
    ],
)
def test_a_server_that_answers_otherwise(answer: Callable[..., Any], meant: str) -> None:
    server = _of_another(answer)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert meant in str(_plain_failure(f"runstone://127.0.0.1:{port}"))
    finally:
        server.stop(0).wait()


def test_a_servers_own_words_stay(server: Any, refuse: Callable[..., Any]) -> None:
    server.answers["GetRun"] = refuse("NOT_FOUND", "RUN_NOT_FOUND", "there is no run x")
    with pytest.raises(exceptions.RunNotFound, match=r"^there is no run x$"):
        Client(server.uri).get_run("x")
    server.answers["GetRun"] = lambda *_: run_pb2.GetRunResponse(run=run_pb2.Run(run_id="x"))
    assert Client(server.uri).get_run("x").info.run_id == "x"
