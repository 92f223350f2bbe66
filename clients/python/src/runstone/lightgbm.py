"""Models of LightGBM: saved, logged and loaded."""

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
    lgb_model: Any,
    path: str | os.PathLike[str],
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Mapping[str, Any] | None = None,
    serialization_format: str | None = None,
    skops_trusted_types: Sequence[str] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
    **kwargs: Any,
) -> None:
    """Save a model of LightGBM, with all that loading it elsewhere needs, into a folder.

    Args:
        lgb_model: A Booster, or an estimator with scikit-learn's interface.
        path: A new or empty folder.
        serialization_format: Of an estimator: "skops", of which loading runs no code;
            "cloudpickle" or "pickle". When absent skops, where it is installed.
        skops_trusted_types: Taken for MLflow's sake; the types are found by themselves.
        kwargs: Handed to a Booster's own ``save_model``.
        others: As of ``runstone.sklearn.save_model``.

    Raises:
        InvalidField: an argument is wrong, or the model cannot be kept in that format.
        LibraryMissing: LightGBM is not installed.

    Example:
        >>> import lightgbm, runstone.lightgbm
        >>> rows, labels = [[float(i)] for i in range(60)], [2.0] * 60
        >>> model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(rows, labels)
        >>> runstone.lightgbm.save_model(model, "two")
        >>> runstone.lightgbm.load_model("two").predict([[3.0]]).round(3).tolist()
        [2.0]
    """
    calls.save("lightgbm", "lgb_model", locals())


def log_model(
    lgb_model: Any,
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
    serialization_format: str | None = None,
    skops_trusted_types: Sequence[str] | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Log a model of LightGBM as a logged model, of the active run when there is one.

    Args:
        lgb_model: As in ``save_model``, as are the arguments of the format.
        others: As of ``runstone.sklearn.log_model``.

    Raises:
        InvalidField: an argument is wrong; nothing is on the server then.
        LibraryMissing: LightGBM is not installed.

    Example:
        >>> import runstone, lightgbm
        >>> rows, labels = [[float(i)] for i in range(60)], [2.0] * 60
        >>> model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(rows, labels)
        >>> with runstone.start_run():
        ...     info = runstone.lightgbm.log_model(model, name="two")
        >>> info.flavors["lightgbm"]["serialization_format"]
        'skops'
    """
    return calls.log("lightgbm", "lgb_model", locals())


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load a model of LightGBM, as the class that it was saved of.

    Args:
        model_uri: As of ``runstone.sklearn.load_model``.
        dst_path: Where to put its files; a temporary folder when absent.
        allow_pickle: Whether code of its author may run: of a pickle, or of files beside it.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: LightGBM is not installed.

    Example:
        >>> import runstone, lightgbm
        >>> rows, labels = [[float(i)] for i in range(60)], [2.0] * 60
        >>> model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(rows, labels)
        >>> uri = runstone.lightgbm.log_model(model.booster_, name="two").model_uri
        >>> runstone.lightgbm.load_model(uri).predict([[3.0]]).round(3).tolist()
        [2.0]
    """
    return registry.loaded("lightgbm", model_uri, dst_path, allow_pickle=allow_pickle)


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
    """Have ``lightgbm.train`` and each ``fit`` of its estimators log themselves.

    Logged are the parameters, the metrics of each round on ``valid_sets`` and, with early stopping,
    of the best one, importances of features by split and by gain as JSON and as plots, and the
    model: a Booster, or the estimator that was fitted. Rows for its signature are kept of a
    ``Dataset`` that is made after this was called.

    Args:
        log_input_examples: As the arguments not named here, see ``runstone.autolog``.
        registered_model_name: Register each model under this name.

    Raises:
        InvalidField: an argument is of the wrong type.

    Example:
        >>> import runstone.lightgbm
        >>> import lightgbm, numpy
        >>> runstone.lightgbm.autolog(log_models=False)
        >>> values = numpy.arange(60.0)
        >>> data = lightgbm.Dataset(values.reshape(-1, 1), values)
        >>> seen = {"valid_sets": [data], "valid_names": ["same"]}
        >>> with runstone.start_run() as run:
        ...     _ = lightgbm.train({"verbose": -1}, data, 3, **seen)
        >>> metrics = runstone.Client().get_metric_history(run.info.run_id, "same-l2")
        >>> [point.step for point in metrics]
        [0, 1, 2]
        >>> runstone.lightgbm.autolog(disable=True)
    """
    del disable_for_unsupported_versions
    libraries.turn(
        "lightgbm",
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
