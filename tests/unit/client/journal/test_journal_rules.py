"""The client's rule for keys is the server's: what is journaled is not refused later."""

from __future__ import annotations

import random

import pytest

from runstone._journal import rules
from runstone.exceptions import InvalidField
from runstone_kit.errors import Violations
from runstone_kit.validation import MAX_ENTITY_KEY, check_entity_key

PARTS = [
    "a",
    "B",
    "9",
    "_",
    "-",
    ".",
    "..",
    "/",
    "//",
    " ",
    ":",
    "ß",
    "語",
    "\t",
    "\n",
    "?",
    "\0",
    "",
]


def _taken(key: str) -> bool:
    try:
        rules.check_keys((key,))
    except InvalidField:
        return False
    return True


def test_the_same_keys_are_taken() -> None:
    chance = random.Random(3)
    keys = ["".join(chance.choices(PARTS, k=chance.randrange(6))) for _ in range(5000)]
    keys += ["a" * MAX_ENTITY_KEY, "a" * (MAX_ENTITY_KEY + 1), "é" * MAX_ENTITY_KEY]
    for key in keys:
        violations = Violations()
        assert _taken(key) == check_entity_key(violations, "key", key), repr(key)


def test_no_more_keys_than_a_batch_takes() -> None:
    rules.check_keys(tuple(map(str, range(rules.MAX_KEYS))))
    with pytest.raises(InvalidField, match="at most 10000 keys"):
        rules.check_keys(tuple(map(str, range(rules.MAX_KEYS + 1))))
