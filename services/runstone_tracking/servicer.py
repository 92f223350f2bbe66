"""TrackingService over gRPC: convert in, call the use case, convert out."""

from __future__ import annotations

from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceServicer
from runstone_tracking.service import TrackingService
from runstone_tracking.servicer_experiments import ExperimentRpcs
from runstone_tracking.servicer_logged import LoggedModelRpcs
from runstone_tracking.servicer_metrics import MetricRpcs
from runstone_tracking.servicer_runs import RunRpcs
from runstone_tracking.servicer_traces import TraceRpcs


class TrackingServicer(
    ExperimentRpcs, RunRpcs, LoggedModelRpcs, MetricRpcs, TraceRpcs, TrackingServiceServicer
):
    """Every RPC of the service."""

    def __init__(self, service: TrackingService) -> None:
        self._service = service
