"""Pickles of MLflow's PythonModel, read where MLflow is not installed.

MLflow wraps what its users write, and the wrapping is in the pickle: six names, which get here
what does the same for Runstone.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

from runstone._flavors.python_model import FunctionModel, PythonModel
from runstone.exceptions import RunstoneException


class _FuncInfo(NamedTuple):
    input_type_hint: Any
    input_param_name: str


class _TypeHints:
    def __init__(self, input: Any = None, output: Any = None) -> None:  # noqa: A002 - theirs
        self.input = input
        self.output = output


def _unchecked(args: Any, kwargs: Any, *_: Any) -> tuple[Any, Any]:
    # PyFuncModel.predict has made the input what the type hints say.
    return args, kwargs


class _Function(FunctionModel):
    """MLflow's model of a function; it keeps its hints under another name."""

    @property
    def predict_type_hints(self) -> Any:
        return vars(self).get("_predict_type_hints") or super().predict_type_hints


_OURS: dict[tuple[str, str], Callable[..., Any]] = {
    ("mlflow.pyfunc.model", "PythonModel"): PythonModel,
    ("mlflow.pyfunc.model", "_FunctionPythonModel"): _Function,
    ("mlflow.pyfunc.utils.data_validation", "FuncInfo"): _FuncInfo,
    ("mlflow.pyfunc.utils.data_validation", "_validate_model_input"): _unchecked,
    ("mlflow.models.signature", "_TypeHints"): _TypeHints,
    ("mlflow.exceptions", "MlflowException"): RunstoneException,
}


class Unpickler(pickle.Unpickler):
    """Reads a pickle; with MLflow's names where MLflow is, else with ours for them."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """What a name in the pickle stands for."""
        ours = _OURS.get((module_name, global_name))
        if ours is not None and importlib.util.find_spec("mlflow") is None:
            return ours
        return super().find_class(module_name, global_name)
