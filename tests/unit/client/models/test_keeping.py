"""What is kept of a model: its code without itself, and nothing by its name alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer

from runstone import sklearn
from runstone._flavors import registry
from runstone.exceptions import InvalidField


def test_code_around_the_model_is_kept_without_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text("value = 1\n")
    model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
    sklearn.save_model(model, "model", code_paths=["."])
    kept = sorted(each.name for each in (tmp_path / "model" / "code" / tmp_path.name).iterdir())
    assert kept == ["own.py"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "own.py").write_text("value = 2\n")
    with pytest.raises(InvalidField, match=r"code_paths names two of 'own\.py'"):
        sklearn.save_model(model, "second", code_paths=["own.py", "other/own.py"])
    assert not (tmp_path / "second").exists()


def test_what_skops_would_keep_by_name_alone_is_kept_whole(tmp_path: Path) -> None:
    doubling = FunctionTransformer(lambda values: values * 2)
    with pytest.warns(UserWarning, match="kept as a pickle"):
        sklearn.save_model(doubling, tmp_path / "model", signature=False)
    loaded = sklearn.load_model(tmp_path / "model")
    assert loaded.transform(np.array([[2.0]])).tolist() == [[4.0]]
    with pytest.raises(InvalidField, match="the name alone"):
        sklearn.save_model(doubling, tmp_path / "safe", serialization_format="skops")


def test_a_flavor_that_cannot_be_imported_is_in_no_others_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = {"broken": "no.such.module:Flavor", **registry._places()}
    monkeypatch.setattr(registry, "_places", lambda: broken)
    found = registry.flavor_of_loader("mlflow.pyfunc.model")
    assert found is not None
    assert found.name == "python_function"
