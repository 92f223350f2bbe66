"""Data sets from DataFrames."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runstone._arguments import checked
from runstone.data._dataset import Dataset, described
from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PandasDataset(Dataset):
    """A DataFrame as a data set."""

    df: pd.DataFrame
    targets: str | None = None
    predictions: str | None = None


@checked
def from_pandas(
    df: pd.DataFrame,
    source: str | os.PathLike[str] | None = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> PandasDataset:
    """A data set of a DataFrame's columns and rows.

    Args:
        df: The data.
        source: Where it came from: a path or a URL.
        targets: The column to be learned.
        name: 1 to 500 characters; ``"dataset"`` when absent.
        digest: Its identity; of columns, types and all values when absent.
        predictions: The column of a model's answers.

    Raises:
        InvalidArgument: ``targets`` or ``predictions`` is no column.

    Example:
        >>> import pandas, runstone
        >>> frame = pandas.DataFrame({"x": [1, 2], "y": [0.5, 1.5]})
        >>> dataset = runstone.data.from_pandas(frame, source="xy.csv", targets="y", name="xy")
        >>> dataset.profile
        {'num_rows': 2, 'num_elements': 4}
    """
    for role, column in (("targets", targets), ("predictions", predictions)):
        if column is not None and column not in df.columns:
            raise InvalidArgument(f"{role}: the DataFrame has no column {column!r}")
    columns = [{"name": str(key), "type": str(kind)} for key, kind in df.dtypes.items()]
    schema: dict[str, Any] = {"columns": columns}
    if targets is not None:
        schema["targets"] = targets
    if predictions is not None:
        schema["predictions"] = predictions
    profile = {"num_rows": len(df), "num_elements": int(df.size)}
    computed = digest or _digest(df, columns)
    return PandasDataset(
        **described(name, digest, computed, source, schema, profile),
        df=df,
        targets=targets,
        predictions=predictions,
    )


def _digest(df: pd.DataFrame, columns: list[dict[str, str]]) -> str:
    import numpy as np
    import pandas as pd

    digest = hashlib.sha256(repr(columns).encode())
    try:
        rows = pd.util.hash_pandas_object(df, index=True)
    except TypeError:  # cells that cannot be hashed, such as lists
        rows = pd.util.hash_pandas_object(df.map(repr), index=True)
    digest.update(np.ascontiguousarray(rows.to_numpy(dtype="<u8")).tobytes())
    return digest.hexdigest()
