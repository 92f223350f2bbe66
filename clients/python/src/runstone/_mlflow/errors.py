"""Our exceptions as MLflow's: the one place where an error code of MLflow's is chosen."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

from mlflow import exceptions as theirs
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, NOT_IMPLEMENTED, ErrorCode

from runstone import exceptions as ours

T = TypeVar("T", bound=type)

CODES: dict[type[ours.RunstoneException], str] = {
    ours.RunDeleted: "INVALID_PARAMETER_VALUE",
    ours.ExperimentDeleted: "INVALID_PARAMETER_VALUE",
    ours.AliasNotFound: "INVALID_PARAMETER_VALUE",
}
"""Where MLflow's own stores choose otherwise than by kind, as ``RunstoneException.error_code``."""

CALLED_BY_THEM = frozenset(
    {"__init__", "_search_runs", "_search_datasets", "_delete_traces", "_download_file"}
)
"""Methods that MLflow calls in spite of their names."""

_Base: Any = getattr(theirs, "MlflowNotImplementedException", theirs.MlflowException)


class NotSupported(_Base, NotImplementedError):
    """What Runstone cannot do. MLflow looks for either base where it has another way."""

    def __init__(self, what: str) -> None:
        theirs.MlflowException.__init__(
            self,
            f"{what} is not supported with a tracking URI runstone://…; what is, stands in the"
            " Runstone client's README, 'From an MLflow client'",
            error_code=NOT_IMPLEMENTED,
        )


def translated(error: ours.RunstoneException) -> theirs.MlflowException:
    """The same error as MLflow's callers expect it."""
    name = CODES.get(type(error), error.error_code)
    known = name in ErrorCode.keys()  # noqa: SIM118 - an enum's wrapper is no mapping
    code = ErrorCode.Value(name) if known else INTERNAL_ERROR
    return theirs.MlflowException(error.message, error_code=code)


def speaks_mlflow(kind: T) -> T:
    """Have the methods of a class, also those of MLflow's that it inherits, raise only MLflow's.

    A local file that cannot be read stays the OSError that MLflow's own repositories raise.
    """
    names = {name for base in kind.__mro__ for name in vars(base)}
    for name in names:
        method = next(vars(base)[name] for base in kind.__mro__ if name in vars(base))
        wanted = not name.startswith("_") or name in CALLED_BY_THEM
        if wanted and isinstance(method, FunctionType):
            setattr(kind, name, _translating(method))
    return kind


def _translating(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except ours.LocalPathError:
            raise
        except ours.RunstoneException as error:
            raise translated(error) from error
        except NotSupported:
            raise
        except (NotImplementedError, theirs.MlflowException) as error:
            code = getattr(error, "error_code", "NOT_IMPLEMENTED")
            if code != "NOT_IMPLEMENTED":
                raise
            raise NotSupported(method.__name__) from error

    return call
