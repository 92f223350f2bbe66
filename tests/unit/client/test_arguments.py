"""The fluent API: an argument of a wrong type is refused by its name, before anything is begun."""

from __future__ import annotations

import inspect
from argparse import Namespace
from collections.abc import Callable
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import runstone
from runstone import _arguments, artifacts, data
from runstone._arguments import CHECKS, checked
from runstone.exceptions import InvalidField

WRONG: tuple[Any, ...] = (5.5, b"x", object(), {1: 2}, "a text", [3], True)
"""Every check refuses some of them."""

LOOSE = {
    "Any",
    "bool | None",
    "int | str | None",
    "str | int",
    "Dataset | DatasetLike",
    "Literal['pandas', 'list']",
    'Literal["pandas", "list"]',
    "Arrays",
    "EvaluationResult",
    "EvaluationResult | None",
    "Mapping[str, MetricThreshold]",
    "Sequence[Callable[..., Any]] | None",
    "Sequence[EvaluationMetric] | None",
    "str | Sequence[str] | None",
    "Arrays | None",
    "pd.DataFrame",
    "pandas.DataFrame",
}
"""Annotations that no check is for: anything goes, or who gets the argument looks at it."""

LATER = {"log_metric", "log_metrics", "end_run"}
"""Looked at where they are stored: a check of every argument is too slow for them."""


def _verbs() -> list[tuple[str, Callable[..., Any]]]:
    found = [
        (f"{module.__name__}.{name}", getattr(module, name))
        for module in (runstone, artifacts, data)
        for name in module.__all__
    ]
    return [
        (name, verb)
        for name, verb in found
        if inspect.isfunction(verb) and name.rpartition(".")[2] not in LATER
    ]


ARGUMENTS = [
    pytest.param(verb, name, str(parameter.annotation), id=f"{verb_name}-{name}")
    for verb_name, verb in _verbs()
    for name, parameter in inspect.signature(verb).parameters.items()
]


@pytest.mark.parametrize(("verb", "name", "annotation"), ARGUMENTS)
def test_every_argument_is_checked(
    verb: Callable[..., Any], name: str, annotation: str, server: Any
) -> None:
    if annotation in LOOSE:
        return
    runstone.set_tracking_uri(server.uri)
    refused = 0
    for wrong in WRONG:
        try:
            CHECKS[annotation](name, wrong)
        except InvalidField:
            refused += 1
            with pytest.raises(InvalidField, match=name) as caught:
                verb(**{name: wrong})
            assert caught.value.field_violations[0].field.partition("[")[0] == name
    assert refused
    assert server.calls == []
    assert runstone.active_run() is None


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: runstone.log_params(Namespace(lr=1)),
            "params must be a dict, not Namespace (vars",
        ),  # type: ignore[arg-type]
        (
            lambda: runstone.get_run(SimpleNamespace(info=SimpleNamespace(run_id="r"))),  # type: ignore[arg-type]
            "run_id must be text, not SimpleNamespace (run.info.run_id",
        ),
        (
            lambda: runstone.search_runs(order_by="metrics.a DESC"),
            "order_by must be a list of texts, not str: ['metrics.a DESC']",
        ),
        (lambda: runstone.search_runs(max_results=-1), "max_results must not be negative"),
        (lambda: runstone.log_param(None, 1), "key must be text, not None"),  # type: ignore[arg-type]
        (lambda: runstone.log_metric(["a"], 1), "key must be text, not list"),  # type: ignore[arg-type]
        (lambda: runstone.log_metric("a", 1, run_id=[1]), "run_id must be text, not list"),  # type: ignore[arg-type]
        (lambda: runstone.log_inputs([5]), "dataset must be made by runstone.data"),  # type: ignore[list-item]
    ],
)
def test_what_is_often_meant_is_said(call: Callable[[], Any], said: str, server: Any) -> None:
    runstone.set_tracking_uri(server.uri)
    with pytest.raises(InvalidField) as caught:
        call()
    assert said in str(caught.value)
    assert server.calls == []


def test_what_is_understood_is_passed_on() -> None:
    @checked
    def verb(
        artifact_path: str | None = None,
        experiment_ids: list[str] | None = None,
        step: int | None = None,
        nested: bool = False,
    ) -> tuple[Any, ...]:
        """Takes some."""
        return artifact_path, experiment_ids, step, nested

    assert verb(PurePosixPath("a/b"), None, 3.0, np.True_) == ("a/b", None, 3, True)  # type: ignore[arg-type]
    assert verb() == (None, None, None, False)
    assert verb.__doc__ == "Takes some."
    assert _arguments.CHECKS["Sequence[str] | None"]("experiment_ids", [1, "2"]) == ["1", "2"]
    assert _arguments.CHECKS["Sequence[str] | None"]("experiment_ids", "7") == ["7"]


def test_python_says_what_is_wrong_with_the_call_itself() -> None:
    with pytest.raises(TypeError, match="takes from 2 to 3 positional arguments"):
        runstone.log_param("a", 1, None, 4)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'name'"):
        runstone.log_param(name="a", value=1)  # type: ignore[call-arg]
