"""RPCs of traces."""

# ruff: noqa: N802 - methods are named after their RPCs
from __future__ import annotations

import grpc

from runstone.tracking.v1 import trace_pb2 as pb
from runstone_tracking import convert_traces as convert
from runstone_tracking.convert_spans import read_spans
from runstone_tracking.service import TrackingService


class TraceRpcs:
    """The part of TrackingService that is about traces."""

    _service: TrackingService

    def CreateTrace(
        self, request: pb.CreateTraceRequest, context: grpc.ServicerContext
    ) -> pb.CreateTraceResponse:
        """See the proto."""
        made = self._service.traces.create(*convert.read_create(request))
        return pb.CreateTraceResponse(trace=convert.write_info(made))

    def EndTrace(
        self, request: pb.EndTraceRequest, context: grpc.ServicerContext
    ) -> pb.EndTraceResponse:
        """See the proto."""
        ended = self._service.traces.end(convert.read_end(request))
        return pb.EndTraceResponse(trace=convert.write_info(ended))

    def GetTrace(
        self, request: pb.GetTraceRequest, context: grpc.ServicerContext
    ) -> pb.GetTraceResponse:
        """See the proto."""
        found = self._service.traces.get(convert.read_id(request), spans=request.include_spans)
        return pb.GetTraceResponse(trace=convert.write_trace(found))

    def BatchGetTraces(
        self, request: pb.BatchGetTracesRequest, context: grpc.ServicerContext
    ) -> pb.BatchGetTracesResponse:
        """See the proto."""
        asked = convert.read_ids(request)
        return convert.write_batch(self._service.traces.batch(asked, spans=request.include_spans))

    def SearchTraces(
        self, request: pb.SearchTracesRequest, context: grpc.ServicerContext
    ) -> pb.SearchTracesResponse:
        """See the proto."""
        return convert.write_page(self._service.traces.search(convert.read_search(request)))

    def SetTraceTags(
        self, request: pb.SetTraceTagsRequest, context: grpc.ServicerContext
    ) -> pb.SetTraceTagsResponse:
        """See the proto."""
        self._service.traces.set_tags(*convert.read_set_tags(request))
        return pb.SetTraceTagsResponse()

    def DeleteTraceTags(
        self, request: pb.DeleteTraceTagsRequest, context: grpc.ServicerContext
    ) -> pb.DeleteTraceTagsResponse:
        """See the proto."""
        self._service.traces.delete_tags(*convert.read_delete_tags(request))
        return pb.DeleteTraceTagsResponse()

    def DeleteTraces(
        self, request: pb.DeleteTracesRequest, context: grpc.ServicerContext
    ) -> pb.DeleteTracesResponse:
        """See the proto."""
        count, more = self._service.traces.delete(convert.read_deletion(request))
        return pb.DeleteTracesResponse(deleted_count=count, more=more)

    def LogSpans(
        self, request: pb.LogSpansRequest, context: grpc.ServicerContext
    ) -> pb.LogSpansResponse:
        """See the proto."""
        self._service.traces.log_spans(*read_spans(request))
        return pb.LogSpansResponse()

    def LinkTracesToRun(
        self, request: pb.LinkTracesToRunRequest, context: grpc.ServicerContext
    ) -> pb.LinkTracesToRunResponse:
        """See the proto."""
        self._service.traces.link_to_run(*convert.read_link(request))
        return pb.LinkTracesToRunResponse()
