"""What is told of an estimator of Spark ML: its parameters, and how it is put together.

An estimator within another is named by its class, with a number when there are several of it, in
the order in which they are met from the outside in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any


class Described:
    """One estimator with all that is within it."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        within = list(_within(estimator))
        kinds = Counter(type(each).__name__ for each in within)
        met: Counter[str] = Counter()
        self.names: dict[str, str] = {}
        for each in within:
            kind = type(each).__name__
            met[kind] += 1
            self.names[each.uid] = f"{kind}_{met[kind]}" if kinds[kind] > 1 else kind
        self.searches = [each for each in within if is_search(each)]

    def tags(self) -> dict[str, str]:
        """Of which class it is."""
        return told(self.estimator)

    def params(self) -> dict[str, Any]:
        """Its parameters, and those of the estimators within it."""
        return self.params_of(self.estimator)

    def params_of(self, instance: Any, *, prefix: str = "") -> dict[str, Any]:
        """The same of one that is within it, or of a copy."""
        found: dict[str, Any] = {}
        for name, value in _params(instance).items():
            key = f"{prefix}{name}"
            if is_search(instance) and name == "estimatorParamMaps":
                continue  # they stand in a file, and in the runs of the trials
            if name == "stages" and _is(instance, "Pipeline"):
                found[key] = [self.names[each.uid] for each in value]
                for each in value:
                    found |= self._inner(each)
            elif _is_params(value):
                found[key] = self.names[value.uid]
                if not (is_search(instance) and name == "estimator"):
                    found |= self._inner(value)
            else:
                found[key] = value
        return found

    def _inner(self, instance: Any) -> dict[str, Any]:
        return self.params_of(instance, prefix=f"{self.names[instance.uid]}.")

    def file(self) -> dict[str, Any]:
        """What stands in ``estimator_info.json``; empty of an estimator with none within it."""
        if len(self.names) == 1 and not _is(self.estimator, "Pipeline"):
            return {}
        found: dict[str, Any] = {"hierarchy": self._hierarchy(self.estimator)}
        for each in self.searches:
            found[self.names[each.uid]] = {
                "tuning_parameter_map_list": self.tried(each),
                "tuned_estimator_parameter_map": self._inner(each.getEstimator()),
            }
        return found

    def tried(self, search: Any) -> list[dict[str, Any]]:
        """The parameters of each trial of a search."""
        return [
            {f"{self.names[param.parent]}.{param.name}": value for param, value in each.items()}
            for each in search.getEstimatorParamMaps()
        ]

    def _hierarchy(self, stage: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.names[stage.uid]}
        inner = {name: value for name, value in _params(stage).items() if _is_params(value)}
        if _is(stage, "Pipeline"):
            found["stages"] = [self._hierarchy(each) for each in stage.getStages()]
        elif _is(stage, "OneVsRest"):
            found["classifier"] = self._hierarchy(stage.getClassifier())
        elif is_search(stage):
            found["evaluator"] = self._hierarchy(stage.getEvaluator())
            found["tuned_estimator"] = self._hierarchy(stage.getEstimator())
        elif inner:
            found["params"] = {name: self._hierarchy(value) for name, value in inner.items()}
        return found


def told(estimator: Any) -> dict[str, str]:
    """The tags that say of which class an estimator is."""
    cls = type(estimator)
    return {
        "estimator_name": cls.__name__,
        "estimator_class": f"{cls.__module__}.{cls.__qualname__}",
    }


def is_search(instance: Any) -> bool:
    """Whether it tries parameters of another."""
    return _is(instance, "CrossValidator") or _is(instance, "TrainValidationSplit")


def params_told(instance: Any) -> dict[str, str]:
    """The parameters of an instance as texts."""
    return {name: str(value) for name, value in _params(instance).items()}


def _within(stage: Any) -> Iterator[Any]:
    yield stage
    inner = stage.getStages() if _is(stage, "Pipeline") else _params(stage).values()
    for each in inner:
        if _is_params(each):
            yield from _within(each)


def _params(instance: Any) -> Mapping[str, Any]:
    return {
        each.name: instance.getOrDefault(each)
        for each in instance.params
        if instance.isDefined(each)
    }


def _is_params(value: Any) -> bool:
    return _is(value, "Params")


def _is(value: Any, name: str) -> bool:
    """Whether it is of one of Spark's classes."""
    return any(
        each.__name__ == name and each.__module__.startswith("pyspark.ml.")
        for each in type(value).__mro__
    )
