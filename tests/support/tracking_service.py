"""The tracking service, in this process or as one of its own, and how it refuses a call."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from runstone_kit.server import ServerSpec, start
from runstone_tracking.main import build
from runstone_tracking.settings import TrackingSettings
from support.processes import free_port
from support.services import ServiceProcess
from support.suites import clean_environment

# A run's data sets may have profiles of 16 MiB.
LARGE = [("grpc.max_receive_message_length", 64 * 2**20)]


@contextmanager
def tracking_process(database_url: str, **settings: str) -> Iterator[ServiceProcess]:
    """The service on a migrated database, with settings by variable name; killed at the end."""
    environment = clean_environment(RUNSTONE_DATABASE_URL=database_url, **settings)
    with tempfile.TemporaryDirectory() as folder:
        process = ServiceProcess("tracking", Path(folder), environment, free_port())
        try:
            process.wait_serving()
            yield process
        finally:
            process.kill()


@contextmanager
def tracking_stub(address: str) -> Iterator[TrackingServiceStub]:
    """Its RPCs, over a channel that takes large pages."""
    with grpc.insecure_channel(address, LARGE) as channel:
        yield TrackingServiceStub(channel)


@contextmanager
def tracking_address(database_url: str) -> Iterator[str]:
    """Where the service, which runs in this process, is reached."""
    settings = TrackingSettings.load(
        database_url=database_url, listen="127.0.0.1:0", access_log="off"
    )
    running = start(ServerSpec.from_settings("tracking", settings, lambda: [build(settings)]))
    try:
        yield f"127.0.0.1:{running.port}"
    finally:
        running.stop(grace_s=5.0)


@contextmanager
def tracking_server(database_url: str) -> Iterator[grpc.Channel]:
    """A channel to the service, which runs in this process."""
    with (
        tracking_address(database_url) as address,
        grpc.insecure_channel(address, LARGE) as opened,
    ):
        yield opened


@dataclass(frozen=True)
class Refusal:
    """Why a call failed: as a client sees it."""

    code: str
    reason: str
    metadata: dict[str, str]
    fields: list[str]
    message: str = field(default="", compare=False)


def refused(act: Callable[[], object]) -> Refusal:
    """The failure of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        act()
    status = rpc_status.from_call(caught.value)
    assert status is not None, caught.value
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        for message in (info, bad):
            detail.Unpack(message)
    assert info.domain == "tracking.runstone"
    fields = [each.field for each in bad.field_violations]
    return Refusal(
        caught.value.code().name, info.reason, dict(info.metadata), fields, status.message
    )
