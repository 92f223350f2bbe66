"""What a version must show before it moves to a stage: rules that are kept in the model's tags.

The tag ``runstone.rules.<stage>`` of a model has one rule a line, or several with ``;`` between:

    signature
    accuracy_score >= 0.9
    accuracy_score > @champion
    max_error <= @champion - 0.5

The version shows it by its tag ``runstone.evaluation``, which is JSON:
``{"metrics": {"accuracy_score": 0.93}, "signature": true}``.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runstone_kit.errors import invalid_field
from runstone_registry.model import ModelVersion, Stage

RULES = "runstone.rules."
EVALUATION = "runstone.evaluation"

MAX_RULES = 50
"""Of one stage: all that are broken are told in one error."""

_SIGNATURE = "signature"
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_METRIC = re.compile(
    r"(?P<metric>[/\w.\- :]*[/\w.\-:])\s*(?P<comparison>>=|<=|>|<)\s*"
    r"(?:@(?P<alias>[\w.\-]+)\s*(?:(?P<sign>[+-])\s*(?P<margin>\S+))?|(?P<bound>\S+))"
)

Champion = Callable[[str], ModelVersion | None]
"""An alias to the version that it points to, None when there is none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``metric`` is empty for that of the signature.

    With an ``alias``, ``bound`` is added to the metric of the version that the alias points to.
    """

    text: str
    metric: str = ""
    comparison: str = ""
    bound: float = 0.0
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a version shows of itself."""

    metrics: Mapping[str, float]
    signature: bool


def parse(text: str) -> list[Rule]:
    """The rules of a tag. Raises ValueError, which says what is wrong."""
    lines = [line.strip() for line in re.split(r"[;\n]", text) if line.strip()]
    if len(lines) > MAX_RULES:
        raise ValueError(f"must have at most {MAX_RULES} rules, not {len(lines)}")
    return [_rule(line) for line in lines]


def _rule(line: str) -> Rule:
    if line == _SIGNATURE:
        return Rule(line)
    found = _METRIC.fullmatch(line)
    if found is None:
        raise ValueError(
            f"must have rules such as 'signature', 'accuracy_score >= 0.9' or"
            f" 'accuracy_score > @champion + 0.01', not {line[:80]!r}"
        )
    bound = found["margin"] or found["bound"] or "0"
    try:
        number = float(bound)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"must have a number in {line[:80]!r}, not {bound[:80]!r}")
    if found["sign"] == "-":
        number = -number
    return Rule(line, found["metric"], found["comparison"], number, found["alias"] or "")


def check_rule_tags(tags: Mapping[str, str]) -> None:
    """Refuse rules that could not be read later. Raises InvalidArgument, by the tag's key."""
    stages = {stage.value for stage in Stage}
    for key, value in tags.items():
        if not key.startswith(RULES):
            continue
        if key.removeprefix(RULES) not in stages:
            raise invalid_field(f"tags[{key!r}]", f"must end in one of {', '.join(sorted(stages))}")
        try:
            parse(value)
        except ValueError as error:
            raise invalid_field(f"tags[{key!r}]", str(error)) from None


def shown_by(version: ModelVersion) -> Shown:
    """What the version's evaluation says; nothing when there is none that can be read."""
    try:
        said = json.loads(version.tags.get(EVALUATION, ""))
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return Shown({}, signature=False)
    metrics = said.get("metrics")
    numbers = {
        name: float(number)
        for name, number in (metrics.items() if isinstance(metrics, dict) else ())
        if isinstance(number, int | float) and not isinstance(number, bool)
    }
    return Shown(numbers, signature=said.get("signature") is True)


def broken(rules: str, version: ModelVersion, champion: Champion) -> list[str]:
    """The rules that the version breaks, each with why; empty when it may move."""
    try:
        parsed = parse(rules)
    except ValueError as error:
        return [f"the model's rules cannot be read: they {error}"]
    shown = shown_by(version)
    found = ((rule, _breach(rule, version, shown, champion)) for rule in parsed)
    told = [f"{rule.text!r}: {why}" for rule, why in found if why]
    if told and EVALUATION not in version.tags:
        told.append(
            f"no evaluation is noted: runstone.evaluate('models:/{version.name}/{version.version}',"
            " ...) notes one"
        )
    return told


def _breach(rule: Rule, version: ModelVersion, shown: Shown, champion: Champion) -> str:
    if not rule.metric:
        return "" if shown.signature else "no evaluation has found a signature"
    bound, against = rule.bound, ""
    if rule.alias:
        other = champion(rule.alias)
        if other is None or other.version == version.version:
            return ""  # the first has nobody to beat
        theirs = shown_by(other).metrics.get(rule.metric)
        if theirs is None:
            return f"version {other.version}, which is {rule.alias}, has no such metric"
        bound += theirs
        against = f"; version {other.version}, which is {rule.alias}, has {theirs}"
    value = shown.metrics.get(rule.metric)
    if value is None:
        return "no evaluation has such a metric"
    if _COMPARISONS[rule.comparison](value, bound):
        return ""
    return f"it is {value}{against}"
