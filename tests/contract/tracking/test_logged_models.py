"""What LoggedModelStore and its use cases promise, on SQLite and on PostgreSQL."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import event, func, select

from runstone_kit.clock import SystemClock
from runstone_kit.database import Database
from runstone_kit.ids import SystemIds
from runstone_tracking import service_logged
from runstone_tracking.errors import (
    ExperimentDeleted,
    ExperimentNotFound,
    LoggedModelDeleted,
    LoggedModelNotDeleted,
    LoggedModelNotFound,
    LoggedModelTooLarge,
    ParamImmutable,
    RequestIdReused,
    RunDeleted,
    RunNotFound,
    TagNotFound,
)
from runstone_tracking.model import (
    ENTRY_BYTES,
    ModelMetric,
    ModelOutput,
    RunBatch,
    Stage,
)
from runstone_tracking.model_logged import LoggedModel, LoggedModelRequest, LoggedModelStatus
from runstone_tracking.service_logged import LoggedModelService
from runstone_tracking.service_names import RandomNames
from runstone_tracking.service_repeats import Repeats
from runstone_tracking.service_runs import RunService
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.sqlstore_logged_metrics import sortable_bits
from runstone_tracking.tables_logged import (
    logged_model_metrics,
    logged_model_params,
    logged_model_points,
    logged_model_tags,
    run_models,
)
from support.tracking import add_experiment, add_run, run_id

NOBODY = "m-" + "f" * 32


@pytest.fixture
def models(transactions: SqlTransactions) -> LoggedModelService:
    clock = SystemClock()
    repeats = Repeats(transactions, clock)
    return LoggedModelService(transactions, clock, SystemIds(), RandomNames(), repeats)


@pytest.fixture
def model(models: LoggedModelService) -> str:
    """A model's id."""
    return create(models)


def create(models: LoggedModelService, experiment: str = "0", **more: object) -> str:
    return models.create(LoggedModelRequest(experiment, **more)).info.model_id  # type: ignore[arg-type]


def point(model: str, value: float, timestamp: int = 1, **more: object) -> ModelMetric:
    return ModelMetric(model, "auc", value, 0, timestamp, **more)  # type: ignore[arg-type]


def log(runs: RunService, run: str, *points: ModelMetric) -> None:
    runs.log_batch(RunBatch(run, model_metrics=points), None)


def rows(database: Database, table: object, model: str) -> int:
    count = select(func.count()).where(table.c.model_id == model)  # type: ignore[attr-defined]
    with database.read() as connection:
        return int(connection.execute(count).scalar_one())


def test_created_is_read_back(models: LoggedModelService) -> None:
    request = LoggedModelRequest(
        "0", "näme", "tree", "a" * 32, {"depth": "3"}, {"team": "x" * 8000}
    )
    made = models.create(request)
    assert made.info.model_id.startswith("m-")
    assert len(made.info.model_id) == 34
    assert made.info.status is LoggedModelStatus.PENDING
    assert (made.params, made.tags, made.metrics) == (request.params, request.tags, ())
    assert models.get(made.info.model_id) == made


def test_a_name_is_made_up_and_what_is_empty_stays_so(models: LoggedModelService) -> None:
    found = models.get(create(models))
    assert found.info.name
    assert (found.info.model_type, found.info.source_run_id) == ("", "")


@pytest.mark.parametrize("experiment", ["77", "x", "007"])
def test_create_in_no_experiment(models: LoggedModelService, experiment: str) -> None:
    with pytest.raises(ExperimentNotFound) as caught:
        create(models, experiment)
    assert caught.value.metadata == {"experiment_id": experiment}


def test_create_in_a_deleted_experiment(
    transactions: SqlTransactions, models: LoggedModelService
) -> None:
    number = transactions.write(add_experiment).experiment_id
    transactions.write(lambda s: s.experiments.delete(number, 1))
    with pytest.raises(ExperimentDeleted):
        create(models, number)


