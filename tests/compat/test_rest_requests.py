"""The REST API request by request: status, error code and shape are those of MLflow's server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from compat.known_differences import KNOWN_FIELDS, KNOWN_REQUESTS
from compat.rest_table import TABLES
from support.compat import Servers
from support.rest import API, Answer, Request, difference, requests, send


def made(url: str, path: str, **body: object) -> Answer:
    answer = send(url, Request("", "POST", f"{API}/{path}", {}, json.dumps(body).encode()))
    assert answer.status == 200, answer
    return answer


def prepared(url: str, name: str, table: str) -> dict[str, str]:
    """What the requests of a table are about, made on one server."""

    def experiment(suffix: str) -> str:
        answer = made(url, "experiments/create", name=name + suffix)
        return str(answer.body["experiment_id"])

    names = {"name": name, "experiment": experiment("")}
    for each in ("deleted", "doomed"):
        names[f"{each}_experiment"] = experiment(f"-{each}")
    for each in ("run", "deleted_run", "doomed_run"):
        answer = made(url, "runs/create", experiment_id=names["experiment"], start_time=1000)
        names[each] = str(answer.body["run"]["info"]["run_id"])
    run = names["run"]
    made(url, "runs/log-metric", run_id=run, key="m", value=1.5, timestamp=5, step=1)
    made(url, "runs/set-tag", run_id=run, key="tagged", value="1")
    made(
        url,
        "experiments/set-experiment-tag",
        experiment_id=names["experiment"],
        key="tagged",
        value="1",
    )
    made(url, "experiments/delete", experiment_id=names["deleted_experiment"])
    made(url, "runs/delete", run_id=names["deleted_run"])
    names["source"] = f"mlflow-artifacts:/{names['experiment']}/{run}/artifacts/model"
    if table == "registry":
        names["model"] = f"{name}-m"
        made(url, "registered-models/create", name=names["model"])
        made(url, "model-versions/create", name=names["model"], source=names["source"], run_id=run)
    return names


def compared(servers: Servers, table: str) -> Iterator[tuple[str, str | None]]:
    """Each request of a table, and what was different of its answers."""
    name = f"rest {table}"
    expected, got = (prepared(url, name, table) for url in servers)
    for endpoint in TABLES[table]:
        for one, other in zip(requests(endpoint, expected), requests(endpoint, got), strict=True):
            answers = send(servers.mlflow, one), send(servers.runstone, other)
            yield f"{endpoint.name} {one.name}", difference(*answers, KNOWN_FIELDS, one.wrong)


def known(name: str) -> list[str]:
    """The entries of KNOWN_REQUESTS that a request falls under."""
    return [
        each
        for each in KNOWN_REQUESTS
        if name == each or (each.startswith("* ") and name.endswith(each[1:]))
    ]


@pytest.mark.parametrize("table", TABLES)
def test_requests_are_answered_as_by_mlflow(servers: Servers, table: str) -> None:
    asked = dict(compared(servers, table))
    found = {name: told for name, told in asked.items() if told and not known(name)}
    assert not found, f"{len(found)} differences:\n" + "\n".join(
        f"{name}\n    {told}" for name, told in found.items()
    )
    met = {entry for name in asked for entry in known(name)}
    needed = {entry for name, told in asked.items() if told for entry in known(name)}
    assert met == needed, f"in KNOWN_REQUESTS and no longer true: {met - needed}"


def test_known_requests_are_requests_of_the_tables() -> None:
    asked = [
        f"{endpoint.name} {each.name}"
        for table in TABLES.values()
        for endpoint in table
        for each in requests(endpoint, {})
    ]
    assert {entry for name in asked for entry in known(name)} == set(KNOWN_REQUESTS)
