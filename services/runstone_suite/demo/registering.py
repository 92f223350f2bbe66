"""The life of a model after its training: registered, promoted, loaded back."""

from __future__ import annotations

import tempfile
from typing import Any

import runstone

MODEL_NAME = "digits"


def register_and_promote(run_id: str, accuracy: float) -> int:
    """Register a run's model and bring it to Production the way a team does. The version."""
    client = runstone.Client()
    version = runstone.register_model(f"runs:/{run_id}/model", MODEL_NAME)
    number = int(version.version)
    request = client.create_transition_request(
        MODEL_NAME,
        number,
        "Production",
        archive_existing_versions=True,
        comment=f"test accuracy {accuracy:.3f}",
    )
    client.approve_transition_request(
        request.transition_request_id, comment="better than what is there"
    )
    client.set_registered_model_alias(MODEL_NAME, "champion", number)
    return number


def load_production() -> Any:
    """The model that is in Production, from the registry: a program knows its name and no more."""
    from runstone_suite.demo.training import load_model

    with tempfile.TemporaryDirectory() as folder:
        return load_model(
            runstone.artifacts.download_artifacts(
                f"models:/{MODEL_NAME}/Production", dst_path=folder
            )
        )
