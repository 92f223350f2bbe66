"""Which columns a list of runs has, in what order."""

from typing import Any

import click
import pytest

from runstone.cli._runtable import RunColumns, named_first, short_ids, with_latest

ONE, OTHER = "0123456789" + "a" * 22, "0123456789" + "b" * 22


def run(run_id: str = ONE, **changes: Any) -> dict[str, Any]:
    return with_latest(
        {
            "run_id": run_id,
            "name": "n",
            "experiment_id": "1",
            "status": "RUNNING",
            "lifecycle_stage": "ACTIVE",
            "start_time": "2026-03-01T12:00:00.000Z",
            "end_time": "2026-03-01T12:01:05.500Z",
            "user_id": "u",
            "params": {"lr": "0.1", "depth": "3"},
            "tags": {"team": "blue"},
            "metrics": [{"key": key, "value": 0.5} for key in ("acc", "loss", "f1")],
            **changes,
        }
    )


def test_short_ids_are_the_shortest_unique_beginnings_of_8_or_more() -> None:
    assert short_ids([ONE, OTHER, "f" * 32]) == {
        ONE: "0123456789a",
        OTHER: "0123456789b",
        "f" * 32: "ffffffff",
    }
    assert short_ids([ONE, ONE]) == {ONE: "01234567"}
    assert short_ids([]) == {}


def test_what_a_filter_or_order_names_comes_first() -> None:
    keys = {"acc", "loss", "f1", "val loss", "x/y.z"}
    order = named_first(
        keys, "metric", ['metrics."val loss" DESC', "metric.x/y.z > 1 AND params.f1='1'"]
    )
    assert order == ["val loss", "x/y.z", "acc", "f1", "loss"]


def headings(rows: list[dict[str, Any]], *texts: str, piped: bool = False) -> list[str]:
    return [each.heading for each in RunColumns(rows, {}, texts).usual(piped=piped)]


def test_the_experiment_is_shown_when_there_are_several() -> None:
    fixed = ["RUN", "NAME", "STATUS", "STARTED", "DURATION"]
    assert headings([run()])[:5] == fixed
    assert headings([run(), run(experiment_id="2")])[2] == "EXPERIMENT"
    assert headings([run()], piped=True)[2] == "EXPERIMENT"


def test_metrics_come_before_params_and_named_ones_before_others() -> None:
    found = headings([run()], "metrics.loss DESC", "params.lr = '0.1'")
    assert found[5:] == ["loss", "acc", "f1", "lr", "depth"]


def test_chosen_columns_are_those_and_in_that_order() -> None:
    rows = [run()]
    names = ["tags.team", "run_id", "params", "metrics.none", "lifecycle_stage", "user_id"]
    columns = RunColumns(rows, {}, ()).chosen(names)
    assert [each.name or each.heading for each in columns] == [
        *("tags.team", "RUN", "params.depth", "params.lr", "metrics.none", "STAGE", "USER")
    ]
    assert [each.on_terminal(rows[0]) for each in columns] == [
        *("blue", ONE[:8], "3", "0.1", "", "Active", "u")
    ]


@pytest.mark.parametrize("name", ["", "nothing", "metrics.", "latest.acc", "tags"])
def test_a_column_that_there_is_not_is_told(name: str) -> None:
    with pytest.raises(click.BadParameter, match="there is no column"):
        RunColumns([], {}, ()).chosen([name])


def test_a_duration_is_short_for_people_and_seconds_in_a_pipe() -> None:
    [column] = RunColumns([run()], {}, ()).chosen(["duration"])
    assert (column.on_terminal(run()), column.value(run())) == ("1m05s", 65.5)
    assert column.value(run(start_time=None)) is None