def test_a_repeated_create_makes_nothing_new(models: LoggedModelService) -> None:
    request = LoggedModelRequest("0", "one", params={"a": "1"}, request_id="once")
    made = models.create(request)
    models.finalize(made.info.model_id, LoggedModelStatus.READY)
    again = models.create(request)
    assert again == models.get(made.info.model_id)
    assert again.info.status is LoggedModelStatus.READY
    with pytest.raises(RequestIdReused):
        models.create(replace(request, name="two"))
    models.delete(made.info.model_id)
    models.purge([made.info.model_id], None, dry_run=False)
    assert models.create(request).info.model_id != made.info.model_id


def test_finalize(models: LoggedModelService, model: str) -> None:
    before = models.get(model).info
    for status in (LoggedModelStatus.READY, LoggedModelStatus.UPLOAD_FAILED):
        found = models.finalize(model, status)
        assert found.info.status is status
        assert found.info.update_time >= before.update_time
        assert models.get(model) == found


def test_a_deleted_model_is_read_and_not_written(
    models: LoggedModelService, runs: RunService, run: str, model: str
) -> None:
    models.set_tags(model, {"a": "1"})
    models.delete(model)
    deleted = models.get(model)
    models.delete(model)
    assert models.get(model) == deleted
    assert deleted.info.stage is Stage.DELETED
    assert deleted.info.delete_time == deleted.info.update_time
    for write in (
        lambda: models.finalize(model, LoggedModelStatus.READY),
        lambda: models.set_tags(model, {"a": "2"}),
        lambda: models.delete_tags(model, ["a"]),
        lambda: models.add_params(model, {"a": "2"}),
        lambda: log(runs, run, point(model, 1.0)),
    ):
        with pytest.raises(LoggedModelDeleted) as caught:
            write()
        assert caught.value.metadata == {"model_id": model}
    assert models.get(model) == deleted


def test_what_is_not_there_is_told(models: LoggedModelService, runs: RunService, run: str) -> None:
    for call in (
        lambda: models.get(NOBODY),
        lambda: models.finalize(NOBODY, LoggedModelStatus.READY),
        lambda: models.delete(NOBODY),
        lambda: models.set_tags(NOBODY, {"a": "2"}),
        lambda: models.delete_tags(NOBODY, ["a"]),
        lambda: models.add_params(NOBODY, {"a": "2"}),
        lambda: models.purge([NOBODY], None, dry_run=False),
        lambda: log(runs, run, point(NOBODY, 1.0)),
        lambda: runs.log_inputs(run, [], [NOBODY]),
        lambda: runs.log_outputs(run, [ModelOutput(NOBODY)]),
    ):
        with pytest.raises(LoggedModelNotFound) as caught:
            call()
        assert caught.value.metadata == {"model_id": NOBODY}


def test_params_are_immutable_and_tags_are_not(models: LoggedModelService, model: str) -> None:
    models.add_params(model, {"a": "1", "b": "2"})
    models.add_params(model, {"b": "2", "c": "3"})
    with pytest.raises(ParamImmutable) as caught:
        models.add_params(model, {"a": "1", "c": "4", "d": "5"})
    assert caught.value.metadata == {"model_id": model, "key": "c", "value": "3"}
    models.set_tags(model, {"t": "1", "u": "1"})
    models.set_tags(model, {"t": "2"})
    with pytest.raises(TagNotFound):
        models.delete_tags(model, ["u", "nope"])
    models.delete_tags(model, ["u"])
    found = models.get(model)
    assert found.params == {"a": "1", "b": "2", "c": "3"}
    assert found.tags == {"t": "2"}


