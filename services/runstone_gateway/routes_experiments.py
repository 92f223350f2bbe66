"""Experiments: MLflow's calls as ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from runstone.tracking.v1 import experiment_pb2 as messages
from runstone.tracking.v1 import run_pb2
from runstone_gateway import render_tracking as render
from runstone_gateway.call import Call
from runstone_gateway.errors import refused
from runstone_gateway.fields import wrong
from runstone_gateway.pages import collect

OWN_LOCATION = re.compile(r"mlflow-artifacts:/(?:[\w-][\w.-]*(?:/[\w-][\w.-]*)*/?)?", re.ASCII)
"""The one place of artifacts that a client may name: the server's own, where it has its own order
of folders."""

MAX_SEARCHED = 20
"""Experiments whose data sets one call lists, as MLflow has it."""

MAX_RESULTS = 50_000
"""Experiments of one answer, as MLflow has it."""

VIEWS = {
    "ACTIVE_ONLY": messages.VIEW_TYPE_ACTIVE_ONLY,
    "DELETED_ONLY": messages.VIEW_TYPE_DELETED_ONLY,
    "ALL": messages.VIEW_TYPE_ALL,
}


async def create(
    call: Call, name: str, artifact_location: str = "", tags: dict[str, str] | None = None
) -> Any:
    """POST experiments/create."""
    if artifact_location and not OWN_LOCATION.fullmatch(artifact_location):
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
    max_results: int = 1000,
    page_token: str = "",
    filter: str = "",
    order_by: Sequence[str] = (),
    view_type: str = "ACTIVE_ONLY",
) -> Any:
    """POST and GET experiments/search."""
    if not 1 <= max_results <= MAX_RESULTS:
        raise wrong(max_results, "max_results", f"a number of experiments from 1 to {MAX_RESULTS}")
    request = messages.SearchExperimentsRequest(
        filter=filter, order_by=order_by, view_type=VIEWS[view_type], page_token=page_token
    )
    method = call.tracking.SearchExperiments
    return await collect(call, method, request, "experiments", render.experiment, max_results)


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


async def search_datasets(call: Call, experiment_ids: Sequence[str]) -> Any:
    """POST experiments/search-datasets: what the runs of experiments read."""
    if not experiment_ids:
        raise refused("SearchDatasets request must specify at least one experiment_id.")
    if len(experiment_ids) > MAX_SEARCHED:
        raise refused(
            f"SearchDatasets request cannot specify more than {MAX_SEARCHED} experiment_ids."
            f" Received {len(experiment_ids)} experiment_ids."
        )
    request = run_pb2.SearchDatasetsRequest(experiment_ids=experiment_ids)
    found = await call.ask(call.tracking.SearchDatasets, request)
    if not found.summaries:
        return {}
    return {"dataset_summaries": [render.dataset_summary(each) for each in found.summaries]}
