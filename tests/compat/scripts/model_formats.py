"""Each flavor's models, saved by Runstone and loaded by MLflow, and the other way round.

Prints a JSON document: for each case, what each check found: "" when all was right. A check that
fails does not keep the others from being made, so that one run gives the whole table. Flavors that
are named on the command line are looked at alone.
"""

from __future__ import annotations

import contextlib
import copy
import doctest
import importlib
import json
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import model_faults
import numpy as np
import pandas as pd
import yaml
from model_cases import Case, cases

import runstone
from runstone.exceptions import UntrustedModel
from runstone.models import Model, infer_signature

EXAMPLES = ("xgboost", "lightgbm", "catboost", "statsmodels", "onnx")
"""Modules whose examples need what is installed here alone."""

LISTED_BY_MLFLOW = "skops_trusted_types"
"""MLflow lists all types of a library that it trusts, Runstone those that are in the file."""


def plain(predicted: Any) -> Any:
    """Predictions of whatever kind as one flat array."""
    if isinstance(predicted, dict):
        predicted = np.concatenate([np.asarray(each).ravel() for each in predicted.values()])
    if isinstance(predicted, pd.DataFrame):
        predicted = predicted.to_numpy()
    return np.asarray(predicted, dtype=float).ravel()


class Checks:
    """The checks of one case, in a folder with both saved models."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self.ours, self.theirs = folder / "runstone", folder / "mlflow"
        self.runstone = importlib.import_module(f"runstone.{case.flavor}")
        self.mlflow = importlib.import_module(f"mlflow.{case.flavor}")
        self.expected = plain(case.native(case.model))
        self.signature = infer_signature(case.data, case.native(case.model))

    def same(self, predicted: Any) -> None:
        np.testing.assert_allclose(plain(predicted), self.expected, rtol=1e-5)

    def saved(self) -> None:
        case = self.case
        self.runstone.save_model(case.model, self.ours, signature=self.signature, **case.options)
        theirs = mlflow.models.infer_signature(case.data, case.native(case.model))
        # Without requirements it loads the model in another process to see what that imports.
        needs = {"pip_requirements": ["mlflow"]}
        # It takes the weights that it writes to a file out of an ONNX model.
        self.mlflow.save_model(
            copy.deepcopy(case.model), str(self.theirs), signature=theirs, **needs, **case.options
        )

    def ours_by_mlflow(self) -> None:
        self.same(self.case.native(self.mlflow.load_model(str(self.ours))))

    def ours_by_mlflow_pyfunc(self) -> None:
        self.same(mlflow.pyfunc.load_model(str(self.ours)).predict(self.case.data))

    def theirs_by_runstone(self) -> None:
        self.same(self.case.native(self.runstone.load_model(self.theirs, **self._trust())))

    def theirs_by_runstone_pyfunc(self) -> None:
        model = runstone.pyfunc.load_model(self.theirs, suppress_warnings=True, **self._trust())
        self.same(model.predict(self.case.data))

    def _trust(self) -> dict[str, bool]:
        return {"allow_pickle": True} if self.case.pickle else {}

    def trust(self) -> None:
        try:
            self.runstone.load_model(self.theirs)
        except UntrustedModel:
            assert self.case.pickle, "is taken for unsafe"
        else:
            assert not self.case.pickle, "is loaded though it is a pickle"

    def description(self) -> None:
        ours, theirs = (
            yaml.safe_load((each / "MLmodel").read_text("utf-8"))
            for each in (self.ours, self.theirs)
        )
        for name, written in theirs["flavors"].items():
            differing = {LISTED_BY_MLFLOW, *self.case.differing}
            kept = {key: value for key, value in written.items() if key not in differing}
            found = {key: ours["flavors"][name].get(key) for key in kept}
            assert found == kept, (name, found, kept)
        assert ours["signature"] == theirs["signature"], (ours["signature"], theirs["signature"])
        info = mlflow.models.get_model_info(str(self.ours))
        assert info.signature.to_dict() == self.signature.to_dict()
        assert info.flavors.keys() == theirs["flavors"].keys()

    def requirements(self) -> None:
        with contextlib.redirect_stdout(sys.stderr):
            path = mlflow.pyfunc.get_model_dependencies(str(self.ours))
        lines = Path(path).read_text("utf-8").split()
        wanted = self.mlflow.get_default_pip_requirements()
        # The distribution that is installed here, which brings the same module.
        wanted = {line.replace("xgboost==", "xgboost-cpu==") for line in wanted}
        assert wanted <= set(lines), (wanted, lines)

    def logged(self) -> None:
        case = self.case
        with runstone.start_run() as run:
            info = self.runstone.log_model(
                case.model,
                name="model",
                registered_model_name=case.name,
                input_example=case.data,
                **case.options,
            )
        assert info.signature is not None
        version = f"models:/{case.name}/{info.registered_model_version}"
        for uri in (f"runs:/{run.info.run_id}/model", info.model_uri, version):
            self.same(case.native(self.runstone.load_model(uri)))
            self.same(runstone.pyfunc.load_model(uri).predict(case.data))
        # A description fetched alone, without the model.
        assert Model.load(version).signature == info.signature

    def unharmed(self) -> None:
        """Saving it did nothing to the model in memory."""
        self.same(self.case.native(self.case.model))


CHECKS: tuple[Callable[[Checks], None], ...] = (
    Checks.logged,
    Checks.unharmed,
    Checks.saved,
    Checks.ours_by_mlflow,
    Checks.ours_by_mlflow_pyfunc,
    Checks.theirs_by_runstone,
    Checks.theirs_by_runstone_pyfunc,
    Checks.trust,
    Checks.description,
    Checks.requirements,
)


def found(case: Case, folder: Path) -> dict[str, str]:
    """Name of each check to what was wrong."""
    checks = Checks(case, folder)
    table: dict[str, str] = {}
    for check in CHECKS:
        try:
            check(checks)
            table[check.__name__] = ""
        except Exception:
            table[check.__name__] = traceback.format_exc()
    return table


def example_faults(module: str, folder: Path) -> str:
    """What the examples of a public module print that they should not."""
    value = importlib.import_module(f"runstone.{module}")
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    tests = [
        doctest.DocTestFinder(recurse=False).find(getattr(value, name), name, globs={})
        for name in value.__all__
    ]
    for number, each in enumerate(test for found in tests for test in found):
        where = folder / f"{module}-{number}"
        where.mkdir()
        os.chdir(where)
        assert runner.run(each, out=said.append).attempted, each.name
    return "".join(said)


def main() -> None:
    # Of the libraries among themselves; ours are told by what they lead to.
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table: dict[str, dict[str, str]] = {}
        for number, case in enumerate(cases(sys.argv[1:])):
            started = time.monotonic()
            where = folder / str(number)
            table[case.name] = found(case, where)
            table[case.name] |= model_faults.found(case, where)
            print(f"{case.name}: {time.monotonic() - started:.1f} s", file=sys.stderr)
        named = set(sys.argv[1:] or EXAMPLES).intersection(EXAMPLES)
        examples = {module: example_faults(module, folder) for module in named}
        os.chdir("/")
    print(json.dumps({"cases": table, "examples": examples}))


if __name__ == "__main__":
    main()
