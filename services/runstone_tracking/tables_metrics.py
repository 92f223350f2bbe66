"""Tables of metrics: segments hold the points that came last, chunks all others, summaries one row
per run and key, writers one per run and writer.

A summary's ``value`` is NULL when the latest value is NaN, and ``is_nan`` is then true, because
SQLite keeps no NaN and PostgreSQL sorts it above all numbers. So on both databases

    metrics.loss > 0.5    value > 0.5
    metrics.loss != 0.5   value != 0.5 OR is_nan
    order by metrics.loss value IS NULL, is_nan IS NULL, value    numbers, NaN, runs without it
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.types import UserDefinedType

from runstone_tracking.tables import ExactText, metadata, runs


class _NoAffinity(UserDefinedType[float]):
    """A SQLite column that keeps what it is given: one declared REAL turns -0.0 into 0.0."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "BLOB"


ExactDouble: Double[float] = Double().with_variant(_NoAffinity(), "sqlite")
"""A double, bit for bit but for NaN, which is not to be stored in one."""

metric_segments = Table(
    "metric_segments",
    metadata,
    Column("run_id", ExactText, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
    Column("writer_id", ExactText, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("points", Integer, nullable=False),
    # Of the points as sent, whatever their encoding: tells a retry from a reused sequence.
    Column("digest", LargeBinary, nullable=False),
    Column("header", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_id", "writer_id", "sequence", name="pk_metric_segments"),
)

# Tells a repeated batch for the life of the run, however long its segment stays.
metric_writers = Table(
    "metric_writers",
    metadata,
    Column("run_id", ExactText, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
    Column("writer_id", ExactText, nullable=False),
    # Every batch up to this one was applied.
    Column("last_sequence", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "writer_id", name="pk_metric_writers"),
)

metric_summaries = Table(
    "metric_summaries",
    metadata,
    Column("run_id", ExactText, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
    Column("key", ExactText, nullable=False),
    Column("value", ExactDouble),
    Column("is_nan", Boolean, nullable=False),
    # The latest point's, which is the greatest.
    Column("step", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    # NULL when every value is NaN.
    Column("min", ExactDouble),
    Column("max", ExactDouble),
    Column("count", BigInteger, nullable=False),
    Column("nan_count", BigInteger, nullable=False),
    Column("first_step", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "key", name="pk_metric_summaries"),
    Index("ix_metric_summaries_value", "key", "value", "run_id"),
)

metric_chunks = Table(
    "metric_chunks",
    metadata,
    Column("run_id", ExactText, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
    # Of the series: its key, and behind a tab its rank.
    Column("name", ExactText, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    # The places of the first and the last point: chunks of a series are disjoint by them.
    Column("first_step", BigInteger, nullable=False),
    Column("first_timestamp_ms", BigInteger, nullable=False),
    Column("first_bits", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("last_timestamp_ms", BigInteger, nullable=False),
    Column("last_bits", BigInteger, nullable=False),
    Column("min_timestamp_ms", BigInteger, nullable=False),
    Column("max_timestamp_ms", BigInteger, nullable=False),
    Column("points", LargeBinary, nullable=False),
    # Of the pyramid; NULL where the points are read as fast.
    Column("level0", LargeBinary),
    Column("level1", LargeBinary),
    Column("level2", LargeBinary),
    PrimaryKeyConstraint("run_id", "name", "number", name="pk_metric_chunks"),
)

# Who folds a run's segments at the moment; there is no row for the others.
metric_folds = Table(
    "metric_folds",
    metadata,
    Column("run_id", ExactText, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
    Column("holder", Text, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", name="pk_metric_folds"),
)
