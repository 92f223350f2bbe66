"""The data that a model is judged on."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runstone._values import invalid

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from runstone.data import Dataset

_log = logging.getLogger("runstone")

SPARK_ROWS = 10_000
"""Of a DataFrame of Spark only the first are used, as MLflow does: they come to this process."""


@dataclass(frozen=True)
class Examples:
    """Features with what is right for them, and perhaps with what a model said of them.

    Attributes:
        frame: The features, under text names.
        array: The same as they were given, when that was an array.
        targets: What is right for each row; None when nobody said.
        predictions: What a model said, when it stands in the data.
        targets_name: Of the column.
        predictions_name: Likewise.
        dataset: As what the run notes the data.
    """

    frame: pd.DataFrame
    array: np.ndarray[Any, Any] | None
    targets: np.ndarray[Any, Any] | None
    predictions: np.ndarray[Any, Any] | None
    targets_name: str | None
    predictions_name: str | None
    dataset: Dataset

    def features(self, as_array: bool = False) -> Any:
        """A copy of the features: what a model does to it is its own affair."""
        if as_array and self.array is not None:
            return self.array.copy()
        return self.frame.copy()

    def __len__(self) -> int:
        return len(self.frame)


def examples(
    data: Any,
    targets: Any,
    predictions: str | None,
    source: str | os.PathLike[str] | None,
    feature_names: Sequence[str] | None,
) -> Examples:
    """The data as ``evaluate`` takes it.

    Raises:
        InvalidArgument: columns are missing, lengths differ, or it is no data.
    """
    import numpy as np
    import pandas as pd

    from runstone import data as datasets
    from runstone.data._numpy import NumpyDataset
    from runstone.data._pandas import PandasDataset

    names = _unique(feature_names)
    if isinstance(data, PandasDataset):
        return _of_frame(data.df, data.targets, data.predictions, names, data)
    if isinstance(data, NumpyDataset):
        return _of_array(data.features, data.targets, names, data)
    if callable(getattr(data, "toPandas", None)):
        data = _of_spark(data)
    if isinstance(data, pd.DataFrame):
        _check_columns(data, targets, predictions)
        made = datasets.from_pandas(data, source, targets, None, None, predictions)
        return _of_frame(data, targets, predictions, names, made)
    if isinstance(data, list | np.ndarray):
        if predictions is not None:
            raise invalid("predictions", "names a column; data must be a DataFrame then")
        if isinstance(data, list) and data and not isinstance(data[0], list | tuple | np.ndarray):
            data = [[each] for each in data]
        array = _array("data", data)
        answers = None if targets is None else _array("targets", targets)
        return _of_array(array, answers, names, datasets.from_numpy(array, source, answers))
    raise invalid(
        "data",
        "must be a DataFrame, an array, a list or a data set of runstone.data, not"
        f" {type(data).__name__}",
    )


def _unique(feature_names: Sequence[str] | None) -> list[str] | None:
    if feature_names is None:
        return None
    if isinstance(feature_names, str):
        raise invalid("feature_names", f"must be a list of texts: [{feature_names!r:.60}]")
    names = list(feature_names)
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise invalid("feature_names", f"must differ, and {', '.join(twice)} is there twice")
    return names


def _of_spark(data: Any) -> Any:
    frame = data.limit(SPARK_ROWS + 1).toPandas()
    if len(frame) > SPARK_ROWS:
        _log.warning("evaluate uses the first %d rows of the DataFrame of Spark", SPARK_ROWS)
    return frame.iloc[:SPARK_ROWS]


def _check_columns(frame: pd.DataFrame, targets: Any, predictions: Any) -> None:
    for role, column in (("targets", targets), ("predictions", predictions)):
        if column is not None and not isinstance(column, str):
            raise invalid(
                role, f"must be the name of a column of data, not {type(column).__name__}"
            )
        if column is not None and column not in frame.columns:
            raise invalid(role, f"names no column: {column!r} is none of {_shown(frame.columns)}")


def _of_frame(
    frame: pd.DataFrame,
    targets: str | None,
    predictions: str | None,
    names: list[str] | None,
    dataset: Dataset,
) -> Examples:
    _check_rows(len(frame))
    if names is None:
        features = frame.drop(columns=[each for each in (targets, predictions) if each is not None])
    else:
        absent = [name for name in names if name not in frame.columns]
        if absent:
            raise invalid(
                "feature_names", f"must be columns, and {_shown(absent)} of data are none"
            )
        features = frame[names]
    features = features.rename(
        columns={name: f"feature_{name}" for name in features if not isinstance(name, str)}
    )
    return Examples(
        features,
        None,
        None if targets is None else frame[targets].to_numpy(),
        None if predictions is None else frame[predictions].to_numpy(),
        targets,
        predictions,
        dataset,
    )


def _of_array(features: Any, targets: Any, names: list[str] | None, dataset: Dataset) -> Examples:
    import pandas as pd

    array = _array("data", features)
    if array.ndim != 2:
        raise invalid("data", f"must have rows and columns, and has the shape {array.shape}")
    _check_rows(len(array))
    answers = None if targets is None else _array("targets", targets)
    if answers is not None and len(answers) != len(array):
        raise invalid("targets", f"must be as many as the rows: {len(array)}, not {len(answers)}")
    count = array.shape[1]
    if names is None:
        digits = math.ceil(math.log10(count + 1))
        names = [f"feature_{place:0{digits}d}" for place in range(1, count + 1)]
    elif len(names) != count:
        raise invalid("feature_names", f"must be as many as the columns: {count}, not {len(names)}")
    frame = pd.DataFrame(array, columns=names)
    return Examples(frame, array, answers, None, None, None, dataset)


def _array(role: str, value: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    if not isinstance(value, list | tuple | np.ndarray) and not hasattr(value, "__array__"):
        raise invalid(role, f"must be an array or a list, as data is, not {type(value).__name__}")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise invalid(role, f"must have rows of one length: {error}") from None


def _check_rows(count: int) -> None:
    if not count:
        raise invalid("data", "must have at least one row")


def _shown(names: Any) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:20]) + (" …" if len(listed) > 20 else "")
