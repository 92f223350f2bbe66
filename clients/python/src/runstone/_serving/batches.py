"""Predictions for tables that are spread over machines: Spark's and Ray's.

Neither is imported but by who uses it; the files of the model go to each machine once.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._fluent import _state
from runstone._models import loading, trust
from runstone._modeluri import ModelUri, parse_artifact_uri
from runstone._pyfunc.loading import load
from runstone._serving.inference import OUTPUT
from runstone.exceptions import InvalidArgument, LibraryMissing

if TYPE_CHECKING:
    import pandas as pd

    from runstone._pyfunc.model import PyFuncModel


@functools.lru_cache(maxsize=4)
def _loaded(folder: str, allow_pickle: bool | None) -> PyFuncModel:
    """Once in each process, however many batches it gets."""
    return load(folder, None, None, allow_pickle, quiet=True)


class BatchPredictor:
    """A function from batches to batches that can be sent to other processes.

    Args:
        find: Says, on the machine that predicts, in which folder the model is.
        allow_pickle: Of a model of one's own, what was checked where it was sent from.
    """

    def __init__(
        self,
        find: Callable[[], str],
        params: Mapping[str, Any] | None = None,
        *,
        allow_pickle: bool | None = None,
    ) -> None:
        self._find = find
        self._params = dict(params) if params is not None else None
        self._allow_pickle = allow_pickle

    def __call__(self, batch: pd.DataFrame) -> pd.DataFrame:
        """The predictions, a row for each row of the batch.

        Raises:
            InvalidArgument: the model gave another number of rows.
        """
        import numpy as np
        import pandas as pd

        found = _loaded(self._find(), self._allow_pickle).predict(batch, self._params)
        if not isinstance(found, pd.DataFrame):
            values = found.to_numpy() if isinstance(found, pd.Series) else found
            if isinstance(values, np.ndarray) and values.ndim > 1:
                values = list(values)
            found = pd.DataFrame({OUTPUT: values})
        if len(found) != len(batch):
            raise InvalidArgument(
                f"the model gave {len(found)} predictions for {len(batch)} rows;"
                " only one that gives one for each can be used so"
            )
        return found.set_axis(batch.index, axis=0)


def _allowed(model_uri: str, allow_pickle: bool | None) -> tuple[loading.Found, bool | None]:
    """The model, loaded once here: what is wrong with it is told now, not by some machine.

    What one may load here because it is one's own, others may load for one.
    """
    found = loading.fetch(model_uri)
    allowed = True if allow_pickle is None and trust.is_own(found.folder) else allow_pickle
    load(found.folder, None, None, allowed, quiet=False)
    return found, allowed


def _fixed(model_uri: str) -> str:
    """The URI of the version that an alias, a stage or ``latest`` means now.

    What is found out of it here (whose it is) holds of no other that may come to have the name.
    """
    named = parse_artifact_uri(model_uri)
    if not isinstance(named, ModelUri):
        return model_uri
    version = _state.client().resolve_model_uri(model_uri)
    return f"models:/{version.name}/{version.version}/{named.path}".rstrip("/")


def spark_udf(
    spark: Any,
    model_uri: str | os.PathLike[str],
    result_type: Any,
    params: Mapping[str, Any] | None,
    allow_pickle: bool | None,
) -> Any:
    """What ``runstone.pyfunc.spark_udf`` does."""
    try:
        from pyspark import SparkFiles
        from pyspark.sql.functions import pandas_udf
    except ImportError:
        raise LibraryMissing("pyspark is not installed: pip install pyspark") from None
    import pandas as pd

    found, allow_pickle = _allowed(os.fspath(model_uri), allow_pickle)
    place = _sent(spark, found.folder)
    names = _names(found)
    predictor = BatchPredictor(
        functools.partial(SparkFiles.get, place), params, allow_pickle=allow_pickle
    )

    def predict(batches: Iterator[tuple[pd.Series[Any], ...]]) -> Iterator[pd.Series[Any]]:
        for batch in batches:
            # Spark gives the only column as it is.
            columns = batch if isinstance(batch, tuple) else (batch,)
            yield predictor(_frame(columns, names)).iloc[:, 0]

    # Spark reads the types of its own kinds of functions from the annotations.
    predict.__annotations__ = {
        "batches": Iterator[tuple[pd.Series, ...]],
        "return": Iterator[pd.Series],
    }
    return pandas_udf(predict, returnType=result_type or _result_type(found))


def _sent(spark: Any, folder: Path) -> str:
    """Give Spark a model's files; the name by which its processes find them."""
    above = Path(tempfile.mkdtemp(prefix="runstone-spark-"))
    # Spark fetches them when they are needed, until this process ends.
    atexit.register(shutil.rmtree, above, ignore_errors=True)
    # Under a name of its own: a second model of the same name must not meet the first. Spark looks
    # through links of folders.
    sent = above / above.name
    shutil.copytree(folder.resolve(), sent, copy_function=_linked)
    spark.sparkContext.addFile(str(sent), recursive=True)
    return sent.name


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another disk, or one without links
        shutil.copy2(source, target)


def _names(found: loading.Found) -> list[str] | None:
    schema = found.model.get_input_schema()
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return None
    return [str(name) for name in schema.input_names()]


def _frame(batch: tuple[Any, ...], names: list[str] | None) -> pd.DataFrame:
    import pandas as pd

    if len(batch) == 1 and isinstance(batch[0], pd.DataFrame):  # a struct column
        whole: pd.DataFrame = batch[0]
        return whole
    if names is not None and len(names) < len(batch):
        raise InvalidArgument(f"the model takes {len(names)} columns, not {len(batch)}: {names!r}")
    known: list[Any] = names[: len(batch)] if names is not None else [each.name for each in batch]
    if len(set(known)) < len(known):
        known = list(range(len(batch)))
    joined: pd.DataFrame = pd.concat(batch, axis=1)
    return joined.set_axis(known, axis=1)


def _result_type(found: loading.Found) -> Any:
    schema = found.model.get_output_schema()
    if schema is not None and not schema.is_tensor_spec() and len(schema) == 1:
        return schema.inputs[0].type.to_spark()
    return "double"


def ray_predict(
    dataset: Any,
    model_uri: str | os.PathLike[str],
    params: Mapping[str, Any] | None,
    allow_pickle: bool | None,
    options: Mapping[str, Any],
) -> Any:
    """What ``runstone.pyfunc.ray_predict`` does."""
    uri = _fixed(os.fspath(model_uri))
    found, allow_pickle = _allowed(uri, allow_pickle)
    where = str(found.folder) if Path(uri).is_dir() else uri
    predictor = BatchPredictor(_Fetched(where), params, allow_pickle=allow_pickle)
    return dataset.map_batches(predictor, batch_format="pandas", **options)


class _Fetched:
    """Where a model's files are, fetched once in each process."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __call__(self) -> str:
        return _fetched(self._uri)


@functools.lru_cache(maxsize=4)
def _fetched(uri: str) -> str:
    return str(loading.fetch(uri).folder)
