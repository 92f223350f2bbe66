"""How far each writer of metrics has come."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "runstone_tracking"
KEPT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "metric_writers",
        sa.Column("run_id", KEPT, nullable=False),
        sa.Column("writer_id", KEPT, nullable=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "writer_id", name="pk_metric_writers"),
        sa.ForeignKeyConstraint(["run_id"], [f"{SCHEMA}.runs.run_id"], ondelete="CASCADE"),
        schema=SCHEMA,
    )
    schema = SCHEMA if op.get_bind().dialect.name == "postgresql" else None
    segments = sa.table(
        "metric_segments",
        sa.column("run_id"),
        sa.column("writer_id"),
        sa.column("sequence"),
        schema=schema,
    )
    names = ("run_id", "writer_id", "last_sequence")
    writers = sa.table("metric_writers", *map(sa.column, names), schema=schema)
    applied = sa.select(
        segments.c.run_id, segments.c.writer_id, sa.func.max(segments.c.sequence)
    ).group_by(segments.c.run_id, segments.c.writer_id)
    op.execute(writers.insert().from_select(names, applied))
