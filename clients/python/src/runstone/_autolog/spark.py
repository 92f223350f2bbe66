"""Spark ML: each ``fit`` of an estimator logs its parameters, how it is put together and the model.

Pipelines and searches fit estimators in threads of their own. Those are known by their uid, which
all copies of an estimator share, and are parts of the training that is under way.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runstone._autolog import guard, patching, spark_later, spark_models, switches
from runstone._autolog.spark_params import Described, is_search, told
from runstone._autolog.training import Training, training_of

LIBRARY = "pyspark.ml"

NO_TRAININGS = "pyspark.ml.feature."
"""Estimators that prepare data; a fit of theirs is not a training."""

_lock = threading.Lock()
_within: Counter[str] = Counter()
"""The uids of what is being fitted as a part of something else."""


def turn_on() -> None:
    """Patch the classes of Spark ML; a second time changes nothing."""
    from pyspark.ml.base import Estimator, Transformer
    from pyspark.ml.evaluation import Evaluator

    patching.patch(Estimator, "fit", _fit)
    patching.patch(Transformer, "transform", spark_later.transform)
    patching.patch(Evaluator, "evaluate", spark_later.evaluate)


def _fit(original: Callable[..., Any], estimator: Any, *args: Any, **kwargs: Any) -> Any:
    """In place of ``Estimator.fit``."""
    cls = type(estimator)
    if (
        switches.of(LIBRARY) is None
        or guard.is_inside()
        or _within[getattr(estimator, "uid", "")]
        or f"{cls.__module__}.{cls.__qualname__}".startswith(NO_TRAININGS)
    ):
        return original(estimator, *args, **kwargs)
    given = dict(zip(("dataset", "params"), args, strict=False)) | kwargs
    frame, params = given.get("dataset"), given.get("params")
    if isinstance(params, list | tuple):
        reason = "a list of parameters makes several models; fit each by itself"
        guard.say(LIBRARY, "the training", ValueError(reason))
        with guard.inside():
            return original(estimator, *args, **kwargs)
    with training_of(LIBRARY) as training:
        if training is None:
            return original(estimator, *args, **kwargs)
        described = training.guarded("the estimator", _described, estimator, params)
        if described is None:
            return original(estimator, *args, **kwargs)
        training.guarded("parameters", _log_start, training, described)
        if training.switch.log_datasets:
            training.guarded("the data set", _log_dataset, training, frame)
        with _fitting(described):
            model = original(estimator, *args, **kwargs)
        _log_end(training, described, model, frame)
        return model


def _described(estimator: Any, params: Any) -> Described:
    return Described(estimator if params is None else estimator.copy(params))


@contextmanager
def _fitting(described: Described) -> Iterator[None]:
    inner = [uid for uid in described.names if uid != described.estimator.uid]
    with _lock:
        _within.update(inner)
    try:
        yield
    finally:
        with _lock:
            _within.subtract(inner)
            for uid in inner:
                if not _within[uid]:
                    del _within[uid]


def _log_start(training: Training, described: Described) -> None:
    training.log(params=described.params(), tags=described.tags())
    file = described.file()
    if file:
        training.client.log_dict(training.run_id, file, "estimator_info.json")


def _log_dataset(training: Training, frame: Any) -> None:
    training.tell(spark_later.dataset_of(frame))


def _log_end(training: Training, described: Described, model: Any, frame: Any) -> None:
    switch = training.switch
    if is_search(described.estimator):
        training.guarded("the search", _log_search, training, described, model)
    if switch.log_models:
        training.guarded("the model", _log_model, training, model, frame)
    if switch.others.get("log_post_training_metrics", True):
        training.guarded("the model", spark_later.remember, model, training)


def _log_model(training: Training, model: Any, frame: Any) -> None:
    classes: Collection[str] | None = training.switch.others.get("allowed")
    if classes is None:
        classes = spark_models.allowed()
    if not spark_models.is_logged(model, classes):
        raise ValueError(
            f"models like {type(model).__name__} may be large; log_model_allowlist names those"
            " that are logged"
        )
    spark_models.log_model(training, model, frame)


def _log_search(training: Training, described: Described, model: Any) -> None:
    import pandas as pd

    search = described.estimator
    tried = described.tried(search)
    metrics, best = _found(search, model)
    table: dict[str, list[Any]] = {"params": [json.dumps(each, default=str) for each in tried]}
    for key, values in metrics.items():
        table[key] = list(values)
    for key in dict.fromkeys(key for each in tried for key in each):
        table[f"param.{key}"] = [each.get(key) for each in tried]
    with tempfile.TemporaryDirectory(prefix="runstone-autolog-") as place:
        path = Path(place) / "search_results.csv"
        pd.DataFrame(table).to_csv(path, index=False)
        training.client.log_artifact(training.run_id, path)
    training.client.log_dict(training.run_id, tried[best], "best_parameters.json")
    training.log(params={f"best_{key}": value for key, value in tried[best].items()})
    for place_of, params in enumerate(search.getEstimatorParamMaps()):
        trial = search.getEstimator().copy(params)
        training.log_trial(
            {key: float(values[place_of]) for key, values in metrics.items()},
            described.params_of(trial),
            told(trial),
        )


def _found(search: Any, model: Any) -> tuple[dict[str, list[float]], int]:
    """What each trial came to, and the place of the best one."""
    evaluator = search.getEvaluator()
    name = evaluator.getMetricName()
    values = getattr(model, "validationMetrics", None)
    if values is not None:
        metrics = {name: list(values)}
    else:
        values = model.avgMetrics
        metrics = {f"avg_{name}": list(values)}
        if getattr(model, "stdMetrics", None):
            metrics[f"std_{name}"] = list(model.stdMetrics)
    best = (max if evaluator.isLargerBetter() else min)(values)
    return metrics, list(values).index(best)
