"""What a user computes of a model of Spark ML after its training, with Spark's own evaluators.

``evaluator.evaluate(model.transform(test))`` logs ``rmse_test`` to the run that trained the model,
and what computed it to ``metric_info.json``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runstone._autolog import guard, switches
from runstone._autolog.known import UNKNOWN, Known, name_of
from runstone._autolog.spark_params import params_told
from runstone._autolog.training import Training

LIBRARY = "pyspark.ml"

INNER = ("pyspark",)
"""What stands between the user's code and this one."""


@dataclass(slots=True)
class Trained:
    """A model that was trained here: its run, and what was computed of it."""

    training: Training
    counts: dict[str, int] = field(default_factory=dict)
    datasets: dict[str, list[int]] = field(default_factory=dict)
    computed: dict[str, Any] = field(default_factory=dict)

    def named(self, data: Any) -> str:
        """What the user calls a table; the second one of a name gets a number."""
        name = name_of(data, INNER) or UNKNOWN
        seen = self.datasets.setdefault(name, [])
        if id(data) not in seen:
            seen.append(id(data))
        number = seen.index(id(data)) + 1
        return name if number == 1 else f"{name}-{number}"

    def log(self, evaluator: Any, value: float, dataset: str) -> None:
        """Log a metric of a table, and what computed it."""
        name = evaluator.getMetricName()
        self.counts[name] = count = self.counts.get(name, 0) + 1
        key = f"{name if count == 1 else f'{name}-{count}'}_{dataset}"
        self.training.log({key: value})
        cls = type(evaluator)
        self.computed[key] = {
            "evaluator_class": f"{cls.__module__}.{cls.__qualname__}",
            "params": params_told(evaluator),
        }
        told = dict(sorted(self.computed.items()))
        self.training.client.log_dict(self.training.run_id, told, "metric_info.json")


_models = Known()
_predictions = Known()


def remember(model: Any, training: Training) -> None:
    """Know a model again when its user judges it."""
    _models.put(model, Trained(training))


def _is_on() -> bool:
    return switches.of(LIBRARY) is not None and not guard.is_inside()


def transform(original: Callable[..., Any], model: Any, *args: Any, **kwargs: Any) -> Any:
    """In place of ``Transformer.transform``."""
    trained = _models.get(model)
    if trained is None or not _is_on():
        return original(model, *args, **kwargs)
    result = original(model, *args, **kwargs)
    data = args[0] if args else kwargs.get("dataset")
    name = guard.guarded(LIBRARY, "a data set's name", trained.named, data)
    _predictions.put(result, (trained, name or UNKNOWN))
    return result


def evaluate(original: Callable[..., Any], evaluator: Any, *args: Any, **kwargs: Any) -> Any:
    """In place of ``Evaluator.evaluate``."""
    if not _is_on():
        return original(evaluator, *args, **kwargs)
    with guard.inside():
        result = original(evaluator, *args, **kwargs)
    given = dict(zip(("dataset", "params"), args, strict=False)) | kwargs
    known = _predictions.get(given.get("dataset"))
    if known is not None and isinstance(result, int | float) and not isinstance(result, bool):
        guard.guarded(LIBRARY, "a metric", _judged, known, evaluator, result, given)
    return result


def _judged(
    known: tuple[Trained, str], evaluator: Any, value: float, given: dict[str, Any]
) -> None:
    trained, name = known
    if given.get("params") is not None:
        evaluator = evaluator.copy(given["params"])
    trained.log(evaluator, value, name)
    if trained.training.switch.log_datasets:
        trained.training.tell(dataset_of(given["dataset"]), "eval")


def dataset_of(frame: Any) -> Any:
    """A table of Spark as a data set, by its columns and its plan: it is not read for it."""
    from runstone.data import Dataset

    columns = [{"name": each.name, "type": each.dataType.simpleString()} for each in frame.schema]
    digest = f"{frame.semanticHash() % 2**64:016x}"
    return Dataset("dataset", digest, "in memory", {"columns": columns}, {})
