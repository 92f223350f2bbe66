"""One model for each way that a flavor keeps models, and what it is asked to predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, slots=True)
class Case:
    """A model.

    name: what the table calls it.
    flavor: the module of it, in runstone as in mlflow.
    model: the model.
    data: what it predicts, as ``pyfunc`` takes it.
    native: predicts by what ``load_model`` of the flavor gives.
    options: of ``save_model``.
    pickle: whether loading it runs what its author wrote.
    differing: keys of MLmodel that MLflow writes though they say nothing of this model.
    """

    name: str
    flavor: str
    model: Any
    data: Any
    native: Callable[[Any], Any]
    options: dict[str, Any] = field(default_factory=dict)
    pickle: bool = False
    differing: tuple[str, ...] = ()


RANDOM = np.random.default_rng(7)
FRAME = pd.DataFrame(RANDOM.normal(size=(80, 3)), columns=["a", "b", "c"])
TARGET = FRAME["a"] * 2 - FRAME["b"] + 0.5
CLASSES = (TARGET > 0).astype(int)
HEAD = FRAME.head(5)


def predict(model: Any) -> Any:
    """As estimators do."""
    return model.predict(HEAD)


def of_sklearn() -> list[Case]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, CLASSES)
    pickled = {"serialization_format": "cloudpickle"}
    proba = {"pyfunc_predict_fn": "predict_proba"}
    return [
        Case("sklearn", "sklearn", model, HEAD, predict),
        Case("sklearn, pickle", "sklearn", model, HEAD, predict, pickled, pickle=True),
        Case("sklearn, proba", "sklearn", model, HEAD, lambda it: it.predict_proba(HEAD), proba),
    ]


def of_xgboost() -> list[Case]:
    import xgboost

    classifier = xgboost.XGBClassifier(n_estimators=5).fit(FRAME, CLASSES)
    booster = xgboost.train({}, xgboost.DMatrix(FRAME, TARGET), 5)
    ranker = xgboost.XGBRanker(n_estimators=3).fit(FRAME, CLASSES, qid=np.arange(80) // 20)

    def boosted(model: Any) -> Any:
        return model.predict(xgboost.DMatrix(HEAD))

    json = {"model_format": "json"}
    return [
        Case("xgboost", "xgboost", classifier, HEAD, predict),
        Case("xgboost, ranker in JSON", "xgboost", ranker, HEAD, predict, json),
        Case("xgboost, booster", "xgboost", booster, HEAD, boosted),
        Case("xgboost, .xgb", "xgboost", booster, HEAD, boosted, {"model_format": "xgb"}),
    ]


def of_lightgbm() -> list[Case]:
    import lightgbm

    classifier = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(FRAME, CLASSES)
    booster, pickled = classifier.booster_, {"serialization_format": "pickle"}
    own = ("serialization_format",)
    return [
        Case("lightgbm", "lightgbm", classifier, HEAD, predict),
        Case("lightgbm, pickle", "lightgbm", classifier, HEAD, predict, pickled, pickle=True),
        Case("lightgbm, booster", "lightgbm", booster, HEAD, predict, differing=own),
    ]


def of_catboost() -> list[Case]:
    import catboost

    quiet = {"iterations": 5, "silent": True, "allow_writing_files": False}
    classifier = catboost.CatBoostClassifier(**quiet).fit(FRAME, CLASSES)
    regressor = catboost.CatBoostRegressor(**quiet).fit(FRAME, TARGET)
    return [
        Case("catboost", "catboost", classifier, HEAD, predict),
        Case("catboost, JSON", "catboost", regressor, HEAD, predict, {"format": "json"}),
    ]


def of_statsmodels() -> list[Case]:
    import statsmodels.formula.api as formulas
    from statsmodels.tsa.ar_model import AutoReg

    fitted = formulas.ols("y ~ a + b", FRAME.assign(y=TARGET)).fit()
    series = AutoReg(TARGET.to_numpy(), lags=2).fit()
    span = pd.DataFrame({"start": [80], "end": [84]})
    return [
        Case("statsmodels", "statsmodels", fitted, HEAD, predict, pickle=True),
        Case(
            "statsmodels, time series",
            "statsmodels",
            series,
            span,
            lambda it: it.predict(start=80, end=84),
            pickle=True,
        ),
    ]


def of_onnx() -> list[Case]:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    from skl2onnx import to_onnx
    from sklearn.linear_model import LinearRegression

    line = to_onnx(LinearRegression().fit(FRAME, TARGET), FRAME.to_numpy(np.float32))

    def run(data: dict[str, Any]) -> Callable[[Any], Any]:
        def ran(model: Any) -> Any:
            return onnxruntime.InferenceSession(model.SerializeToString()).run(None, data)[0]

        return ran

    def value(name: str, *shape: int | None) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    # Weights of more than a kilobyte go into a file of their own.
    weights = np.linspace(0, 1, 1200, dtype=np.float32).reshape(600, 2)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "y"], ["z"])],
        "wide",
        [value("x", None, 600), value("y", None, 2)],
        [value("z", None, 2)],
        [numpy_helper.from_array(weights, "w")],
    )
    wide = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(wide)
    data = {"x": RANDOM.normal(size=(4, 600)), "y": RANDOM.normal(size=(4, 2))}
    narrow = {name: each.astype(np.float32) for name, each in data.items()}
    options = {
        "onnx_execution_providers": ["CPUExecutionProvider"],
        "onnx_session_options": {"intra_op_num_threads": 1, "execution_mode": "sequential"},
    }
    input_name = line.graph.input[0].name
    return [
        Case("onnx", "onnx", line, HEAD, run({input_name: HEAD.to_numpy(np.float32)})),
        Case("onnx, weights outside", "onnx", wide, data, run(narrow), options),
    ]


MAKERS: dict[str, Callable[[], list[Case]]] = {
    "sklearn": of_sklearn,
    "xgboost": of_xgboost,
    "lightgbm": of_lightgbm,
    "catboost": of_catboost,
    "statsmodels": of_statsmodels,
    "onnx": of_onnx,
}


def cases(flavors: Sequence[str] = ()) -> list[Case]:
    """Those of the flavors; all when none is named."""
    return [case for flavor in flavors or MAKERS for case in MAKERS[flavor]()]
