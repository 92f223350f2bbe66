"""What a version of a registered model shows: its evaluations, which rules of stages ask for."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runstone._modeluri import ModelUri, parse_artifact_uri
from runstone.exceptions import RunstoneException

if TYPE_CHECKING:
    from runstone._client import Client
    from runstone._entities.registry import ModelVersion

_log = logging.getLogger("runstone")

TAG = "runstone.evaluation"
"""Of a version; the registry service reads it."""


def version_of(client: Client, model: Any) -> ModelVersion | None:
    """The version that a URI names now; None of anything else.

    Raises:
        ModelNotFound, VersionNotFound, AliasNotFound
    """
    if not isinstance(model, str):
        return None
    found = parse_artifact_uri(model)
    if not isinstance(found, ModelUri) or found.path:
        return None
    return client.resolve_model_uri(model)


def note(
    client: Client, version: ModelVersion, metrics: Mapping[str, Any], run_id: str, *, signed: bool
) -> None:
    """Keep the metrics with the version, beside those of earlier evaluations.

    Who may read a model but not change it may evaluate it all the same: then a warning tells that
    the version does not show it.
    """
    try:
        before = client.get_model_version(version.name, version.version).tags.get(TAG, "")
        known = {**_metrics(before), **metrics}
        said = {
            "metrics": {name: number for name, number in known.items() if math.isfinite(number)},
            "signature": signed,
            "run_id": run_id,
        }
        client.set_model_version_tag(version.name, version.version, TAG, json.dumps(said))
    except RunstoneException as error:
        _log.warning(
            "the evaluation is not noted with version %s of %r: %s",
            version.version,
            version.name,
            error,
        )


def _metrics(tag: str) -> dict[str, float]:
    """Those of an earlier evaluation; none when it cannot be read."""
    try:
        found = json.loads(tag)["metrics"]
        return {str(name): float(number) for name, number in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
