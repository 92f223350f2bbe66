"""Runs as columns hold what the runs hold, on both databases and whatever is missing where."""

import itertools
import math
from typing import Any

import pytest
from sqlalchemy import insert

from runstone_kit.database import Database
from runstone_tracking import service_search, sqlstore_columns
from runstone_tracking.model import (
    RUN_NAME_TAG,
    Dataset,
    DatasetInput,
    ModelOutput,
    Run,
    SearchRequest,
    Stage,
    View,
)
from runstone_tracking.model_columns import RunColumns
from runstone_tracking.model_logged import LoggedModelInfo, LoggedModelStatus
from runstone_tracking.service_search import SearchService
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.store import Session
from runstone_tracking.tables import params, runs
from runstone_tracking.tables_metrics import metric_summaries
from support.tracking import add_run

RUNS = 7

NOTHING: dict[str, Any] = {"inputs": (), "model_inputs": (), "model_outputs": ()}
"""What a run holds beside texts and metrics, of one that holds none."""


@pytest.fixture(autouse=True)
def filled(transactions: SqlTransactions, database: Database) -> None:
    """Runs that have, and lack, this and that."""

    def fill(session: Session) -> list[str]:
        made = []
        for number in range(RUNS):
            params = {f"p{key}": f"ü{number}" for key in range(3) if (number + key) % 3}
            tags = {"every": str(number), **({"some": ""} if number % 2 else {})}
            run_id = add_run(session, name=f"run {number}", tags=tags, params=params)
            made.append(run_id)
            if number == 4:
                dataset = Dataset("d", "1", "local", "here", "{}", "{}")
                session.runs.add_inputs(run_id, [DatasetInput(dataset, {"use": "training"})])
            if number in (2, 4, 5):
                models = [add_model(session, f"m-{number}{place:031}") for place in range(3)]
                if number != 5:
                    outputs = [ModelOutput(each, -place) for place, each in enumerate(models)]
                    session.logged.add_outputs(run_id, outputs[:2])
                if number != 2:
                    session.logged.add_inputs(run_id, models[1:])
        return made

    ids = transactions.write(fill)
    values = itertools.cycle((0.5, math.nan, -math.inf, 1e300))
    with database.write() as connection:
        for place, run_id in enumerate(ids):
            for key in ("loss", *(["odd"] if place % 2 else [])):
                value = next(values)
                summary: dict[str, Any] = {
                    "run_id": run_id,
                    "key": key,
                    "value": None if math.isnan(value) else value,
                    "is_nan": math.isnan(value),
                    "step": place - 3,
                    "timestamp_ms": 2**53 + place,
                    "min": None,
                    "max": None,
                    "count": 1,
                    "nan_count": 0,
                    "first_step": place - 3,
                }
                connection.execute(insert(metric_summaries), [summary])


def add_model(session: Session, model_id: str) -> str:
    """A logged model of the default experiment."""
    stands = LoggedModelStatus.READY, Stage.ACTIVE
    session.logged.create(LoggedModelInfo(model_id, "0", "m", *stands, "", "", "", 1, 1))
    return model_id


def asked(**fields: Any) -> SearchRequest:
    """A search of the default experiment."""
    told: dict[str, Any] = {"filter": "", "order_by": (), "view": View.ACTIVE_ONLY}
    told |= {"page_size": 0, "page_token": "", "experiment_ids": ("0",)} | fields
    return SearchRequest(**told)


def rows(parts: list[tuple[RunColumns, str]]) -> list[dict[str, Any]]:
    """The runs of some parts, one by one."""
    found = []
    for columns, _ in parts:
        count = len(columns.infos)
        part: list[dict[str, Any]] = [
            {"info": info, "metrics": {}, "params": {}, "tags": {}, **NOTHING}
            for info in columns.infos
        ]
        for metric in columns.metrics:
            points = zip(metric.values, metric.steps, metric.timestamps_ms, strict=True)
            for row, point in zip(metric.rows or range(count), points, strict=True):
                part[row]["metrics"][metric.key] = repr(point)
        for name, texts in (("params", columns.params), ("tags", columns.tags)):
            for text in texts:
                for row, value in zip(text.rows or range(count), text.values, strict=True):
                    part[row][name][text.key] = value.decode()
        for name in NOTHING:
            for row, held in getattr(columns, name).items():
                assert held, "a row stands there for nothing"
                part[row][name] = tuple(held)
        for group in (columns.metrics, columns.params, columns.tags):
            keys = [each.key for each in group]
            assert keys == sorted(keys)
        found += part
    return found


