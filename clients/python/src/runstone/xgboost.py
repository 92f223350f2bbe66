"""Models of XGBoost: saved, logged and loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstone._autolog import libraries
from runstone._flavors import calls, registry
from runstone._values import invalid

if TYPE_CHECKING:
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone._schema.signature import ModelSignature

__all__ = ["autolog", "load_model", "log_model", "save_model"]


def save_model(
    xgb_model: Any,
    path: str | os.PathLike[str],
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    model_format: str = "ubj",
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    **kwargs: Any,
) -> None:
    """Save a model of XGBoost, with all that loading it elsewhere needs, into a folder.

    Args:
        xgb_model: A Booster, or an estimator with scikit-learn's interface.
        path: A new or empty folder.
        model_format: "ubj" (UBJSON) or "json"; "xgb" is UBJSON by an older name.
        kwargs: Handed to the model's own ``save_model``.
        others: As of ``runstone.sklearn.save_model``.

    Raises:
        InvalidField: an argument is wrong, or XGBoost cannot save the model.
        LibraryMissing: XGBoost is not installed.

    Example:
        >>> import runstone.xgboost
        >>> from xgboost import XGBRegressor
        >>> model = XGBRegressor(n_estimators=5).fit([[1.0], [2.0]], [2.0, 2.0])
        >>> runstone.xgboost.save_model(model, "two")
        >>> runstone.xgboost.load_model("two").predict([[3.0]]).round(3).tolist()
        [2.0]
    """
    calls.save("xgboost", "xgb_model", locals())


def log_model(
    xgb_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    model_format: str = "ubj",
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Log a model of XGBoost as a logged model, of the active run when there is one.

    Args:
        xgb_model: As in ``save_model``, as are the arguments of the format.
        others: As of ``runstone.sklearn.log_model``.

    Raises:
        InvalidField: an argument is wrong; nothing is on the server then.
        LibraryMissing: XGBoost is not installed.

    Example:
        >>> import runstone
        >>> from xgboost import XGBRegressor
        >>> model = XGBRegressor(n_estimators=5).fit([[1.0], [2.0]], [2.0, 2.0])
        >>> with runstone.start_run():
        ...     info = runstone.xgboost.log_model(model, name="two", model_format="json")
        >>> info.flavors["xgboost"]["model_class"]
        'xgboost.sklearn.XGBRegressor'
    """
    return calls.log("xgboost", "xgb_model", locals())


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load a model of XGBoost, as the class that it was saved of.

    Args:
        model_uri: As of ``runstone.sklearn.load_model``.
        dst_path: Where to put its files; a temporary folder when absent.
        allow_pickle: Whether code of its author may run: of files beside it.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: XGBoost is not installed.

    Example:
        >>> import runstone, xgboost
        >>> matrix = xgboost.DMatrix([[1.0], [2.0]], [2.0, 2.0])
        >>> booster = xgboost.train({"base_score": 0.0, "eta": 1.0, "lambda": 0.0}, matrix, 1)
        >>> uri = runstone.xgboost.log_model(booster, name="two").model_uri
        >>> runstone.xgboost.load_model(uri).predict(matrix).round(3).tolist()
        [2.0, 2.0]
    """
    return registry.loaded("xgboost", model_uri, dst_path, allow_pickle=allow_pickle)


def autolog(
    importance_types: Sequence[str] | None = None,
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    model_format: str = "ubj",
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Have ``xgboost.train`` and each ``fit`` of its estimators log themselves.

    Logged are the parameters, the metrics of each round on ``evals`` and, with early stopping, of
    the best one, importances of features as JSON and as plots, and the model: a Booster, or the
    estimator that was fitted. Rows for its signature are kept of a ``DMatrix`` that is made after
    this was called.

    Args:
        importance_types: Kinds of importance, such as "gain"; only "weight" when absent.
        log_input_examples: As the arguments not named here, see ``runstone.autolog``.
        registered_model_name: Register each model under this name.
        model_format: As in ``save_model``.

    Raises:
        InvalidField: an argument is of the wrong type.

    Example:
        >>> import runstone.xgboost
        >>> import xgboost
        >>> runstone.xgboost.autolog(log_models=False)
        >>> data = xgboost.DMatrix([[1.0], [2.0]], [2.0, 4.0])
        >>> with runstone.start_run() as run:
        ...     _ = xgboost.train({"eta": 1.0}, data, 3, evals=[(data, "train")], verbose_eval=0)
        >>> metrics = runstone.Client().get_metric_history(run.info.run_id, "train-rmse")
        >>> [point.step for point in metrics]
        [0, 1, 2]
        >>> runstone.xgboost.autolog(disable=True)
    """
    del disable_for_unsupported_versions
    if isinstance(importance_types, str):
        raise invalid("importance_types", f"must be a list of names, not {importance_types!r:.50}")
    libraries.turn(
        "xgboost",
        disable=disable,
        options={
            "importance_types": importance_types,
            "log_input_examples": log_input_examples,
            "log_model_signatures": log_model_signatures,
            "log_models": log_models,
            "log_datasets": log_datasets,
            "exclusive": exclusive,
            "silent": silent,
            "registered_model_name": registered_model_name,
            "model_format": model_format,
            "extra_tags": extra_tags,
        },
    )
