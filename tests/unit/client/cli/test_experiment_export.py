"""CSV of runs: what a spreadsheet would run, values of every kind, columns of all runs."""

import csv
import io

import pytest

from runstone.cli._experiment_export import harmless, write_csv
from runstone.tracking.v1 import run_pb2


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0"),
        ("+1+1", "'+1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\t=1", "'\t=1"),
        ("\uff1d1", "'\uff1d1"),
        ("-0.5", "-0.5"),
        ("+1e-3", "+1e-3"),
        ("-inf", "-inf"),
        (-0.5, -0.5),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_formulas_are_texts(cell: object, shown: object) -> None:
    assert harmless(cell) == shown


def test_every_run_has_the_columns_of_all() -> None:
    first = run_pb2.Run(run_id="a", name="one", params={"lr": "0.1", "=p": "x\r\ny"})
    second = run_pb2.Run(run_id="b", name='"two", too', tags={"mlflow.runName": "two", "t": "v"})
    second.metrics.add(key="loss", value=float("nan"))
    second.metrics.add(key="acc", value=0.1 + 0.2)
    out = io.StringIO(newline="")
    assert write_csv(out, iter([first, second]), raw=False) == 2
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert list(rows[0])[8:] == ["metrics.acc", "metrics.loss", "params.=p", "params.lr", "tags.t"]
    assert (rows[0]["params.=p"], rows[0]["metrics.acc"], rows[0]["tags.t"]) == ("x\r\ny", "", "")
    assert (rows[1]["name"], rows[1]["metrics.loss"]) == ('"two", too', "nan")
    assert float(rows[1]["metrics.acc"]) == 0.1 + 0.2


def test_no_runs_are_a_heading() -> None:
    out = io.StringIO()
    assert write_csv(out, iter([]), raw=False) == 0
    assert out.getvalue().startswith("run_id,experiment_id,name,")
    assert out.getvalue().count("\n") == 1
