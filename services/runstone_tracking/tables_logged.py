"""Tables of logged models, and of the runs that read or made them.

A metric's ``value`` is NULL when it is NaN. ``bits`` are those of the value as an integer that
sorts as the value does, NaN above all: what a key can hold, and NaN and -0.0 are kept apart by.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
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
from runstone_tracking.tables_metrics import ExactDouble

logged_models = Table(
    "logged_models",
    metadata,
    Column("model_id", ExactText, primary_key=True),
    # Without a cascade: an experiment is purged only when its models, and so their files, are gone.
    Column("experiment_id", AutoId, ForeignKey(experiments.c.experiment_id), nullable=False),
    Column("name", ExactText, nullable=False),
    Column("status", ExactText, nullable=False),
    Column("stage", ExactText, nullable=False),
    # NULL where it has none.
    Column("model_type", ExactText),
    # Not a foreign key: a model outlives the run that made it.
    Column("source_run_id", ExactText),
    Column("creator", ExactText, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    Column("delete_time", BigInteger),
    # Deleted by deleting its experiment, so restoring the experiment restores it.
    Column("deleted_with_experiment", Boolean, nullable=False, server_default=text("false")),
    Index(
        "ix_logged_models_listed",
        "experiment_id",
        "stage",
        text("create_time DESC"),
        "model_id",
    ),
    Index(
        "ix_logged_models_deleted",
        "delete_time",
        "model_id",
        postgresql_where=text("delete_time IS NOT NULL"),
        sqlite_where=text("delete_time IS NOT NULL"),
    ),
)


def _model_id() -> Column[str]:
    key = ForeignKey(logged_models.c.model_id, ondelete="CASCADE")
    return Column("model_id", ExactText, key, nullable=False)


def _run_id() -> Column[str]:
    return Column(
        "run_id", ExactText, ForeignKey(runs.c.run_id, ondelete="CASCADE"), nullable=False
    )


def _key_values(name: str) -> Table:
    table = Table(
        name,
        metadata,
        _model_id(),
        Column("key", ExactText, nullable=False),
        Column("value", ExactText, nullable=False),
        PrimaryKeyConstraint("model_id", "key", name=f"pk_{name}"),
    )
    Index(
        f"ix_{name}_value",
        table.c.key,
        func.substr(table.c.value, 1, text(str(INDEXED_VALUE_CHARS))),
        table.c.model_id,
    )
    return table


logged_model_params = _key_values("logged_model_params")
logged_model_tags = _key_values("logged_model_tags")


def _metrics(name: str, *of_a_point: str) -> Table:
    table = Table(
        name,
        metadata,
        _model_id(),
        # A digest of the next three, which together are too long for a key on PostgreSQL.
        Column("series", ExactText, nullable=False),
        Column("key", ExactText, nullable=False),
        Column("dataset_name", ExactText, nullable=False),
        Column("dataset_digest", ExactText, nullable=False),
        _run_id(),
        Column("timestamp_ms", BigInteger, nullable=False),
        Column("step", BigInteger, nullable=False),
        Column("bits", BigInteger, nullable=False),
        Column("value", ExactDouble),
        PrimaryKeyConstraint("model_id", "series", "run_id", *of_a_point, name=f"pk_{name}"),
    )
    Index(f"ix_{name}_run", table.c.run_id)
    return table


# Every point; filters look here.
logged_model_points = _metrics("logged_model_points", "timestamp_ms", "step", "bits")
Index(
    "ix_logged_model_points_value",
    logged_model_points.c.key,
    logged_model_points.c.value,
    logged_model_points.c.model_id,
)

# The latest of them for each run, so that a model of many points is read as fast as one of few.
logged_model_metrics = _metrics("logged_model_metrics")
Index("ix_logged_model_metrics_key", logged_model_metrics.c.key, logged_model_metrics.c.model_id)

run_models = Table(
    "run_models",
    metadata,
    _run_id(),
    # Made by the run, else read by it.
    Column("made", Boolean, nullable=False),
    _model_id(),
    Column("step", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "made", "model_id", name="pk_run_models"),
    Index("ix_run_models_model", "model_id"),
)
