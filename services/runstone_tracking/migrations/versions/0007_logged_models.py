"""Logged models, their metrics, and the runs that read or made them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCHEMA = "runstone_tracking"
KEPT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


AUTO_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# Without affinity: a SQLite column declared REAL turns -0.0 into 0.0.
EXACT = sa.Double().with_variant(sa.LargeBinary(), "sqlite")


def upgrade() -> None:
    # A constant default: no row is written now.
    schema = SCHEMA if op.get_bind().dialect.name == "postgresql" else None
    op.add_column(
        "runs",
        sa.Column("has_models", sa.Boolean, nullable=False, server_default=sa.text("false")),
        schema=schema,
    )
    create_logged_models()
    for name in ("logged_model_params", "logged_model_tags"):
        create_key_values(name)
    create_metrics()
    create_run_models()


def create_logged_models() -> None:
    op.create_table(
        "logged_models",
        sa.Column("model_id", KEPT, primary_key=True),
        sa.Column("experiment_id", AUTO_ID, nullable=False),
        sa.Column("name", KEPT, nullable=False),
        sa.Column("status", KEPT, nullable=False),
        sa.Column("stage", KEPT, nullable=False),
        sa.Column("model_type", KEPT),
        sa.Column("source_run_id", KEPT),
        sa.Column("creator", KEPT, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
        sa.Column("delete_time", sa.BigInteger),
        sa.Column(
            "deleted_with_experiment",
            sa.Boolean,
            nullable=False,
            server_default=sa.text("false"),
        ),
        sa.ForeignKeyConstraint(["experiment_id"], [f"{SCHEMA}.experiments.experiment_id"]),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_logged_models_listed",
        "logged_models",
        ["experiment_id", "stage", sa.text("create_time DESC"), "model_id"],
        schema=SCHEMA,
    )
    deleted = sa.text("delete_time IS NOT NULL")
    op.create_index(
        "ix_logged_models_deleted",
        "logged_models",
        ["delete_time", "model_id"],
        schema=SCHEMA,
        postgresql_where=deleted,
        sqlite_where=deleted,
    )


def create_metrics() -> None:
    series = ("model_id", "series", "run_id")
    _metrics("logged_model_points", (*series, "timestamp_ms", "step", "bits"))
    _metrics("logged_model_metrics", series)
    for table, index, columns in (
        ("logged_model_points", "ix_logged_model_points_value", ["key", "value", "model_id"]),
        ("logged_model_points", "ix_logged_model_points_run", ["run_id"]),
        ("logged_model_metrics", "ix_logged_model_metrics_key", ["key", "model_id"]),
        ("logged_model_metrics", "ix_logged_model_metrics_run", ["run_id"]),
    ):
        op.create_index(index, table, columns, schema=SCHEMA)


def create_run_models() -> None:
    op.create_table(
        "run_models",
        sa.Column("run_id", KEPT, nullable=False),
        sa.Column("made", sa.Boolean, nullable=False),
        sa.Column("model_id", KEPT, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "made", "model_id", name="pk_run_models"),
        *_belonging("run_id", "model_id"),
        schema=SCHEMA,
    )
    op.create_index("ix_run_models_model", "run_models", ["model_id"], schema=SCHEMA)


def create_key_values(name: str) -> None:
    op.create_table(
        name,
        sa.Column("model_id", KEPT, nullable=False),
        sa.Column("key", KEPT, nullable=False),
        sa.Column("value", KEPT, nullable=False),
        sa.PrimaryKeyConstraint("model_id", "key", name=f"pk_{name}"),
        *_belonging("model_id"),
        schema=SCHEMA,
    )
    op.create_index(
        f"ix_{name}_value",
        name,
        ["key", sa.text("substr(value, 1, 100)"), "model_id"],
        schema=SCHEMA,
    )


def _metrics(name: str, key: tuple[str, ...]) -> None:
    op.create_table(
        name,
        sa.Column("model_id", KEPT, nullable=False),
        sa.Column("series", KEPT, nullable=False),
        sa.Column("key", KEPT, nullable=False),
        sa.Column("dataset_name", KEPT, nullable=False),
        sa.Column("dataset_digest", KEPT, nullable=False),
        sa.Column("run_id", KEPT, nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("bits", sa.BigInteger, nullable=False),
        sa.Column("value", EXACT),
        sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"),
        *_belonging("model_id", "run_id"),
        schema=SCHEMA,
    )


def _belonging(*columns: str) -> list[sa.ForeignKeyConstraint]:
    owners = {"model_id": "logged_models", "run_id": "runs"}
    return [
        sa.ForeignKeyConstraint([each], [f"{SCHEMA}.{owners[each]}.{each}"], ondelete="CASCADE")
        for each in columns
    ]
