"""RPCs of metrics."""

# ruff: noqa: N802 - methods are named after their RPCs
from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import grpc
from google.rpc import code_pb2
from prometheus_client import Counter

from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2 as pb
from runstone.tracking.v1 import run_columns_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import (
    TrackingServiceServicer,
    add_TrackingServiceServicer_to_server,
)
from runstone_kit.interceptors.error_mapping import status_of_any
from runstone_tracking import convert_metrics as convert
from runstone_tracking.convert_appends import parse_append, read_append, read_batches
from runstone_tracking.convert_samples import read_sample, write_sampled, write_update
from runstone_tracking.errors import DOMAIN
from runstone_tracking.model_metrics import Append
from runstone_tracking.service import TrackingService

_refused = Counter(
    "runstone_tracking_batches_refused",
    "Batches of AppendBatches that were refused, which answers OK.",
    ["grpc_code"],
)


class MetricRpcs:
    """The part of TrackingService that is about metrics.

    AppendMetrics takes, and GetMetricHistory gives, views of the public messages; see
    ``add_tracking_servicer``.
    """

    _service: TrackingService

    def AppendMetrics(
        self, request: Any, context: grpc.ServicerContext
    ) -> pb.AppendMetricsResponse:
        """See the proto."""
        applied = self._service.metrics.append(read_append(request))
        return pb.AppendMetricsResponse(duplicate=not applied)

    def AppendBatches(
        self, request: pb.AppendBatchesRequest, context: grpc.ServicerContext
    ) -> pb.AppendBatchesResponse:
        """See the proto."""
        read = read_batches(request)
        outcomes = self._service.metrics.append_all(
            [each for each in read if isinstance(each, Append)]
        )
        ended = iter(outcomes)
        return pb.AppendBatchesResponse(
            outcomes=[_outcome(next(ended) if isinstance(each, Append) else each) for each in read]
        )

    def GetMetricHistory(
        self, request: pb.GetMetricHistoryRequest, context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """See the proto."""
        points = self._service.metrics.history(*convert.read_history(request))
        return map(convert.write_points, points)

    def SampleMetrics(
        self, request: pb.SampleMetricsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.SampleMetricsResponse]:
        """See the proto."""
        return map(write_sampled, self._service.metrics.sample(read_sample(request)))

    def WatchMetrics(
        self, request: pb.WatchMetricsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchMetricsResponse]:
        """See the proto."""
        query = read_sample(request)
        gone = threading.Event()
        if not context.add_callback(gone.set):
            gone.set()
        return map(write_update, self._service.metrics.watch(query, gone))

    def ListMetricKeys(
        self, request: pb.ListMetricKeysRequest, context: grpc.ServicerContext
    ) -> pb.ListMetricKeysResponse:
        """See the proto."""
        return convert.write_page(self._service.metrics.list_keys(*convert.read_list(request)))


def _outcome(found: bool | BaseException) -> pb.AppendOutcome:
    if isinstance(found, BaseException):
        status = status_of_any(found, DOMAIN)
        _refused.labels(code_pb2.Code.Name(status.code)).inc()
        return pb.AppendOutcome(status=status.SerializeToString())
    return pb.AppendOutcome(duplicate=not found)


def add_tracking_servicer(servicer: TrackingServiceServicer, server: grpc.Server) -> None:
    """Put the service on a server, with columns read and written as raw bytes."""
    history = columnar.metric_history_response()
    columns = {
        "AppendMetrics": grpc.unary_unary_rpc_method_handler(
            cast("Any", servicer.AppendMetrics),
            request_deserializer=parse_append,
            response_serializer=pb.AppendMetricsResponse.SerializeToString,
        ),
        "GetMetricHistory": grpc.unary_stream_rpc_method_handler(
            cast("Any", servicer.GetMetricHistory),
            request_deserializer=pb.GetMetricHistoryRequest.FromString,
            response_serializer=history.message_class.SerializeToString,
        ),
        "SearchRunColumns": grpc.unary_stream_rpc_method_handler(
            cast("Any", servicer.SearchRunColumns),
            request_deserializer=run_columns_pb2.SearchRunColumnsRequest.FromString,
            response_serializer=columnar.run_columns_response().message_class.SerializeToString,
        ),
    }
    add_TrackingServiceServicer_to_server(servicer, cast("grpc.Server", _Adding(server, columns)))


class _Adding:
    """Takes the handlers that generated code adds to a server, and replaces some."""

    def __init__(self, server: grpc.Server, replacing: Mapping[str, Any]) -> None:
        self._server = server
        self._replacing = replacing

    def add_generic_rpc_handlers(self, _handlers: Sequence[Any]) -> None:
        """The same handlers come again by their names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        named = {**handlers, **self._replacing}
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, named),)
        )
        self._server.add_registered_method_handlers(service, named)
