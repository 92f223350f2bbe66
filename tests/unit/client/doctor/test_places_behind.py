"""Gateways and stores: what their answers and addresses mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runstone._doctor import gateway, stores
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line

OURS = {"store_type": "SqlStore", "runstone_version": "0.1.0"}


@pytest.mark.parametrize(
    ("status", "json", "source", "judged", "words"),
    [
        (200, OURS, "argument", None, ""),
        (200, {"store_type": "SqlStore"}, "argument", FAILURE, "an MLflow server"),
        (200, {"store_type": "SqlStore"}, "MLFLOW_TRACKING_URI", WARNING, "an MLflow server"),
        (200, None, "argument", FAILURE, "something else"),
        (403, None, "suite.json", WARNING, "this name"),
        (403, None, "argument", FAILURE, "this name"),
        (401, None, "argument", WARNING, "who calls"),
    ],
)
def test_what_answers(
    status: int, json: dict[str, Any] | None, source: str, judged: str | None, words: str
) -> None:
    found = gateway._strange("http://h", source, gateway._Answer(status, 0.1, json))
    if found is None:
        assert judged is None
    else:
        assert found[0] == judged
        assert words in found[1]
        assert found[2]


@pytest.mark.parametrize("url", ["host:5000", "ftp://h", "http://", "http://h:99999", "http://["])
def test_what_is_no_address_of_a_gateway(url: str) -> None:
    assert gateway._Gateway.of(url, 1.0) is None


def found(look: Callable[[Asked, str], Iterator[Line]], **environment: str) -> dict[str, Line]:
    return {each.name: each for each in look(Asked(environment=environment), "x")}


def test_addresses_that_no_server_takes() -> None:
    lines = found(
        stores.look,
        RUNSTONE_DATABASE_URL="mysql://u:secret@h/x",
        RUNSTONE_ARTIFACT_OBJECTS_URL="ftp://h/secret@x",
    )
    assert lines["x.RUNSTONE_DATABASE_URL"].status == FAILURE
    assert lines["x.RUNSTONE_DATABASE_URL"].summary.startswith("mysql://h/x ")
    assert lines["x.RUNSTONE_ARTIFACT_OBJECTS_URL"].status == FAILURE


def test_a_service_alone_may_have_sqlite() -> None:
    lines = found(
        stores.look,
        RUNSTONE_DATABASE_URL="sqlite:////data/all.db",
        RUNSTONE_TRACKING_DATABASE_URL="sqlite:////data/tracking.db",
    )
    assert lines["x.RUNSTONE_DATABASE_URL"].status == FAILURE
    own = lines["x.RUNSTONE_TRACKING_DATABASE_URL"]
    assert (own.status, own.summary.endswith("/data/tracking.db")) == (OK, True)


def test_one_address_under_several_names_is_asked_once() -> None:
    lines = found(
        stores.look,
        RUNSTONE_OBJECTS_URL="file:///data",
        RUNSTONE_ARTIFACT_OBJECTS_URL="file:///data",
    )
    assert list(lines) == ["x.RUNSTONE_OBJECTS_URL"]
    assert lines["x.RUNSTONE_OBJECTS_URL"].status == OK


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://u:p@h:5/d", "postgresql://h:5/d"),
        ("postgresql://u:p@h:x/d", "postgresql:…"),
        ("postgresql:///d", "postgresql:…"),
    ],
)
def test_places_without_who_calls(url: str, place: str) -> None:
    assert stores._place(url) == place
