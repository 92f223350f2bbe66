"""Models of statsmodels: saved, logged and loaded."""

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
    statsmodels_model: Any,
    path: str | os.PathLike[str],
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    mlflow_model: Model | None = None,
    remove_data: bool = False,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Mapping[str, Any] | None = None,
    extra_files: Sequence[str | os.PathLike[str]] | None = None,
) -> None:
    """Save what a fit of statsmodels gave, with all that loading it elsewhere needs, into a folder.

    Args:
        statsmodels_model: The results of ``fit``. They are kept as a pickle, for statsmodels has
            nothing else.
        path: A new or empty folder.
        remove_data: Leave out arrays as long as the data that was fitted.
        others: As of ``runstone.sklearn.save_model``.

    Raises:
        InvalidField: an argument is wrong, or the model cannot be pickled.
        LibraryMissing: statsmodels is not installed.

    Example:
        >>> import runstone.statsmodels, statsmodels.api
        >>> fitted = statsmodels.api.OLS([2.0, 4.0, 6.0], [[1.0], [2.0], [3.0]]).fit()
        >>> runstone.statsmodels.save_model(fitted, "doubling")
        >>> runstone.statsmodels.load_model("doubling").predict([[5.0]]).round(6).tolist()
        [10.0]
    """
    calls.save("statsmodels", "statsmodels_model", locals())


def log_model(
    statsmodels_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Sequence[str | os.PathLike[str]] | None = None,
    registered_model_name: str | None = None,
    remove_data: bool = False,
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
) -> ModelInfo:
    """Log what a fit of statsmodels gave as a logged model, of the active run when there is one.

    Args:
        statsmodels_model: As in ``save_model``, as are the arguments of the format.
        others: As of ``runstone.sklearn.log_model``.

    Raises:
        InvalidField: an argument is wrong; nothing is on the server then.
        LibraryMissing: statsmodels is not installed.

    Example:
        >>> import runstone, statsmodels.api
        >>> fitted = statsmodels.api.OLS([2.0, 4.0, 6.0], [[1.0], [2.0], [3.0]]).fit()
        >>> with runstone.start_run():
        ...     info = runstone.statsmodels.log_model(fitted, name="doubling")
        >>> sorted(info.flavors)
        ['python_function', 'statsmodels']
    """
    return calls.log("statsmodels", "statsmodels_model", locals())


def load_model(
    model_uri: str | os.PathLike[str],
    dst_path: str | os.PathLike[str] | None = None,
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """Load what a fit of statsmodels gave.

    Args:
        model_uri: As of ``runstone.sklearn.load_model``.
        dst_path: Where to put its files; a temporary folder when absent.
        allow_pickle: Whether code of its author may run: it is a pickle. When absent
            only for one's own models, or as RUNSTONE_ALLOW_PICKLE says.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: statsmodels is not installed.

    Example:
        >>> import runstone, statsmodels.api
        >>> fitted = statsmodels.api.OLS([2.0, 4.0, 6.0], [[1.0], [2.0], [3.0]]).fit()
        >>> uri = runstone.statsmodels.log_model(fitted, name="doubling").model_uri
        >>> runstone.statsmodels.load_model(uri).params.round(6).tolist()
        [2.0]
    """
    return registry.loaded("statsmodels", model_uri, dst_path, allow_pickle=allow_pickle)


def autolog(
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Have each ``fit`` of a model of statsmodels log itself.

    Logged are the arguments of ``fit``, the measures that its results have, such as ``aic`` and
    ``rsquared``, their summary as ``model_summary.txt``, and the results as a model.

    Args:
        log_models: As the arguments not named here, see ``runstone.autolog``.
        registered_model_name: Register each model under this name.

    Raises:
        InvalidField: an argument is of the wrong type.

    Example:
        >>> import runstone.statsmodels
        >>> import statsmodels.api
        >>> runstone.statsmodels.autolog(log_models=False)
        >>> with runstone.start_run() as run:
        ...     _ = statsmodels.api.OLS([2.0, 4.1, 5.9, 8.0], [1.0, 2.0, 3.0, 4.0]).fit()
        >>> round(runstone.get_run(run.info.run_id).data.metrics["rsquared"], 2)
        1.0
        >>> runstone.statsmodels.autolog(disable=True)
    """
    del disable_for_unsupported_versions
    libraries.turn(
        "statsmodels",
        disable=disable,
        options={
            "log_models": log_models,
            "log_datasets": log_datasets,
            "exclusive": exclusive,
            "silent": silent,
            "registered_model_name": registered_model_name,
            "extra_tags": extra_tags,
        },
    )
