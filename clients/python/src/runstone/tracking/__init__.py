"""The tracking service's messages (``v1``), and what scripts know as mlflow.tracking's."""

from typing import Any

_FLUENT = {
    "get_registry_uri",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "set_registry_uri",
    "set_tracking_uri",
}


def __getattr__(name: str) -> Any:
    # Late: the server imports this package for its messages alone.
    if name in _FLUENT | {"Client", "MlflowClient"}:
        import runstone

        return getattr(runstone, name)
    raise AttributeError(f"module 'runstone.tracking' has no attribute {name!r}")
