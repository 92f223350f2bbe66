"""ONNX Runtime: how a graph is run, and what it is given."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from runstone._flavors.libraries import library
from runstone._values import invalid
from runstone.exceptions import InvalidArgument, ModelFormatError

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""A GPU where there is one: MLflow's default."""

CPU = "CPUExecutionProvider"

_NUMBERS = ("intra_op_num_threads", "inter_op_num_threads")
_MODES = {"sequential": "ORT_SEQUENTIAL", "parallel": "ORT_PARALLEL"}
_LEVELS = (0, 1, 2, 99)
_EXTRA = "extra_session_config"
OPTIONS = (*_NUMBERS, "execution_mode", "graph_optimization_level", _EXTRA)


def checked_providers(given: Sequence[Any] | None) -> list[Any]:
    """Execution providers as the MLmodel file has them.

    Raises:
        InvalidField: they are no list of names, or of pairs of a name and a dict.
    """
    if given is None:
        return list(PROVIDERS)
    right = isinstance(given, Sequence) and not isinstance(given, str)
    if not right or not all(_provider(each) for each in given):
        raise invalid(
            "onnx_execution_providers",
            f"must be a list of names, or of pairs of a name and options, not {given!r:.100}",
        )
    return [each if isinstance(each, str) else list(each) for each in given]


def _provider(entry: Any) -> str | None:
    """The name in an entry of the providers; None when it is none."""
    if isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[1], Mapping):
        entry = entry[0]
    return entry if isinstance(entry, str) else None


