"""Counts and times every call under go-grpc-prometheus's names, so its dashboards work as they are.

Calls of methods the server does not have are counted under ``unknown``: their names are the
caller's, and every new label value costs memory for good.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import grpc
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from runstone_kit.interceptors.chain import Call, Method
from runstone_kit.interceptors.outcome import failure_code, success_code

_LABELS = ("grpc_type", "grpc_service", "grpc_method")

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds. Starts where a unary call on local disk ends; each bucket costs time at every call."""


class RpcMetrics:
    """The time series of one registry. Make one per registry: names cannot be registered twice."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.started = Counter(
            "grpc_server_started", "RPCs started on the server.", _LABELS, registry=registry
        )
        self.handled = Counter(
            "grpc_server_handled",
            "RPCs completed on the server, whatever the code.",
            (*_LABELS, "grpc_code"),
            registry=registry,
        )
        self.received = Counter(
            "grpc_server_msg_received",
            "Messages received from request streams.",
            _LABELS,
            registry=registry,
        )
        self.sent = Counter(
            "grpc_server_msg_sent",
            "Messages sent on response streams.",
            _LABELS,
            registry=registry,
        )
        self.seconds = Histogram(
            "grpc_server_handling_seconds",
            "Seconds an RPC was handled by the server.",
            _LABELS,
            buckets=BUCKETS,
            registry=registry,
        )


@cache
def process_metrics() -> RpcMetrics:
    """The time series in prometheus_client's own registry, shared by all servers of a process."""
    return RpcMetrics(REGISTRY)


class MetricsLayer:
    """Counts and times every call in ``metrics``."""

    def __init__(self, metrics: RpcMetrics) -> None:
        self._metrics = metrics

    def wrap(self, method: Method, call: Call) -> Call:
        """``call``, counted and timed."""
        series = _MethodSeries(self._metrics, method)
        started = series.started.inc
        end = series.end
        clock = time.perf_counter

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            started()
            start = clock()
            try:
                response = call(request, context)
            except BaseException as error:
                end(failure_code(context, error), clock() - start)
                raise
            end(success_code(context), clock() - start)
            return response

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            started()
            start = clock()
            sent = series.sent.inc
            try:
                for response in call(request, context):
                    sent()
                    yield response
            except BaseException as error:
                end(failure_code(context, error), clock() - start)
                raise
            end(success_code(context), clock() - start)

        measured = stream if method.response_streaming else unary
        if not method.request_streaming or not method.known:
            return measured
        received = series.received.inc
        return lambda requests, context: measured(_counted(requests, received), context)


class _MethodSeries:
    """The children of one method; looking a child up costs more than counting in it."""

    def __init__(self, metrics: RpcMetrics, method: Method) -> None:
        kind = _kind(method) if method.known else "unknown"
        labels = (kind, method.service, method.name)
        self._labels = labels
        self._handled_all = metrics.handled
        self._handled: dict[str, Counter] = {}
        self.started = metrics.started.labels(*labels)
        self.received = metrics.received.labels(*labels)
        self.sent = metrics.sent.labels(*labels)
        self._observe = metrics.seconds.labels(*labels).observe

    def end(self, code: str, seconds: float) -> None:
        """Count a call that ended with ``code``."""
        handled = self._handled.get(code)
        if handled is None:
            handled = self._handled[code] = self._handled_all.labels(*self._labels, code)
        handled.inc()
        self._observe(seconds)


def _counted(requests: Iterator[Any], received: Any) -> Iterator[Any]:
    for request in requests:
        received()
        yield request


def _kind(method: Method) -> str:
    if method.request_streaming:
        return "bidi_stream" if method.response_streaming else "client_stream"
    return "server_stream" if method.response_streaming else "unary"
