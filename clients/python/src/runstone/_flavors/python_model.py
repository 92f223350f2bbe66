"""Models that their users write: a class with ``predict``, or a function.

Pickles name the classes as ``runstone.pyfunc.<class>``, for as long as there are models.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runstone import _values
from runstone._schema.hints import Hints, function_hints
from runstone._values import invalid

HOME = "runstone.pyfunc"
"""The module that pickles name for what is here."""


class PythonModelContext:
    """What a model is given besides its input.

    Attributes:
        artifacts: Name to absolute path, of the files that it was saved with.
        model_config: What it was saved with, or what ``load_model`` says instead.
    """

    __module__ = HOME

    def __init__(
        self, artifacts: Mapping[str, str], model_config: Mapping[str, Any] | None
    ) -> None:
        self.artifacts = dict(artifacts)
        self.model_config = model_config

    def __repr__(self) -> str:
        return f"PythonModelContext({sorted(self.artifacts)}, {self.model_config!r})"


class PythonModel:
    """A model of one's own: a subclass with ``predict``, saved by ``runstone.pyfunc``.

    ``predict`` may do without ``context`` and ``params``; type hints on its input become the
    model's signature, and what it is given becomes what they say.

    Example:
        >>> import runstone
        >>> class Doubling(runstone.pyfunc.PythonModel):
        ...     def predict(self, model_input: list[int]) -> list[int]:
        ...         return [2 * each for each in model_input]
        >>> runstone.pyfunc.save_model("doubling", python_model=Doubling())
        >>> runstone.pyfunc.load_model("doubling").predict([1, 2])
        [2, 4]
    """

    __module__ = HOME

    def load_context(self, context: PythonModelContext) -> None:
        """Prepare to predict, such as by reading ``context.artifacts``; called once, on load."""

    def predict(
        self,
        context: PythonModelContext,
        model_input: Any,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """Predictions for an input; every model has its own."""
        raise NotImplementedError(f"{type(self).__name__} has no predict")

    def predict_stream(
        self,
        context: PythonModelContext,
        model_input: Any,
        params: Mapping[str, Any] | None = None,
    ) -> Iterator[Any]:
        """Predictions piece by piece; a model that has it is streamable."""
        raise NotImplementedError(f"{type(self).__name__} has no predict_stream")

    @property
    def predict_type_hints(self) -> Hints:
        """The type hints of what ``predict`` takes and gives, which MLflow asks for, too."""
        return function_hints(self.predict)


class FunctionModel(PythonModel):
    """A function as a model."""

    __module__ = HOME

    def __init__(self, func: Callable[..., Any], signature: Any = None) -> None:
        self.func = func
        self.signature = signature

    def predict(self, model_input: Any, params: Any = None) -> Any:  # type: ignore[override]
        """What the function returns."""
        return _called(self.func, None, model_input, params)

    @property
    def predict_type_hints(self) -> Hints:
        """Those of the function."""
        return function_hints(self.func)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to predict, with its context."""

    python_model: Any
    context: PythonModelContext

    def predict(self, data: Any, params: Mapping[str, Any]) -> Any:
        """What its ``predict`` gives."""
        return _called(self.python_model.predict, self.context, data, params)

    def predict_stream(self, data: Any, params: Mapping[str, Any]) -> Iterator[Any]:
        """What its ``predict_stream`` gives."""
        yield from _called(self.python_model.predict_stream, self.context, data, params)


def streams(model: Any) -> bool:
    """Whether a model has a ``predict_stream`` of its own."""
    method = getattr(type(model), "predict_stream", None)
    # Of a class of MLflow's, too, which has one that only raises.
    return method is not None and not method.__module__.startswith(("mlflow.", "runstone."))


def checked(python_model: Any) -> Any:
    """The model to be saved, a function as a ``FunctionModel``.

    Raises:
        InvalidField: it is neither an instance of PythonModel nor a function of an input.
    """
    if inspect.isclass(python_model):
        raise invalid("python_model", f"must be an instance: {python_model.__name__}()")
    if is_python_model(python_model):
        _check_arguments(python_model.predict, 3)
        if streams(python_model):
            _check_arguments(python_model.predict_stream, 3)
        return python_model
    if not callable(python_model):
        raise invalid(
            "python_model",
            "must be an instance of PythonModel, a function, or the path of a script, not"
            f" {type(python_model).__name__}",
        )
    _check_arguments(python_model, 2)
    return FunctionModel(python_model)


def is_python_model(value: Any) -> bool:
    """Whether it has what is asked of a PythonModel: ours, or MLflow's."""
    return not inspect.isclass(value) and all(
        callable(getattr(value, name, None)) for name in ("predict", "load_context")
    )


def _check_arguments(method: Callable[..., Any], most: int) -> None:
    try:
        found = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):
        return  # of a function in C nothing is known
    needed = [
        each
        for each in found
        if each.name != "params" and each.default is each.empty and each.kind < each.VAR_POSITIONAL
    ]
    if not found or len(needed) >= most:
        name = getattr(method, "__qualname__", type(method).__name__)
        raise invalid(
            "python_model",
            f"{name} must take ([context,] model_input[, params]), not"
            f" ({', '.join(each.name for each in found)})",
        )


def _called(
    method: Callable[..., Any], context: PythonModelContext | None, data: Any, params: Any
) -> Any:
    try:
        names = list(inspect.signature(method).parameters)
    except (TypeError, ValueError):
        return method(data)
    more: dict[str, Any] = {}
    if "params" in names:
        more["params"] = params or None
    elif params:
        _values.warn(f"the model takes no params; {', '.join(params)} had no effect")
    # As MLflow tells the forms apart: the context may have any name, params only that one.
    others = [name for name in names if name not in {"self", "params"}]
    if context is not None and ("context" in names or len(others) == 2):
        return method(context, data, **more)
    return method(data, **more)