def checked_options(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Options of a session as the MLmodel file has them.

    Raises:
        InvalidField: one is not known, or has a value that it cannot have.
    """
    if given is None:
        return None
    field = "onnx_session_options"
    if not isinstance(given, Mapping):
        raise invalid(field, f"must be a dict, not {type(given).__name__}")
    for name, value in given.items():
        where = f"{field}[{name!r}]"
        if name not in OPTIONS:
            raise invalid(where, f"is not known; there are {', '.join(OPTIONS)}")
        if name in _NUMBERS and (not isinstance(value, int) or value < 0):
            raise invalid(where, f"must be a number from 0 on, not {value!r:.50}")
        if name == "execution_mode" and str(value).lower() not in _MODES:
            raise invalid(where, f"must be sequential or parallel, not {value!r:.50}")
        if name == "graph_optimization_level" and value not in _LEVELS:
            raise invalid(where, f"must be one of {_LEVELS}, not {value!r:.50}")
        if name == _EXTRA and not isinstance(value, Mapping):
            raise invalid(where, f"must be a dict, not {type(value).__name__}")
    return dict(given)


def paths_in(configuration: Mapping[str, Any]) -> list[str]:
    """The options of the runtime that hold a text: it may be the path of a library to be loaded."""
    options = configuration.get("onnx_session_options")
    extra = options.get(_EXTRA) if isinstance(options, Mapping) else None
    found = [extra] if isinstance(extra, Mapping) else []
    named = [each for each in _entries(configuration) if _provider(each) is not None]
    found += [each[1] for each in named if not isinstance(each, str)]
    return sorted(
        {str(name) for each in found for name, value in each.items() if not _harmless(value)}
    )


def _harmless(value: Any) -> bool:
    # Numbers and switches are written as texts, too.
    text = str(value).strip().lower()
    return text in {"true", "false"} or text.replace(".", "", 1).lstrip("-").isdecimal()


def _entries(configuration: Mapping[str, Any]) -> list[Any]:
    written = configuration.get("providers")
    if isinstance(written, str):
        return [written]
    return list(written) if isinstance(written, list) and written else list(PROVIDERS)


def session(model: str | bytes, configuration: Mapping[str, Any]) -> Any:
    """What runs a model: of a file's path, or of its content.

    Raises:
        LibraryMissing: ONNX Runtime is not installed.
        ModelFormatError: it cannot run the model.
    """
    runtime = library("onnxruntime")
    available = set(runtime.get_available_providers())
    named = [each for each in _entries(configuration) if _provider(each) is not None]
    usable = [
        each if isinstance(each, str) else (each[0], dict(each[1]))
        for each in named
        if _provider(each) in available
    ]
    # The default names a GPU for those that have one: no news to the others.
    wanted = [_provider(each) for each in named]
    if lacking := [each for each in wanted if each not in available and each != PROVIDERS[0]]:
        warnings.warn(
            f"the model asks for {', '.join(map(str, lacking))}, which this ONNX Runtime lacks",
            stacklevel=5,
        )
    try:
        return runtime.InferenceSession(
            model, sess_options=_options(runtime, configuration), providers=usable or [CPU]
        )
    except Exception as error:
        raise ModelFormatError(f"ONNX Runtime cannot run the model: {error}") from error


def _options(runtime: Any, configuration: Mapping[str, Any]) -> Any:
    made = runtime.SessionOptions()
    try:
        given = checked_options(configuration.get("onnx_session_options")) or {}
    except InvalidArgument as error:
        raise ModelFormatError(f"flavors.onnx in MLmodel: {error}") from error
    for name in _NUMBERS:
        if given.get(name):
            setattr(made, name, given[name])
    if mode := given.get("execution_mode"):
        made.execution_mode = getattr(runtime.ExecutionMode, _MODES[str(mode).lower()])
    if level := given.get("graph_optimization_level"):
        made.graph_optimization_level = runtime.GraphOptimizationLevel(level)
    for name, value in given.get(_EXTRA, {}).items():
        made.add_session_config_entry(str(name), str(value))
    return made


class Runner:
    """Predicts by a session: a DataFrame gives a DataFrame, an array or a dict gives a dict."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._inputs = {each.name: each for each in session.get_inputs()}
        self._outputs = [each.name for each in session.get_outputs()]

    def __call__(self, data: Any, params: Mapping[str, Any]) -> Any:
        """Outputs by their names. ONNX has no parameters: those that are given go unused.

        Raises:
            InvalidArgument: data lacks an input, or is not of its type or shape.
        """
        pd = library("pandas")
        is_frame = isinstance(data, pd.DataFrame)
        fed = self._fed(data, is_frame=is_frame)
        given = {name: _cast(fed[name], self._inputs[name], is_frame) for name in self._inputs}
        try:
            found = self._session.run(self._outputs, given)
        except Exception as error:
            raise InvalidArgument(f"the model cannot take this data: {error}") from error
        outputs = dict(zip(self._outputs, found, strict=True))
        return _framed(outputs) if is_frame else outputs

    def _fed(self, data: Any, *, is_frame: bool) -> Mapping[str, Any]:
        np = library("numpy")
        names = list(self._inputs)
        if isinstance(data, np.ndarray) or (is_frame and len(names) == 1):
            if len(names) != 1:
                raise invalid(
                    "data", f"must be a dict or DataFrame, for the model takes {', '.join(names)}"
                )
            return {names[0]: data}
        if not is_frame and not isinstance(data, Mapping):
            raise invalid("data", f"must be a DataFrame, array or dict, not {type(data).__name__}")
        if lacking := [name for name in names if name not in data]:
            raise invalid("data", f"lacks {', '.join(lacking)}, which the model takes")
        return data  # type: ignore[no-any-return]


def _cast(value: Any, wanted: Any, is_frame: bool) -> Any:
    """A value as an array of the type that the input takes, where that loses nothing but digits."""
    np = library("numpy")
    kind = str(wanted.type)
    if kind == "tensor(string)":
        found = value.to_numpy(dtype=object) if is_frame else np.asarray(value, dtype=object)
    else:
        found = value.to_numpy() if is_frame else np.asarray(value)
    # What comes by JSON or from pandas is of 64 bits.
    target = {"tensor(float)": np.float32, "tensor(double)": np.float64}.get(kind)
    if target is not None and found.dtype.kind in "iuf" and found.dtype != np.float16:
        found = found.astype(target, copy=False)
    # A column of a DataFrame has one dimension; most graphs take a table of one column.
    if is_frame and found.ndim == 1 and len(wanted.shape) == 2 and wanted.shape[1] in {1, None}:
        found = found.reshape(-1, 1)
    return found


def _framed(outputs: Mapping[str, Any]) -> Any:
    np, pd = library("numpy"), library("pandas")
    flat = {name: np.asarray(value).reshape(-1) for name, value in outputs.items()}
    if len({len(value) for value in flat.values()}) > 1:
        # Rows of several numbers beside others of one: a list in each cell.
        flat = {name: _rows(value) for name, value in outputs.items()}
    return pd.DataFrame(flat)


def _rows(value: Any) -> list[Any]:
    np = library("numpy")
    found = np.asarray(value)
    return list(found.reshape(-1) if found.ndim < 2 or found.shape[1:] == (1,) else found)
