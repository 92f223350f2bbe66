"""Traces, and the spans they are made of."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEMA = "runstone_tracking"
KEPT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
AUTO_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    create_traces()
    create_key_values("trace_tags")
    create_key_values("trace_metadata")
    create_runs()
    create_spans()


def create_traces() -> None:
    op.create_table(
        "traces",
        sa.Column("trace_id", KEPT, primary_key=True),
        sa.Column("experiment_id", AUTO_ID, nullable=False),
        sa.Column("request_time", sa.BigInteger, nullable=False),
        sa.Column("state", KEPT, nullable=False),
        sa.Column("duration", sa.BigInteger),
        sa.Column("name", KEPT),
        sa.Column("request_preview", KEPT),
        sa.Column("response_preview", KEPT),
        sa.Column("client_request_id", KEPT),
        sa.Column("finalized", sa.Boolean, nullable=False),
        sa.Column("span_count", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], [f"{SCHEMA}.experiments.experiment_id"], ondelete="CASCADE"
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_traces_listed",
        "traces",
        ["experiment_id", sa.text("request_time DESC"), "trace_id"],
        schema=SCHEMA,
    )


def create_key_values(name: str) -> None:
    op.create_table(
        name,
        sa.Column("trace_id", KEPT, nullable=False),
        sa.Column("key", KEPT, nullable=False),
        sa.Column("value", KEPT, nullable=False),
        sa.PrimaryKeyConstraint("trace_id", "key", name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["trace_id"], [f"{SCHEMA}.traces.trace_id"], ondelete="CASCADE"),
        schema=SCHEMA,
    )
    op.create_index(
        f"ix_{name}_value",
        name,
        ["key", sa.text("substr(value, 1, 100)"), "trace_id"],
        schema=SCHEMA,
    )


def create_runs() -> None:
    op.create_table(
        "trace_runs",
        sa.Column("run_id", KEPT, nullable=False),
        sa.Column("trace_id", KEPT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "trace_id", name="pk_trace_runs"),
        sa.ForeignKeyConstraint(["run_id"], [f"{SCHEMA}.runs.run_id"], ondelete="CASCADE"),
        schema=SCHEMA,
    )
    op.create_index("ix_trace_runs_trace", "trace_runs", ["trace_id"], schema=SCHEMA)


def create_spans() -> None:
    op.create_table(
        "spans",
        sa.Column("trace_id", KEPT, nullable=False),
        sa.Column("span_id", KEPT, nullable=False),
        sa.Column("parent_id", KEPT, nullable=False),
        sa.Column("name", KEPT, nullable=False),
        sa.Column("type", KEPT, nullable=False),
        sa.Column("status", KEPT, nullable=False),
        sa.Column("start_ns", sa.BigInteger, nullable=False),
        sa.Column("end_ns", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("trace_id", "span_id", name="pk_spans"),
        sa.ForeignKeyConstraint(["trace_id"], [f"{SCHEMA}.traces.trace_id"], ondelete="CASCADE"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_spans_name", "spans", [sa.text("substr(name, 1, 100)"), "trace_id"], schema=SCHEMA
    )
    if op.get_bind().dialect.name == "postgresql":
        # Compressed already; out of line it does not stand between what is looked for.
        op.execute(f"ALTER TABLE {SCHEMA}.spans ALTER COLUMN content SET STORAGE EXTERNAL")
