"""Objects become files, files are read again, and a saved result is what it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from runstone._evaluation.artifacts import artifact, encoded
from runstone.exceptions import InvalidArgument, LocalPathMissing
from runstone.models import EvaluationResult


def kept(name: str, value: Any) -> tuple[str, Any]:
    file_name, data = encoded(name, value)
    return file_name, artifact(f"runs:/0/{file_name}", data).content


def test_each_kind_of_object_has_its_file(tmp_path: Path) -> None:
    note = tmp_path / "some.log"
    note.write_bytes(b"\x00\x01")
    assert kept("a", {"x": np.float32(0.5)}) == ("a.json", {"x": 0.5})
    assert kept("a", [1, 2]) == ("a.json", [1, 2])
    assert kept("a", "[1, 2]") == ("a.json", [1, 2])
    assert kept("a", "plain words") == ("a.txt", "plain words")
    assert kept("a", "long " * 2000) == ("a.txt", "long " * 2000)
    assert kept("a", b"bytes") == ("a.bin", b"bytes")
    assert kept("a.bin", b"bytes") == ("a.bin", b"bytes")
    assert kept("a", note) == ("a.log", b"\x00\x01")
    assert kept("a", str(note)) == ("a.log", b"\x00\x01")
    name, array = kept("a", np.arange(3))
    assert (name, array.tolist()) == ("a.npy", [0, 1, 2])
    name, frame = kept("a", pd.DataFrame({"x": [1], "y": ["b"]}))
    assert (name, frame.to_dict("list")) == ("a.csv", {"x": [1], "y": ["b"]})
    name, image = kept("a", Image.new("L", (2, 3)))
    assert (name, image.size) == ("a.png", (2, 3))
    name, plot = kept("a.png", Figure())
    assert (name, plot.format) == ("a.png", "PNG")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("a", object(), "not object"),
        ("a", np.array([object()]), "the array cannot be kept"),
        ("a/b", "x", "without slashes"),
        ("..", "x", "without slashes"),
        ("", "x", "without slashes"),
        (3, "x", "without slashes"),
        ("a", Path("/no/such/file"), "cannot be read"),
        ("taken", "x", "there is a file 'taken.txt' already"),
    ],
)
def test_what_cannot_be_a_file_is_told(name: Any, value: Any, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        encoded(name, value, {"taken.txt"})


def test_a_result_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    table = {"columns": ["x", "y"], "data": [[1, "a"], [2, "b"]]}
    artifacts = {
        "rows": artifact("runs:/0/rows.json", json.dumps(table).encode()),
        "plain": artifact("runs:/0/plain.json", b'{"x": 1}'),
        "note": artifact("runs:/0/note.txt", "wörds".encode()),
    }
    saved = EvaluationResult({"acc": 0.5}, artifacts, "0")
    saved.save(tmp_path / "result")
    loaded = EvaluationResult.load(tmp_path / "result")
    assert loaded.metrics == {"acc": 0.5}
    assert {key: each.content for key, each in loaded.artifacts.items()} == {
        "rows": table,
        "plain": {"x": 1},
        "note": "wörds",
    }
    assert list(loaded.tables) == ["rows"]
    assert loaded.tables["rows"].to_dict("list") == {"x": [1, 2], "y": ["a", "b"]}


def test_a_saved_result_is_named_as_mlflow_names_it(tmp_path: Path) -> None:
    EvaluationResult({}, {"m": artifact("runs:/0/m.png", b"")}).save(tmp_path)
    assert json.loads((tmp_path / "artifacts_metadata.json").read_text("utf-8")) == {
        "m": {
            "uri": "runs:/0/m.png",
            "class_name": "mlflow.models.evaluation.artifacts.ImageEvaluationArtifact",
        }
    }


def test_a_folder_that_is_no_result_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalPathMissing, match=r"metrics\.json"):
        EvaluationResult.load(tmp_path)
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(InvalidArgument, match="is not JSON"):
        EvaluationResult.load(tmp_path)
    (tmp_path / "metrics.json").write_text("[]")
    with pytest.raises(InvalidArgument, match="holds no names"):
        EvaluationResult.load(tmp_path)
    (tmp_path / "metrics.json").write_text("{}")
    for said in ({"uri": "runs:/0/.."}, {"uri": 3}, "x"):
        (tmp_path / "artifacts_metadata.json").write_text(json.dumps({"m": said}))
        with pytest.raises(InvalidArgument, match="says no file for 'm'"):
            EvaluationResult.load(tmp_path)


def test_arrays_of_objects_are_not_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"x": 1}]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        _ = artifact("runs:/0/a.npy", path.read_bytes()).content
