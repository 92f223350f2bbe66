"""Runstone: track experiments, keep artifacts, govern models.

>>> import runstone
>>> with runstone.start_run(run_name="first"):
...     _ = runstone.log_param("lr", 0.1)
...     runstone.log_metric("loss", 0.5, step=1)

Without a tracking URI, an embedded suite is started for ``./runstone-data`` and shared by all
processes there. ``runstone.Client`` has every call; this module has the verbs that log to the
active run. What is listed in ``__all__`` is the public face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runstone import exceptions
from runstone._fluent._artifacts import (
    get_artifact_uri,
    load_table,
    log_artifact,
    log_artifacts,
    log_dict,
    log_figure,
    log_image,
    log_table,
    log_text,
)
from runstone._fluent._delivery import delivery
from runstone._fluent._experiments import (
    create_experiment,
    delete_experiment,
    delete_experiment_tag,
    get_experiment,
    get_experiment_by_name,
    restore_experiment,
    search_experiments,
    set_experiment,
    set_experiment_tag,
    set_experiment_tags,
)
from runstone._fluent._logged import (
    create_external_model,
    delete_logged_model,
    delete_logged_model_tag,
    finalize_logged_model,
    get_logged_model,
    initialize_logged_model,
    last_logged_model,
    log_model_params,
    search_logged_models,
    set_logged_model_tags,
)
from runstone._fluent._logging import (
    delete_tag,
    log_input,
    log_inputs,
    log_metric,
    log_metrics,
    log_param,
    log_params,
    set_tag,
    set_tags,
)
from runstone._fluent._registry import (
    register_model,
    search_model_versions,
    search_registered_models,
    set_model_version_tag,
)
from runstone._fluent._runs import (
    ActiveRun,
    active_run,
    end_run,
    flush,
    flush_async_logging,
    last_active_run,
    start_run,
)
from runstone._fluent._search import delete_run, get_parent_run, get_run, restore_run, search_runs
from runstone._fluent._state import (
    get_registry_uri,
    get_tracking_uri,
    is_tracking_uri_set,
    set_registry_uri,
    set_tracking_uri,
)
from runstone._fluent._system_metrics import (
    disable_system_metrics_logging,
    enable_system_metrics_logging,
    set_system_metrics_node_id,
    set_system_metrics_samples_before_logging,
    set_system_metrics_sampling_interval,
)
from runstone._version import __version__
from runstone.exceptions import RunstoneException

if TYPE_CHECKING:
    from runstone import (
        artifacts,
        catboost,
        data,
        entities,
        integrations,
        keras,
        lightgbm,
        metrics,
        models,
        onnx,
        projects,
        prophet,
        pyfunc,
        pyspark,
        pytorch,
        sentence_transformers,
        sklearn,
        spacy,
        spark,
        statsmodels,
        tensorflow,
        transformers,
        types,
        xgboost,
    )
    from runstone._autolog.everything import autolog
    from runstone._client import Client
    from runstone._client import Client as MlflowClient
    from runstone._evaluation.evaluate import evaluate
    from runstone._evaluation.thresholds import validate_evaluation_results
    from runstone.projects import run

__all__ = [
    # where
    "set_tracking_uri",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "set_registry_uri",
    "get_registry_uri",
    # experiments
    "set_experiment",
    "create_experiment",
    "get_experiment",
    "get_experiment_by_name",
    "search_experiments",
    "delete_experiment",
    "restore_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "delete_experiment_tag",
    # runs
    "ActiveRun",
    "start_run",
    "end_run",
    "flush",
    "flush_async_logging",
    "delivery",
    "active_run",
    "last_active_run",
    "get_run",
    "get_parent_run",
    "delete_run",
    "restore_run",
    "search_runs",
    # what a run logs
    "log_param",
    "log_params",
    "log_metric",
    "log_metrics",
    "set_tag",
    "set_tags",
    "delete_tag",
    "log_input",
    "log_inputs",
    # the machine's metrics
    "enable_system_metrics_logging",
    "disable_system_metrics_logging",
    "set_system_metrics_sampling_interval",
    "set_system_metrics_samples_before_logging",
    "set_system_metrics_node_id",
    # its files
    "log_artifact",
    "log_artifacts",
    "log_text",
    "log_dict",
    "log_figure",
    "log_image",
    "log_table",
    "load_table",
    "get_artifact_uri",
    # logged models
    "initialize_logged_model",
    "create_external_model",
    "finalize_logged_model",
    "get_logged_model",
    "last_logged_model",
    "search_logged_models",
    "delete_logged_model",
    "set_logged_model_tags",
    "delete_logged_model_tag",
    "log_model_params",
    # registry
    "register_model",
    "search_registered_models",
    "search_model_versions",
    "set_model_version_tag",
    # trainings that log by themselves
    "autolog",
    # judging models
    "evaluate",
    "validate_evaluation_results",
    "metrics",
    # projects
    "run",
    "projects",
    # the rest
    "Client",
    "MlflowClient",
    "RunstoneException",
    "artifacts",
    "data",
    "entities",
    "exceptions",
    "integrations",
    # models
    "models",
    "types",
    "pyfunc",
    "sklearn",
    "xgboost",
    "lightgbm",
    "catboost",
    "statsmodels",
    "onnx",
    "pytorch",
    "tensorflow",
    "keras",
    "transformers",
    "sentence_transformers",
    "spacy",
    "prophet",
    "spark",
    "pyspark",
    "__version__",
]

_LAZY_MODULES = {
    "artifacts",
    "catboost",
    "data",
    "entities",
    "integrations",
    "keras",
    "lightgbm",
    "metrics",
    "models",
    "onnx",
    "projects",
    "prophet",
    "pyfunc",
    "pyspark",
    "pytorch",
    "sentence_transformers",
    "sklearn",
    "spacy",
    "spark",
    "statsmodels",
    "tensorflow",
    "tracking",
    "transformers",
    "types",
    "xgboost",
}
_LAZY_NAMES = {
    "run": "runstone.projects",
    "evaluate": "runstone._evaluation.evaluate",
    "validate_evaluation_results": "runstone._evaluation.thresholds",
}
"""Names, and the modules that they are loaded from when they are first used."""


def __getattr__(name: str) -> Any:
    # gRPC and the messages load with the first client, not with `import runstone`.
    if name in {"Client", "MlflowClient"}:
        from runstone._client import Client

        globals().update(Client=Client, MlflowClient=Client)
        return Client
    if name == "autolog":
        from runstone._autolog.everything import autolog

        globals().update(autolog=autolog)
        return autolog
    if name in _LAZY_MODULES:
        from importlib import import_module

        return import_module(f"runstone.{name}")
    if name in _LAZY_NAMES:
        from importlib import import_module

        globals()[name] = getattr(import_module(_LAZY_NAMES[name]), name)
        return globals()[name]
    # Loaded only for a name that is not there: what to do instead, for those who come from MLflow.
    from runstone._missing import explanation

    raise AttributeError(explanation(name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
