"""Texts in SQL, for PostgreSQL and SQLite alike."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class TextBytes(FunctionElement[int]):
    """The bytes of a text, which PostgreSQL knows without reading it."""

    type = BigInteger()
    inherit_cache = True


@compiles(TextBytes, "postgresql")
def _bytes_postgresql(element: TextBytes, compiler: SQLCompiler, **options: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **options)})"


@compiles(TextBytes, "sqlite")
def _bytes_sqlite(element: TextBytes, compiler: SQLCompiler, **options: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"
