"""Figures, images, tables, dicts and data sets as what is stored of them."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import runstone
from runstone import _media
from runstone.data._dataset import Dataset
from runstone.exceptions import InvalidArgument


def opened(content: bytes) -> Any:
    return Image.open(io.BytesIO(content))


def test_dicts_as_json_and_yaml() -> None:
    value = {
        "a": [1, 2.5],
        "n": np.float32(0.5),
        "v": np.arange(2),
        "d": dt.date(2024, 1, 2),
        "ü": None,
    }
    expected = {"a": [1, 2.5], "n": 0.5, "v": [0, 1], "d": "2024-01-02", "ü": None}
    for name in ("x.json", "x.yaml", "x.YML", "noending"):
        content = _media.dict_bytes(value, name)
        assert _media.read_dict(content, name) == expected
    assert _media.dict_bytes({"a": 1}, "x.yaml") == b"a: 1\n"


@pytest.mark.parametrize("name", ["x.json", "x.yaml"])
def test_a_damaged_dict_is_told(name: str) -> None:
    with pytest.raises(InvalidArgument, match=name):
        _media.read_dict(b"{]", name)
    with pytest.raises(InvalidArgument, match=name):
        _media.read_dict(b"\xff\xff[", name)


def test_figures() -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    assert opened(_media.figure_bytes(figure, "a/plot.png", {"dpi": 50})).size == (100, 50)
    assert b"<svg" in _media.figure_bytes(figure, "plot.svg", None)
    assert _media.figure_bytes(figure, "plot.pdf", None).startswith(b"%PDF")

    class Plotly:
        def to_html(self, **options: Any) -> str:
            return f"<html>{options['include_plotlyjs']}</html>"

        def to_image(self, **options: Any) -> bytes:
            return str(options["format"]).encode()

    assert _media.figure_bytes(Plotly(), "x.html", None) == b"<html>cdn</html>"
    assert _media.figure_bytes(Plotly(), "x.svg", None) == b"svg"
    with pytest.raises(InvalidArgument, match="matplotlib or plotly"):
        _media.figure_bytes(object(), "x.png", None)


@pytest.mark.parametrize(
    ("array", "mode"),
    [
        (np.zeros((4, 6), np.uint8), "L"),
        (np.zeros((4, 6, 1), np.int64), "L"),
        (np.ones((4, 6, 3)), "RGB"),
        (np.ones((4, 6, 4), np.uint8), "RGBA"),
        (np.ones((4, 6), bool), "L"),
        ([[0, 255, 0, 0, 0, 0]] * 4, "L"),
    ],
)
def test_images(array: Any, mode: str) -> None:
    image = opened(_media.image_bytes(array, "x.png"))
    assert (image.size, image.mode, image.format) == ((6, 4), mode, "PNG")


def test_images_keep_their_values() -> None:
    values = np.array([[0, 0.5, 1.0]])
    assert np.asarray(opened(_media.image_bytes(values, "x.png"))).tolist() == [[0, 128, 255]]
    again = opened(_media.image_bytes(Image.new("RGB", (2, 2), "red"), "x.jpg"))
    assert again.format == "JPEG"


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3),
        np.zeros((2, 2, 2)),
        np.full((2, 2), 1.5),
        np.full((2, 2), np.nan),
        np.full((2, 2), 256),
        np.full((2, 2), -1),
        np.array([["a"]]),
    ],
)
def test_what_is_no_image(array: Any) -> None:
    with pytest.raises(InvalidArgument):
        _media.image_bytes(array, "x.png")


def test_tables() -> None:
    first = _media.merged_table(None, {"a": [1, 2], "b": ["x", "y"]}, "t.json")
    assert json.loads(first) == {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]}
    frame = pd.DataFrame({"b": ["z"], "c": [0.5]})
    both = _media.merged_table(first, frame, "t.json")
    assert json.loads(both) == {
        "columns": ["a", "b", "c"],
        "data": [[1, "x", None], [2, "y", None], [None, "z", 0.5]],
    }
    one = _media.merged_table(None, {"a": 1, "b": "x"}, "t.json")
    assert json.loads(one) == {"columns": ["a", "b"], "data": [[1, "x"]]}


@pytest.mark.parametrize("data", [{"a": [1], "b": [1, 2]}, [1, 2], "text"])
def test_what_is_no_table(data: Any) -> None:
    with pytest.raises(InvalidArgument, match="table"):
        _media.merged_table(None, data, "t.json")


def test_a_file_that_is_no_table_is_left_alone() -> None:
    with pytest.raises(InvalidArgument, match=r"t\.json exists and is no table"):
        _media.merged_table(b"[1]", {"a": 1}, "t.json")


Maker = Callable[[Any], Dataset]


@pytest.mark.parametrize(
    ("make", "content", "other"),
    [
        (
            runstone.data.from_pandas,
            pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
            pd.DataFrame({"a": [1, 3], "b": ["x", None]}),
        ),
        (
            runstone.data.from_pandas,
            pd.DataFrame({"a": [[1], [2]]}),
            pd.DataFrame({"a": [[1], [3]]}),
        ),
        (runstone.data.from_numpy, np.arange(4), np.arange(4.0)),
        (runstone.data.from_numpy, {"x": np.arange(4)}, {"y": np.arange(4)}),
        (runstone.data.from_numpy, np.array(["a", "b"], object), np.array(["ab"], object)),
    ],
)
def test_a_digest_is_that_of_the_content(make: Maker, content: Any, other: Any) -> None:
    assert make(content).digest == make(content.copy()).digest
    assert make(content).digest != make(other).digest
    assert 1 <= len(make(content).digest) <= 36


def test_what_a_data_set_says(tmp_path: Path) -> None:
    path = tmp_path / "wine.csv"
    path.touch()
    frame = pd.DataFrame({"x": [1.0], "y": [1]})
    dataset = runstone.data.from_pandas(frame, source=path, targets="y", name="wine")
    entity = dataset.to_entity()
    assert (entity.name, entity.source_type) == ("wine", "local")
    assert json.loads(entity.source) == {"uri": str(path)}
    assert json.loads(entity.schema or "") == {
        "columns": [{"name": "x", "type": "float64"}, {"name": "y", "type": "int64"}],
        "targets": "y",
    }
    assert json.loads(entity.profile or "") == {"num_rows": 1, "num_elements": 2}
    assert dataset.to_dict()["digest"] == entity.digest
    assert runstone.data.from_numpy(np.ones(2), source="s3://b/x").source_type == "s3"
    assert runstone.data.from_numpy(np.ones(2), digest="mine").digest == "mine"
    with pytest.raises(InvalidArgument, match="no column"):
        runstone.data.from_pandas(frame, targets="z")
