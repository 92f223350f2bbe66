"""Chains that an MLproject file declares: entry points run one after another.

    steps:
      - load
      - {run: etl, parameters: {raw: "runs:/{steps.load.run_id}/raw", rows: "{rows}"}}
      - {run: train, name: small, needs: [etl], parameters: {size: 10}}

A step waits for those in ``needs`` and those whose run it names; one that says neither waits for
the step before it. Everything is known before the first begins: a circle is refused at once.
"""

from __future__ import annotations

import graphlib
import re
import string
from collections.abc import Mapping
from typing import Any

from runstone._projects import mlproject
from runstone._projects.mlproject import Project, Step
from runstone.exceptions import ProjectInvalid

MAX_STEPS = 100
"""Of one entry point; more are made by a program."""

_KEYS = ("run", "name", "parameters", "needs")
_REFERENCE = re.compile(r"steps\.([A-Za-z0-9_-]+)\.run_id")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


def parsed(found: Any, where: str, key: str) -> tuple[Step, ...]:
    """The steps of an entry point in the order they are run in.

    Raises:
        ProjectInvalid: they are not as above, or need one another in a circle.
    """
    place = f"{key}.steps"
    if not isinstance(found, list) or not 0 < len(found) <= MAX_STEPS:
        raise ProjectInvalid(
            f"{where}: {place} must be a list of 1 to {MAX_STEPS} entry points, such as"
            " [load, {run: train, parameters: {alpha: 0.5}}]"
        )
    steps: list[Step] = []
    for number, each in enumerate(found):
        steps.append(_step(each, steps[-1] if steps else None, where, f"{place}[{number}]"))
    names = [step.name for step in steps]
    for name in names:
        if names.count(name) > 1:
            raise ProjectInvalid(
                f"{where}: {place}: two steps are called {name!r}; give one of them a name"
            )
    for step in steps:
        for needed in step.needs:
            if needed not in names:
                raise ProjectInvalid(
                    f"{where}: {place}: step {step.name!r} needs {needed!r}, which is no step"
                    f" ({', '.join(names)})"
                )
    return _ordered(steps, where, place)


def _step(found: Any, before: Step | None, where: str, key: str) -> Step:
    content = {"run": found} if isinstance(found, str) else found
    if not isinstance(content, Mapping) or not isinstance(content.get("run"), str):
        raise ProjectInvalid(
            f"{where}: {key} must be an entry point's name, or a mapping whose 'run' is one"
        )
    mlproject.check_keys(content, _KEYS, where, f"{key}.")
    name = content.get("name", re.sub(r"[^A-Za-z0-9_-]", "-", content["run"]))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ProjectInvalid(f"{where}: {key}.name must have letters, digits, '_' and '-' only")
    given = content.get("parameters") or {}
    if not isinstance(given, Mapping):
        raise ProjectInvalid(f"{where}: {key}.parameters must be a mapping of names to values")
    parameters = {
        str(each): mlproject.text(value, where, f"{key}.parameters.{each}")
        for each, value in given.items()
    }
    named = [step for text in parameters.values() for step in _references(text, where, key)]
    needs = content.get("needs")
    if needs is None:
        needs = [before.name] if before is not None and not named else []
    if not isinstance(needs, list) or not all(isinstance(each, str) for each in needs):
        raise ProjectInvalid(f"{where}: {key}.needs must be a list of names of steps")
    return Step(name, content["run"], parameters, tuple(dict.fromkeys([*needs, *named])))


def _fields(text: str, where: str) -> list[tuple[str, str | None]]:
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ProjectInvalid(
            f"{where}: {text!r:.100}: {error}; a brace that is meant as such is written twice"
        ) from None
    if any(name is not None and (form or kind or not name) for _, name, form, kind in parts):
        raise ProjectInvalid(f"{where}: {text!r:.100}: braces hold a name and nothing else")
    return [(literal, name) for literal, name, _, _ in parts]


def _references(text: str, where: str, key: str) -> list[str]:
    found = []
    for _, name in _fields(text, f"{where}: {key}"):
        reference = _REFERENCE.fullmatch(name or "")
        if reference:
            found.append(reference[1])
    return found


def _ordered(steps: list[Step], where: str, key: str) -> tuple[Step, ...]:
    """Each behind what it needs, else as they are written."""
    left, done = list(steps), dict[str, Step]()
    while left:
        free = next((step for step in left if set(step.needs) <= done.keys()), None)
        if free is None:
            raise ProjectInvalid(
                f"{where}: {key} need one another in a circle: "
                + ", ".join(f"{step.name} needs {' and '.join(step.needs)}" for step in left)
            )
        done[free.name] = free
        left.remove(free)
    return tuple(done.values())


def check(project: Project, where: str) -> None:
    """Refuse steps that name what is not there, or that come back to where they began.

    Raises:
        ProjectInvalid
    """
    for entry in project.entry_points.values():
        for step in entry.steps:
            key = f"{where}: entry_points.{entry.name}.steps: step {step.name!r}"
            try:
                target = project.entry_point(step.entry_point)
            except ProjectInvalid as error:
                raise ProjectInvalid(f"{key}: {error}") from None
            for name, text in step.parameters.items():
                _check_fields(text, entry.parameters, f"{key}: parameter {name!r}")
            absent = [
                name
                for name, each in target.parameters.items()
                if each.default is None and name not in step.parameters
            ]
            if absent:
                raise ProjectInvalid(f"{key} gives no {', '.join(absent)}, which it needs")
    graph = {
        name: {step.entry_point for step in entry.steps}
        for name, entry in project.entry_points.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise ProjectInvalid(
            f"{where}: entry_points run one another in a circle: {circle}"
        ) from None


def _check_fields(text: str, known: Mapping[str, Any], key: str) -> None:
    for _, name in _fields(text, key):
        if name is not None and name not in known and not _REFERENCE.fullmatch(name):
            raise ProjectInvalid(
                f"{key} uses {{{name}}}, which is neither a parameter of the chain"
                f" ({', '.join(known) or 'it has none'}) nor {{steps.NAME.run_id}}"
            )


def filled(step: Step, values: Mapping[str, str], runs: Mapping[str, str]) -> dict[str, str]:
    """A step's parameters, with the chain's values and the ids of the runs of earlier steps."""

    def value(name: str) -> str:
        reference = _REFERENCE.fullmatch(name)
        return runs[reference[1]] if reference else values[name]

    return {
        key: "".join(
            literal + ("" if name is None else value(name)) for literal, name in _fields(text, key)
        )
        for key, text in step.parameters.items()
    }
