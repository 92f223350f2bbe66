"""What the requests of a table are about, made on a server: names to what they stand for."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from compat.rest_table_files import PROXY
from support.rest import API, Endpoint, Request, send

NEW_MODEL_FILE = "model.txt"

_numbers = itertools.count()


def made(url: str, path: str, /, **body: object) -> Any:
    """The answer to a POST that is right."""
    return _ask(url, "POST", path, json.dumps(body).encode())


def put(url: str, path: str, data: bytes) -> None:
    """A file in the proxy."""
    _ask(url, "PUT", f"{PROXY}/artifacts/{path}", data)


def _ask(url: str, method: str, path: str, body: bytes | None = None) -> Any:
    answer = send(url, Request("", method, path, {}, body))
    assert answer.status == 200, answer
    return answer.body


def prepared(url: str, name: str) -> dict[str, str]:
    """What all requests share: experiments, runs, and a registered model with a file."""

    def experiment(suffix: str) -> str:
        return str(made(url, f"{API}/experiments/create", name=name + suffix)["experiment_id"])

    names = {"name": name, "experiment": experiment("")}
    for each in ("deleted", "doomed"):
        names[f"{each}_experiment"] = experiment(f"-{each}")
    for each in ("run", "deleted_run", "doomed_run"):
        answer = made(url, f"{API}/runs/create", experiment_id=names["experiment"], start_time=1000)
        names[each] = str(answer["run"]["info"]["run_id"])
    run = names["run"]
    made(url, f"{API}/runs/log-metric", run_id=run, key="m", value=1.5, timestamp=5, step=1)
    made(url, f"{API}/runs/set-tag", run_id=run, key="tagged", value="1")
    made(
        url,
        f"{API}/experiments/set-experiment-tag",
        experiment_id=names["experiment"],
        key="tagged",
        value="1",
    )
    made(url, f"{API}/experiments/delete", experiment_id=names["deleted_experiment"])
    made(url, f"{API}/runs/delete", run_id=names["deleted_run"])
    names["folder"] = f"{names['experiment']}/{run}/artifacts"
    names["source"] = f"mlflow-artifacts:/{names['folder']}/model"
    put(url, f"{names['folder']}/model/{NEW_MODEL_FILE}", b"a model")
    names["model"] = f"{name}-m"
    made(url, f"{API}/registered-models/create", name=names["model"])
    made(
        url,
        f"{API}/model-versions/create",
        name=names["model"],
        source=names["source"],
        run_id=run,
    )
    names["traced_experiment"] = experiment("-traced")
    _trace(url, {"experiment": names["traced_experiment"]})
    return names


def _logged_model(url: str, names: Mapping[str, str]) -> str:
    model = made(
        url,
        f"{API}/logged-models",
        experiment_id=names["experiment"],
        name="n",
        tags=[{"key": "tagged", "value": "1"}],
    )
    return str(model["model"]["info"]["model_id"])


def _deleted_model(url: str, names: Mapping[str, str]) -> str:
    model_id = _logged_model(url, names)
    _ask(url, "DELETE", f"{API}/logged-models/{model_id}")
    return model_id


def _webhook(url: str, names: Mapping[str, str]) -> str:
    # There may be no more than a hundred of ours, and a page has no more of MLflow's.
    for each in _ask(url, "GET", f"{API}/webhooks").get("webhooks", []):
        if each["name"].startswith(names["name"]):
            _ask(url, "DELETE", f"{API}/webhooks/{each['webhook_id']}")
    hook = made(
        url,
        f"{API}/webhooks",
        name=f"{names['name']}-{next(_numbers)}",
        url="https://8.8.8.8/hook",
        events=[{"entity": "PROMPT", "action": "CREATED"}],
        status="DISABLED",
    )
    return str(hook["webhook"]["webhook_id"])


def _new_trace(url: str, names: Mapping[str, str]) -> str:
    return f"tr-{uuid.uuid4().hex}"


def _trace(url: str, names: Mapping[str, str]) -> str:
    trace_id = _new_trace(url, names)
    place = {"experiment_id": names["experiment"]}
    info = {
        "trace_id": trace_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": place},
        "request_time": "2025-01-31T12:00:00.250Z",
        "execution_duration": "1.500s",
        "state": "OK",
        "tags": {"t": "1"},
    }
    made(url, "/api/3.0/mlflow/traces", trace={"trace_info": info})
    return trace_id


def _older_trace(url: str, names: Mapping[str, str]) -> str:
    trace = made(
        url, f"{API}/traces", experiment_id=names["experiment"], timestamp_ms=1000, tags=[]
    )
    return str(trace["trace_info"]["request_id"])


def _file(url: str, names: Mapping[str, str]) -> str:
    path = f"{names['folder']}/files/{next(_numbers)}.txt"
    put(url, path, b"some text")
    return path


MADE_ANEW: dict[str, Callable[[str, Mapping[str, str]], str]] = {
    "logged_model": _logged_model,
    "deleted_model": _deleted_model,
    "webhook": _webhook,
    "new_trace": _new_trace,
    "trace": _trace,
    "older_trace": _older_trace,
    "file": _file,
}
"""What each request has of its own: whatever it does to it, the next has another."""


def made_anew(url: str, endpoint: Endpoint, names: Mapping[str, str]) -> dict[str, str]:
    """Of MADE_ANEW, what an endpoint names."""
    told = endpoint.path + json.dumps(endpoint.parameters)
    return {name: make(url, names) for name, make in MADE_ANEW.items() if f"{{{name}}}" in told}
