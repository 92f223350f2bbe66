"""Models of Spark ML that a training leaves: which are logged, and with what signature."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from runstone._autolog.training import EXAMPLE_ROWS, Training, quiet

ALLOWED_CONF = "spark.mlflow.pysparkml.autolog.logModelAllowlistFile"
"""MLflow's setting of a session: a file with the classes of models that are logged."""

ALLOWED = frozenset({
    *(
        f"pyspark.ml.classification.{name}Model"
        for name in (
            *("LinearSVC", "DecisionTreeClassification", "GBTClassification", "NaiveBayes"),
            *("LogisticRegression", "RandomForestClassification", "OneVsRest"),
        )
    ),
    *(f"pyspark.ml.clustering.{name}Model" for name in ("BisectingKMeans", "KMeans")),
    "pyspark.ml.clustering.GaussianMixtureModel",
    *(
        f"pyspark.ml.regression.{name}RegressionModel"
        for name in (
            *("AFTSurvival", "DecisionTree", "GBT", "GeneralizedLinear", "Linear"),
            "RandomForest",
        )
    ),
    *(
        f"pyspark.ml.feature.{name}Model"
        for name in (
            *("BucketedRandomProjectionLSH", "ChiSqSelector", "CountVectorizer", "IDF", "Imputer"),
            *("MaxAbsScaler", "MinHashLSH", "MinMaxScaler", "OneHotEncoder", "RobustScaler"),
            *("RFormula", "StandardScaler", "StringIndexer", "VarianceThresholdSelector"),
            *("VectorIndexer", "UnivariateFeatureSelector"),
        )
    ),
    "pyspark.ml.pipeline.PipelineModel",
    *(f"pyspark.ml.tuning.{name}Model" for name in ("CrossValidator", "TrainValidationSplit")),
    "synapse.ml.*",
})  # fmt: skip
"""Models that are logged when the user names none. Those of others, such as of ALS, may be as large
as what they were trained on; MLflow leaves the same ones out.
"""


def allowed() -> frozenset[str]:
    """The classes of models that are logged when the user of ``autolog`` names none."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    path = session.conf.get(ALLOWED_CONF, None) if session is not None else None
    if path is None:
        return ALLOWED
    lines = Path(path).read_text("utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and line.strip()[0] != "#")


def is_logged(model: Any, classes: Collection[str]) -> bool:
    """Whether a model is logged, which all models within it must be, too."""
    from pyspark.ml import Model

    cls = type(model)
    name = f"{cls.__module__}.{cls.__qualname__}"
    if name not in classes and not any(
        each.endswith("*") and name.startswith(each[:-1]) for each in classes
    ):
        return False
    kind = cls.__name__
    if kind == "OneVsRestModel":
        inner = model.models[:1]
    elif kind == "PipelineModel":
        inner = model.stages
    elif kind in {"CrossValidatorModel", "TrainValidationSplitModel"}:
        inner = [model.bestModel]
    else:
        inner = [model.getOrDefault(each) for each in model.params if model.isDefined(each)]
    return all(is_logged(each, classes) for each in inner if isinstance(each, Model))


def log_model(training: Training, model: Any, frame: Any) -> None:
    """Log a model and, of a search, the best one besides."""
    about = training.guarded("the signature", _described, training, model, frame)
    training.log_model("spark", model, about or {"signature": False})
    best = getattr(model, "bestModel", None)
    if best is not None:
        training.log_model("spark", best, {"signature": False}, name="best_model")


def _described(training: Training, model: Any, frame: Any) -> dict[str, Any]:
    switch = training.switch
    found: dict[str, Any] = {"signature": False, "input_example": None}
    if not switch.log_model_signatures and not switch.log_input_examples:
        return found
    with quiet():
        columns = _features(model, frame)
        # In the order of the table, whatever the model needs first.
        rows = frame.select([name for name in frame.columns if name in columns])
        if switch.log_input_examples:
            found["input_example"] = _table(rows.limit(EXAMPLE_ROWS))
        if switch.log_model_signatures:
            found["signature"] = _signature(model, rows)
    return found


def _features(model: Any, frame: Any) -> set[str]:
    """The columns without which a model has nothing to do; nothing is computed for it."""
    from pyspark.errors import PySparkException

    found = set()
    for name in frame.columns:
        try:
            model.transform(frame.drop(name))
        except PySparkException:
            found.add(name)
    return found


def _signature(model: Any, rows: Any) -> Any:
    from runstone._schema.infer import infer_signature

    # Types are known without a row.
    answers = model.transform(rows)
    new = [name for name in answers.columns if name not in rows.columns]
    output = "prediction" if "prediction" in new else new[-1]
    signature = infer_signature(rows, answers.select(output))
    for each in signature.outputs.inputs if signature.outputs is not None else ():
        each.name = None  # there is no other
    return signature


def _table(rows: Any) -> Any:
    import pandas as pd

    # Vectors as lists, which the flavor makes vectors of again.
    values = [
        [each.toArray().tolist() if hasattr(each, "toArray") else each for each in row]
        for row in rows.collect()
    ]
    return pd.DataFrame(values, columns=rows.columns)
