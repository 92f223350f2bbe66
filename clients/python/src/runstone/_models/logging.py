"""A model is logged: its folder built, a logged model made of it, told to its run, registered.

What can fail for the user's sake fails before anything is on the server. What fails later leaves
the logged model FAILED, never READY without its files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone import _values
from runstone._entities.logged import LoggedModel
from runstone._entities.tracking import LoggedModelOutput
from runstone._fluent import _logged, _state
from runstone._fluent._registry import register_model
from runstone._fluent._runs import active_run
from runstone._models import trust, writing
from runstone._models.flavor import Flavor
from runstone._models.info import ModelInfo, info_of
from runstone._models.model import MLMODEL

if TYPE_CHECKING:
    from runstone._client import Client

PICKLED = "runstone.unsafe"
"""Tag of a logged model or version whose loading would run code: how, such as "a pickle"."""

DEFAULT_NAME = "model"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model is logged to.

    Attributes:
        name: Of the logged model: at most 500 characters, without any of / : . % " '.
        artifact_path: Another word for ``name``, MLflow's older one.
        registered_model_name: Register it under this name, too.
        run_id: The run that made it; the active one when absent, which may be none.
        model_id: Complete this logged model instead of making one.
        params, tags: Of the logged model. The run's params are added to ``params``.
        model_type: What kind of model it is.
        step: The step of the training at which it was made.
    """

    name: str | None = None
    artifact_path: str | None = None
    registered_model_name: str | None = None
    run_id: str | None = None
    model_id: str | None = None
    params: Mapping[str, Any] | None = None
    tags: Mapping[str, Any] | None = None
    model_type: str | None = None
    step: int = 0


def log(
    flavor: Flavor,
    model: Any,
    place: Place,
    about: writing.About,
    options: Mapping[str, Any],
) -> ModelInfo:
    """Log a model; where it is and what it says of itself.

    Raises:
        InvalidField: an argument is wrong; nothing is on the server then.
        ExperimentDeleted, RunNotFound, LoggedModelNotFound
    """
    if place.name is not None and place.artifact_path is not None:
        raise _values.invalid("artifact_path", "is another word for name; give one of them")
    client = _state.client()
    with tempfile.TemporaryDirectory(prefix="runstone-model-") as folder:
        building = Path(folder)
        description = writing.build(flavor, model, building, about, options)
        configuration = description.flavors[flavor.name]
        unsafe = flavor.unsafe(building, configuration) or trust.code(configuration)
        logged = _started(client, place, unsafe)
        try:
            description.model_id = description.model_uuid = logged.model_id
            description.run_id = logged.source_run_id or None
            description.artifact_path = logged.artifact_location
            description.save(building / MLMODEL)
            client.log_model_artifacts(logged.model_id, building)
        except BaseException as error:
            _failed(client, logged.model_id, error)
            raise
        trust.own(building, lasting=client.tracking_uri.startswith("file:"))
    logged = client.finalize_logged_model(logged.model_id, "READY")
    _logged.note(logged.model_id)
    if logged.source_run_id:
        output = LoggedModelOutput(logged.model_id, step=place.step)
        client.log_outputs(logged.source_run_id, [output])
    version = _registered(logged, place, unsafe)
    return info_of(
        description,
        name=logged.name,
        registered_model_version=version,
        params=dict(logged.params),
        tags=dict(logged.tags),
    )


def _started(client: Client, place: Place, unsafe: str | None) -> LoggedModel:
    tags = {**(place.tags or {}), **({PICKLED: unsafe} if unsafe else {})}
    if place.model_id is not None:
        if tags:
            client.set_logged_model_tags(place.model_id, tags)
        return client.get_logged_model(place.model_id)
    run = active_run()
    run_id = place.run_id or (run.info.run_id if run else None)
    experiment_id, params = _state.experiment_id(), dict(place.params or {})
    if run_id is not None:
        found = client.get_run(run_id)
        experiment_id, params = found.info.experiment_id, {**found.data.params, **params}
    return client.create_logged_model(
        experiment_id,
        place.name or place.artifact_path or DEFAULT_NAME,
        run_id,
        tags,
        params,
        place.model_type,
    )


def _failed(client: Client, model_id: str, error: BaseException) -> None:
    try:
        client.finalize_logged_model(model_id, "FAILED")
    except Exception as second:
        error.add_note(f"logged model {model_id} could not be marked as failed: {second}")


def _registered(logged: LoggedModel, place: Place, unsafe: str | None) -> int | None:
    if place.registered_model_name is None:
        return None
    tags = {**(place.tags or {}), **({PICKLED: unsafe} if unsafe else {})}
    version = register_model(logged.model_uri, place.registered_model_name, tags=tags or None)
    return version.version
