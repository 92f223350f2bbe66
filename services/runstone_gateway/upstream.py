"""The services behind the gateway: asyncio stubs over one channel each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import grpc

from runstone._tracking_stub import TrackingServiceStub
from runstone._transfer import wire
from runstone.registry.v1 import registry_service_pb2_grpc
from runstone_kit import peers

_STUBS = {
    # Histories as columns of raw bytes: an object for each number would hold up the event loop.
    "tracking": TrackingServiceStub,
    # Its two byte streams pass protobuf by, which would copy each megabyte twice more.
    "artifact": wire.ArtifactServiceStub,
    "registry": registry_service_pb2_grpc.RegistryServiceStub,
}


class Addresses(NamedTuple):
    """``host:port`` or ``unix:/path`` of each service; in a suite they are all the same."""

    tracking: str
    artifact: str
    registry: str


@dataclass(slots=True)
class Remembered:
    """What a process knows of the services, and would only ask again.

    ``experiments``: that of a run or a logged model, which never changes. ``presigns``: whether the
    object store gives URLs; None until it was asked. ``transfers``: streams of bytes that may go
    on. ``lines``: by caller, small appends under way (``appends.Line``). ``noting``: of a run or
    model, taken by who reads a tag of it to write it again.
    """

    transfers: asyncio.Semaphore
    experiments: dict[str, str] = field(default_factory=dict)
    presigns: bool | None = None
    lines: dict[tuple[tuple[str, str], ...], Any] = field(default_factory=dict)
    noting: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)


class Upstream:
    """Stubs of the three services. Make it in the event loop that uses it."""

    def __init__(self, addresses: Addresses, max_transfers: int) -> None:
        self.remembered = Remembered(asyncio.Semaphore(max_transfers))
        self._channels = []
        stubs: dict[str, Any] = {}
        for service, stub in _STUBS.items():
            config = resources.files(f"runstone.{service}.v1") / "service_config.json"
            channel = grpc.aio.insecure_channel(
                getattr(addresses, service), peers.options(config.read_text("utf-8"))
            )
            self._channels.append(channel)
            stubs[service] = stub(channel)
        self.tracking = stubs["tracking"]
        self.artifact = stubs["artifact"]
        self.registry = stubs["registry"]

    async def close(self) -> None:
        """Let the channels go."""
        for channel in self._channels:
            await channel.close()
