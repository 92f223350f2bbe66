"""Times what holds DataFrames to a signature: `python schema_frames.py mlflow` or `… runstone`.

Run by an interpreter that has the one or the other; prints the seconds of each case as JSON, the
median of several calls. Every call gets a DataFrame that no call has seen, for what is cached in
one would make the second call cheap.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

ROWS = 100_000
COLUMNS = 50
OBJECTS = 10_000
CALLS = 7

ENFORCE = {
    "mlflow": ("mlflow.types.schema", "mlflow.models.utils", "_enforce_schema"),
    "runstone": ("runstone.types.schema", "runstone._schema.enforce", "enforce_inputs"),
}
"""Of each library: its types, and the function that holds data to a schema."""

Case = tuple[list[tuple[str, Any]], Callable[[], pd.DataFrame]]
"""Names and types of the columns, and what makes the data."""


def numbers(dtype: str, rows: int = ROWS) -> pd.DataFrame:
    """Columns of one dtype."""
    values = np.random.default_rng(1).random((rows, COLUMNS)) * 100
    return pd.DataFrame(values.astype(dtype), columns=[f"c{i}" for i in range(COLUMNS)])


def mixed() -> pd.DataFrame:
    """20 columns of numbers, and 10 of each of whole numbers, text and flags."""
    frame = numbers("float64")
    for i in range(20, 30):
        frame[f"c{i}"] = np.arange(ROWS)
    for i in range(30, 40):
        frame[f"c{i}"] = [f"text {row % 100}" for row in range(ROWS)]
    for i in range(40, 50):
        frame[f"c{i}"] = np.arange(ROWS) % 2 == 0
    return frame


def objects() -> pd.DataFrame:
    """A column of dictionaries of five entries."""
    rows = [
        {"id": i, "score": i / 7, "name": f"n{i}", "ok": True, "tags": ["a", "b", "c"]}
        for i in range(OBJECTS)
    ]
    return pd.DataFrame({"p": rows})


def cases(types: Any) -> dict[str, Case]:
    """What is measured, by its name."""
    names = [f"c{i}" for i in range(COLUMNS)]
    doubles = [(name, "double") for name in names]
    longs = [(name, "long") for name in names]
    kinds = ["double"] * 20 + ["long"] * 10 + ["string"] * 10 + ["boolean"] * 10
    entries = {"id": "long", "score": "double", "name": "string", "ok": "boolean"}
    tags = types.Property("tags", types.Array("string"))
    person = types.Object([*(types.Property(*each) for each in entries.items()), tags])
    size = f"{ROWS // 1000}k rows x {COLUMNS} columns"
    return {
        f"{size}, right as they are": (doubles, lambda: numbers("float64")),
        f"{size} of four types, right": (list(zip(names, kinds, strict=True)), mixed),
        f"{size}, 25 of them wanted, in reverse": (
            doubles[:25][::-1],
            lambda: numbers("float64"),
        ),
        f"{size}, float to double": (doubles, lambda: numbers("float32")),
        f"{size}, integer to long": (longs, lambda: numbers("int32")),
        f"{OBJECTS // 1000}k objects of five entries": ([("p", person)], objects),
        f"1 row x {COLUMNS} columns": (doubles, lambda: numbers("float64", 1)),
    }


def main() -> None:
    """Prints the medians, in seconds."""
    types_module, module, function = ENFORCE[sys.argv[1]]
    types = importlib.import_module(types_module)
    enforce = getattr(importlib.import_module(module), function)
    found = {}
    for name, (columns, make) in cases(types).items():
        schema = types.Schema([types.ColSpec(dtype, column) for column, dtype in columns])
        taken = []
        for _ in range(CALLS):
            frame = make()
            begin = time.perf_counter()
            held = enforce(frame, schema)
            taken.append(time.perf_counter() - begin)
            assert list(held.columns) == [column for column, _ in columns]
        found[name] = median(taken)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
