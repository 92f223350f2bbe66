"""Experiments: MLflow's calls as ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from runstone.tracking.v1 import experiment_pb2 as messages
from runstone_gateway import render_tracking as render
from runstone_gateway.call import Call
from runstone_gateway.errors import refused

OWN_LOCATION = "mlflow-artifacts:/"
"""The one place of artifacts that a client may name: the server's own."""

VIEWS = {
    "ACTIVE_ONLY": messages.VIEW_TYPE_ACTIVE_ONLY,
    "DELETED_ONLY": messages.VIEW_TYPE_DELETED_ONLY,
    "ALL": messages.VIEW_TYPE_ALL,
}


async def create(
    call: Call, name: str, artifact_location: str = "", tags: dict[str, str] | None = None
) -> Any:
    """POST experiments/create."""
    if artifact_location and not artifact_location.startswith(OWN_LOCATION):
        raise refused(
            "Parameter 'artifact_location' is not taken: this server keeps artifacts in its own"
            " store. Leave it out."
        )
    request = messages.CreateExperimentRequest(name=name, tags=tags)
    made = await call.ask(call.tracking.CreateExperiment, request)
    return {"experiment_id": made.experiment.experiment_id}


async def get(call: Call, experiment_id: str) -> Any:
    """GET experiments/get."""
    request = messages.GetExperimentRequest(experiment_id=experiment_id)
    found = await call.ask(call.tracking.GetExperiment, request)
    return {"experiment": render.experiment(found.experiment)}


async def get_by_name(call: Call, experiment_name: str) -> Any:
    """GET experiments/get-by-name."""
    request = messages.GetExperimentRequest(name=experiment_name)
    found = await call.ask(call.tracking.GetExperiment, request)
    return {"experiment": render.experiment(found.experiment)}


async def search(
    call: Call,
    max_results: int = 0,
    page_token: str = "",
    filter: str = "",
    order_by: Sequence[str] = (),
    view_type: str = "ACTIVE_ONLY",
) -> Any:
    """POST and GET experiments/search."""
    found = await call.ask(
        call.tracking.SearchExperiments,
        messages.SearchExperimentsRequest(
            filter=filter,
            order_by=order_by,
            view_type=VIEWS[view_type],
            page_size=max_results,
            page_token=page_token,
        ),
    )
    answer: dict[str, Any] = {"experiments": [render.experiment(e) for e in found.experiments]}
    if found.next_page_token:
        answer["next_page_token"] = found.next_page_token
    return answer


async def delete(call: Call, experiment_id: str) -> Any:
    """POST experiments/delete."""
    request = messages.DeleteExperimentRequest(experiment_id=experiment_id)
    await call.ask(call.tracking.DeleteExperiment, request)
    return {}


async def restore(call: Call, experiment_id: str) -> Any:
    """POST experiments/restore."""
    request = messages.RestoreExperimentRequest(experiment_id=experiment_id)
    await call.ask(call.tracking.RestoreExperiment, request)
    return {}


async def update(call: Call, experiment_id: str, new_name: str) -> Any:
    """POST experiments/update."""
    request = messages.UpdateExperimentRequest(
        experiment=messages.Experiment(experiment_id=experiment_id, name=new_name),
        update_mask=FieldMask(paths=["name"]),
    )
    await call.ask(call.tracking.UpdateExperiment, request)
    return {}


async def set_tag(call: Call, experiment_id: str, key: str, value: str = "") -> Any:
    """POST experiments/set-experiment-tag."""
    request = messages.SetExperimentTagsRequest(experiment_id=experiment_id, tags={key: value})
    await call.ask(call.tracking.SetExperimentTags, request)
    return {}


async def delete_tag(call: Call, experiment_id: str, key: str) -> Any:
    """POST experiments/delete-experiment-tag."""
    request = messages.DeleteExperimentTagsRequest(experiment_id=experiment_id, keys=[key])
    await call.ask(call.tracking.DeleteExperimentTags, request)
    return {}
