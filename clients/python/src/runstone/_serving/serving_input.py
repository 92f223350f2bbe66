"""Requests as a model's server gets them, made of examples and answered without a server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from runstone._models.example import example_of, json_text
from runstone._serving import check_installed
from runstone._values import invalid


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
        LibraryMissing: something that a server needs is not installed.

    Example:
        >>> import runstone
        >>> from runstone.models import validate_serving_input
        >>> from sklearn.linear_model import LinearRegression
        >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> uri = runstone.sklearn.log_model(model, name="doubling").model_uri
        >>> validate_serving_input(uri, '{"inputs": [[3.0]]}').round(6).tolist()
        [6.0]
    """
    from runstone._pyfunc.loading import load
    from runstone._serving import parsing
    from runstone._serving.refusals import Refusal

    check_installed()
    body = serving_input if isinstance(serving_input, str) else json_text(serving_input)
    model = load(model_uri, None, None, allow_pickle, quiet=True)
    try:
        query = parsing.read(body.encode(), parsing.JSON, parsing.taken_by(model.metadata))
    except Refusal as refusal:
        raise invalid("serving_input", f"is no request: {refusal.message}") from refusal
    return model.predict(query.data, query.params)
