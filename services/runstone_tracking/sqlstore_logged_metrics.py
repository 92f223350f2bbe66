"""Metrics of logged models in SQL: every point, and the latest of each run's."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, FromClause, and_, func, or_, select, tuple_

from runstone_kit.sqlfilter import Condition
from runstone_tracking.errors import LoggedModelDeleted
from runstone_tracking.model import ModelMetric, Stage
from runstone_tracking.model_logged import MetricDataset
from runstone_tracking.sqlstore_logged_runs import lock_models
from runstone_tracking.sqlstore_statements import Belonging, among, insert_into
from runstone_tracking.tables_logged import logged_model_metrics as latest
from runstone_tracking.tables_logged import logged_model_points as points

_LATEST = Belonging(
    latest.c.model_id,
    select(
        *(latest.c[name] for name in ("model_id", "key", "value", "step", "timestamp_ms")),
        *(latest.c[name] for name in ("dataset_name", "dataset_digest", "run_id")),
    ),
)

_PLACE = ("timestamp_ms", "step", "bits")


def add_points(
    connection: Connection, run_id: str, metrics: Sequence[ModelMetric]
) -> dict[str, int]:
    """Insert points that are new, and raise the latest to the greatest of them."""
    for model_id, stage in lock_models(connection, [each.model_id for each in metrics]).items():
        if stage != Stage.ACTIVE:
            raise LoggedModelDeleted(model_id)
    rows = [_row(run_id, each) for each in metrics]
    rows.sort(key=lambda row: (row["model_id"], row["series"], *(row[name] for name in _PLACE)))
    connection.execute(insert_into(connection, points).on_conflict_do_nothing(), rows)
    # Of one series the last in this order is the greatest.
    greatest = {(row["model_id"], row["series"]): row for row in rows}
    insert = insert_into(connection, latest)
    new = insert.excluded
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["model_id", "series", "run_id"],
            set_={name: new[name] for name in (*_PLACE, "value")},
            where=tuple_(*(new[name] for name in _PLACE))
            > tuple_(*(latest.c[name] for name in _PLACE)),
        ),
        list(greatest.values()),
    )
    models = sorted({each.model_id for each in metrics})
    counted = connection.execute(
        select(latest.c.model_id, func.count())
        .where(among(connection, latest.c.model_id, models))
        .group_by(latest.c.model_id)
    )
    return {str(model_id): int(count) for model_id, count in counted}


def load_metrics(
    connection: Connection, model_ids: Sequence[str]
) -> Mapping[str, tuple[ModelMetric, ...]]:
    """The latest metrics of each model that has some, by (key, data set)."""
    found: dict[str, dict[tuple[str, str, str], ModelMetric]] = {}
    for model_id, key, value, step, timestamp, name, digest, run_id in _LATEST.read(
        connection, model_ids
    ):
        number = math.nan if value is None else value
        metric = ModelMetric(model_id, key, number, step, timestamp, name, digest, run_id)
        series = found.setdefault(model_id, {})
        before = series.get((key, name, digest))
        if before is None or _is_later(metric, before):
            series[key, name, digest] = metric
    return {
        model_id: tuple(series[each] for each in sorted(series))
        for model_id, series in found.items()
    }


def latest_by_model(key: str, dataset: MetricDataset | None) -> FromClause:
    """The latest point of a metric for each model: what an order joins."""
    order = (
        latest.c.timestamp_ms.desc(),
        latest.c.step.desc(),
        *(latest.c.run_id, latest.c.dataset_name, latest.c.dataset_digest),
    )
    conditions = [latest.c.key == key]
    if dataset is not None:
        conditions.append(measured_on(latest, [dataset]))
    place = func.row_number().over(partition_by=latest.c.model_id, order_by=order).label("place")
    ranked = (
        select(latest.c.model_id, latest.c.key, latest.c.value, place).where(*conditions).subquery()
    )
    return select(ranked).where(ranked.c.place == 1).subquery()


def measured_on(table: FromClause, datasets: Sequence[MetricDataset]) -> Condition:
    """Whether a row of ``table`` was measured on one of these data sets."""
    return or_(
        *(
            and_(
                table.c.dataset_name == each.name,
                *([table.c.dataset_digest == each.digest] if each.digest else []),
            )
            for each in datasets
        )
    )


def _is_later(metric: ModelMetric, other: ModelMetric) -> bool:
    place, before = (metric.timestamp_ms, metric.step), (other.timestamp_ms, other.step)
    return place > before or (place == before and metric.run_id < other.run_id)


def _row(run_id: str, metric: ModelMetric) -> dict[str, Any]:
    series = (metric.key, metric.dataset_name, metric.dataset_digest)
    text = "\0".join(series).encode()
    return {
        "model_id": metric.model_id,
        "series": hashlib.blake2b(text, digest_size=16).hexdigest(),
        "key": metric.key,
        "dataset_name": metric.dataset_name,
        "dataset_digest": metric.dataset_digest,
        "run_id": run_id,
        "timestamp_ms": metric.timestamp_ms,
        "step": metric.step,
        "bits": sortable_bits(metric.value),
        "value": None if math.isnan(metric.value) else metric.value,
    }


def sortable_bits(value: float) -> int:
    """A double's bits as an integer that sorts as it does; every NaN is one, above all numbers."""
    bits: int = struct.unpack("<q", struct.pack("<d", math.nan if math.isnan(value) else value))[0]
    return bits if bits >= 0 else bits ^ (2**63 - 1)
