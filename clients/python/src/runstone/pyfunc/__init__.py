"""Any model by one interface: ``load_model(uri).predict(data)``."""

from __future__ import annotations

import os
from typing import Any

from runstone._pyfunc.loading import load
from runstone._pyfunc.model import PyFuncModel

__all__ = ["PyFuncModel", "load_model"]


def load_model(
    model_uri: str | os.PathLike[str],
    suppress_warnings: bool = False,
    dst_path: str | os.PathLike[str] | None = None,
    model_config: Any = None,
    *,
    allow_pickle: bool | None = None,
) -> PyFuncModel:
    """Load a model of any framework, to predict.

    Args:
        model_uri: ``runs:/<run_id>/<name>``, ``models:/<name>/3`` (or a stage, or latest),
            ``models:/<name>@<alias>``, ``models:/m-…``, or a folder of this machine.
        suppress_warnings: Do not tell of versions that differ from those it was saved with.
        dst_path: Where to put its files; a temporary folder when absent.
        model_config: What ``context.model_config`` of a PythonModel is to have, as a dict or the
            path of a YAML file: instead of what it was saved with.
        allow_pickle: Whether code of its author may run. When absent only for one's own models, or
            as RUNSTONE_ALLOW_PICKLE says.

    Raises:
        UntrustedModel: loading it would run code, and nobody said that it may.
        ModelFormatError, FlavorNotFound: there is no such model.
        LibraryMissing: its framework is not installed.

    Example:
        >>> import runstone
        >>> from sklearn.linear_model import LinearRegression
        >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> uri = runstone.sklearn.log_model(model, name="doubling").model_uri
        >>> runstone.pyfunc.load_model(uri).predict([[3.0]]).round(6).tolist()
        [6.0]
    """
    return load(model_uri, dst_path, model_config, allow_pickle, quiet=suppress_warnings)
