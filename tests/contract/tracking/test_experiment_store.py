"""What ExperimentStore promises, on SQLite and on PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from runstone_kit.database import Database
from runstone_tracking.errors import (
    ExperimentDeleted,
    ExperimentNameTaken,
    ExperimentNotFound,
    TagNotFound,
)
from runstone_tracking.model import Experiment, Stage
from runstone_tracking.sqlstore import SqlSession, SqlTransactions
from support.processes import wait_until
from support.tracking import ON_POSTGRESQL, add_experiment, add_run, run_id

ABSENT = ("7", "007", "abc", "-1", "9" * 60, "99999999999999999999", "9223372036854775807")


def test_the_default_experiment_is_there(transactions: SqlTransactions) -> None:
    found = transactions.read(lambda s: s.experiments.get("0"))
    assert (found.name, found.stage, found.delete_time) == ("Default", Stage.ACTIVE, None)


def test_created_is_read_back_by_id_and_by_name(transactions: SqlTransactions) -> None:
    tags = {"a": "1", "b": "☃" * 20_000}
    made = transactions.write(lambda s: s.experiments.create("Größe", tags, 17))
    assert made == Experiment(made.experiment_id, "Größe", Stage.ACTIVE, 17, 17, None, tags)
    assert int(made.experiment_id) > 0
    assert transactions.read(lambda s: s.experiments.get(made.experiment_id)) == made
    assert transactions.read(lambda s: s.experiments.get_by_name("Größe")) == made


def test_a_name_is_taken_also_by_a_deleted_one(transactions: SqlTransactions) -> None:
    made = transactions.write(lambda s: add_experiment(s, "one"))
    for name in ("one", "Default"):
        with pytest.raises(ExperimentNameTaken) as caught:
            transactions.write(lambda s, name=name: s.experiments.create(name, {}, 2))
        assert caught.value.metadata["name"] == name
    transactions.write(lambda s: s.experiments.delete(made.experiment_id, 2))
    with pytest.raises(ExperimentNameTaken) as caught:
        transactions.write(lambda s: s.experiments.create("one", {}, 2))
    assert caught.value.metadata["experiment_id"] == made.experiment_id
    # Names that differ in case or in trailing blanks are different names.
    transactions.write(lambda s: s.experiments.create("ONE", {}, 2))
    transactions.write(lambda s: s.experiments.create("one ", {}, 2))


@pytest.mark.parametrize("absent", ABSENT)
def test_an_unknown_id_is_not_found(transactions: SqlTransactions, absent: str) -> None:
    for work in (
        lambda s: s.experiments.get(absent),
        lambda s: s.experiments.rename(absent, "x", 1),
        lambda s: s.experiments.delete(absent, 1),
        lambda s: s.experiments.restore(absent, 1),
        lambda s: s.experiments.set_tags(absent, {"a": "1"}, 1),
        lambda s: s.experiments.delete_tags(absent, ["a"], 1),
    ):
        with pytest.raises(ExperimentNotFound) as caught:
            transactions.write(work)
        assert caught.value.metadata == {"experiment_id": absent}


def test_an_unknown_name_is_not_found(transactions: SqlTransactions) -> None:
    with pytest.raises(ExperimentNotFound) as caught:
        transactions.read(lambda s: s.experiments.get_by_name("default"))
    assert caught.value.metadata == {"name": "default"}


def test_rename(transactions: SqlTransactions) -> None:
    made = transactions.write(lambda s: s.experiments.create("old", {"k": "v"}, 5))
    renamed = transactions.write(lambda s: s.experiments.rename(made.experiment_id, "new", 9))
    assert (renamed.name, renamed.create_time, renamed.update_time) == ("new", 5, 9)
    assert renamed.tags == {"k": "v"}
    again = transactions.write(lambda s: s.experiments.rename(made.experiment_id, "new", 10))
    assert again.name == "new"
    with pytest.raises(ExperimentNameTaken) as caught:
        transactions.write(lambda s: s.experiments.rename(made.experiment_id, "Default", 11))
    assert caught.value.metadata == {"name": "Default", "experiment_id": "0"}
    assert transactions.read(lambda s: s.experiments.get(made.experiment_id)) == again
    transactions.write(lambda s: s.experiments.delete(made.experiment_id, 12))
    with pytest.raises(ExperimentDeleted):
        transactions.write(lambda s: s.experiments.rename(made.experiment_id, "newer", 13))


def test_restore_brings_back_only_runs_deleted_with_it(transactions: SqlTransactions) -> None:
    made = transactions.write(add_experiment)
    number = made.experiment_id
    kept, gone, other = transactions.write(
        lambda s: (add_run(s, number), add_run(s, number), add_run(s))
    )
    transactions.write(lambda s: s.runs.delete(gone, 3))
    transactions.write(lambda s: s.experiments.delete(number, 4))
    transactions.write(lambda s: s.experiments.delete(number, 5))

    def state(run: str) -> tuple[Stage, int | None]:
        info = transactions.read(lambda s: s.runs.get(run)).info
        return info.stage, info.delete_time

    deleted = transactions.read(lambda s: s.experiments.get(number))
    assert (deleted.stage, deleted.delete_time, deleted.update_time) == (Stage.DELETED, 4, 4)
    assert [state(each) for each in (kept, gone, other)] == [
        (Stage.DELETED, 4),
        (Stage.DELETED, 3),
        (Stage.ACTIVE, None),
    ]
    transactions.write(lambda s: s.experiments.restore(number, 6))
    transactions.write(lambda s: s.experiments.restore(number, 7))
    restored = transactions.read(lambda s: s.experiments.get(number))
    assert (restored.stage, restored.delete_time, restored.update_time) == (Stage.ACTIVE, None, 6)
    assert [state(each) for each in (kept, gone)] == [(Stage.ACTIVE, None), (Stage.DELETED, 3)]


def test_tags_are_set_replaced_and_deleted_together(transactions: SqlTransactions) -> None:
    number = transactions.write(add_experiment).experiment_id
    transactions.write(lambda s: s.experiments.set_tags(number, {"b": "2", "a": "1"}, 5))
    transactions.write(lambda s: s.experiments.set_tags(number, {"b": "", "c": "3"}, 6))
    found = transactions.read(lambda s: s.experiments.get(number))
    assert (found.tags, found.update_time) == ({"a": "1", "b": "", "c": "3"}, 6)
    with pytest.raises(TagNotFound) as caught:
        transactions.write(lambda s: s.experiments.delete_tags(number, ["a", "x", "y"], 7))
    assert caught.value.metadata == {"key": "x"}
    assert transactions.read(lambda s: s.experiments.get(number)) == found
    transactions.write(lambda s: s.experiments.delete_tags(number, ["a", "b"], 8))
    assert transactions.read(lambda s: s.experiments.get(number)).tags == {"c": "3"}
    transactions.write(lambda s: s.experiments.delete(number, 9))
    with pytest.raises(ExperimentDeleted):
        transactions.write(lambda s: s.experiments.set_tags(number, {"a": "1"}, 10))
    with pytest.raises(ExperimentDeleted):
        transactions.write(lambda s: s.experiments.delete_tags(number, ["c"], 10))


def test_purge_removes_deleted_ones_without_runs(transactions: SqlTransactions) -> None:
    def add(session) -> list[str]:
        return [add_experiment(session).experiment_id for _ in range(5)]

    active, early, late, full, last = transactions.write(add)
    run = transactions.write(lambda s: add_run(s, full))
    transactions.write(lambda s: s.experiments.set_tags(early, {"a": "1"}, 1))
    for number, when in ((early, 10), (late, 20), (full, 10), (last, 10)):
        transactions.write(lambda s, n=number, w=when: s.experiments.delete(n, w))

    would = transactions.read(lambda s: s.experiments.purge(20, 1, dry_run=True))
    assert (would.ids, would.more) == ((early,), True)
    assert transactions.read(lambda s: s.experiments.get(early)).tags == {"a": "1"}
    done = transactions.write(lambda s: s.experiments.purge(20, 1, dry_run=False))
    assert (done.ids, done.more) == ((early,), True)
    done = transactions.write(lambda s: s.experiments.purge(20, 1, dry_run=False))
    assert (done.ids, done.more) == ((last,), False)
    with pytest.raises(ExperimentNotFound):
        transactions.read(lambda s: s.experiments.get(early))
    transactions.write(lambda s: s.runs.purge([run], None, 10, dry_run=False))
    done = transactions.write(lambda s: s.experiments.purge(None, 10, dry_run=False))
    assert (done.ids, done.more) == ((late, full), False)
    assert transactions.read(lambda s: s.experiments.get(active)).stage is Stage.ACTIVE


@ON_POSTGRESQL
def test_a_purge_spares_an_experiment_that_got_a_run_meanwhile(
    transactions: SqlTransactions, database: Database
) -> None:
    number = transactions.write(add_experiment).experiment_id
    transactions.write(lambda s: s.experiments.delete(number, 10))
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")

    def purge_waits() -> bool:
        with database.read() as connection:
            return bool(connection.execute(waiting).scalar_one())

    with ThreadPoolExecutor(2) as pool:
        with database.write() as connection:
            session = SqlSession(connection)
            session.experiments.restore(number, 20)
            run = add_run(session, number)
            session.experiments.delete(number, 30)
            purge = pool.submit(
                transactions.write, lambda s: s.experiments.purge(None, 10, dry_run=False)
            )
            wait_until(lambda: pool.submit(purge_waits).result(), 30, "the purge to wait")
        assert purge.result(timeout=30).ids == ()
    assert transactions.read(lambda s: s.runs.get(run)).info.stage is Stage.DELETED


def test_a_purged_name_is_free_and_its_id_is_not_given_again(
    transactions: SqlTransactions,
) -> None:
    made = transactions.write(lambda s: add_experiment(s, "phoenix"))
    transactions.write(lambda s: s.experiments.delete(made.experiment_id, 2))
    transactions.write(lambda s: s.experiments.purge(None, 10, dry_run=False))
    again = transactions.write(lambda s: add_experiment(s, "phoenix"))
    assert int(again.experiment_id) > int(made.experiment_id)


def test_of_many_creators_of_one_name_one_wins(transactions: SqlTransactions) -> None:
    barrier = threading.Barrier(4)

    def create(_: int) -> str:
        barrier.wait()
        try:
            return transactions.write(lambda s: add_experiment(s, "race")).experiment_id
        except ExperimentNameTaken:
            return "taken"

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(create, range(4)))
    assert outcomes.count("taken") == 3


def test_no_run_stays_active_in_an_experiment_deleted_meanwhile(
    transactions: SqlTransactions,
) -> None:
    for round_ in range(5):
        number = transactions.write(add_experiment).experiment_id
        barrier = threading.Barrier(4)
        made: list[str] = []

        def create(_: int, barrier=barrier, number=number, made=made) -> None:
            barrier.wait()
            try:
                made.append(transactions.write(lambda s: add_run(s, number)))
            except ExperimentDeleted:
                pass

        def delete(barrier=barrier, number=number, when=round_) -> None:
            barrier.wait()
            transactions.write(lambda s: s.experiments.delete(number, when))

        with ThreadPoolExecutor(4) as pool:
            done = [pool.submit(create, each) for each in range(3)] + [pool.submit(delete)]
        assert all(each.exception() is None for each in done)
        stages = [transactions.read(lambda s, r=run: s.runs.get(r)).info.stage for run in made]
        assert set(stages) <= {Stage.DELETED}


def test_a_failed_transaction_leaves_nothing(transactions: SqlTransactions) -> None:
    def work(session) -> None:
        add_experiment(session, "half")
        session.runs.require_active(run_id())

    with pytest.raises(Exception, match="no run"):
        transactions.write(work)
    with pytest.raises(ExperimentNotFound):
        transactions.read(lambda s: s.experiments.get_by_name("half"))
