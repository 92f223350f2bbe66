"""The tags by which a repeated import knows what it has made, and what tells a change.

A run id of MLflow is never given twice. An experiment and a model are known by what no renaming
changes: the experiment by its id, the model by its name of now, both with the time of creation. So
it makes no difference whether the same MLflow is read by its server, its database or its folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from runstone._client._runs import PARENT_RUN_ID
from runstone._migrate.model import SourceExperiment, SourceModel, SourceRun, SourceVersion

RUN = "runstone.importedRunId"
"""Of a run: its id in MLflow."""

COUNT = re.compile(r"[0-9]{1,18}")
"""The points in the tags of a state. Anybody may set a tag, also to "²", which isdigit() takes."""

RUN_STATE = "runstone.importState"
"""Of a run that is there whole: what it was at the source, and its number of points there."""

EXPERIMENT = "runstone.importedExperiment"
"""Of an experiment: the ones of MLflow that went into it, "id@creation time" each; with JOINED
before it when the experiment was there already."""

JOINED = "joined:"

MODEL = "runstone.importedModel"
"""Of a registered model: the same, "name@creation time"."""

VERSION = "runstone.importedVersion"
"""Of a version: JSON with its number there and, once it is whole, what our registry says by itself
of a version, and a digest of the rest."""

GAP = "runstone.importedGap"
"""Of a version that only takes the number of one that was deleted in MLflow, until it is too."""

ORIGIN = "runstone.importedState"
"""Of an experiment or a model: JSON with its times, which our services set by themselves, and a
digest of the rest. What is unchanged at the source is left alone here."""

OURS = frozenset({RUN, RUN_STATE, EXPERIMENT, MODEL, VERSION, GAP, ORIGIN})

MODEL_HISTORY = "mlflow.log-model.history"
"""JSON: a list of models, each with the id of the run that logged it."""


def of_experiment(experiment: SourceExperiment) -> str:
    """What EXPERIMENT holds for it."""
    return f"{experiment.experiment_id}@{experiment.creation_time or 0}"


def of_model(model: SourceModel) -> str:
    """What MODEL holds for it."""
    return f"{model.name}@{model.creation_time or 0}"


def begun(version: SourceVersion) -> str:
    """What VERSION holds for one that is not whole yet."""
    return json.dumps({"version": version.version})


def of_version(version: SourceVersion) -> str:
    """What VERSION holds for one that is there whole."""
    rest = [version.description, version.stage, sorted(version.tags.items())]
    said = {
        "version": version.version,
        "state": short_digest(rest),
        "creation_time": version.creation_time,
        "last_updated_time": version.last_updated_time,
        "user_id": version.user_id,
        "run_id": version.run_id,
        "run_link": version.run_link,
        "source": version.source,
    }
    return json.dumps({name: value for name, value in said.items() if value})


def number_of(tags: Mapping[str, str]) -> int:
    """The number in MLflow that a version's tags tell; 0 when it was not imported."""
    try:
        return int(json.loads(tags[VERSION])["version"])
    except (KeyError, ValueError, TypeError):
        return 0


def state(creation_time: int | None, last_update_time: int | None, rest: Any) -> str:
    """What ORIGIN holds: the times, and a digest of what else is copied."""
    said = {"creation_time": creation_time, "last_update_time": last_update_time}
    return json.dumps({**said, "state": short_digest(rest)})


def short_digest(said: Any) -> str:
    """Tells whether something changed."""
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def request_id(*parts: str) -> str:
    """The same for the same parts: a create that is repeated answers with what it made."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def without_ours(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags but those of this module."""
    return {key: value for key, value in tags.items() if key not in OURS}


def state_of(tags: Mapping[str, str]) -> tuple[str, int]:
    """The digest that RUN_STATE tells and the points; nothing when the run is not whole."""
    digest, _, points = tags.get(RUN_STATE, "").partition(" ")
    return (digest, int(points)) if COUNT.fullmatch(points) else ("", 0)


def digest(run: SourceRun, tags: Mapping[str, str]) -> str:
    """Of all that a source says of a run, and of its tags as we are to have them."""
    said = [
        run.name,
        run.user_id,
        run.status,
        run.start_time,
        run.end_time,
        run.active,
        sorted(run.params.items()),
        sorted(tags.items()),
        sorted((key, str(value)) for key, value in run.metrics.items()),
        sorted(str(each) for each in run.inputs),
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


def translated(tags: Mapping[str, str], run_ids: Mapping[str, str]) -> dict[str, str]:
    """Tags with the run ids in them as they are here, as far as these runs are."""
    found = dict(tags)
    parent = found.get(PARENT_RUN_ID, "")
    if parent in run_ids:
        found[PARENT_RUN_ID] = run_ids[parent]
    if MODEL_HISTORY in found:
        found[MODEL_HISTORY] = _history(found[MODEL_HISTORY], run_ids)
    return found


def _history(said: str, run_ids: Mapping[str, str]) -> str:
    try:
        entries: Any = json.loads(said)
    except ValueError:
        return said  # cut by MLflow's limit; what is no JSON names no run
    if not isinstance(entries, list):
        return said
    changed = False
    for each in entries:
        known = run_ids.get(str(each.get("run_id"))) if isinstance(each, dict) else None
        if known:
            each["run_id"] = known
            changed = True
    return json.dumps(entries) if changed else said
