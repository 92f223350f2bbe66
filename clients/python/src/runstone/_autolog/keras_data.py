"""What ``Model.fit`` of Keras is given: the size of its batches, first rows, and data sets."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Iterator, Mapping
from typing import Any

from runstone._autolog.training import EXAMPLE_ROWS, Training

MAX_PIPES = 100
"""Steps of a pipeline of tf.data that are walked back to the one that makes batches."""


class Given:
    """The data of one ``fit``; nothing is read of it that the training has not read."""

    def __init__(self, features: Any, targets: Any) -> None:
        self.features = features
        self.targets = targets
        self._batch: Any = None

    def watched(self) -> Any:
        """The features; a generator as one that lets its first batch be seen as it passes."""
        if not isinstance(self.features, types.GeneratorType):
            return self.features
        return self._passed(self.features)

    def _passed(self, generator: Iterator[Any]) -> Iterator[Any]:
        # No `yield from`: that would close the user's generator together with this one.
        for batch in generator:
            if self._batch is None:
                self._batch = batch
            yield batch

    @property
    def is_told_later(self) -> bool:
        """Whether its batches are known only once the training has seen them."""
        return isinstance(self.features, types.GeneratorType) or _is_indexed(self.features)

    def batch_size(self) -> int | None:
        """How many rows a batch has; None where the data do not say."""
        size = getattr(self.features, "batch_size", None)
        if isinstance(size, int) and not isinstance(size, bool):
            return size
        size = _pipeline_size(self.features)
        if size is None:
            rows = _first(_features_of(self._seen_batch()))
            size = len(rows) if hasattr(rows, "__len__") else None
        return size

    def rows(self) -> Any:
        """The first rows as an array, or a dict of them; None where nothing was seen."""
        found = self.features
        if self.is_told_later:
            found = _features_of(self._seen_batch())
        return _some(found)

    def example(self) -> Any:
        """As ``rows``; a pipeline of tf.data is begun anew for it."""
        if _is_pipeline(self.features):
            return _some(_features_of(next(iter(self.features.take(1)), None)))
        return self.rows()

    def _seen_batch(self) -> Any:
        if self._batch is None and _is_indexed(self.features) and len(self.features):
            self._batch = self.features[0]
        return self._batch


def log_datasets(training: Training, given: Given, validation: Any) -> None:
    """Tell the run what it was trained on, and what it was validated on."""
    _log_dataset(training, given.features, given.targets, "train")
    if isinstance(validation, tuple | list) and validation:
        features, targets = [*validation, None][:2]
        _log_dataset(training, features, targets, "eval")
    elif validation is not None:
        _log_dataset(training, validation, None, "eval")


def _log_dataset(training: Training, features: Any, targets: Any, context: str) -> None:
    if _is_pipeline(features):
        training.tell(_described_pipeline(features), context)
        return
    if not hasattr(features, "columns"):
        features = _arrays(features)
    training.log_dataset(features, _arrays(targets), context)


def _described_pipeline(pipeline: Any) -> Any:
    """A data set of tf.data by its types and length: to know more it would have to be read."""
    from runstone.data import Dataset

    spec = str(pipeline.element_spec)
    count = int(pipeline.cardinality().numpy())  # negative: infinite, or unknown
    digest = hashlib.sha256(f"{spec}:{count}".encode()).hexdigest()[:16]
    profile = {"cardinality": count}
    return Dataset("dataset", digest, "in memory", {"element_spec": spec}, profile)


def _is_pipeline(data: Any) -> bool:
    return hasattr(data, "element_spec") and hasattr(data, "cardinality")


def _is_indexed(data: Any) -> bool:
    """Whether it is a ``PyDataset``, or a ``Sequence`` as it was called before."""
    return any(each.__name__ == "PyDataset" for each in type(data).__mro__)


def _pipeline_size(data: Any) -> int | None:
    for _ in range(MAX_PIPES):
        size = getattr(data, "_batch_size", None)
        if size is not None:
            return int(size)
        data = getattr(data, "_input_dataset", None)
        if data is None:
            return None
    return None


def _features_of(batch: Any) -> Any:
    return batch[0] if isinstance(batch, tuple | list) and batch else batch


def _first(features: Any) -> Any:
    if isinstance(features, Mapping):
        return next(iter(features.values()), None)
    return features[0] if isinstance(features, tuple | list) and features else features


def _some(features: Any) -> Any:
    """Copies of the first rows."""
    if isinstance(features, Mapping):
        found = {str(name): _some(each) for name, each in features.items()}
        return found if all(each is not None for each in found.values()) else None
    if not hasattr(features, "__getitem__") or not hasattr(features, "shape"):
        return None
    array = _arrays(features[:EXAMPLE_ROWS])
    return None if array is None else array.copy()


def _arrays(data: Any) -> Any:
    """Tensors and tables as arrays; None of what is neither."""
    import numpy as np

    if isinstance(data, Mapping):
        found = {str(name): _arrays(each) for name, each in data.items()}
        return found if all(each is not None for each in found.values()) else None
    if hasattr(data, "detach"):
        data = data.detach().cpu()
    return np.asarray(data) if hasattr(data, "__array__") else None
