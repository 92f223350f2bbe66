"""Experiments, runs, params, tags, data sets and request ids; the experiment "Default"."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "runstone_tracking"
KEPT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
AUTO_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    create_experiments()
    create_runs()
    create_key_values("params")
    create_key_values("tags")
    create_datasets()
    create_request_ids()
    add_default_experiment()


def create_experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("experiment_id", AUTO_ID, sa.Identity(start=1), primary_key=True),
        sa.Column("name", KEPT, nullable=False),
        sa.Column("stage", KEPT, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
        sa.Column("delete_time", sa.BigInteger),
        sa.UniqueConstraint("name", name="uq_experiments_name"),
        schema=SCHEMA,
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_experiments_updated",
        "experiments",
        ["stage", "update_time", "experiment_id"],
        schema=SCHEMA,
    )
    op.create_table(
        "experiment_tags",
        sa.Column("experiment_id", AUTO_ID, nullable=False),
        sa.Column("key", KEPT, nullable=False),
        sa.Column("value", KEPT, nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", "key", name="pk_experiment_tags"),
        sa.ForeignKeyConstraint(
            ["experiment_id"], [f"{SCHEMA}.experiments.experiment_id"], ondelete="CASCADE"
        ),
        schema=SCHEMA,
    )


def create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", KEPT, primary_key=True),
        sa.Column("experiment_id", AUTO_ID, nullable=False),
        sa.Column("name", KEPT, nullable=False),
        sa.Column("status", KEPT, nullable=False),
        sa.Column("stage", KEPT, nullable=False),
        sa.Column("user_id", KEPT, nullable=False),
        sa.Column("start_time", sa.BigInteger, nullable=False),
        sa.Column("end_time", sa.BigInteger),
        sa.Column("delete_time", sa.BigInteger),
        sa.Column(
            "deleted_with_experiment", sa.Boolean, nullable=False, server_default=sa.text("false")
        ),
        sa.ForeignKeyConstraint(["experiment_id"], [f"{SCHEMA}.experiments.experiment_id"]),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_runs_listed",
        "runs",
        ["experiment_id", "stage", sa.text("start_time DESC"), "run_id"],
        schema=SCHEMA,
    )
    op.create_index(
        "ix_runs_deleted",
        "runs",
        ["delete_time", "run_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("delete_time IS NOT NULL"),
        sqlite_where=sa.text("delete_time IS NOT NULL"),
    )


def create_key_values(name: str) -> None:
    op.create_table(
        name,
        sa.Column("run_id", KEPT, nullable=False),
        sa.Column("key", KEPT, nullable=False),
        sa.Column("value", KEPT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key", name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["run_id"], [f"{SCHEMA}.runs.run_id"], ondelete="CASCADE"),
        schema=SCHEMA,
    )
    op.create_index(
        f"ix_{name}_value",
        name,
        ["key", sa.text("substr(value, 1, 100)"), "run_id"],
        schema=SCHEMA,
    )


def create_datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("dataset_id", AUTO_ID, sa.Identity(start=1), primary_key=True),
        sa.Column("experiment_id", AUTO_ID, nullable=False),
        sa.Column("name", KEPT, nullable=False),
        sa.Column("digest", KEPT, nullable=False),
        sa.Column("source_type", KEPT, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("schema", sa.Text, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.UniqueConstraint("experiment_id", "name", "digest", name="uq_datasets_identity"),
        sa.ForeignKeyConstraint(
            ["experiment_id"], [f"{SCHEMA}.experiments.experiment_id"], ondelete="CASCADE"
        ),
        schema=SCHEMA,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "run_inputs",
        sa.Column("run_id", KEPT, nullable=False),
        sa.Column("dataset_id", AUTO_ID, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "dataset_id", name="pk_run_inputs"),
        sa.ForeignKeyConstraint(["run_id"], [f"{SCHEMA}.runs.run_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["dataset_id"], [f"{SCHEMA}.datasets.dataset_id"]),
        schema=SCHEMA,
    )
    op.create_index("ix_run_inputs_dataset", "run_inputs", ["dataset_id"], schema=SCHEMA)
    op.create_table(
        "input_tags",
        sa.Column("run_id", KEPT, nullable=False),
        sa.Column("dataset_id", AUTO_ID, nullable=False),
        sa.Column("key", KEPT, nullable=False),
        sa.Column("value", KEPT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "dataset_id", "key", name="pk_input_tags"),
        sa.ForeignKeyConstraint(
            ["run_id", "dataset_id"],
            [f"{SCHEMA}.run_inputs.run_id", f"{SCHEMA}.run_inputs.dataset_id"],
            ondelete="CASCADE",
            name="fk_input_tags_run_inputs",
        ),
        schema=SCHEMA,
    )


def create_request_ids() -> None:
    op.create_table(
        "request_ids",
        sa.Column("method", KEPT, nullable=False),
        sa.Column("request_id", KEPT, nullable=False),
        sa.Column("content", KEPT, nullable=False),
        sa.Column("resource_id", KEPT, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("method", "request_id", name="pk_request_ids"),
        schema=SCHEMA,
    )
    op.create_index("ix_request_ids_created", "request_ids", ["create_time"], schema=SCHEMA)


def add_default_experiment() -> None:
    # A Table, not sa.table(): only its schema is translated away on SQLite.
    experiments = sa.Table(
        "experiments",
        sa.MetaData(schema=SCHEMA),
        sa.Column("experiment_id", AUTO_ID),
        sa.Column("name", KEPT),
        sa.Column("stage", KEPT),
        sa.Column("create_time", sa.BigInteger),
        sa.Column("update_time", sa.BigInteger),
    )
    now = time.time_ns() // 1_000_000
    op.execute(
        experiments.insert().values(
            experiment_id=0, name="Default", stage="active", create_time=now, update_time=now
        )
    )