def test_a_model_grows_no_larger_than_can_be_read(
    models: LoggedModelService, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = ENTRY_BYTES + len("k1") + 4
    monkeypatch.setattr(service_logged, "MAX_TEXT_BYTES", 3 * entry)
    models.set_tags(model, {"k1": "éé", "k2": "éé"})
    # Set again, it is not held twice.
    models.set_tags(model, {"k1": "üü", "k2": "éé"})
    models.add_params(model, {"k3": "éé"})
    models.add_params(model, {"k3": "éé"})
    for write in (
        lambda: models.add_params(model, {"k4": ""}),
        lambda: models.set_tags(model, {"k1": "éé "}),
        lambda: create(models, params={f"k{n}": "éé" for n in range(4)}),
    ):
        with pytest.raises(LoggedModelTooLarge) as caught:
            write()
        assert caught.value.metadata["limit"] == str(3 * entry)
    found = models.get(model)
    assert (found.params, found.tags) == ({"k3": "éé"}, {"k1": "üü", "k2": "éé"})


def test_the_latest_point_of_each_data_set_is_a_metric(
    transactions: SqlTransactions, models: LoggedModelService, runs: RunService, model: str
) -> None:
    first, second = sorted(transactions.write(lambda s: (add_run(s), add_run(s))))
    test = {"dataset_name": "test", "dataset_digest": "d1"}
    log(runs, first, point(model, 0.5, 5), point(model, 0.9, 3), point(model, 0.1, 5, **test))
    log(runs, second, point(model, 0.7, 5), replace(point(model, 0.2, 4, **test), step=9))
    log(runs, second, replace(point(model, math.inf, 1), key="loss"))

    def seen(metric: ModelMetric) -> tuple[object, ...]:
        return metric.key, metric.dataset_name, metric.value, metric.timestamp_ms, metric.run_id

    assert [seen(each) for each in models.get(model).metrics] == [
        # Of the same time and step: of the run with the least id, as MLflow.
        ("auc", "", 0.5, 5, first),
        ("auc", "test", 0.1, 5, first),
        ("loss", "", math.inf, 1, second),
    ]


def test_points_may_come_in_any_order_and_again(
    database: Database, models: LoggedModelService, runs: RunService, run: str, model: str
) -> None:
    points = [
        *(replace(point(model, value, time), step=step) for value, time, step in PLACES),
        point(model, math.nan, 9),
    ]
    log(runs, run, *points)
    log(runs, run, *reversed(points), *points)
    (found,) = models.get(model).metrics
    assert (found.timestamp_ms, math.isnan(found.value)) == (9, True)
    assert rows(database, logged_model_points, model) == len(PLACES) + 1
    assert rows(database, logged_model_metrics, model) == 1


PLACES = [(0.5, 3, 1), (0.5, 3, 2), (0.7, 3, 1), (-0.0, 3, 1), (0.0, 3, 1), (math.inf, 1, 9)]


def test_of_one_time_and_step_the_greatest_value_is_the_latest(
    models: LoggedModelService, runs: RunService, run: str, model: str
) -> None:
    for value in (0.5, -1.0, 0.25):
        log(runs, run, point(model, value))
    (found,) = models.get(model).metrics
    assert found.value == 0.5


def test_bits_sort_as_their_values() -> None:
    values = [-math.inf, -1e300, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, 1e300, math.inf, math.nan]
    bits = [sortable_bits(value) for value in values]
    assert bits == sorted(set(bits))
    assert sortable_bits(-math.nan) == bits[-1]


def test_long_names_of_many_bytes_are_kept(
    models: LoggedModelService, runs: RunService, run: str, model: str
) -> None:
    long = replace(
        point(model, 1.0, dataset_name="😀" * 500, dataset_digest="😀" * 36), key="𠀀" * 250
    )
    log(runs, run, long)
    assert models.get(model).metrics == (replace(long, run_id=run),)


def test_a_batch_with_a_model_that_is_not_there_does_nothing(
    transactions: SqlTransactions,
    models: LoggedModelService,
    runs: RunService,
    run: str,
    model: str,
) -> None:
    batch = RunBatch(run, {"p": "1"}, model_metrics=(point(model, 1.0), point(NOBODY, 1.0)))
    with pytest.raises(LoggedModelNotFound):
        runs.log_batch(batch, None)
    assert models.get(model).metrics == ()
    assert transactions.read(lambda s: s.runs.get(run)).params == {}


def test_metrics_need_an_active_run(
    transactions: SqlTransactions, runs: RunService, run: str, model: str
) -> None:
    with pytest.raises(RunNotFound):
        log(runs, run_id(), point(model, 1.0))
    transactions.write(lambda s: s.runs.delete(run, 1))
    with pytest.raises(RunDeleted):
        log(runs, run, point(model, 1.0))


def test_a_model_has_no_more_metrics_than_can_be_read(
    models: LoggedModelService,
    runs: RunService,
    run: str,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_logged, "MAX_METRICS", 3)
    log(runs, run, *(point(model, 1.0, dataset_name=name) for name in "abc"))
    with pytest.raises(LoggedModelTooLarge) as caught:
        log(runs, run, point(model, 1.0, dataset_name="d"))
    assert caught.value.metadata == {"model_id": model, "size": "4", "limit": "3"}
    log(runs, run, point(model, 2.0, 2, dataset_name="a"))
    assert [each.value for each in models.get(model).metrics] == [2.0, 1.0, 1.0]


def test_runs_name_the_models_that_they_read_and_made(
    transactions: SqlTransactions, models: LoggedModelService, runs: RunService, run: str
) -> None:
    first, second = sorted([create(models), create(models)])
    models.delete(second)
    runs.log_inputs(run, [], [second, first, first])
    runs.log_outputs(run, [ModelOutput(second, 7), ModelOutput(first, 9)])
    runs.log_outputs(run, [ModelOutput(first, 3)])
    found = runs.get(run)
    assert found.info.has_models
    assert found.model_inputs == (first, second)
    assert found.model_outputs == (ModelOutput(first, 3), ModelOutput(second, 7))
    loaded = transactions.read(lambda s: s.runs.load([found.info], large=False))
    assert loaded == [found]


def test_outputs_need_an_active_run(
    transactions: SqlTransactions, runs: RunService, run: str, model: str
) -> None:
    with pytest.raises(RunNotFound):
        runs.log_outputs(run_id(), [ModelOutput(model)])
    transactions.write(lambda s: s.runs.delete(run, 1))
    with pytest.raises(RunDeleted):
        runs.log_outputs(run, [ModelOutput(model)])


def test_models_of_runs_count_for_their_size(
    transactions: SqlTransactions, runs: RunService, run: str, model: str
) -> None:
    def size() -> int:
        return transactions.write(lambda s: s.runs.recount(run))

    before = size()
    runs.log_outputs(run, [ModelOutput(model)])
    assert size() == before + len(model) + 16


def test_runs_without_models_cost_no_query_for_them(
    transactions: SqlTransactions, database: Database, runs: RunService, run: str, model: str
) -> None:
    asked: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    with database.read() as connection:
        engine = connection.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        runs.get(run)
        assert not any("run_models" in each for each in asked)
        runs.log_outputs(run, [ModelOutput(model)])
        asked.clear()
        runs.get(run)
        assert sum("run_models" in each for each in asked) == 1
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_a_model_outlives_its_run_which_takes_its_metrics_along(
    transactions: SqlTransactions, database: Database, models: LoggedModelService, runs: RunService
) -> None:
    gone, kept = transactions.write(lambda s: (add_run(s), add_run(s)))
    model = create(models, source_run_id=gone)
    runs.log_outputs(gone, [ModelOutput(model)])
    log(runs, gone, point(model, 0.9, 9))
    log(runs, kept, point(model, 0.8, 8))
    transactions.write(lambda s: s.runs.delete(gone, 1))
    runs.purge([gone], None, dry_run=False)
    found = models.get(model)
    assert found.info.source_run_id == gone
    assert [(each.value, each.run_id) for each in found.metrics] == [(0.8, kept)]
    assert rows(database, logged_model_points, model) == 1
    assert rows(database, run_models, model) == 0


def test_an_experiment_takes_its_models_along_and_brings_them_back(
    transactions: SqlTransactions, models: LoggedModelService
) -> None:
    number = transactions.write(add_experiment).experiment_id
    active, deleted = create(models, number), create(models, number)
    models.delete(deleted)
    before = models.get(deleted)
    transactions.write(lambda s: s.experiments.delete(number, 10**13))
    assert models.get(active).info.stage is Stage.DELETED
    assert models.get(active).info.delete_time == 10**13
    assert models.get(deleted) == before
    transactions.write(lambda s: s.experiments.restore(number, 10**13 + 1))
    assert models.get(active).info.stage is Stage.ACTIVE
    assert models.get(active).info.delete_time is None
    assert models.get(deleted) == before


def test_an_experiment_is_purged_behind_its_models(
    transactions: SqlTransactions, models: LoggedModelService
) -> None:
    number = transactions.write(add_experiment).experiment_id
    model = create(models, number)
    transactions.write(lambda s: s.experiments.delete(number, 1))

    def purge(*, dry_run: bool) -> tuple[str, ...]:
        return transactions.write(lambda s: s.experiments.purge(None, 10, dry_run=dry_run)).ids

    assert purge(dry_run=True) == purge(dry_run=False) == ()
    assert models.purge([], None, dry_run=False).ids == (model,)
    assert purge(dry_run=True) == purge(dry_run=False) == (number,)


def test_purge_removes_all_that_a_model_holds(
    database: Database, models: LoggedModelService, runs: RunService, run: str, model: str
) -> None:
    models.set_tags(model, {"a": "1"})
    models.add_params(model, {"a": "1"})
    log(runs, run, point(model, 1.0))
    runs.log_inputs(run, [], [model])
    runs.log_outputs(run, [ModelOutput(model)])
    models.delete(model)
    assert models.purge([model], None, dry_run=True).ids == (model,)
    assert models.get(model).tags
    assert models.purge([model], None, dry_run=False).ids == (model,)
    with pytest.raises(LoggedModelNotFound):
        models.get(model)
    for table in (
        *(logged_model_params, logged_model_tags, run_models),
        *(logged_model_points, logged_model_metrics),
    ):
        assert rows(database, table, model) == 0
    found = runs.get(run)
    assert (found.model_inputs, found.model_outputs) == ((), ())


def test_purge_takes_the_oldest_first_and_says_that_there_are_more(
    transactions: SqlTransactions, models: LoggedModelService
) -> None:
    ids = [create(models) for _ in range(4)]
    for place, each in enumerate(ids[:3]):
        transactions.write(lambda s, each=each, at=10 - place: s.logged.delete(each, at))
    first = transactions.write(lambda s: s.logged.purge(None, 10, 1, dry_run=False))
    assert (first.ids, first.more) == ((ids[2],), True)
    second = transactions.write(lambda s: s.logged.purge(None, 10, 1, dry_run=False))
    assert (second.ids, second.more) == ((ids[1],), False)
    assert transactions.write(lambda s: s.logged.purge([ids[0]], 10, 1, dry_run=False)).ids == ()
    with pytest.raises(LoggedModelNotDeleted):
        models.purge([ids[0], ids[3]], None, dry_run=False)
    assert models.get(ids[0]).info.stage is Stage.DELETED


def test_writers_of_one_model_at_once_lose_nothing(
    transactions: SqlTransactions, models: LoggedModelService, runs: RunService, model: str
) -> None:
    writers = transactions.write(lambda s: [add_run(s) for _ in range(4)])

    def work(place: int) -> None:
        for step in range(5):
            log(runs, writers[place], point(model, float(step), step))
            models.set_tags(model, {f"{place} {step}": "1"})
            runs.log_outputs(writers[place], [ModelOutput(model, step)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    found: LoggedModel = models.get(model)
    assert len(found.tags) == 20
    assert [each.value for each in found.metrics] == [4.0]
    assert [runs.get(each).model_outputs for each in writers] == [(ModelOutput(model, 4),)] * 4
