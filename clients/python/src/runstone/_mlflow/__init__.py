"""What makes an unmodified MLflow client speak to Runstone by gRPC.

MLflow finds these by the entry points of this distribution, for the tracking URIs runstone://… and
runstones://… and for the artifact URIs of ``places``. It loads them whenever it is imported, so
what they need is imported when one is called.

errors      our exceptions as MLflow's, and what is not supported
entities    our entities as MLflow's, and the reverse
places      artifact URIs, and the client of a tracking URI
paging      pages as MLflow's callers expect them
recent      points on their way to the server
models      logged models, and the runs that read and made them
metrics     what a run logs: points by the journal, the rest by call
spans       our traces as MLflow's, and the reverse
traces      traces and their spans
tracking    the tracking store
registry    the model registry store
artifacts   the artifact repository

Nothing else of Runstone imports these modules, and nothing else imports MLflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runstone._mlflow.artifacts import RunstoneArtifacts
    from runstone._mlflow.registry import RegistryStore
    from runstone._mlflow.tracking import TrackingStore


def tracking_store(store_uri: str, artifact_uri: str | None = None, **_: Any) -> TrackingStore:
    """Entry point of the group ``mlflow.tracking_store``."""
    from runstone._mlflow.tracking import TrackingStore

    return TrackingStore(store_uri, artifact_uri)


def registry_store(store_uri: str, tracking_uri: str | None = None, **_: Any) -> RegistryStore:
    """Entry point of the group ``mlflow.model_registry_store``."""
    from runstone._mlflow.registry import RegistryStore

    return RegistryStore(store_uri, tracking_uri)


def artifact_repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> RunstoneArtifacts:
    """Entry point of the group ``mlflow.artifact_repository``."""
    from runstone._mlflow.artifacts import RunstoneArtifacts

    return RunstoneArtifacts(artifact_uri, tracking_uri, registry_uri)
