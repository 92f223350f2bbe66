"""Requests as a model's server gets them, made of examples and answered without a server."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runstone._models.example import example_of, json_text
from runstone._pyfunc.loading import load
from runstone._pyfunc.model import PyFuncModel
from runstone._values import invalid

FRAMES = ("dataframe_split", "dataframe_records")
TENSORS = ("inputs", "instances")


def convert_input_example_to_serving_input(input_example: Any) -> str | None:
    """The body of the request that asks a model's server for an example; None for none.

    Raises:
        InvalidField: the example is of no kind that can be sent.

    Example:
        >>> from runstone.models import convert_input_example_to_serving_input
        >>> convert_input_example_to_serving_input([[1.0, 2.0]])
        '{"inputs": [[1.0, 2.0]]}'
    """
    return None if input_example is None else example_of(input_example).serving_json()


def validate_serving_input(
    model_uri: str | os.PathLike[str],
    serving_input: str | Mapping[str, Any],
    *,
    allow_pickle: bool | None = None,
) -> Any:
    """The predictions that a model's server would give for a request.

    Args:
        model_uri: As ``runstone.pyfunc.load_model`` takes it.
        serving_input: The request's body, as JSON or as what that holds.
        allow_pickle: As in ``runstone.pyfunc.load_model``.

    Raises:
        InvalidField: it is no request.
        SchemaMismatch: it holds other data than the model takes.

    Example:
        >>> import runstone
        >>> from runstone.models import validate_serving_input
        >>> from sklearn.linear_model import LinearRegression
        >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> uri = runstone.sklearn.log_model(model, name="doubling").model_uri
        >>> validate_serving_input(uri, '{"inputs": [[3.0]]}').round(6).tolist()
        [6.0]
    """
    model = load(model_uri, None, None, allow_pickle, quiet=True)
    return _answered(model, serving_input, "serving_input")


def predict_here(
    model_uri: str | os.PathLike[str],
    body: Any,
    field: str,
    output_path: str | os.PathLike[str] | None,
    *,
    allow_pickle: bool | None,
) -> None:
    """Answer a body as a server would; ``field`` is the argument that it came by."""
    model = load(model_uri, None, None, allow_pickle, quiet=True)
    text = json_text({"predictions": _rows(_answered(model, body, field))})
    if output_path is None:
        print(text)  # noqa: T201 - what it is for
    else:
        Path(output_path).write_text(text + "\n", "utf-8")


def body_of(data: Any, path: str | os.PathLike[str] | None, content_type: str) -> Any:
    """The body of a request: of data, of a file, or of standard input.

    Raises:
        InvalidField: it cannot be read.
    """
    field = "input_path"
    if data is not None and not isinstance(data, str):
        return json.loads(example_of(data).serving_json())
    if data is None:
        try:
            data = sys.stdin.read() if path is None else Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise invalid(field, f"names a file that cannot be read: {error}") from error
    if content_type == "json":
        return data
    import io

    import pandas as pd

    try:
        frame = pd.read_csv(io.StringIO(data))
    except ValueError as error:
        raise invalid(field, f"holds no CSV: {error}") from error
    return {"dataframe_split": frame.to_dict(orient="split")}


def _answered(model: PyFuncModel, request: Any, field: str) -> Any:
    if isinstance(request, str):
        try:
            request = json.loads(request)
        except (ValueError, RecursionError) as error:
            raise invalid(field, f"is no JSON: {error}") from error
    forms = ", ".join((*FRAMES, *TENSORS))
    if not isinstance(request, Mapping):
        raise invalid(field, f"must be an object with one of {forms}")
    named = [form for form in (*FRAMES, *TENSORS) if form in request]
    if len(named) != 1:
        raise invalid(field, f"must have one of {forms}; it has {', '.join(named) or 'none'}")
    params = request.get("params")
    if not isinstance(params, Mapping | None):
        raise invalid(field, "has params that are no object")
    return model.predict(_data(model, named[0], request[named[0]], field), params)


def _data(model: PyFuncModel, form: str, given: Any, field: str) -> Any:
    import pandas as pd

    try:
        if form == "dataframe_records":
            return pd.DataFrame.from_records(given)
        if form == "dataframe_split":
            named = {key: given[key] for key in ("columns", "index") if given.get(key) is not None}
            return pd.DataFrame(given["data"], **named)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise invalid(field, f"holds no DataFrame under {form}: {error}") from error
    schema = model.input_schema
    if schema is not None and not schema.is_tensor_spec():
        return given
    return _arrays(given)


def _arrays(given: Any) -> Any:
    import numpy as np

    if isinstance(given, dict):
        return {name: np.array(each) for name, each in given.items()}
    return np.array(given)


def _rows(found: Any) -> Any:
    if hasattr(found, "columns") and hasattr(found, "to_dict"):
        return found.to_dict(orient="records")
    return found
