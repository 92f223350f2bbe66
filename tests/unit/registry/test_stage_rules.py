"""Rules of stages: how they are read, and what a version must show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from runstone_kit.errors import InvalidArgument
from runstone_registry.model import ModelVersion
from runstone_registry.service_rules import Rule, broken, check_rule_tags, parse


def version(number: int, metrics: Mapping[str, Any] | None, **more: Any) -> ModelVersion:
    said = json.dumps({"metrics": metrics, **more})
    tags = {} if metrics is None else {"runstone.evaluation": said}
    return ModelVersion("v", "m", "churn", number, 0, 0, "e", tags=tags)


def verdict(rules: str, shown: ModelVersion, champion: ModelVersion | None = None) -> list[str]:
    return broken(rules, shown, {"champion": champion}.get)


def test_rules_are_read() -> None:
    assert parse("signature; val/f1 score >= 0.9\n\n max_error<=@champion - 0.5;x>@old") == [
        Rule("signature"),
        Rule("val/f1 score >= 0.9", "val/f1 score", ">=", 0.9),
        Rule("max_error<=@champion - 0.5", "max_error", "<=", -0.5, "champion"),
        Rule("x>@old", "x", ">", 0.0, "old"),
    ]
    assert parse(" ;\n") == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("signatur", "must have rules such as"),
        ("a == 1", "must have rules such as"),
        (">= 1", "must have rules such as"),
        ("a >= high", "must have a number in 'a >= high', not 'high'"),
        ("a >= nan", "must have a number"),
        ("a >= @champion + much", "must have a number"),
        ("a >= @champion +", "must have rules such as"),
        (";".join(["signature"] * 51), "must have at most 50 rules, not 51"),
    ],
)
def test_rules_that_cannot_be_read_are_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse(text)
    with pytest.raises(InvalidArgument, match=r"tags\['runstone.rules.Production'\]"):
        check_rule_tags({"runstone.rules.Production": text})


def test_rules_belong_to_a_stage() -> None:
    check_rule_tags({"runstone.rules.Staging": "signature", "other": "a == 1"})
    with pytest.raises(InvalidArgument, match="must end in one of Archived, None, Production"):
        check_rule_tags({"runstone.rules.production": "signature"})


def test_a_version_passes_that_shows_all() -> None:
    good = version(2, {"acc": 0.9, "err": 3}, signature=True)
    before = version(1, {"acc": 0.8, "err": 4.0})
    rules = (
        "signature; acc >= 0.9; err <= 3; acc > @champion; acc >= @champion + 0.05; err < @champion"
    )
    assert verdict(rules, good, before) == []


def test_a_version_without_evaluation_is_told_how_to_get_one() -> None:
    assert verdict("signature; acc >= 0.9", version(3, None)) == [
        "'signature': no evaluation has found a signature",
        "'acc >= 0.9': no evaluation has such a metric",
        "no evaluation is noted: runstone.evaluate('models:/churn/3', ...) notes one",
    ]


def test_all_that_is_broken_is_told() -> None:
    poor = version(3, {"acc": 0.5, "text": "0.9", "yes": True, "odd": float("nan")})
    before = version(1, {"acc": 0.8})
    rules = (
        "signature; acc >= 0.9; acc > @champion; gone >= 0; text >= 0; yes >= 0; odd >= 0;"
        " odd <= 0; err < @champion"
    )
    assert verdict(rules, poor, before) == [
        "'signature': no evaluation has found a signature",
        "'acc >= 0.9': it is 0.5",
        "'acc > @champion': it is 0.5; version 1, which is champion, has 0.8",
        "'gone >= 0': no evaluation has such a metric",
        "'text >= 0': no evaluation has such a metric",
        "'yes >= 0': no evaluation has such a metric",
        "'odd >= 0': it is nan",
        "'odd <= 0': it is nan",
        "'err < @champion': version 1, which is champion, has no such metric",
    ]


def test_the_first_has_nobody_to_beat() -> None:
    lonely = version(1, {"acc": 0.1})
    assert verdict("acc > @champion", lonely, None) == []
    assert verdict("acc > @champion", lonely, lonely) == []


@pytest.mark.parametrize("tag", ["", "{", "[]", '{"metrics": []}', '"signature"'])
def test_an_evaluation_that_cannot_be_read_shows_nothing(tag: str) -> None:
    odd = ModelVersion("v", "m", "churn", 1, 0, 0, "e", tags={"runstone.evaluation": tag})
    assert len(verdict("signature; acc > 0", odd)) == 2


def test_stored_rules_that_cannot_be_read_let_nothing_through() -> None:
    (told,) = verdict("acc == 1", version(1, {"acc": 1}))
    assert told.startswith("the model's rules cannot be read: they must have rules such as")
