"""Channels: one for each process, address and service, made when first needed.

A forked child never uses its parent's: the pool forgets them in the child without closing them,
because closing talks to the parent's connection.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

import grpc

from runstone import _fork, _uri

RECONNECT_MS = {"initial": 100, "min": 1000, "max": 2000}
"""gRPC's own backoff grows to two minutes; a server that came back is found within seconds."""

TRANSFER_SECONDS = 3600.0
"""An RPC whose own timeout is an hour or more works on bytes; a client's is not meant for it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a channel leads. Only a client of somebody else's server lets gRPC retry: the embedded
    suite may stand elsewhere by the next attempt, which gRPC cannot know."""

    target: str
    tls: bool = False
    retries: bool = True


@dataclass(frozen=True, slots=True)
class Method:
    """What the contract says about an RPC."""

    name: str
    timeout: float
    idempotent: bool
    reads: bool
    request_streaming: bool
    response_streaming: bool

    @property
    def transfer(self) -> bool:
        """Whether it takes as long as the bytes that it moves or reads take."""
        return self.timeout >= TRANSFER_SECONDS


@dataclass(frozen=True)
class Service:
    """A service's methods and the configuration that channels to it carry."""

    name: str
    stub: Any
    config: str
    methods: dict[str, Method]


STUBS = {"artifact": "runstone._transfer.wire", "tracking": "runstone._tracking_stub"}
"""Services of which some streams are read and written without protobuf's copies."""

CREATES = frozenset(
    {
        "CreateComment",
        "CreateExperiment",
        "CreateLoggedModel",
        "CreateModelVersion",
        "CreateRegisteredModel",
        "CreateRun",
        "CreateTransitionRequest",
        "CreateWebhook",
    }
)
"""Not retried by the shared service config: a caller may send no request_id; ours always does."""


def _retry_creates(entries: list[dict[str, Any]]) -> None:
    """Give the creates the retry policy of the other calls."""
    policy = next(entry["retryPolicy"] for entry in entries if "retryPolicy" in entry)
    for entry in list(entries):
        names = [each for each in entry["name"] if each["method"] in CREATES]
        if names:
            entry["name"] = [each for each in entry["name"] if each not in names]
            entries.append({**entry, "name": names, "retryPolicy": policy})
    entries[:] = [entry for entry in entries if entry["name"]]


@cache
def service(name: str) -> Service:
    """What the generated code and service_config.json say of "tracking", "artifact", "registry"."""
    package = f"runstone.{name}.v1"
    config = json.loads((files(package) / "service_config.json").read_text("utf-8"))
    _retry_creates(config["methodConfig"])
    pb2 = import_module(f"{package}.{name}_service_pb2")
    from runstone.auth.v1 import permission_pb2

    (descriptor,) = pb2.DESCRIPTOR.services_by_name.values()
    entries = {each["method"]: entry for entry in config["methodConfig"] for each in entry["name"]}
    methods = {}
    for method in descriptor.methods:
        entry = entries[method.name]
        action = method.GetOptions().Extensions[permission_pb2.permission].action
        reads = action == permission_pb2.ACTION_READ
        methods[method.name] = Method(
            method.name,
            timeout=float(entry["timeout"].removesuffix("s")),
            idempotent="retryPolicy" in entry or reads,
            reads=reads,
            request_streaming=method.client_streaming,
            response_streaming=method.server_streaming,
        )
    for entry in config["methodConfig"]:
        # gRPC takes the shorter of this and the caller's: a caller could never wait longer.
        del entry["timeout"]
    module = STUBS.get(name, f"{package}.{name}_service_pb2_grpc")
    stub = getattr(import_module(module), f"{descriptor.name}Stub")
    return Service(name, stub, json.dumps(config), methods)


def stays_here(target: str) -> bool:
    """Whether gRPC's target is on this machine: a socket, or a port of the loopback."""
    host = target.rpartition(":")[0].removeprefix("[").removesuffix("]")
    return target.startswith("unix:") or _uri.is_loopback(host)


def options(of: Service, address: Address) -> list[tuple[str, Any]]:
    """The arguments of a channel."""
    return [
        # A company's proxy does not lead to this machine.
        ("grpc.enable_http_proxy", int(not stays_here(address.target))),
        ("grpc.service_config", of.config),
        ("grpc.enable_retries", int(address.retries)),
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # Else a child's new channel would find its parent's connection in the shared pool.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_MS["initial"]),
        ("grpc.min_reconnect_backoff_ms", RECONNECT_MS["min"]),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MS["max"]),
        # A stream is read by whoever asks for its next message: no thread to be lost in a fork.
        ("SingleThreadedUnaryStream", 1),
        ("grpc.primary_user_agent", "runstone-python"),
    ]


class Pool:
    """The open channels of this process."""

    def __init__(self) -> None:
        # A signal handler may call in the middle of a call of the same thread.
        self._lock = threading.RLock()
        self._open: dict[tuple[int, Address, str], tuple[grpc.Channel, Any]] = {}

    def stub(self, address: Address, name: str) -> Any:
        """The generated stub of a service over a channel of this process."""
        key = (os.getpid(), address, name)
        found = self._open.get(key)
        if found is None:
            of = service(name)
            with self._lock:
                found = self._open.get(key)
                if found is None:
                    channel = open_channel(address, options(of, address))
                    found = self._open[key] = (channel, of.stub(channel))
        return found[1]

    def drop(self, address: Address) -> None:
        """Let this process's channels to an address go; a later call opens new ones.

        They close with the last call that uses them: closing them here would cancel the calls of
        other threads.
        """
        with self._lock:
            for key in [key for key in self._open if key[:2] == (os.getpid(), address)]:
                del self._open[key]

    def forget(self) -> None:
        """After a fork: let go of what is the parent's without touching it."""
        _inherited.append(self._open)
        self._lock = threading.RLock()
        self._open = {}


_inherited: list[object] = []
"""Kept so that no destructor closes a parent's channel from its child."""


def open_channel(address: Address, arguments: list[tuple[str, Any]]) -> grpc.Channel:
    """A channel to an address, through TLS or plain."""
    if address.tls:
        return grpc.secure_channel(address.target, grpc.ssl_channel_credentials(), arguments)
    return grpc.insecure_channel(address.target, arguments)


pool = Pool()
_fork.in_child(pool.forget)
