"""Tables of experiments, runs and what runs hold. Metrics' tables are in ``tables_metrics``.

Times are Unix milliseconds. Text that is compared or sorted has the collation "C" on PostgreSQL,
so that both databases and Python order it alike: by code point.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)

SCHEMA = "runstone_tracking"

INDEXED_VALUE_CHARS = 100
"""How much of a param's or tag's value is indexed: a B-tree entry holds at most 2,704 bytes."""

metadata = MetaData(schema=SCHEMA)

ExactText = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared byte by byte."""

# SQLite gives out row ids only for a column declared INTEGER.
AutoId = BigInteger().with_variant(Integer, "sqlite")

experiments = Table(
    "experiments",
    metadata,
    Column("experiment_id", AutoId, Identity(start=1), primary_key=True),
    Column("name", ExactText, nullable=False),
    Column("stage", ExactText, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    Column("delete_time", BigInteger),
    UniqueConstraint("name", name="uq_experiments_name"),
    Index("ix_experiments_updated", "stage", "update_time", "experiment_id"),
    # A purged experiment's id is never given out again.
    sqlite_autoincrement=True,
)

experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column(
        "experiment_id",
        AutoId,
        ForeignKey(f"{SCHEMA}.experiments.experiment_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("key", ExactText, nullable=False),
    Column("value", ExactText, nullable=False),
    PrimaryKeyConstraint("experiment_id", "key", name="pk_experiment_tags"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", ExactText, primary_key=True),
    Column(
        "experiment_id",
        AutoId,
        ForeignKey(f"{SCHEMA}.experiments.experiment_id"),
        nullable=False,
    ),
    # Also the tag mlflow.runName, which has no row of its own.
    Column("name", ExactText, nullable=False),
    Column("status", ExactText, nullable=False),
    Column("stage", ExactText, nullable=False),
    Column("user_id", ExactText, nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("end_time", BigInteger),
    Column("delete_time", BigInteger),
    # Deleted by deleting its experiment, so restoring the experiment restores it.
    Column("deleted_with_experiment", Boolean, nullable=False, server_default=text("false")),
    # At least what RunStore.recount counts; NULL where that was never done.
    Column("bytes", BigInteger),
    # It read or made logged models: tells a search for which runs to ask.
    Column("has_models", Boolean, nullable=False, server_default=text("false")),
    Index("ix_runs_listed", "experiment_id", "stage", text("start_time DESC"), "run_id"),
    Index(
        "ix_runs_deleted",
        "delete_time",
        "run_id",
        postgresql_where=text("delete_time IS NOT NULL"),
        sqlite_where=text("delete_time IS NOT NULL"),
    ),
)


def _key_values(name: str) -> Table:
    table = Table(
        name,
        metadata,
        Column("run_id", ExactText, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
        Column("key", ExactText, nullable=False),
        Column("value", ExactText, nullable=False),
        PrimaryKeyConstraint("run_id", "key", name=f"pk_{name}"),
    )
    Index(
        f"ix_{name}_value",
        table.c.key,
        func.substr(table.c.value, 1, text(str(INDEXED_VALUE_CHARS))),
        table.c.run_id,
    )
    return table


params = _key_values("params")
tags = _key_values("tags")

datasets = Table(
    "datasets",
    metadata,
    Column("dataset_id", AutoId, Identity(start=1), primary_key=True),
    Column(
        "experiment_id",
        AutoId,
        ForeignKey(f"{SCHEMA}.experiments.experiment_id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("name", ExactText, nullable=False),
    Column("digest", ExactText, nullable=False),
    Column("source_type", ExactText, nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("profile", Text, nullable=False),
    UniqueConstraint("experiment_id", "name", "digest", name="uq_datasets_identity"),
    sqlite_autoincrement=True,
)

run_inputs = Table(
    "run_inputs",
    metadata,
    Column("run_id", ExactText, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False),
    Column("dataset_id", AutoId, ForeignKey(datasets.c.dataset_id), nullable=False),
    PrimaryKeyConstraint("run_id", "dataset_id", name="pk_run_inputs"),
    Index("ix_run_inputs_dataset", "dataset_id"),
)

input_tags = Table(
    "input_tags",
    metadata,
    Column("run_id", ExactText, nullable=False),
    Column("dataset_id", AutoId, nullable=False),
    Column("key", ExactText, nullable=False),
    Column("value", ExactText, nullable=False),
    PrimaryKeyConstraint("run_id", "dataset_id", "key", name="pk_input_tags"),
    ForeignKeyConstraint(
        ["run_id", "dataset_id"],
        [f"{SCHEMA}.run_inputs.run_id", f"{SCHEMA}.run_inputs.dataset_id"],
        ondelete="CASCADE",
        name="fk_input_tags_run_inputs",
    ),
)

request_ids = Table(
    "request_ids",
    metadata,
    # The RPC's name: a request id identifies a call within its method.
    Column("method", ExactText, nullable=False),
    Column("request_id", ExactText, nullable=False),
    # SHA-256 of what was asked, in hex.
    Column("content", ExactText, nullable=False),
    Column("resource_id", ExactText, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    PrimaryKeyConstraint("method", "request_id", name="pk_request_ids"),
    Index("ix_request_ids_created", "create_time"),
)
