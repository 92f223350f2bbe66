"""Predictions of every kind as JSON."""

import datetime as dt
import json
import tomllib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runstone._serving import NEEDED, rendering
from runstone._serving.refusals import Refusal
from support.binaries import REPOSITORY


class Custom:
    """JSON has nothing like it."""


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (np.array([1.5, np.nan, np.inf]), [1.5, None, None]),
        (np.array([[1, 2], [3, 4]])[:, ::-1], [[2, 1], [4, 3]]),
        (np.array([1.5], ">f8"), [1.5]),
        (np.array([0.5], "float16"), [0.5]),
        (np.array([True]), [True]),
        (np.array(["a"]), ["a"]),
        (np.array(["a", None, 1.5], object), ["a", None, 1.5]),
        (np.array(["2026-01-02"], "datetime64[D]"), ["2026-01-02"]),
        (np.array([b"\x00\x01"], object), ["AAE="]),
        (np.array(3.5), 3.5),
        (np.float32(0.5), 0.5),
        (pd.Series([1, 2], name="y"), [{"y": 1}, {"y": 2}]),
        (pd.Series([1]), [{"0": 1}]),
        (
            pd.DataFrame({"a": [1, 2], "b": ["x", None], 3: [0.5, np.nan]}),
            [{"a": 1, "b": "x", "3": 0.5}, {"a": 2, "b": None, "3": None}],
        ),
        (
            pd.DataFrame({"t": [pd.Timestamp("2026-01-02"), pd.NaT]}),
            [{"t": "2026-01-02T00:00:00"}, {"t": None}],
        ),
        ([np.int64(1), {"x": np.array([1.0])}], [1, {"x": [1.0]}]),
        ({"a": np.array([1]), 2: (3, 4)}, {"a": [1], "2": [3, 4]}),
        ([dt.date(2026, 1, 2), b"\x00\x01", {1}], ["2026-01-02", "AAE=", [1]]),
        ("text", "text"),
        (None, None),
        ([], []),
        (pd.DataFrame(), []),
    ],
)
def test_predictions(found: Any, wanted: Any) -> None:
    assert json.loads(rendering.predictions(found)) == {"predictions": wanted}
    assert json.loads(rendering.predictions(found, whole=True)) == wanted


@pytest.mark.parametrize("found", [Custom(), [Custom()], [2**70], ["\ud800"]])
def test_what_json_cannot_hold_is_the_models_fault(found: Any) -> None:
    with pytest.raises(Refusal, match="cannot be written as JSON") as caught:
        rendering.predictions(found)
    assert caught.value.status == 500


def test_the_distribution_asks_for_what_serving_needs() -> None:
    manifest = REPOSITORY / "clients/python/pyproject.toml"
    extras = tomllib.loads(manifest.read_text("utf-8"))["project"]["optional-dependencies"]
    assert [each.partition(">=")[0] for each in extras["serving"]] == list(NEEDED)
