"""What RunStore and RequestStore promise, on SQLite and on PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from runstone_kit.clock import SystemClock
from runstone_kit.database import Database
from runstone_kit.ids import SystemIds
from runstone_tracking import tables
from runstone_tracking.errors import (
    ExperimentDeleted,
    ExperimentNotFound,
    ParamImmutable,
    RequestIdReused,
    RunDeleted,
    RunNotDeleted,
    RunNotFound,
    RunTooLarge,
    TagNotFound,
)
from runstone_tracking.model import (
    ENTRY_BYTES,
    RUN_NAME_TAG,
    CreateRequest,
    Dataset,
    DatasetInput,
    NewRun,
    Run,
    RunBatch,
    RunChanges,
    RunInfo,
    RunStatus,
    Stage,
    entries_bytes,
)
from runstone_tracking.service_names import RandomNames
from runstone_tracking.service_repeats import Repeats
from runstone_tracking.service_runs import MAX_RUN_BYTES, RunService
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.store import Session
from runstone_tracking.tables_metrics import metric_segments, metric_summaries
from support.tracking import add_experiment, add_run, run_id

DATASET = Dataset("iris", "abc", "local", "{}", '{"columns": []}', '{"rows": 150}')


def run_service(transactions: SqlTransactions) -> RunService:
    clock = SystemClock()
    repeats = Repeats(transactions, clock)
    return RunService(transactions, clock, SystemIds(), RandomNames(), repeats)


def get(transactions: SqlTransactions, run: str) -> Run:
    return transactions.read(lambda s: s.runs.get(run))


def test_created_is_read_back(transactions: SqlTransactions) -> None:
    new = NewRun(run_id(), "0", "Läufer", "ann", 17, {"a": "1", "mlflow.parentRunId": "x" * 8000})
    info = transactions.write(lambda s: s.runs.create(new))
    assert info == RunInfo(
        new.run_id, "0", "Läufer", RunStatus.RUNNING, Stage.ACTIVE, "ann", 17, None, None
    )
    assert get(transactions, new.run_id) == Run(info, tags={**new.tags, RUN_NAME_TAG: "Läufer"})


@pytest.mark.parametrize("experiment", ["77", "x", "007"])
def test_create_in_no_experiment(transactions: SqlTransactions, experiment: str) -> None:
    with pytest.raises(ExperimentNotFound) as caught:
        transactions.write(lambda s: add_run(s, experiment))
    assert caught.value.metadata == {"experiment_id": experiment}


def test_create_in_a_deleted_experiment(transactions: SqlTransactions) -> None:
    number = transactions.write(add_experiment).experiment_id
    transactions.write(lambda s: s.experiments.delete(number, 1))
    with pytest.raises(ExperimentDeleted):
        transactions.write(lambda s: add_run(s, number))


def test_an_unknown_run_is_not_found(transactions: SqlTransactions) -> None:
    for work in (
        lambda s: s.runs.get("nope"),
        lambda s: s.runs.require_active("nope"),
        lambda s: s.runs.update("nope", RunChanges(name="x")),
        lambda s: s.runs.delete("nope", 1),
        lambda s: s.runs.restore("nope"),
        lambda s: s.runs.purge(["nope"], None, 10, dry_run=False),
    ):
        with pytest.raises(RunNotFound) as caught:
            transactions.write(work)
        assert caught.value.metadata == {"run_id": "nope"}


@pytest.mark.parametrize(
    ("changes", "end_time"),
    [
        (RunChanges(name="other"), 50),
        (RunChanges(status=RunStatus.FAILED, default_end_time=99), 50),
        (RunChanges(status=RunStatus.RUNNING, clear_end_time=True), None),
        (RunChanges(status=RunStatus.KILLED, clear_end_time=True, default_end_time=99), 99),
        (RunChanges(end_time=60), 60),
        (RunChanges(end_time=0), 0),
    ],
)
def test_update(transactions: SqlTransactions, changes: RunChanges, end_time: int | None) -> None:
    run = transactions.write(add_run)
    transactions.write(lambda s: s.runs.update(run, RunChanges(end_time=50)))
    info = transactions.write(lambda s: s.runs.update(run, changes))
    assert (info.name, info.status, info.end_time) == (
        changes.name or "a run",
        changes.status or RunStatus.RUNNING,
        end_time,
    )
    found = get(transactions, run)
    assert (found.info, found.tags) == (info, {RUN_NAME_TAG: info.name})


def test_the_first_end_sets_the_end_time(transactions: SqlTransactions) -> None:
    run = transactions.write(add_run)
    ended = RunChanges(status=RunStatus.FINISHED, default_end_time=99)
    assert transactions.write(lambda s: s.runs.update(run, ended)).end_time == 99
    later = replace(ended, default_end_time=100)
    assert transactions.write(lambda s: s.runs.update(run, later)).end_time == 99


def test_delete_and_restore(transactions: SqlTransactions) -> None:
    run = transactions.write(add_run)
    for when in (5, 6):
        transactions.write(lambda s, w=when: s.runs.delete(run, w))
    found = get(transactions, run).info
    assert (found.stage, found.delete_time) == (Stage.DELETED, 5)
    with pytest.raises(RunDeleted):
        transactions.write(lambda s: s.runs.require_active(run))
    with pytest.raises(RunDeleted):
        transactions.write(lambda s: s.runs.update(run, RunChanges(name="x")))
    for _ in range(2):
        transactions.write(lambda s: s.runs.restore(run))
    found = get(transactions, run).info
    assert (found.stage, found.delete_time) == (Stage.ACTIVE, None)


def test_restore_needs_an_active_experiment(transactions: SqlTransactions) -> None:
    number = transactions.write(add_experiment).experiment_id
    run = transactions.write(lambda s: add_run(s, number))
    transactions.write(lambda s: s.experiments.delete(number, 1))
    with pytest.raises(ExperimentDeleted) as caught:
        transactions.write(lambda s: s.runs.restore(run))
    assert caught.value.metadata == {"experiment_id": number}


def test_a_run_deleted_again_by_hand_stays_deleted(transactions: SqlTransactions) -> None:
    number = transactions.write(add_experiment).experiment_id
    run = transactions.write(lambda s: add_run(s, number))
    transactions.write(lambda s: s.experiments.delete(number, 1))
    transactions.write(lambda s: s.experiments.restore(number, 2))
    transactions.write(lambda s: s.runs.delete(run, 3))
    transactions.write(lambda s: s.experiments.delete(number, 4))
    transactions.write(lambda s: s.experiments.restore(number, 5))
    assert get(transactions, run).info.delete_time == 3


def test_params_are_immutable(transactions: SqlTransactions) -> None:
    run = transactions.write(add_run)
    long = "é" * 6000
    transactions.write(lambda s: s.runs.add_params(run, {"a": "1", "b": "", "c": long}))
    transactions.write(lambda s: s.runs.add_params(run, {"a": "1", "c": long, "d": "4"}))
    before = get(transactions, run).params
    assert before == {"a": "1", "b": "", "c": long, "d": "4"}
    with pytest.raises(ParamImmutable) as caught:
        transactions.write(lambda s: s.runs.add_params(run, {"e": "5", "b": "2", "a": "9"}))
    assert caught.value.metadata == {"run_id": run, "key": "a", "value": "1"}
    with pytest.raises(ParamImmutable) as caught:
        transactions.write(lambda s: s.runs.add_params(run, {"c": long[:-1]}))
    assert len(caught.value.message) < 800
    assert get(transactions, run).params == before


def test_many_entries(transactions: SqlTransactions) -> None:
    run = transactions.write(add_run)
    items = {f"key {number}": str(number) for number in range(10_000)}

    def work(session: Session) -> None:
        session.runs.add_params(run, items)
        session.runs.set_tags(run, items)

    transactions.write(work)
    found = get(transactions, run)
    assert found.params == items
    assert len(found.tags) == 10_001


@pytest.mark.parametrize(
    "odd", ["", "NULL", '"', "\\", '\\"', '","', "{}", "{a,b}", " a ", "\n", "ü\U0001f600", "%s:x"]
)
def test_odd_texts_stay_as_they_are(transactions: SqlTransactions, odd: str) -> None:
    """PostgreSQL takes them in an array, where some of them mean something."""
    items = {"a": odd, "b": "plain", f"{odd}c": odd}
    run = transactions.write(lambda s: add_run(s, tags={"z": odd}))
    transactions.write(lambda s: s.runs.add_params(run, items))
    transactions.write(lambda s: s.runs.set_tags(run, items))
    assert get(transactions, run).params == items
    transactions.write(lambda s: s.runs.delete_tags(run, [f"{odd}c", "b"]))
    assert get(transactions, run).tags == {"a": odd, "z": odd, RUN_NAME_TAG: "a run"}


def test_of_many_writers_of_one_param_one_wins(transactions: SqlTransactions) -> None:
    run = transactions.write(add_run)
    barrier = threading.Barrier(4)

    def write(value: int) -> str:
        barrier.wait()
        try:
            # Other keys in another order, which would deadlock if written as given.
            items = {"x": str(value), **{f"k{(value + n) % 4}": "same" for n in range(4)}}
            transactions.write(lambda s: s.runs.add_params(run, items))
        except ParamImmutable as error:
            return error.metadata["value"]
        return str(value)

    with ThreadPoolExecutor(4) as pool:
        said = set(pool.map(write, range(4)))
    assert said == {get(transactions, run).params["x"]}


def test_tags(transactions: SqlTransactions) -> None:
    run = transactions.write(lambda s: add_run(s, tags={"a": "1", "b": "2"}))
    transactions.write(lambda s: s.runs.set_tags(run, {"b": "", "c": "☃" * 8000}))
    before = get(transactions, run).tags
    assert before == {"a": "1", "b": "", "c": "☃" * 8000, RUN_NAME_TAG: "a run"}
    with pytest.raises(TagNotFound) as caught:
        transactions.write(lambda s: s.runs.delete_tags(run, ["a", "nope"]))
    assert caught.value.metadata == {"key": "nope"}
    assert get(transactions, run).tags == before
    transactions.write(lambda s: s.runs.delete_tags(run, ["a", "c"]))
    assert get(transactions, run).tags == {"b": "", RUN_NAME_TAG: "a run"}


def test_the_name_and_its_tag_are_one(transactions: SqlTransactions) -> None:
    run = transactions.write(add_run)
    transactions.write(lambda s: s.runs.set_tags(run, {RUN_NAME_TAG: "tagged", "x": "y"}))
    found = get(transactions, run)
    assert (found.info.name, found.tags) == ("tagged", {RUN_NAME_TAG: "tagged", "x": "y"})
    transactions.write(lambda s: s.runs.update(run, RunChanges(name="named")))
    assert get(transactions, run).tags[RUN_NAME_TAG] == "named"


def test_inputs(transactions: SqlTransactions) -> None:
    run, other = transactions.write(lambda s: (add_run(s), add_run(s)))
    first = DatasetInput(DATASET, {"mlflow.data.context": "training", "k": "v"})
    second = DatasetInput(replace(DATASET, digest="def"), {})
    transactions.write(lambda s: s.runs.add_inputs(run, [first, second]))
    assert get(transactions, run).inputs == (first, second)
    # The data set is known: what is said of it later changes nothing, its tags are set again.
    again = DatasetInput(replace(DATASET, source="elsewhere"), {"k": "w"})
    transactions.write(lambda s: s.runs.add_inputs(run, [again, again]))
    merged = DatasetInput(DATASET, {"mlflow.data.context": "training", "k": "w"})
    assert get(transactions, run).inputs == (merged, second)
    transactions.write(lambda s: s.runs.add_inputs(other, [second]))
    assert get(transactions, other).inputs == (second,)

    def load(session: Session) -> list[Run]:
        infos = [session.runs.get(each).info for each in (other, run)]
        return session.runs.load(infos, large=False)

    small = transactions.read(load)
    assert [each.info.run_id for each in small] == [other, run]
    assert small[0].inputs[0].dataset == replace(second.dataset, schema="", profile="")


def test_the_same_data_set_in_two_experiments(transactions: SqlTransactions) -> None:
    number = transactions.write(add_experiment).experiment_id
    here, there = transactions.write(lambda s: (add_run(s), add_run(s, number)))
    other = replace(DATASET, source="another")
    transactions.write(lambda s: s.runs.add_inputs(here, [DatasetInput(DATASET)]))
    transactions.write(lambda s: s.runs.add_inputs(there, [DatasetInput(other)]))
    assert get(transactions, there).inputs == (DatasetInput(other),)


def test_purge_of_named_runs(transactions: SqlTransactions) -> None:
    active, early, late = transactions.write(lambda s: [add_run(s) for _ in range(3)])
    transactions.write(lambda s: s.runs.delete(early, 10))
    transactions.write(lambda s: s.runs.delete(late, 20))

    def purge(runs: list[str], before: int | None = None, dry_run: bool = False) -> tuple:
        done = transactions.write(lambda s: s.runs.purge(runs, before, 1000, dry_run=dry_run))
        return done.ids, done.more

    with pytest.raises(RunNotDeleted) as caught:
        purge([early, active])
    assert caught.value.metadata == {"run_id": active}
    with pytest.raises(RunNotFound):
        purge([early, "nope"])
    assert purge([early, late], before=20, dry_run=True) == ((early,), False)
    assert get(transactions, early).info.delete_time == 10
    assert purge([early, late], before=20) == ((early,), False)
    with pytest.raises(RunNotFound):
        get(transactions, early)
    assert purge([late]) == ((late,), False)
    assert get(transactions, active).info.stage is Stage.ACTIVE


def test_purge_of_all_deleted_runs(transactions: SqlTransactions) -> None:
    runs = transactions.write(lambda s: [add_run(s) for _ in range(5)])
    for place, run in enumerate(runs[:4]):
        transactions.write(lambda s, r=run, w=place: s.runs.delete(r, w))

    def purge(before: int | None) -> tuple[tuple[str, ...], bool]:
        done = transactions.write(lambda s: s.runs.purge(None, before, 2, dry_run=False))
        return done.ids, done.more

    assert purge(3) == ((runs[0], runs[1]), True)
    assert purge(3) == ((runs[2],), False)
    assert purge(None) == ((runs[3],), False)
    assert purge(None) == ((), False)


def test_a_purge_leaves_nothing_behind(transactions: SqlTransactions, database: Database) -> None:
    run, other = transactions.write(
        lambda s: (add_run(s, tags={"a": "1"}, params={"b": "2"}), add_run(s))
    )
    shared, own = DatasetInput(DATASET), DatasetInput(replace(DATASET, name="own"), {"k": "v"})
    transactions.write(lambda s: s.runs.add_inputs(run, [shared, own]))
    transactions.write(lambda s: s.runs.add_inputs(other, [shared]))
    transactions.write(lambda s: s.runs.delete(run, 1))
    done = transactions.write(lambda s: s.runs.purge(None, None, 10, dry_run=False))
    transactions.write(lambda s: s.runs.drop_unused_datasets(done.datasets))
    assert get(transactions, other).inputs == (shared,)
    with database.read() as connection:
        counts = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (
                *(tables.runs, tables.params, tables.tags, tables.datasets, tables.run_inputs),
                *(tables.input_tags, metric_segments, metric_summaries),
            )
        }
    assert counts == {
        "runs": 1,
        "params": 0,
        "tags": 0,
        "datasets": 1,
        "run_inputs": 1,
        "input_tags": 0,
        "metric_segments": 0,
        "metric_summaries": 0,
    }


def test_a_data_set_noted_while_its_last_run_is_purged_stays(
    transactions: SqlTransactions,
) -> None:
    for _ in range(5):
        doomed, run = transactions.write(lambda s: (add_run(s), add_run(s)))
        transactions.write(lambda s, r=doomed: s.runs.add_inputs(r, [DatasetInput(DATASET)]))
        transactions.write(lambda s, r=doomed: s.runs.delete(r, 1))
        barrier = threading.Barrier(2)

        def note(run=run, barrier=barrier) -> None:
            barrier.wait()
            transactions.write(lambda s: s.runs.add_inputs(run, [DatasetInput(DATASET)]))

        def purge(doomed=doomed, barrier=barrier) -> None:
            barrier.wait()
            done = transactions.write(lambda s: s.runs.purge([doomed], None, 10, dry_run=False))
            transactions.write(lambda s: s.runs.drop_unused_datasets(done.datasets))

        with ThreadPoolExecutor(2) as pool:
            done = [pool.submit(note), pool.submit(purge)]
        assert [each.exception() for each in done] == [None, None]
        assert get(transactions, run).inputs == (DatasetInput(DATASET),)


def request(content: str = "c", now: int = 100, request_id: str = "r") -> CreateRequest:
    return CreateRequest("CreateRun", request_id, content, now, forget_before=now - 50)


def test_a_request_is_claimed_once(transactions: SqlTransactions) -> None:
    def claim(asked: CreateRequest, resource: str) -> str | None:
        return transactions.write(lambda s: s.requests.claim(asked, resource))

    assert claim(request(), "first") is None
    assert claim(request(now=150), "second") == "first"
    with pytest.raises(RequestIdReused) as caught:
        claim(request("other"), "third")
    assert caught.value.metadata == {"request_id": "r"}
    assert claim(replace(request("other"), method="CreateExperiment"), "fourth") is None
    transactions.write(lambda s: s.requests.assign(request(), "fifth"))
    assert claim(request(), "sixth") == "fifth"
    # What is over its time counts as new.
    assert claim(request("other", now=151), "seventh") is None
    assert claim(request("other", now=152), "eighth") == "seventh"


def test_old_requests_are_forgotten(transactions: SqlTransactions) -> None:
    for number in range(5):
        asked = request(now=number, request_id=str(number))
        transactions.write(lambda s, a=asked: s.requests.claim(a, "x"))
    forget = [transactions.write(lambda s: s.requests.forget(4, 3)) for _ in range(3)]
    assert forget == [3, 1, 0]


def test_concurrent_claims_agree(transactions: SqlTransactions) -> None:
    barrier = threading.Barrier(4)

    def claim(number: int) -> str:
        barrier.wait()

        def work(session: Session) -> str:
            before = session.requests.claim(request(), str(number))
            return str(number) if before is None else before

        return transactions.write(work)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(claim, range(4)))) == 1


def test_large_texts_of_data_sets_are_left_out_past_a_limit(transactions: SqlTransactions) -> None:
    run, other = transactions.write(lambda s: (add_run(s), add_run(s)))
    profile = "é" * 4_000_000
    inputs = [
        DatasetInput(replace(DATASET, digest=str(number), profile=profile)) for number in range(5)
    ]
    for each in inputs:
        transactions.write(lambda s, i=each: s.runs.add_inputs(run, [i]))
    transactions.write(lambda s: s.runs.add_inputs(other, inputs[-1:]))
    last = replace(inputs[-1], dataset=replace(inputs[-1].dataset, schema="", profile=""))
    assert get(transactions, run).inputs == (*inputs[:-1], last)
    assert get(transactions, other).inputs == (inputs[-1],)


def test_what_a_run_holds_is_counted(transactions: SqlTransactions, database: Database) -> None:
    held = {"ä": "é" * 100, "b": ""}
    new = NewRun(run_id(), "0", "name", "ann", 0, held)
    run = transactions.write(lambda s: s.runs.create(new)).run_id
    size = entries_bytes(held)
    assert transactions.write(lambda s: s.runs.grow(run, 7)) == size + 7
    transactions.write(lambda s: s.runs.add_params(run, held))
    assert transactions.write(lambda s: s.runs.recount(run)) == 2 * size
    transactions.write(lambda s: s.runs.add_inputs(run, [DatasetInput(DATASET, held)]))
    dataset = len("irisabclocal{}") + 4 * ENTRY_BYTES
    assert transactions.write(lambda s: s.runs.recount(run)) == 3 * size + dataset
    assert transactions.write(lambda s: s.runs.grow(run, 0)) == 3 * size + dataset
    with database.write() as connection:
        connection.execute(update(tables.runs).values(bytes=None))
    assert transactions.write(lambda s: s.runs.grow(run, 7)) is None
    with pytest.raises(RunNotFound):
        transactions.write(lambda s: s.runs.grow("nope", 1))
    transactions.write(lambda s: s.runs.delete(run, 1))
    with pytest.raises(RunDeleted):
        transactions.write(lambda s: s.runs.grow(run, 1))


def test_a_run_grows_no_larger_than_can_be_read(transactions: SqlTransactions) -> None:
    service = run_service(transactions)
    run = transactions.write(add_run)
    half = {f"k{n}": "é" * 4000 for n in range(1000)}

    def log(tags: dict[str, str], params: dict[str, str]) -> None:
        service.log_batch(RunBatch(run, params, tags, "", 0), None)

    # Set again, it is not held twice.
    for _ in range(4):
        log(half, {"p": "1"})
    more = {f"more {key}": value for key, value in half.items()}
    log(more, {})
    with pytest.raises(RunTooLarge):
        log({f"most {key}": value for key, value in half.items()}, {"q": "1"})
    source = DatasetInput(replace(DATASET, source="é" * 65535), {})
    inputs = [
        replace(source, dataset=replace(source.dataset, digest=str(each))) for each in range(9)
    ]
    with pytest.raises(RunTooLarge):
        service.log_inputs(run, inputs)
    found = get(transactions, run)
    assert found.params == {"p": "1"}
    assert found.tags.keys() == half.keys() | more.keys() | {RUN_NAME_TAG}
    assert not found.inputs
    assert entries_bytes(found.params) + entries_bytes(found.tags) <= MAX_RUN_BYTES
    service.delete_tags(run, [f"more k{n}" for n in range(100)])
    service.log_inputs(run, inputs[:1])
    assert get(transactions, run).inputs == tuple(inputs[:1])
