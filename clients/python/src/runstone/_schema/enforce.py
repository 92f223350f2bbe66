"""Data and parameters held to a model's signature before the model sees them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from runstone._schema.columns import converts_alone, enforce_column, fits
from runstone._schema.datatypes import DataType
from runstone._schema.faults import Faults, Unfit
from runstone._schema.frames import as_frame
from runstone._schema.infer import is_spark
from runstone._schema.nested import AnyType, shortened
from runstone._schema.params import ParamSchema
from runstone._schema.schema import ColSpec, Schema
from runstone._schema.tensors import enforce_tensors
from runstone._schema.values import enforce_value
from runstone.exceptions import InvalidArgument, SchemaMismatch

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger("runstone")

LISTED = 20
"""Names that a message lists."""

SAMPLE_ROWS = 10
"""Rows of a Spark DataFrame that are looked at: the rest is never in this process."""


def enforce_inputs(data: Any, schema: Schema) -> Any:
    """The data as the schema wants it.

    Columns come in the schema's order, without those it does not have, and are converted where that
    loses nothing: integer to long, float to double, integer to double, times to nanoseconds. What
    nothing is to be done to is not copied (with pandas 3; a change of the result never reaches the
    data). Arrays are checked, not converted.

    Args:
        data: A DataFrame, Series, list, dictionary, numpy array, scalar, sparse matrix or DataFrame
            of Spark, of which the first ten rows are looked at.
        schema: What the model takes.

    Returns:
        A DataFrame for columns, a DataFrame of Spark for one; for tensors an array, or a dictionary
        of arrays.

    Raises:
        SchemaMismatch: The data is not so; ``field_violations`` names every fault, up to 50.
    """
    if not isinstance(schema, Schema):
        raise InvalidArgument(f"schema: must be a Schema, not {shortened(schema)}")
    if is_spark(data):
        return _enforce_spark(data, schema)
    faults = Faults("the input is not what the model's signature says")
    if schema.is_tensor_spec():
        held = enforce_tensors(data, schema, faults)
    else:
        held = _enforce_frame(as_frame(data, schema), schema, faults)
    faults.check()
    return held


def _enforce_frame(frame: pd.DataFrame, schema: Schema, faults: Faults) -> pd.DataFrame:
    if schema.has_input_names():
        places = _by_name(frame, schema, faults)
    else:
        places = _by_number(frame, schema, faults)
    dtypes = list(frame.dtypes)
    changed: dict[int, pd.Series[Any]] = {}
    alike: dict[tuple[Any, DataType], list[int]] = defaultdict(list)
    for number, (place, spec) in enumerate(places):
        wanted, found = spec.type, dtypes[place]
        if isinstance(wanted, AnyType):
            continue
        if isinstance(wanted, DataType):
            if fits(found, wanted):
                continue
            if converts_alone(found, wanted):
                alike[found, wanted].append(number)
                continue
        values = frame.iloc[:, place]
        held = _enforce_one(values, spec, faults)
        if held is not values:
            changed[number] = held
    if faults.found:
        return frame
    return _assembled(frame, [place for place, _ in places], changed, alike)


def _by_name(frame: pd.DataFrame, schema: Schema, faults: Faults) -> list[tuple[int, ColSpec]]:
    """Where the columns of the schema stand, without those that may be and are left out."""
    standing: dict[Any, int] = {}
    wanted = schema.input_dict()
    extra = []
    for place, name in enumerate(frame.columns):
        if name not in wanted:
            extra.append(name)
        elif name in standing:
            faults.add((f"column {name!r}",), "is there twice")
        standing.setdefault(name, place)
    missing = [each for each in schema if each.required and each.name not in standing]
    for each in missing:
        there = f"; not in the signature: {_listed(extra)}" if extra and each is missing[-1] else ""
        faults.add((f"column {each.name!r}",), f"is missing, must be {each.type!r}{there}")
    if extra and not missing:
        _log.warning(
            "columns that are not in the model's signature are left out: %s", _listed(extra)
        )
    return [(standing[name], each) for name, each in wanted.items() if name in standing]


def _listed(names: list[Any]) -> str:
    told = ", ".join(map(repr, names[:LISTED]))
    return told if len(names) <= LISTED else f"{told} and {len(names) - LISTED} more"


def _by_number(frame: pd.DataFrame, schema: Schema, faults: Faults) -> list[tuple[int, ColSpec]]:
    found, wanted = len(frame.columns), len(schema)
    if found < wanted:
        faults.add(("the input",), f"has {found} columns, must have {wanted}")
    return list(enumerate(schema))[:found]


def _enforce_one(values: pd.Series[Any], spec: ColSpec, faults: Faults) -> pd.Series[Any]:
    import pandas as pd

    path = f"column {values.name!r}"
    if isinstance(spec.type, DataType):
        try:
            return enforce_column(values, spec.type)
        except Unfit as error:
            faults.add((path,), str(error))
            return values
    held = [
        enforce_value(value, spec.type, (path, row), faults, required=spec.required)
        for row, value in enumerate(values)
    ]
    return pd.Series(held, index=values.index, name=values.name, dtype=object)


def _assembled(
    frame: pd.DataFrame,
    places: list[int],
    changed: dict[int, pd.Series[Any]],
    alike: dict[tuple[Any, DataType], list[int]],
) -> pd.DataFrame:
    """A DataFrame of its own of some columns of another.

    Args:
        frame: The other.
        places: Where the columns stand there.
        changed: What takes the place of columns, by the number in ``places``.
        alike: Numbers of columns to be converted, by what they are and what they become: in one go
            they take a fifth of the time.
    """
    import pandas as pd

    # Since pandas 3 whoever writes first copies; before, writers shared what they wrote to.
    shared = int(pd.__version__.split(".")[0]) >= 3
    for (_, wanted), numbers in alike.items():
        part: pd.DataFrame = frame.iloc[:, _run([places[number] for number in numbers])]
        part = part.astype(wanted.to_numpy())
        if len(numbers) == len(places):
            return part
        changed |= {number: part.iloc[:, i] for i, number in enumerate(numbers)}
    if changed:
        columns = {
            number: changed[number] if number in changed else frame.iloc[:, place]
            for number, place in enumerate(places)
        }
        held = pd.DataFrame(columns, copy=not shared)
        held.columns = frame.columns[places]
        return held
    if places == list(range(len(frame.columns))):
        return frame.copy(deep=not shared)
    chosen = frame.iloc[:, places]
    return chosen if shared else chosen.copy()


def _run(places: list[int]) -> Any:
    """Places as a slice when they follow each other: pandas takes it without a copy."""
    first = places[0] if places else 0
    whole = places == list(range(first, first + len(places)))
    return slice(first, first + len(places)) if whole else places


def _enforce_spark(frame: Any, schema: Schema) -> Any:
    if schema.is_tensor_spec():
        raise SchemaMismatch("the input is a DataFrame of Spark, but the model takes tensors")
    sample = enforce_inputs(frame.limit(SAMPLE_ROWS).toPandas(), schema)
    return frame.drop(*(name for name in frame.columns if name not in set(sample.columns)))


def enforce_params(
    params: Mapping[str, Any] | None, param_schema: ParamSchema | None
) -> dict[str, Any]:
    """Parameters as the schema wants them, with the defaults of those that are not given.

    What the schema does not have is left out, with a warning in the log.

    Args:
        params: Values by name; None for none.
        param_schema: What the model takes; None when it takes none.

    Raises:
        InvalidArgument: ``params`` is no dictionary.
        SchemaMismatch: Values are not of their types; ``field_violations`` names every one.
    """
    if params is None:
        params = {}
    if not isinstance(params, Mapping):
        raise InvalidArgument(f"params: must be a dictionary, not {shortened(params)}")
    known = {} if param_schema is None else {each.name: each for each in param_schema}
    given = {str(name): value for name, value in params.items()}
    if extra := [name for name in given if name not in known]:
        _log.warning(
            "params that are not in the model's signature are left out: %s (it has: %s)",
            _listed(extra),
            _listed(list(known)) or "none",
        )
    faults = Faults("params are not what the model's signature says")
    held = {}
    for name, value in given.items():
        if name in known:
            try:
                held[name] = known[name].read(value)
            except Unfit as error:
                faults.add((f"param {name!r}",), str(error))
    faults.check()
    return held | {
        name: deepcopy(each.default) for name, each in known.items() if name not in given
    }
