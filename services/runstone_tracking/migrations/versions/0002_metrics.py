"""Metrics: segments and summaries."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "runstone_tracking"
KEPT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# Without affinity: a SQLite column declared REAL turns -0.0 into 0.0.
EXACT = sa.Double().with_variant(sa.LargeBinary(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "metric_segments",
        sa.Column("run_id", KEPT, nullable=False),
        sa.Column("writer_id", KEPT, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "writer_id", "sequence", name="pk_metric_segments"),
        sa.ForeignKeyConstraint(["run_id"], [f"{SCHEMA}.runs.run_id"], ondelete="CASCADE"),
        schema=SCHEMA,
    )
    op.create_table(
        "metric_summaries",
        sa.Column("run_id", KEPT, nullable=False),
        sa.Column("key", KEPT, nullable=False),
        sa.Column("value", EXACT),
        sa.Column("is_nan", sa.Boolean, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger, nullable=False),
        sa.Column("min", EXACT),
        sa.Column("max", EXACT),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("nan_count", sa.BigInteger, nullable=False),
        sa.Column("first_step", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key", name="pk_metric_summaries"),
        sa.ForeignKeyConstraint(["run_id"], [f"{SCHEMA}.runs.run_id"], ondelete="CASCADE"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_metric_summaries_value",
        "metric_summaries",
        ["key", "value", "run_id"],
        schema=SCHEMA,
    )
    if op.get_bind().dialect.name == "postgresql":
        # Both are compressed already; out of line and uncompressed, a part can be read alone.
        for column in ("header", "payload"):
            op.execute(
                f"ALTER TABLE {SCHEMA}.metric_segments ALTER COLUMN {column} SET STORAGE EXTERNAL"
            )
