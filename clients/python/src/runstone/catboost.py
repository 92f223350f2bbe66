"""Models of CatBoost: saved, logged and loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstone._autolog import libraries
from runstone._flavors import calls, registry

if TYPE_CHECKING:
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone._schema.signature import ModelSignature

__all__ = ["autolog", "load_model", "log_model", "save_model"]


def save_model(
    cb_model: Any,
    path: str | os.PathLike[str],
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    **kwargs: Any,
) -> None:
    """Save a model of CatBoost, with all that loading it elsewhere needs, into a folder.

    Args:
        cb_model: A CatBoost, CatBoostClassifier, CatBoostRegressor or CatBoostRanker.
        path: A new or empty folder.
        kwargs: Handed to the model's own ``save_model``, such as ``format="json"``.
        others: As of ``runstone.sklearn.save_model``.

    Raises:
        InvalidField: an argument is wrong, or CatBoost cannot save the model.
        LibraryMissing: CatBoost is not installed.

    Example:
        >>> import catboost, runstone.catboost
        >>> model = catboost.CatBoostRegressor(iterations=3, silent=True, allow_writing_files=False)
        >>> model = model.fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 2.5])
        >>> runstone.catboost.save_model(model, "rising")
        >>> loaded = runstone.catboost.load_model("rising")
        >>> bool((loaded.predict([[2.0]]) == model.predict([[2.0]])).all())
        True
    """
    calls.save("catboost", "cb_model", locals())


def log_model(
    cb_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
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
    """Log a model of CatBoost as a logged model, of the active run when there is one.

    Args:
        cb_model: As in ``save_model``, as are the arguments of the format.
        others: As of ``runstone.sklearn.log_model``.

    Raises:
        InvalidField: an argument is wrong; nothing is on the server then.
        LibraryMissing: CatBoost is not installed.

    Example:
        >>> import runstone, catboost
        >>> model = catboost.CatBoostRegressor(iterations=3, silent=True, allow_writing_files=False)
        >>> model = model.fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 2.5])
        >>> with runstone.start_run():
        ...     info = runstone.catboost.log_model(model, name="rising")
        >>> info.flavors["catboost"]["model_type"]
        'CatBoostRegressor'
    """
    return calls.log("catboost", "cb_model", locals())


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load a model of CatBoost, as the class that it was saved of.

    Args:
        model_uri: As of ``runstone.sklearn.load_model``.
        dst_path: Where to put its files; a temporary folder when absent.
        allow_pickle: Whether code of its author may run: of files beside it.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: CatBoost is not installed.

    Example:
        >>> import runstone, catboost
        >>> model = catboost.CatBoostRegressor(iterations=3, silent=True, allow_writing_files=False)
        >>> model = model.fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 2.5])
        >>> uri = runstone.catboost.log_model(model, name="rising").model_uri
        >>> type(runstone.catboost.load_model(uri)).__name__
        'CatBoostRegressor'
    """
    return registry.loaded("catboost", model_uri, dst_path, allow_pickle=allow_pickle)


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Have each ``fit`` of CatBoost log itself.

    Logged are the parameters, the metrics of each round on the training data and on ``eval_set``,
    with that also those of the best round, importances of features as JSON and as a plot, and the
    model.

    Args:
        log_input_examples: As the arguments not named here, see ``runstone.autolog``.
        registered_model_name: Register each model under this name.

    Raises:
        InvalidField: an argument is of the wrong type.

    Example:
        >>> import runstone.catboost
        >>> from catboost import CatBoostRegressor
        >>> runstone.catboost.autolog(log_models=False)
        >>> model = CatBoostRegressor(iterations=3, verbose=False, allow_writing_files=False)
        >>> with runstone.start_run() as run:
        ...     _ = model.fit([[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0])
        >>> metrics = runstone.Client().get_metric_history(run.info.run_id, "learn-RMSE")
        >>> [point.step for point in metrics]
        [0, 1, 2]
        >>> runstone.catboost.autolog(disable=True)
    """
    del disable_for_unsupported_versions
    libraries.turn(
        "catboost",
        disable=disable,
        options={
            "log_input_examples": log_input_examples,
            "log_model_signatures": log_model_signatures,
            "log_models": log_models,
            "log_datasets": log_datasets,
            "exclusive": exclusive,
            "silent": silent,
            "registered_model_name": registered_model_name,
            "extra_tags": extra_tags,
        },
    )
