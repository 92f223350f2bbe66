"""SHAP plots: made with shap where it is installed, and told where there are none.

The package brings a compiler and is not among what the tests install; what stands in for it here
takes what shap's own functions take, and draws on pyplot's current figure as they do.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from runstone._evaluation.examples import examples
from runstone._evaluation.explain import explain
from runstone._evaluation.outcome import Outcome
from runstone._evaluation.subject import subject
from runstone.exceptions import InvalidField

X = np.arange(12.0).reshape(-1, 2)
Y = np.arange(6.0)
NAMES = ["shap_beeswarm_plot", "shap_summary_plot", "shap_feature_importance_plot"]


class Shap(ModuleType):
    """What is asked of shap, and with what."""

    def __init__(self) -> None:
        super().__init__("shap")
        self.explained: list[tuple[str, Any, dict[str, Any]]] = []
        self.plots = ModuleType("shap.plots")
        self.plots.beeswarm = self._draw  # type: ignore[attr-defined]
        self.plots.bar = self._draw  # type: ignore[attr-defined]
        self.summary_plot = self._draw
        self.broken = False

    def sample(self, frame: Any, count: int, random_state: int) -> Any:
        return frame.sample(min(count, len(frame)), random_state=random_state)

    def Explainer(self, model: Any, data: Any, **options: Any) -> Any:
        return self._explainer("Explainer", model, options)

    def KernelExplainer(self, model: Any, data: Any, **options: Any) -> Any:
        return self._explainer("KernelExplainer", model, options)

    def _explainer(self, kind: str, model: Any, options: dict[str, Any]) -> Any:
        self.explained.append((kind, model, options))

        def values(sample: Any) -> Any:
            asked = getattr(model, "predict", model)
            return np.asarray(asked(sample.to_numpy()))

        return values

    def _draw(self, values: Any, show: bool) -> None:
        assert show is False
        if self.broken:
            raise ValueError("cannot draw")
        plt.plot(values)


@pytest.fixture
def shap(monkeypatch: pytest.MonkeyPatch) -> Shap:
    plt.switch_backend("Agg")
    fake = Shap()
    monkeypatch.setitem(sys.modules, "shap", fake)
    return fake


def explained(model: Any, options: dict[str, Any], targets: Any = Y, **how: Any) -> Outcome:
    outcome = Outcome()
    data = how.get("data", X)
    rows = examples(data, targets, None, None, None)
    explain(outcome, subject(model, "local", None, None), rows, options, how.get("classes", 0))
    return outcome


def test_the_three_plots_are_kept(shap: Shap) -> None:
    mine = plt.figure()
    outcome = explained(LinearRegression().fit(X, Y), {"metric_prefix": "val_"})
    assert plt.get_fignums() == [mine.number]
    assert plt.gcf() is mine
    plt.close(mine)
    assert [name for name, _ in outcome.files.values()] == [f"val_{name}.png" for name in NAMES]
    assert all(data.startswith(b"\x89PNG") for _, data in outcome.files.values())
    assert outcome.failures == {}


def test_the_explainer_is_that_of_the_model_or_of_its_answers(shap: Shap) -> None:
    line = LinearRegression().fit(X, Y)
    pipe = make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)
    classes = LogisticRegression().fit(X, [0, 1, 2, 0, 1, 2])
    explained(line, {})
    explained(pipe, {})
    explained(classes, {}, [0, 1, 2, 0, 1, 2], classes=3)
    explained(line, {"explainability_algorithm": "permutation"})
    explained(line, {"explainability_algorithm": "kernel", "explainability_kernel_link": "logit"})
    kinds = [(kind, model is line, options) for kind, model, options in shap.explained]
    names = {"feature_names": ["feature_1", "feature_2"]}
    assert kinds == [
        ("Explainer", True, names),
        ("Explainer", False, names),
        ("Explainer", False, names),
        ("Explainer", False, {**names, "algorithm": "permutation"}),
        ("KernelExplainer", False, {"link": "logit"}),
    ]


def test_what_cannot_be_drawn_is_told_by_name(shap: Shap) -> None:
    shap.broken = True
    outcome = explained(LinearRegression().fit(X, Y), {"log_explainer": True})
    assert outcome.files == {}
    assert outcome.failures == {
        "explainer": "explainers are not kept as models; log_explainer is ignored",
        **dict.fromkeys(NAMES, "ValueError: cannot draw"),
    }


def test_why_there_are_none_is_told(shap: Shap, caplog: pytest.LogCaptureFixture) -> None:
    line = LinearRegression().fit(X, Y)
    explained(line, {}, ["a", "b", "c", "d", "e", "f"])
    assert "no SHAP plots: the targets are no numbers" in caplog.text
    words = pd.DataFrame({"x": [1, 2], "w": ["a", "b"], "y": [1, 2]})
    explained(lambda frame: frame["x"], {}, "y", data=words)
    assert "no SHAP plots: the columns w are no numbers" in caplog.text
    sys.modules["shap"] = None  # type: ignore[assignment]
    explained(line, {})
    assert "the package shap is not installed; evaluator_config={'log_model" in caplog.text


@pytest.mark.parametrize("option", ["explainability_algorithm", "explainability_kernel_link"])
def test_options_that_do_not_exist_are_told(option: str) -> None:
    with pytest.raises(InvalidField, match=rf"^evaluator_config\['{option}'\] must be of "):
        explained(LinearRegression().fit(X, Y), {option: "tea leaves"})
