"""Data sets from arrays."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runstone._arguments import checked
from runstone.data._dataset import Dataset, described

Arrays = Any
"""An array, or a dict of names to arrays."""


@dataclass(frozen=True)
class NumpyDataset(Dataset):
    """Arrays as a data set."""

    features: Arrays
    targets: Arrays | None = None


@checked
def from_numpy(
    features: Arrays,
    source: str | os.PathLike[str] | None = None,
    targets: Arrays | None = None,
    name: str | None = None,
    digest: str | None = None,
) -> NumpyDataset:
    """A data set of arrays.

    Args:
        features: An array, or a dict of names to arrays.
        source: Where it came from: a path or a URL.
        targets: What is to be learned; of the same forms.
        name: 1 to 500 characters; ``"dataset"`` when absent.
        digest: Its identity; of names, shapes, types and all values when absent.

    Example:
        >>> import numpy, runstone
        >>> dataset = runstone.data.from_numpy(numpy.zeros((3, 2)), targets=numpy.ones(3))
        >>> dataset.schema["features"]
        {'dtype': 'float64', 'shape': [3, 2]}
    """
    given = {"features": features} | ({} if targets is None else {"targets": targets})
    schema = {role: _schema(value) for role, value in given.items()}
    profile = {role: _profile(value) for role, value in given.items()}
    computed = digest or _digest(given)
    return NumpyDataset(
        **described(name, digest, computed, source, schema, profile),
        features=features,
        targets=targets,
    )


def _schema(value: Arrays) -> dict[str, Any]:
    import numpy as np

    if isinstance(value, Mapping):
        return {str(name): _schema(each) for name, each in value.items()}
    array = np.asarray(value)
    return {"dtype": str(array.dtype), "shape": list(array.shape)}


def _profile(value: Arrays) -> dict[str, Any]:
    import numpy as np

    if isinstance(value, Mapping):
        return {str(name): _profile(each) for name, each in value.items()}
    array = np.asarray(value)
    return {"shape": list(array.shape), "size": int(array.size), "nbytes": int(array.nbytes)}


def _digest(value: Arrays) -> str:
    import numpy as np

    digest = hashlib.sha256()

    def add(path: str, each: Arrays) -> None:
        if isinstance(each, Mapping):
            for name in sorted(each):
                add(f"{path}/{name}", each[name])
            return
        array = np.asarray(each)
        digest.update(f"{path}:{array.dtype}:{array.shape}".encode())
        if array.dtype.hasobject:
            digest.update(repr(array.tolist()).encode())
        else:
            digest.update(np.ascontiguousarray(array).tobytes())

    add("", value)
    return digest.hexdigest()
