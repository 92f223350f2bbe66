"""Predictions as a model's server makes them, without one: in this Python or in a clean one."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from runstone._fluent import _state
from runstone._models.example import example_of
from runstone._modeluri import local_path, parse_artifact_uri
from runstone._serving import check_installed, environments, files
from runstone._values import invalid
from runstone.exceptions import FailedPrecondition


def predict(
    model_uri: str | os.PathLike[str],
    input_data: Any = None,
    input_path: str | os.PathLike[str] | None = None,
    content_type: str = "json",
    output_path: str | os.PathLike[str] | None = None,
    env_manager: str = "local",
    *,
    allow_pickle: bool | None = None,
) -> None:
    """Predict as a model's server would, from data or a file, into a file or standard output.

    Args:
        model_uri: As ``runstone.pyfunc.load_model`` takes it.
        input_data: A request's body as text, or data as an input example may be; or
        input_path: a file with a body. Standard input when both are absent.
        content_type: Of the body: "json", "csv" or "parquet".
        output_path: Where to write ``{"predictions": …}``; standard output when absent.
        env_manager: "local": the model runs in this Python; "uv" or "virtualenv": in a clean
            environment, made from the model's files.
        allow_pickle: As in ``runstone.pyfunc.load_model``.

    Raises:
        InvalidField: an argument is wrong.
        InvalidArgument: the body cannot be read, or holds other data than the model takes.
        LibraryMissing: something that a server needs is not installed.
        FailedPrecondition: the environment cannot be made, or the model does not predict there.

    Example:
        >>> import json, pathlib, runstone
        >>> from sklearn.linear_model import LinearRegression
        >>> model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
        >>> uri = runstone.sklearn.log_model(model, name="doubling").model_uri
        >>> runstone.models.predict(uri, [[2.0]], output_path="out.json")
        >>> round(json.loads(pathlib.Path("out.json").read_text())["predictions"][0], 6)
        4.0
    """
    if env_manager not in {"local", *environments.MANAGERS}:
        known = ", ".join(("local", *environments.MANAGERS))
        raise invalid("env_manager", f"must be one of {known}, not {env_manager!r:.50}")
    if content_type not in files.KINDS:
        known = ", ".join(files.KINDS)
        raise invalid("content_type", f"must be one of {known}, not {content_type!r:.50}")
    if input_data is not None and input_path is not None:
        raise invalid("input_path", "cannot stand beside input_data; give one of them")
    body = _body(input_data, input_path, content_type)
    output = None if output_path is None else Path(output_path)
    uri = os.fspath(model_uri)
    if env_manager == "local":
        check_installed()
        files.predict(uri, body, content_type, output, allow_pickle)
    else:
        _predict_apart(uri, body, content_type, output, env_manager, allow_pickle)


def _body(data: Any, path: str | os.PathLike[str] | None, kind: str) -> bytes:
    if data is None:
        return files.read(None if path is None else Path(path))
    if isinstance(data, str):
        return data.encode()
    if kind != "json":
        raise invalid("content_type", f'must be "json" for data that is no text, not {kind!r}')
    return example_of(data).serving_json().encode()


def _predict_apart(
    uri: str,
    body: bytes,
    kind: str,
    output: Path | None,
    manager: str,
    allow_pickle: bool | None,
) -> None:
    if parse_artifact_uri(uri) is None:
        uri = str(local_path(uri).resolve())
    python = environments.prepare(uri, manager)
    with tempfile.TemporaryDirectory(prefix="runstone-predict-") as place:
        given, answer = Path(place) / "body", Path(place) / "answer.json"
        given.write_bytes(body)
        command = [*environments.command(python), "-m", "runstone.cli", "models", "predict"]
        command += ["-m", uri, "-t", kind, "-i", str(given), "-o", str(answer)]
        command += ["--tracking-uri", _state.client().tracking_uri]
        command += ["--allow-pickle"] if allow_pickle else []
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise FailedPrecondition(
                f"the model did not predict in its environment: {done.stderr.strip()}"
            )
        text = answer.read_text("utf-8")
    if output is None:
        print(text, end="")  # noqa: T201 - what it is for
    else:
        output.write_text(text, "utf-8")
