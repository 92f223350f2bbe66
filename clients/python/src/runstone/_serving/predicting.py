"""Predictions as a model's server makes them, without one: in this Python or in a clean one."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from runstone._fluent import _state
from runstone._modeluri import local_path, parse_artifact_uri
from runstone._pyfunc.serving_input import body_of, predict_here
from runstone._serving import environments
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
        content_type: Of the body: "json" or "csv".
        output_path: Where to write ``{"predictions": …}``; standard output when absent.
        env_manager: "local": the model runs in this Python; "uv" or "virtualenv": in a clean
            environment, made from the model's files.
        allow_pickle: As in ``runstone.pyfunc.load_model``.

    Raises:
        InvalidField: an argument is wrong, or the body cannot be read.
        SchemaMismatch: it holds other data than the model takes.
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
    if content_type not in {"json", "csv"}:
        raise invalid("content_type", f'must be "json" or "csv", not {content_type!r:.50}')
    if input_data is not None and input_path is not None:
        raise invalid("input_path", "cannot stand beside input_data; give one of them")
    body = body_of(input_data, input_path, content_type)
    field = "input_data" if input_path is None else "input_path"
    if env_manager == "local":
        predict_here(model_uri, body, field, output_path, allow_pickle=allow_pickle)
    else:
        _predict_apart(model_uri, body, output_path, env_manager, allow_pickle=allow_pickle)


def _predict_apart(
    model_uri: str | os.PathLike[str],
    body: Any,
    output_path: str | os.PathLike[str] | None,
    manager: str,
    *,
    allow_pickle: bool | None,
) -> None:
    uri = os.fspath(model_uri)
    if parse_artifact_uri(uri) is None:
        uri = str(local_path(uri).resolve())
    python = environments.prepare(uri, manager)
    with tempfile.TemporaryDirectory(prefix="runstone-predict-") as place:
        given, answer = Path(place) / "body.json", Path(place) / "answer.json"
        given.write_text(body if isinstance(body, str) else json.dumps(body), "utf-8")
        command = [*environments.command(python), "-m", "runstone.cli", "models", "predict"]
        command += ["-m", uri, "-i", str(given), "-o", str(answer)]
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
    if output_path is None:
        print(text, end="")  # noqa: T201 - what it is for
    else:
        Path(output_path).write_text(text, "utf-8")
