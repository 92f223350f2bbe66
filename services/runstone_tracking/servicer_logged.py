"""RPCs of logged models."""

# ruff: noqa: N802 - methods are named after their RPCs
from __future__ import annotations

import grpc

from runstone.tracking.v1 import logged_model_pb2 as pb
from runstone_tracking import convert_logged as convert
from runstone_tracking.convert import read_search
from runstone_tracking.service import TrackingService


class LoggedModelRpcs:
    """The part of TrackingService that is about logged models."""

    _service: TrackingService

    def CreateLoggedModel(
        self, request: pb.CreateLoggedModelRequest, context: grpc.ServicerContext
    ) -> pb.CreateLoggedModelResponse:
        """See the proto."""
        made = self._service.logged.create(convert.read_create(request))
        return pb.CreateLoggedModelResponse(model=convert.write_model(made))

    def GetLoggedModel(
        self, request: pb.GetLoggedModelRequest, context: grpc.ServicerContext
    ) -> pb.GetLoggedModelResponse:
        """See the proto."""
        found = self._service.logged.get(convert.read_id(request))
        return pb.GetLoggedModelResponse(model=convert.write_model(found))

    def FinalizeLoggedModel(
        self, request: pb.FinalizeLoggedModelRequest, context: grpc.ServicerContext
    ) -> pb.FinalizeLoggedModelResponse:
        """See the proto."""
        final = self._service.logged.finalize(*convert.read_finalize(request))
        return pb.FinalizeLoggedModelResponse(model=convert.write_model(final))

    def DeleteLoggedModel(
        self, request: pb.DeleteLoggedModelRequest, context: grpc.ServicerContext
    ) -> pb.DeleteLoggedModelResponse:
        """See the proto."""
        self._service.logged.delete(convert.read_id(request))
        return pb.DeleteLoggedModelResponse()

    def SearchLoggedModels(
        self, request: pb.SearchLoggedModelsRequest, context: grpc.ServicerContext
    ) -> pb.SearchLoggedModelsResponse:
        """See the proto."""
        page = self._service.logged.search(read_search(request), convert.read_wish(request))
        return convert.write_page(page)

    def SetLoggedModelTags(
        self, request: pb.SetLoggedModelTagsRequest, context: grpc.ServicerContext
    ) -> pb.SetLoggedModelTagsResponse:
        """See the proto."""
        self._service.logged.set_tags(*convert.read_set_tags(request))
        return pb.SetLoggedModelTagsResponse()

    def DeleteLoggedModelTags(
        self, request: pb.DeleteLoggedModelTagsRequest, context: grpc.ServicerContext
    ) -> pb.DeleteLoggedModelTagsResponse:
        """See the proto."""
        self._service.logged.delete_tags(*convert.read_delete_tags(request))
        return pb.DeleteLoggedModelTagsResponse()

    def LogLoggedModelParams(
        self, request: pb.LogLoggedModelParamsRequest, context: grpc.ServicerContext
    ) -> pb.LogLoggedModelParamsResponse:
        """See the proto."""
        self._service.logged.add_params(*convert.read_params(request))
        return pb.LogLoggedModelParamsResponse()

    def PurgeLoggedModels(
        self, request: pb.PurgeLoggedModelsRequest, context: grpc.ServicerContext
    ) -> pb.PurgeLoggedModelsResponse:
        """See the proto."""
        asked = convert.read_purge(request)
        purged = self._service.logged.purge(
            asked.model_ids, asked.deleted_before, dry_run=asked.dry_run
        )
        return pb.PurgeLoggedModelsResponse(model_ids=purged.ids, more=purged.more)
