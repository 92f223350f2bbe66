"""`runstone-tracking` as a process of its own, for what measures it or kills it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from support.processes import free_port
from support.services import ServiceProcess
from support.suites import clean_environment


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
    options = [("grpc.max_receive_message_length", 64 * 2**20)]
    with grpc.insecure_channel(address, options) as channel:
        yield TrackingServiceStub(channel)
