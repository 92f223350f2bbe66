"""What is wrong with data, gathered, so that one error tells all of it."""

from __future__ import annotations

from typing import Any, NoReturn

from runstone._exceptions.kinds import FieldViolation
from runstone.exceptions import SchemaMismatch

MOST = 50
"""Faults told at once: a wrong column of nested values has one in each row."""

Path = tuple[Any, ...]
"""Where a value stands: ("column 'a'", "[3]", ".role"); a part is made into text for an error."""


class Unfit(Exception):
    """A value, column or tensor cannot be had as the type asked for; says why."""


class Faults:
    """The faults found so far.

    Args:
        what: What the error begins with, such as "the input is not what the signature says".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.found: list[FieldViolation] = []

    def add(self, path: Path, description: str) -> None:
        """Note one. Raises SchemaMismatch when there are so many that more would not help."""
        field = "".join(f"[{part}]" if isinstance(part, int) else part for part in path)
        self.found.append(FieldViolation(field, description))
        if len(self.found) == MOST:
            self._fail(" … (and maybe more)")

    def check(self) -> None:
        """Raises SchemaMismatch when there are any."""
        if self.found:
            self._fail("")

    def _fail(self, rest: str) -> NoReturn:
        told = "; ".join(f"{fault.field} {fault.description}" for fault in self.found)
        raise SchemaMismatch(f"{self._what}: {told}{rest}", field_violations=self.found)
