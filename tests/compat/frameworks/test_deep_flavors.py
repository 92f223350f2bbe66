"""Models of deep-learning frameworks: what Runstone saves MLflow loads, and the reverse.

Runs in the environment ``frameworks-deep`` alone: ``make test-frameworks``.
"""

from __future__ import annotations

import doctest
import importlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import runstone.pyfunc
from compat.frameworks.deep_models import CASES, ROWS, TENSORFLOW_CASES, Case
from runstone._flavors import registry
from runstone._models.model import read
from runstone.exceptions import UntrustedModel

ON_TENSORFLOW = os.environ.get("KERAS_BACKEND") == "tensorflow"
HERE = TENSORFLOW_CASES if ON_TENSORFLOW else CASES


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEP_SCRATCH", str(tmp_path))
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def same(ours: Any, theirs: Any) -> None:
    """Compares predictions, whatever their form."""
    if isinstance(theirs, pd.DataFrame):
        pd.testing.assert_frame_equal(pd.DataFrame(ours), theirs, rtol=1e-4, check_dtype=False)
    elif isinstance(theirs, np.ndarray) or (theirs and isinstance(theirs[0], float)):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4, atol=1e-6)
    else:
        assert ours == theirs


def stranger(folder: Path) -> Path:
    """The model as it looks that somebody else made."""
    return Path(shutil.copytree(folder, folder.with_name(f"{folder.name}-of-others")))


def options_for_mlflow(case: Case) -> dict[str, Any]:
    """What MLflow needs to be told besides."""
    from huggingface_hub import ModelCard
    from mlflow.models import infer_signature

    # Or it would load each model in a process of its own, to see what that imports.
    options = {**case.options, "pip_requirements": ["numpy"]}
    if case.options.get("save_exported_model"):
        options["signature"] = infer_signature(ROWS, ROWS[:, :2])
    if case.flavor == "transformers":
        options["model_card"] = ModelCard("---\nlicense: mit\n---\nA tiny model.")
    return options


@pytest.mark.parametrize("case", HERE, ids=lambda case: case.name)
def test_mlflow_loads_what_runstone_saved(case: Case, place: Path) -> None:
    import mlflow.pyfunc

    model = case.make()
    expected = case.predict(model)
    case.ours().save_model(model, place / "ours", **case.options)
    same(case.predict(case.theirs().load_model(str(place / "ours"))), expected)
    if case.data is not None:
        theirs = mlflow.pyfunc.load_model(str(place / "ours")).predict(case.data)
        same(runstone.pyfunc.load_model(place / "ours").predict(case.data), theirs)


@pytest.mark.parametrize("case", HERE, ids=lambda case: case.name)
def test_runstone_loads_what_mlflow_saved(case: Case, place: Path) -> None:
    import mlflow.pyfunc

    model = case.make()
    expected = case.predict(model)
    case.theirs().save_model(model, str(place / "theirs"), **options_for_mlflow(case))
    allow = bool(case.unsafe) or None
    same(case.predict(case.ours().load_model(place / "theirs", allow_pickle=allow)), expected)
    if case.data is not None:
        theirs = mlflow.pyfunc.load_model(str(place / "theirs")).predict(case.data)
        ours = runstone.pyfunc.load_model(place / "theirs", allow_pickle=allow)
        same(ours.predict(case.data), theirs)


@pytest.mark.parametrize("case", HERE, ids=lambda case: case.name)
def test_mlmodel_says_what_mlflows_says(case: Case, place: Path) -> None:
    case.ours().save_model(case.make(), place / "ours", **case.options)
    case.theirs().save_model(case.make(), str(place / "theirs"), **options_for_mlflow(case))
    ours, theirs = (
        yaml.safe_load((place / name / "MLmodel").read_text("utf-8")) for name in ("ours", "theirs")
    )
    mine, other = ours["flavors"][case.flavor], theirs["flavors"][case.flavor]
    assert {**other, **mine}.keys() == mine.keys()
    assert {key: mine[key] for key in other if key in mine and key != "model_class"} == {
        key: other[key] for key in other if key != "model_class"
    }
    function, theirs_function = (
        each["flavors"].get("python_function", {}) for each in (ours, theirs)
    )
    assert function.get("loader_module") == theirs_function.get("loader_module")
    assert function.get("data") == theirs_function.get("data")


@pytest.mark.parametrize("case", HERE, ids=lambda case: case.name)
def test_only_what_can_run_code_needs_trust(case: Case, place: Path) -> None:
    case.ours().save_model(case.make(), place / "ours", **case.options)
    folder = stranger(place / "ours")
    configuration = read(folder).flavors[case.flavor]
    said = registry.flavor(case.flavor).unsafe(folder, configuration)
    if not case.unsafe:
        assert said is None
        case.ours().load_model(folder)
        return
    assert said is not None
    assert said.startswith(case.unsafe)
    with pytest.raises(UntrustedModel, match="allow_pickle"):
        case.ours().load_model(folder)
    with pytest.raises(UntrustedModel):
        runstone.pyfunc.load_model(folder)


EXAMPLES = [
    (flavor, name)
    for flavor in (
        ["tensorflow"] if ON_TENSORFLOW else sorted({case.flavor for case in HERE} - {"tensorflow"})
    )
    for name in importlib.import_module(f"runstone.{flavor}").__all__
]


@pytest.mark.parametrize(("flavor", "name"), EXAMPLES)
def test_example(flavor: str, name: str) -> None:
    """The examples of the public functions, with a suite to log to."""
    function = getattr(importlib.import_module(f"runstone.{flavor}"), name)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for case in doctest.DocTestFinder(recurse=False).find(function, name, globs={}):
        runner.run(case, out=said.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(said)
