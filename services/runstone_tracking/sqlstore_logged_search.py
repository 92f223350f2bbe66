"""Finding logged models: filter, order and keyset, in one query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, FromClause, exists

from runstone_kit.filterlang import And, Comparison, Expression, Not, Or
from runstone_kit.sqlfilter import Condition
from runstone_tracking.model_logged import MetricDataset
from runstone_tracking.sqlstore_filter import Subject
from runstone_tracking.sqlstore_logged_metrics import latest_by_model, measured_on
from runstone_tracking.sqlstore_search import (
    Found,
    SortKey,
    Source,
    attribute_key,
    find,
    joined_key,
)
from runstone_tracking.sqlstore_statements import among, experiment_number
from runstone_tracking.store_logged import DatasetOrder
from runstone_tracking.store_query import Query
from runstone_tracking.tables_logged import (
    logged_model_params,
    logged_model_points,
    logged_model_tags,
    logged_models,
)

MODELS = Subject(
    id=logged_models.c.model_id,
    owner="model_id",
    attributes={
        "model_id": logged_models.c.model_id,
        "name": logged_models.c.name,
        "experiment_id": logged_models.c.experiment_id,
        "model_type": logged_models.c.model_type,
        "source_run_id": logged_models.c.source_run_id,
        "status": logged_models.c.status,
        "creation_timestamp": logged_models.c.create_time,
        "last_updated_timestamp": logged_models.c.update_time,
    },
    key_values={"param": logged_model_params, "tag": logged_model_tags},
    nullable=frozenset({"model_type", "source_run_id"}),
    metrics=logged_model_points,
)


def find_models(connection: Connection, query: Query, datasets: Sequence[MetricDataset]) -> Found:
    """The rows of logged models and their keys."""
    numbers = [
        number for each in query.experiment_ids if (number := experiment_number(each)) is not None
    ]
    if not numbers:
        return []
    conditions: list[Condition] = [among(connection, logged_models.c.experiment_id, numbers)]
    subject = MODELS
    if datasets:
        measured = measured_on(logged_model_points, datasets)
        subject = replace(MODELS, measured=(measured,))
        if not _asks_for_metrics(query.filter):
            any_point = logged_model_points.c.model_id == logged_models.c.model_id
            conditions.append(exists().where(any_point, measured))
    columns = tuple(logged_models.c)
    source = _source(query)
    return find(connection, query, subject, logged_models, columns, conditions, source=source)


def _source(query: Query) -> Source:
    table: FromClause = logged_models
    keys: list[SortKey] = []
    joined: dict[tuple[str, str], FromClause] = {}
    joins = 0
    for place, each in enumerate(query.order):
        if each.entity == "attribute":
            keys.append(attribute_key(MODELS, each, MODELS.attributes[each.key]))
            continue
        if each.entity == "metric":
            dataset = each.dataset if isinstance(each, DatasetOrder) else None
            found = latest_by_model(each.key, dataset).alias(f"sorted_{place}")
        else:
            found = MODELS.key_values[each.entity].alias(f"sorted_{place}")
            joined[each.entity, each.key] = found
        belongs = found.c.model_id == logged_models.c.model_id
        if each.entity != "metric":
            belongs &= found.c.key == each.key
        table = table.outerjoin(found, belongs)
        keys.append(joined_key(each, found))
        joins += 1
    return Source(table, keys, joined, joins)


def _asks_for_metrics(tree: Expression | None) -> bool:
    match tree:
        case And(terms) | Or(terms):
            return any(map(_asks_for_metrics, terms))
        case Not(term):
            return _asks_for_metrics(term)
        case Comparison(entity="metric"):
            return True
    return False
