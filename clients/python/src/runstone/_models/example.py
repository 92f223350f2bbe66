"""Input examples: kept beside a model as JSON, once as given and once as a request to its server.

An example is a DataFrame, an array, a dict of arrays, a sparse matrix, or what JSON has; or a tuple
of one of these and a dict of parameters. Files and keys are MLflow's.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runstone._models import paths
from runstone._values import invalid
from runstone.exceptions import ModelFormatError

FILE = "input_example.json"
SERVING_FILE = "serving_input_example.json"

MAX_BYTES = 64 * 2**20
"""An example shows some rows; a whole data set does not belong into a model."""


@dataclass(frozen=True, slots=True)
class Example:
    """An input example: what a model is given, and how that is written.

    Attributes:
        data: As the user gave it, without the parameters.
        params: The parameters; empty when there are none.
        info: What the MLmodel file says of it.
        content: What stands in its file.
        serving: The request to a server that holds it.
    """

    data: Any
    params: Mapping[str, Any]
    info: Mapping[str, Any]
    content: Any
    serving: Mapping[str, Any]

    def serving_json(self) -> str:
        """The request's body."""
        return _json(self.serving)

    def write(self, folder: Path) -> None:
        """Write both files into a model's folder."""
        (folder / FILE).write_text(_json(self.content), "utf-8")
        (folder / SERVING_FILE).write_text(self.serving_json(), "utf-8")


@dataclass(slots=True)
class _Form:
    kind: str
    content: Any
    serving: dict[str, Any]
    more: dict[str, str] = field(default_factory=dict)


def example_of(given: Any) -> Example:
    """What is to be kept of an input example.

    Raises:
        InvalidField: it is of no kind that can be kept.
    """
    params: dict[str, Any] = {}
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], dict):
        given, params = given
    form = _form(given)
    info = {
        "artifact_path": FILE,
        "serving_input_path": SERVING_FILE,
        "type": form.kind,
        **form.more,
    }
    content, serving = form.content, form.serving
    if params:
        info["params"] = "true"
        content = {"data": content, "params": params}
        serving = {**serving, "params": params}
    return Example(given, params, info, content, serving)


def _form(given: Any) -> _Form:
    kind = type(given)
    module = kind.__module__.partition(".")[0]
    if module == "pandas" and hasattr(given, "columns"):
        return _frame(given)
    if module == "pandas" and hasattr(given, "to_frame"):
        return _frame(given.to_frame())
    if module == "numpy" and hasattr(given, "ndim") and hasattr(given, "tobytes") and given.ndim:
        return _Form("ndarray", plain := _plain(given), {"inputs": plain})
    if module == "scipy" and hasattr(given, "tocsr"):
        return _sparse(given)
    if hasattr(given, "model_dump"):  # of pydantic
        given = given.model_dump()
    if isinstance(given, Mapping) and any(hasattr(each, "ndim") for each in given.values()):
        if not all(hasattr(each, "ndim") for each in given.values()):
            raise invalid("input_example", "mixes arrays and other values in one dict")
        return _Form("ndarray", plain := _plain(given), {"inputs": plain})
    if module == "pyspark":
        raise invalid(
            "input_example", "is a DataFrame of Spark; give some rows: df.limit(5).toPandas()"
        )
    try:
        json.dumps(plain := _plain(given), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise invalid(
            "input_example",
            "must be a DataFrame, an array, a dict of arrays, a sparse matrix, or what JSON has:"
            f" {error}",
        ) from error
    return _Form("json_object", plain, {"inputs": plain})


def _frame(frame: Any) -> _Form:
    import pandas as pd

    content: dict[str, Any] = {"data": _plain(frame.to_numpy(dtype=object).tolist())}
    if not isinstance(frame.columns, pd.RangeIndex):
        content = {"columns": _plain(list(frame.columns)), **content}
        return _Form("dataframe", content, {"dataframe_split": content}, {"pandas_orient": "split"})
    return _Form("dataframe", content, {"dataframe_split": content}, {"pandas_orient": "values"})


def _sparse(matrix: Any) -> _Form:
    kind = "csc" if getattr(matrix, "format", "") == "csc" else "csr"
    matrix = matrix.tocsc() if kind == "csc" else matrix.tocsr()
    content = {
        "data": _plain(matrix.data),
        "indices": _plain(matrix.indices),
        "indptr": _plain(matrix.indptr),
        "shape": list(matrix.shape),
    }
    return _Form(f"sparse_matrix_{kind}", content, {"inputs": _plain(matrix.toarray())})


def _plain(value: Any) -> Any:
    """A value as JSON has it: no numpy, no bytes, no times, and null for what is not a number."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if hasattr(value, "tolist"):  # arrays and scalars of numpy
        return (
            _plain(value.tolist())
            if value.dtype.kind != "M"
            else _plain(value.astype(str).tolist())
        )
    if type(value).__name__ in {"NaTType", "NAType"}:
        return None
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return value


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)


def json_text(value: Any) -> str:
    """JSON of a value that may hold arrays, times and missing values."""
    return _json(_plain(value))


def load(folder: Path, info: Mapping[str, Any] | None) -> Any:
    """The example that a model's folder holds, as it was given; None when there is none.

    Parameters come with it as a tuple's second.

    Raises:
        ModelFormatError: the file is not what the description says.
    """
    if not info:
        return None
    content = _read(folder, info.get("artifact_path"), "saved_input_example_info.artifact_path")
    params = None
    if info.get("params"):
        if not isinstance(content, dict) or not {"data", "params"} <= set(content):
            raise ModelFormatError("the input example must hold data and params")
        content, params = content["data"], content["params"]
    data = _restored(content, str(info.get("type")), str(info.get("pandas_orient", "")))
    return data if params is None else (data, params)


def load_serving(folder: Path, info: Mapping[str, Any] | None) -> str | None:
    """The request to a server that holds the example; None when there is none."""
    if not info or not info.get("serving_input_path"):
        return None
    field = "saved_input_example_info.serving_input_path"
    return _json(_read(folder, info["serving_input_path"], field))


def _read(folder: Path, name: Any, field: str) -> Any:
    path = paths.inside(folder, name, field)
    if path.stat().st_size > MAX_BYTES:
        raise ModelFormatError(f"{field} names a file of more than {MAX_BYTES} bytes")
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFormatError(f"{field} names a file that is no JSON: {error}") from error


def _restored(content: Any, kind: str, orient: str) -> Any:
    try:
        if kind == "dataframe":
            import pandas as pd

            if orient == "values":
                return pd.DataFrame(content["data"] if isinstance(content, dict) else content)
            return pd.DataFrame(content["data"], columns=content["columns"])
        if kind == "ndarray":
            import numpy as np

            # As it stands in files of MLflow 1 and 2, too.
            if isinstance(content, dict) and set(content) in ({"inputs"}, {"instances"}):
                content = next(iter(content.values()))
            if isinstance(content, dict):
                return {name: np.array(each) for name, each in content.items()}
            return np.array(content)
        if kind.startswith("sparse_matrix_"):
            from scipy import sparse

            make = sparse.csc_matrix if kind.endswith("csc") else sparse.csr_matrix
            parts = (content["data"], content["indices"], content["indptr"])
            return make(parts, shape=tuple(content["shape"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(f"the input example is no {kind}: {error}") from error
    return content
