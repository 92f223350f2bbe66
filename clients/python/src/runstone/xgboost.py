"""Models of XGBoost: saved, logged and loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstone._flavors import calls, registry

if TYPE_CHECKING:
    from runstone._models.info import ModelInfo
    from runstone._models.model import Model
    from runstone._schema.signature import ModelSignature

__all__ = ["load_model", "log_model", "save_model"]


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
