"""The REST API request by request: status, error code and shape are those of MLflow's server."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from compat.known_requests import KNOWN_FIELDS, KNOWN_REQUESTS
from compat.rest_names import made_anew, prepared
from compat.rest_table import TABLES
from support.compat import Servers
from support.rest import Request, difference, filled, requests, send

ALL = bool(os.environ.get("RUNSTONE_TEST_COMPAT"))
"""`make test-compat` sends all requests. Else those with a value of a wrong type or a body that is
no JSON are left out: what ours answers to them, tests/component/gateway shows without MLflow."""


def chosen(request: Request) -> bool:
    """Whether the short form has it."""
    return not request.wrong and not request.name.startswith("body ")


def compared(servers: Servers, table: str) -> Iterator[tuple[str, str | None]]:
    """Each request of a table, and what was different of its answers."""
    shared = [prepared(url, f"rest-{table.replace(' ', '-')}") for url in servers]
    for endpoint in TABLES[table]:
        for request in filter(None if ALL else chosen, requests(endpoint)):
            answers = [
                send(url, filled(request, names | made_anew(url, endpoint, names)))
                for url, names in zip(servers, shared, strict=True)
            ]
            told = difference(*answers, KNOWN_FIELDS, request.wrong)
            yield f"{endpoint.name} {request.name}", told


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


def names_of(table: str) -> list[str]:
    return [f"{each.name} {request.name}" for each in TABLES[table] for request in requests(each)]


@pytest.mark.parametrize("table", TABLES)
def test_requests_have_names_of_their_own(table: str) -> None:
    assert len(set(names_of(table))) == len(names_of(table))


def test_known_requests_are_requests_of_the_tables() -> None:
    asked = [name for table in TABLES for name in names_of(table)]
    assert {entry for name in asked for entry in known(name)} == set(KNOWN_REQUESTS)
