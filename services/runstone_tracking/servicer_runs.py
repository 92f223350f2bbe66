"""RPCs of runs."""

# ruff: noqa: N802 - methods are named after their RPCs
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc

from runstone.tracking.v1 import run_pb2 as pb
from runstone.tracking.v1.run_columns_pb2 import SearchRunColumnsRequest
from runstone_tracking import convert_runs as convert
from runstone_tracking.convert import read_search
from runstone_tracking.convert_batch import read_batch
from runstone_tracking.convert_columns import write_columns
from runstone_tracking.service import TrackingService


class RunRpcs:
    """The part of TrackingService that is about runs."""

    _service: TrackingService

    def CreateRun(
        self, request: pb.CreateRunRequest, context: grpc.ServicerContext
    ) -> pb.CreateRunResponse:
        """See the proto."""
        made = self._service.runs.create(convert.read_create(request))
        return pb.CreateRunResponse(run=convert.write_run(made))

    def GetRun(self, request: pb.GetRunRequest, context: grpc.ServicerContext) -> pb.GetRunResponse:
        """See the proto."""
        found = self._service.runs.get(convert.read_id(request))
        return pb.GetRunResponse(run=convert.write_run(found))

    def UpdateRun(
        self, request: pb.UpdateRunRequest, context: grpc.ServicerContext
    ) -> pb.UpdateRunResponse:
        """See the proto."""
        changed = self._service.runs.update(convert.read_update(request))
        return pb.UpdateRunResponse(run=convert.write_info(changed))

    def DeleteRun(
        self, request: pb.DeleteRunRequest, context: grpc.ServicerContext
    ) -> pb.DeleteRunResponse:
        """See the proto."""
        self._service.runs.delete(convert.read_id(request))
        return pb.DeleteRunResponse()

    def RestoreRun(
        self, request: pb.RestoreRunRequest, context: grpc.ServicerContext
    ) -> pb.RestoreRunResponse:
        """See the proto."""
        self._service.runs.restore(convert.read_id(request))
        return pb.RestoreRunResponse()

    def SearchRuns(
        self, request: pb.SearchRunsRequest, context: grpc.ServicerContext
    ) -> pb.SearchRunsResponse:
        """See the proto."""
        return convert.write_page(self._service.search.runs(read_search(request)))

    def SearchRunColumns(
        self, request: SearchRunColumnsRequest, context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """See the proto. Gives views; see ``add_tracking_servicer``."""
        found = self._service.search.run_columns(
            read_search(request.search), values_only=request.values_only
        )
        return (write_columns(columns, token) for columns, token in found)

    def LogBatch(
        self, request: pb.LogBatchRequest, context: grpc.ServicerContext
    ) -> pb.LogBatchResponse:
        """See the proto."""
        self._service.runs.log_batch(*read_batch(request))
        return pb.LogBatchResponse()

    def DeleteRunTags(
        self, request: pb.DeleteRunTagsRequest, context: grpc.ServicerContext
    ) -> pb.DeleteRunTagsResponse:
        """See the proto."""
        self._service.runs.delete_tags(*convert.read_delete_tags(request))
        return pb.DeleteRunTagsResponse()

    def LogInputs(
        self, request: pb.LogInputsRequest, context: grpc.ServicerContext
    ) -> pb.LogInputsResponse:
        """See the proto."""
        self._service.runs.log_inputs(*convert.read_inputs(request))
        return pb.LogInputsResponse()

    def LogOutputs(
        self, request: pb.LogOutputsRequest, context: grpc.ServicerContext
    ) -> pb.LogOutputsResponse:
        """See the proto."""
        self._service.runs.log_outputs(*convert.read_outputs(request))
        return pb.LogOutputsResponse()

    def SearchDatasets(
        self, request: pb.SearchDatasetsRequest, context: grpc.ServicerContext
    ) -> pb.SearchDatasetsResponse:
        """See the proto."""
        found = self._service.runs.search_datasets(convert.read_dataset_search(request))
        return convert.write_summaries(found)

    def PurgeRuns(
        self, request: pb.PurgeRunsRequest, context: grpc.ServicerContext
    ) -> pb.PurgeRunsResponse:
        """See the proto."""
        asked = convert.read_purge(request)
        purged = self._service.runs.purge(
            asked.run_ids, asked.deleted_before, dry_run=asked.dry_run
        )
        return pb.PurgeRunsResponse(run_ids=purged.ids, more=purged.more)
