"""RPCs of experiments."""

# ruff: noqa: N802 - methods are named after their RPCs
from __future__ import annotations

import grpc

from runstone.tracking.v1 import experiment_pb2 as pb
from runstone.tracking.v1 import run_pb2
from runstone_tracking import convert_experiments as convert
from runstone_tracking.convert import read_search
from runstone_tracking.service import TrackingService


class ExperimentRpcs:
    """The part of TrackingService that is about experiments."""

    _service: TrackingService

    def CreateExperiment(
        self, request: pb.CreateExperimentRequest, context: grpc.ServicerContext
    ) -> pb.CreateExperimentResponse:
        """See the proto."""
        made = self._service.experiments.create(convert.read_create(request))
        return pb.CreateExperimentResponse(experiment=convert.write_experiment(made))

    def GetExperiment(
        self, request: pb.GetExperimentRequest, context: grpc.ServicerContext
    ) -> pb.GetExperimentResponse:
        """See the proto."""
        found = self._service.experiments.get(convert.read_selector(request))
        return pb.GetExperimentResponse(experiment=convert.write_experiment(found))

    def UpdateExperiment(
        self, request: pb.UpdateExperimentRequest, context: grpc.ServicerContext
    ) -> pb.UpdateExperimentResponse:
        """See the proto."""
        renamed = self._service.experiments.rename(*convert.read_update(request))
        return pb.UpdateExperimentResponse(experiment=convert.write_experiment(renamed))

    def DeleteExperiment(
        self, request: pb.DeleteExperimentRequest, context: grpc.ServicerContext
    ) -> pb.DeleteExperimentResponse:
        """See the proto."""
        self._service.experiments.delete(convert.read_id(request))
        return pb.DeleteExperimentResponse()

    def RestoreExperiment(
        self, request: pb.RestoreExperimentRequest, context: grpc.ServicerContext
    ) -> pb.RestoreExperimentResponse:
        """See the proto."""
        self._service.experiments.restore(convert.read_id(request))
        return pb.RestoreExperimentResponse()

    def SearchExperiments(
        self, request: pb.SearchExperimentsRequest, context: grpc.ServicerContext
    ) -> pb.SearchExperimentsResponse:
        """See the proto."""
        return convert.write_page(self._service.search.experiments(read_search(request)))

    def SetExperimentTags(
        self, request: pb.SetExperimentTagsRequest, context: grpc.ServicerContext
    ) -> pb.SetExperimentTagsResponse:
        """See the proto."""
        self._service.experiments.set_tags(*convert.read_set_tags(request))
        return pb.SetExperimentTagsResponse()

    def DeleteExperimentTags(
        self, request: pb.DeleteExperimentTagsRequest, context: grpc.ServicerContext
    ) -> pb.DeleteExperimentTagsResponse:
        """See the proto."""
        self._service.experiments.delete_tags(*convert.read_delete_tags(request))
        return pb.DeleteExperimentTagsResponse()

    def PurgeExperiments(
        self, request: run_pb2.PurgeExperimentsRequest, context: grpc.ServicerContext
    ) -> run_pb2.PurgeExperimentsResponse:
        """See the proto."""
        purged = self._service.experiments.purge(
            convert.read_deleted_before(request), dry_run=request.dry_run
        )
        return run_pb2.PurgeExperimentsResponse(experiment_ids=purged.ids, more=purged.more)