def row(run: Run) -> dict[str, Any]:
    """The same of a run."""
    return {
        "info": run.info,
        "metrics": {
            each.key: repr((each.value, each.step, each.timestamp_ms)) for each in run.metrics
        },
        "params": dict(run.params),
        "tags": {key: value for key, value in run.tags.items() if key != RUN_NAME_TAG},
        **{name: tuple(getattr(run, name)) for name in NOTHING},
    }


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"order_by": ("metrics.loss DESC",)},
        {"filter": "tags.some = ''"},
        {"filter": "attributes.run_name = 'nobody'"},
        {"page_size": 3},
        {"view": View.DELETED_ONLY},
        {"experiment_ids": ("999",)},
    ],
)
@pytest.mark.parametrize("at_once", [1, 2, 2000])
def test_columns_are_the_runs(
    transactions: SqlTransactions,
    fields: dict[str, Any],
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_search, "COLUMNS_AT_ONCE", at_once)
    service = SearchService(transactions)
    parts = list(service.run_columns(asked(**fields)))
    page = service.runs(asked(**fields))
    assert rows(parts) == [row(run) for run in page.items]
    # A reader may stop after any part and go on from there.
    for place, (_, token) in enumerate(parts[:-1]):
        rest = list(service.run_columns(asked(**{**fields, "page_size": 0, "page_token": token})))
        following = rows(parts[place + 1 :])
        assert rows(rest)[: len(following)] == following
    assert parts[-1][1] == page.next_page_token


def test_values_come_without_their_points(transactions: SqlTransactions) -> None:
    service = SearchService(transactions)
    [(whole, _)] = service.run_columns(asked())
    [(found, _)] = service.run_columns(asked(), values_only=True)
    assert [(each.key, list(each.rows), repr(list(each.values))) for each in found.metrics] == [
        (each.key, list(each.rows), repr(list(each.values))) for each in whole.metrics
    ]
    assert not any(len(each.steps) or len(each.timestamps_ms) for each in found.metrics)
    assert all(len(each.steps) == len(each.values) for each in whole.metrics)
    assert (found.params, found.tags) == (whole.params, whole.tags)


@pytest.mark.parametrize("odd", ["short", "a" * 40, "ü" * 32])
def test_an_id_that_is_not_as_long_as_the_others_has_its_own_values(
    transactions: SqlTransactions, database: Database, odd: str
) -> None:
    """Ids of one length are cut apart by it, others by zero bytes."""
    run_id = transactions.write(add_run)
    with database.write() as connection:
        connection.execute(runs.update().where(runs.c.run_id == run_id).values(run_id=odd))
        values = [{"run_id": odd, "key": key, "value": odd} for key in ("p0", "p9")]
        connection.execute(insert(params), values)
    service = SearchService(transactions)
    assert rows(list(service.run_columns(asked()))) == [
        row(run) for run in service.runs(asked()).items
    ]


def test_a_token_leads_on_from_either_search(transactions: SqlTransactions) -> None:
    service = SearchService(transactions)
    whole = [row(run) for run in service.runs(asked()).items]
    *_, (_, token) = service.run_columns(asked(page_size=2))
    second = service.runs(asked(page_size=2, page_token=token))
    third = list(service.run_columns(asked(page_token=second.next_page_token)))
    assert [row(run) for run in second.items] == whole[2:4]
    assert rows(third) == whole[4:]


@pytest.mark.parametrize("name", ["MAX_BYTES", "MAX_ENTRIES"])
def test_large_runs_are_gathered_a_few_at_a_time(
    transactions: SqlTransactions, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlstore_columns, name, 3)
    monkeypatch.setattr(sqlstore_columns, "FEW", 2)
    service = SearchService(transactions)
    parts = list(service.run_columns(asked()))
    assert [len(columns.infos) for columns, _ in parts] == [2, 2, 2, 1]
    assert rows(parts) == [row(run) for run in service.runs(asked()).items]
