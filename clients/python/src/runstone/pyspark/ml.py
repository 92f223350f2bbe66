"""Trainings of Spark ML that log by themselves. Models of it: ``runstone.spark``."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from runstone._autolog import libraries
from runstone._values import invalid

__all__ = ["autolog"]


def autolog(
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    log_post_training_metrics: bool = True,
    registered_model_name: str | None = None,
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_model_allowlist: Collection[str] | None = None,
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Have each ``fit`` of an estimator of Spark ML log itself; see ``runstone.autolog``.

    Logged are the parameters of the estimator and of all within it, how they are put together
    (``estimator_info.json``), what a search tried as runs below its own, what Spark's evaluators
    compute of the model later, and the model. A ``fit`` in ``pyspark.ml.feature`` is no training.

    Args:
        log_models: As the arguments not named here, see ``runstone.autolog``.
        log_post_training_metrics: Log what evaluators compute of predictions of the model, by the
            name of the variable that was predicted: ``rmse_test``.
        registered_model_name: Register each model under this name.
        log_model_allowlist: The classes of models that are logged, such as
            "pyspark.ml.recommendation.ALSModel"; a * at the end stands for any end. When absent
            Spark's own but for those that may be as large as their data.

    Raises:
        InvalidField: an argument is of the wrong type.

    Example:
        >>> import runstone.pyspark.ml
        >>> from pyspark.ml.regression import LinearRegression
        >>> from pyspark.ml.linalg import Vectors
        >>> from pyspark.sql import SparkSession
        >>> session = SparkSession.builder.master("local[1]").getOrCreate()
        >>> rows = [(Vectors.dense([float(each)]), 2.0 * each) for each in range(4)]
        >>> frame = session.createDataFrame(rows, ["features", "label"])
        >>> runstone.pyspark.ml.autolog(log_models=False)
        >>> with runstone.start_run() as run:
        ...     model = LinearRegression(maxIter=3).fit(frame)
        >>> runstone.get_run(run.info.run_id).data.params["maxIter"]
        '3'
        >>> runstone.pyspark.ml.autolog(disable=True)
    """
    del disable_for_unsupported_versions
    named = log_model_allowlist
    if named is not None and (
        isinstance(named, str) or not all(isinstance(each, str) for each in named)
    ):
        raise invalid("log_model_allowlist", f"must be a list of names, not {named!r:.50}")
    libraries.turn(
        "pyspark.ml",
        disable=disable,
        options={
            "log_models": log_models,
            "log_datasets": log_datasets,
            "exclusive": exclusive,
            "silent": silent,
            "log_post_training_metrics": log_post_training_metrics,
            "registered_model_name": registered_model_name,
            "log_input_examples": log_input_examples,
            "log_model_signatures": log_model_signatures,
            "allowed": None if not named else {each.strip() for each in named},
            "extra_tags": extra_tags,
        },
    )
