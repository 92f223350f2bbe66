"""Configurations as parameters."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import pathlib
import sys
import types
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from runstone._integrations import flatten
from runstone._integrations.flatten import flat
from runstone._journal import rules


@dataclasses.dataclass
class Optimizer:
    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)


class Kind(enum.Enum):
    BERT = "bert"
    OTHER = object()


class Opaque:
    pass


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


Pair = namedtuple("Pair", ["left", "right"])  # noqa: PYI024


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"a": {"b": {"c": 1}}, "d": None}, {"a.b.c": "1", "d": "None"}),
        ({"opt": Optimizer()}, {"opt.lr": "0.1", "opt.betas": "[0.9, 0.99]"}),
        (Optimizer(), {"lr": "0.1", "betas": "[0.9, 0.99]"}),
        (argparse.Namespace(lr=1, sub={"x": True}), {"lr": "1", "sub.x": "True"}),
        ({"s": types.SimpleNamespace(a=1)}, {"s.a": "1"}),
        ({"p": Pair(1, {"x": 2})}, {"p.left": "1", "p.right.x": "2"}),
        ({"steps": [{"lr": 1}, {"lr": 2}]}, {"steps.0.lr": "1", "steps.1.lr": "2"}),
        ({"names": ["a", "b"], "empty": [], "none": {}}, {
            "names": "['a', 'b']", "empty": "[]", "none": "{}"
        }),
        ({"kind": Kind.BERT, "other": Kind.OTHER}, {"kind": "bert", "other": "OTHER"}),
        ({"path": pathlib.PurePosixPath("a/b"), "set": {"b", "a"}}, {
            "path": "a/b", "set": "{'a', 'b'}"
        }),
        ({"x": np.float32(0.5), "y": np.arange(3)}, {"x": "0.5", "y": "[0, 1, 2]"}),
        ({"big": np.zeros((9, 9))}, {"big": "numpy.ndarray of shape (9, 9)"}),
        ({"f": len, "c": Opaque, "o": Opaque()}, {
            "f": "len", "c": f"{__name__}.Opaque", "o": f"{__name__}.Opaque"
        }),
        ({"bad": Broken()}, {"bad": f"{__name__}.Broken"}),
        ({1: "one", ("a", 2): "two"}, {"1": "one", "__a__ 2_": "two"}),
        ({"a.b": 1, "a": {"b": 2}}, {"a.b": "1", "a.b_2": "2"}),
        ({"lone": "\ud800"}, {"lone": "?"}),
    ],
)  # fmt: skip
def test_what_becomes_of_it(config: Any, expected: dict[str, str]) -> None:
    found = flat(config)
    assert found == expected
    rules.check_keys(found, "params")


def test_a_separator_of_ones_own() -> None:
    assert flat({"a": {"b": 1}}, "/") == {"a/b": "1"}


def test_what_is_crowded_or_deep_or_goes_in_circles_is_one_parameter() -> None:
    labels = {str(number): f"label {number}" for number in range(5000)}
    circle: dict[str, Any] = {"x": 1}
    circle["self"] = circle
    deep: dict[str, Any] = {}
    place = deep
    for _ in range(50):
        place["a"] = place = {}
    found = flat({"id2label": labels, "circle": circle, "deep": deep})
    assert len(found["id2label"]) == 6000
    assert found["id2label"].startswith("{'0': 'label 0', ")
    assert found["id2label"].endswith("...")
    assert found["circle.x"] == "1"
    assert max(key.count(".") for key in found) < 25
    rules.check_keys(found, "params")


@pytest.mark.parametrize("config", [3, "text", None, [1, 2]])
def test_what_is_no_configuration(config: Any) -> None:
    with pytest.raises(TypeError, match="must be a dict or the like"):
        flat(config)


@pytest.mark.parametrize(
    "text",
    [
        "ndcg@5",
        "a b",
        "x[0]",
        "/a//b/../c",
        "..",
        ".",
        "",
        "a" * 300,
        "grün/ü",
        "a\nb",
        "../../x",
        "/",
    ],
)
def test_keys_are_those_that_the_server_takes(text: str) -> None:
    rules.check_keys([flatten.key(text)])


def test_long_keys_stay_apart() -> None:
    first, second = (flatten.key("a" * 300 + end) for end in "xy")
    assert first != second
    assert len(first) == len(second) == 250


def test_what_omegaconf_and_pydantic_are_is_not_imported_to_know() -> None:
    before = set(sys.modules)
    flat({"a": 1})
    assert not {"omegaconf", "pydantic"} & (set(sys.modules) - before)
