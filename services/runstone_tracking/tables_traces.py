"""Tables of traces: one row per trace, tag, entry of metadata, linked run and span.

A span's ``content`` is its message, as a zstd frame where that is shorter: it is not where its
length is ``size``. ``parent_id`` is empty for a root and ``end_ns`` 0 while it has not ended.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    func,
    text,
)

from runstone_tracking.tables import (
    INDEXED_VALUE_CHARS,
    AutoId,
    ExactText,
    experiments,
    metadata,
    runs,
)

traces = Table(
    "traces",
    metadata,
    Column("trace_id", ExactText, primary_key=True),
    Column(
        "experiment_id",
        AutoId,
        ForeignKey(experiments.c.experiment_id, ondelete="CASCADE"),
        nullable=False,
    ),
    Column("request_time", BigInteger, nullable=False),
    Column("state", ExactText, nullable=False),
    Column("duration", BigInteger),
    # Also the tag mlflow.traceName, which has no row of its own.
    Column("name", ExactText),
    Column("request_preview", ExactText),
    Column("response_preview", ExactText),
    Column("client_request_id", ExactText),
    Column("finalized", Boolean, nullable=False),
    Column("span_count", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Index("ix_traces_listed", "experiment_id", text("request_time DESC"), "trace_id"),
)


def _key_values(name: str) -> Table:
    table = Table(
        name,
        metadata,
        Column(
            "trace_id", ExactText, ForeignKey(traces.c.trace_id, ondelete="CASCADE"), nullable=False
        ),
        Column("key", ExactText, nullable=False),
        Column("value", ExactText, nullable=False),
        PrimaryKeyConstraint("trace_id", "key", name=f"pk_{name}"),
    )
    Index(
        f"ix_{name}_value",
        table.c.key,
        func.substr(table.c.value, 1, text(str(INDEXED_VALUE_CHARS))),
        table.c.trace_id,
    )
    return table


trace_tags = _key_values("trace_tags")
trace_metadata = _key_values("trace_metadata")

trace_runs = Table(
    "trace_runs",
    metadata,
    Column("run_id", ExactText, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
    # Not a foreign key: a trace may be linked before it comes.
    Column("trace_id", ExactText, nullable=False),
    PrimaryKeyConstraint("run_id", "trace_id", name="pk_trace_runs"),
    Index("ix_trace_runs_trace", "trace_id"),
)

spans = Table(
    "spans",
    metadata,
    Column(
        "trace_id", ExactText, ForeignKey(traces.c.trace_id, ondelete="CASCADE"), nullable=False
    ),
    Column("span_id", ExactText, nullable=False),
    Column("parent_id", ExactText, nullable=False),
    Column("name", ExactText, nullable=False),
    Column("type", ExactText, nullable=False),
    Column("status", ExactText, nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("end_ns", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("trace_id", "span_id", name="pk_spans"),
)
Index(
    "ix_spans_name",
    func.substr(spans.c.name, 1, text(str(INDEXED_VALUE_CHARS))),
    spans.c.trace_id,
)
