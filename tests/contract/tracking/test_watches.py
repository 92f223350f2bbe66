"""Live pages: whatever is written, folded and deleted meanwhile, they show what a sample shows."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from runstone_tracking import service_samples, service_watch
from runstone_tracking.errors import RunNotFound, ServerStopping
from runstone_tracking.model import RunChanges, RunStatus
from runstone_tracking.model_metrics import RunProgress
from runstone_tracking.model_samples import Axis, Grid, Update
from runstone_tracking.service_metrics import MetricService
from runstone_tracking.sqlstore import SqlTransactions
from support.compaction import Writer, fold
from support.metric_points import Point
from support.tracking import add_run, run_id
from support.watching import Page, asking

ASKED: dict[str, dict[str, Any]] = {
    "steps": {},
    "across ranks": {"across_ranks": True},
    "some ranks": {"ranks": (0, 2)},
    "from a step": {"start": 100},
    "to a step": {"end": 700},
    "a fixed range": {"start": 50, "end": 650, "buckets": 7},
    "wall time": {"axis": Axis.WALL_TIME},
    "relative time": {"axis": Axis.RELATIVE_TIME, "buckets": 100},
    "one bucket": {"buckets": 1},
}


@pytest.fixture
def metrics(transactions: SqlTransactions, monkeypatch: pytest.MonkeyPatch) -> MetricService:
    """Whose watchers look without a pause, and tell when they found nothing."""
    monkeypatch.setattr(service_watch, "POLL_S", 0.0)
    monkeypatch.setattr(service_watch, "LONGEST_REST_S", 0.0)
    monkeypatch.setattr(service_watch, "SIGN_OF_LIFE_S", 0.0)
    return MetricService(transactions)


def end(transactions: SqlTransactions, run: str) -> None:
    changes = RunChanges(status=RunStatus.FINISHED, end_time=2)
    transactions.write(lambda s: s.runs.update(run, changes))


def changed(told: list[Update]) -> list[tuple[str, str, int, list[int]]]:
    """Run, key, rank and bucket numbers of each series that was sent."""
    return [
        (each.changed.run_id, each.changed.key, each.changed.rank, each.changed.numbers.tolist())
        for each in told
        if each.changed is not None
    ]


def test_progress_counts_what_was_appended(transactions: SqlTransactions) -> None:
    first, other = (transactions.write(add_run) for _ in range(2))

    def progress(*runs: str) -> dict[str, RunProgress]:
        return transactions.read(lambda s: s.metrics.progress(runs, ["a", "b"]))

    assert progress(first, other) == dict.fromkeys(
        (first, other), RunProgress(over=False, counts={})
    )
    writer = Writer(transactions, first)
    writer.append({"a": [(1, 1, 1.0)], "a\t3": [(1, 1, 1.0)], "c": [(1, 1, 1.0)]})
    writer.append({"a": [(1, 1, 1.0)]})
    assert progress(other, first)[first] == RunProgress(over=False, counts={"a": 3})
    fold(transactions, first)
    assert progress(first) == {first: RunProgress(over=False, counts={"a": 3})}
    transactions.write(lambda s: s.runs.update(other, RunChanges(status=RunStatus.KILLED)))
    assert [each.over for each in progress(first, other).values()] == [False, True]
    transactions.write(lambda s: s.runs.delete(first, 1))
    assert progress(first)[first].over
    with pytest.raises(RunNotFound):
        progress(first, run_id())


@pytest.mark.parametrize("exact", [True, False], ids=["short", "long"])
def test_every_round_ends_with_what_a_sample_shows(
    transactions: SqlTransactions,
    metrics: MetricService,
    monkeypatch: pytest.MonkeyPatch,
    exact: bool,
) -> None:
    """With late points, duplicates, and folds between any two rounds; for each way of asking."""
    if not exact:
        monkeypatch.setattr(service_samples, "EXACT_POINTS", 300)
        monkeypatch.setattr(service_watch, "SETTLE_S", 0.0)
    chance = random.Random(7)
    runs = [transactions.write(add_run) for _ in range(2)]
    writers = [Writer(transactions, run, name) for run in runs for name in ("a", "b")]
    pages = {
        how: Page(metrics, asking(*runs, **({"keys": ("k", "l")} | asked)))
        for how, asked in ASKED.items()
    }
    names = ("k", "k\t0", "k\t1", "l\t2", "other")
    sizes = (1, 5, 40, 1_200)
    last = 0
    for number in range(8):
        writer = chance.choice(writers)
        for name in chance.sample(names, 2):
            size = chance.choice(sizes[: 2 + number // 2])
            begin = chance.choice((last, last, chance.randrange(-20, last + 1)))
            last = max(last, begin + size)
            steps = range(begin, begin + size)
            points: list[Point] = [
                (step, 1_000 + step % 977, chance.choice((chance.random(), float("nan"))))
                for step in steps
            ]
            writer.append({name: points})
        if number % 4 == 1:
            fold(transactions, writer.run, chunk_points=2_000)
        for how, page in pages.items():
            page.turn()
            assert page.chart == page.expected(), how
        if number % 4 == 3:
            fold(transactions, writer.run, chunk_points=2_000)
            for how, page in pages.items():
                page.turn()
                assert page.chart == page.expected(), how
    for how, page in pages.items():
        assert any(page.chart.values()), how
        assert [update.complete for update in page.turn()] == [True], how
    # However far it grew: widths double.
    assert 2 < pages["steps"].resets < 12
    assert pages["a fixed range"].resets == 1


def test_only_what_changed_is_sent(
    transactions: SqlTransactions, run: str, metrics: MetricService
) -> None:
    page = Page(metrics, asking(run, keys=("k", "l")))
    [first] = [each for each in page.turn() if not each.complete]
    assert (first.reset, first.grid) == (True, None)
    assert [(each.reset, each.complete) for each in page.turn()] == [(False, True)]
    writer = Writer(transactions, run)
    points: list[Point] = [(step, step, 1.0) for step in range(20)]
    writer.append({"k": points, "l": points[:1], "other": points})
    told = page.turn()
    assert told[0].grid == Grid(0, 19, 10)
    assert changed(told) == [(run, "k", -1, list(range(10))), (run, "l", -1, [0])]
    assert [each.whole for each in told if each.changed is not None] == [True, True]
    writer.append({"other": points})
    assert changed(page.turn()) == []
    writer.append({"k": [(19, 39, 2.0), (4, 99, 5.0)]})
    told = page.turn()
    assert changed(told) == [(run, "k", -1, [2, 9])]
    assert [each.whole for each in told if each.changed is not None] == [False]
    fold(transactions, run, chunk_points=2_000)
    assert changed(page.turn()) == []
    assert page.resets == 2
    writer.append({"k": [(30, 40, 2.0)]})
    told = page.turn()
    assert told[0].grid == Grid(0, 39, 10)
    assert changed(told) == [(run, "k", -1, [0, 1, 2, 3, 4, 7]), (run, "l", -1, [0])]
    writer.append({"k": [(-1, 40, 2.0)]})
    assert page.turn()[0].grid == Grid(-4, 35, 10)
    assert page.chart == page.expected()


def test_a_long_series_is_sent_anew_when_it_is_folded(
    transactions: SqlTransactions,
    run: str,
    metrics: MetricService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its nodes of 128 points go whole into one bucket each: others hold nothing any more."""
    monkeypatch.setattr(service_samples, "EXACT_POINTS", 300)
    points: list[Point] = [(step, step, 1.0) for step in range(2_000)]
    Writer(transactions, run).append({"k": points})
    page = Page(metrics, asking(run, start=0, end=1_999, buckets=200))
    page.turn()
    assert len(page.chart[run, "k", -1]) == 200
    fold(transactions, run, chunk_points=2_000)
    assert changed(page.turn()) == []
    monkeypatch.setattr(service_watch, "SETTLE_S", 0.0)
    page.turn()
    assert page.chart == page.expected()
    assert len(page.chart[run, "k", -1]) == 16
    monkeypatch.setattr(metrics._sampler, "find", None)
    assert [each.complete for each in page.turn()] == [True]


def test_nothing_is_sampled_while_nothing_comes(
    transactions: SqlTransactions,
    run: str,
    metrics: MetricService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Writer(transactions, run).append({"k": [(1, 1, 1.0)], "other": [(1, 1, 1.0)]})
    page = Page(metrics, asking(run))
    page.turn()

    def never(*_: Any) -> Any:
        raise AssertionError("a series is looked for")

    monkeypatch.setattr(metrics._sampler, "find", never)
    for _ in range(3):
        assert [each.complete for each in page.turn()] == [True]


def test_of_a_series_that_grows_the_new_buckets_are_read(
    transactions: SqlTransactions,
    run: str,
    metrics: MetricService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer = Writer(transactions, run)
    points: list[Point] = [(step, step, 1.0) for step in range(100)]
    writer.append({"k": points, "k\t1": points})
    fold(transactions, run, chunk_points=2_000)
    apart = Page(metrics, asking(run, start=0, end=999))
    together = Page(metrics, asking(run, across_ranks=True, start=0, end=999))
    for page in (apart, together):
        page.turn()
    read: list[tuple[int, int]] = []
    read_part = metrics._sampler._read_part

    def noted(*how: Any) -> Any:
        read.append(how[-1])
        return read_part(*how)

    with monkeypatch.context() as patched:
        patched.setattr(metrics._sampler, "_read", None)
        patched.setattr(metrics._sampler, "_read_part", noted)
        writer.append({"k": [(250, 1, 1.0), (399, 1, 1.0), (1_000, 1, 1.0)]})
        assert changed(apart.turn()) == [(run, "k", -1, [2, 3])]
        writer.append({"k\t1": [(250, 1, 1.0)]})
        assert changed(apart.turn()) == [(run, "k", 1, [2])]
        assert changed(together.turn()) == [(run, "k", -1, [2, 3])]
        writer.append({"k\t1": [(1_000, 1, 1.0)]})
        assert [update.complete for update in apart.turn()] == [True]
    assert set(read) == {(200, 999), (200, 299)}
    for page in (apart, together):
        page.turn()
        assert page.chart == page.expected()


def test_points_and_folds_while_it_reads(
    transactions: SqlTransactions, metrics: MetricService, run: str
) -> None:
    """The writers and the folder do not wait for the watcher, nor it for them."""
    page = Page(metrics, asking(run, buckets=50))
    done = threading.Event()

    def write(name: str) -> None:
        chance = random.Random(name)
        writer = Writer(transactions, run, name)
        for number in range(30):
            begin = chance.randrange(number * 10 + 1)
            writer.append(
                {"k": [(step, step, chance.random()) for step in range(begin, begin + 9)]}
            )

    def fold_on() -> None:
        while not done.is_set():
            fold(transactions, run, chunk_points=200)

    writers = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    folder = threading.Thread(target=fold_on)
    for thread in (*writers, folder):
        thread.start()
    while any(thread.is_alive() for thread in writers):
        page.turn()
    done.set()
    folder.join()
    page.turn()
    assert page.chart == page.expected()
    assert page.chart[run, "k", -1]


def test_series_past_what_is_held_are_sent_whole(
    transactions: SqlTransactions,
    run: str,
    metrics: MetricService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_watch, "HELD_BUCKETS", 12)
    writer = Writer(transactions, run)
    points: list[Point] = [(step, step, 1.0) for step in range(10)]
    writer.append({"a": points, "b": points})
    page = Page(metrics, asking(run, keys=("a", "b"), start=0, end=9))
    page.turn()
    writer.append({"a": [(3, 99, 2.0)], "b": [(3, 99, 2.0)]})
    told = page.turn()
    assert changed(told) == [(run, "a", -1, [3]), (run, "b", -1, list(range(10)))]
    assert [each.whole for each in told] == [False, True, False]
    assert page.chart == page.expected()


def test_it_ends_when_every_run_has_ended_and_all_was_sent(
    transactions: SqlTransactions, metrics: MetricService
) -> None:
    runs = [transactions.write(add_run) for _ in range(2)]
    page = Page(metrics, asking(*runs))
    page.turn()
    end(transactions, runs[0])
    page.turn()
    Writer(transactions, runs[1]).append({"k": [(1, 1, 1.0)]})
    end(transactions, runs[1])
    told = list(page.updates)
    assert changed(told) == [(runs[1], "k", -1, [0])]
    assert told[-1].complete
    again = Page(metrics, asking(*runs))
    assert changed(list(again.updates)) == [(runs[1], "k", -1, [0])]
    transactions.write(lambda s: s.runs.update(runs[1], RunChanges(status=RunStatus.RUNNING)))
    still = Page(metrics, asking(*runs))
    still.turn()
    assert still.turn()[-1].complete


def test_a_run_that_is_deleted_ends_it_and_one_that_is_purged_is_not_found(
    transactions: SqlTransactions, metrics: MetricService, run: str
) -> None:
    other = transactions.write(add_run)
    Writer(transactions, run).append({"k": [(1, 1, 1.0)]})
    alone, both = Page(metrics, asking(run)), Page(metrics, asking(run, other))
    for page in (alone, both):
        page.turn()
    transactions.write(lambda s: s.runs.delete(run, 5))
    assert [each.complete for each in alone.updates] == [True]
    both.turn()
    transactions.write(lambda s: s.runs.purge([run], None, 10, dry_run=False))
    with pytest.raises(RunNotFound):
        both.turn()
    with pytest.raises(RunNotFound):
        Page(metrics, asking(run_id())).turn()


def test_watchers_share_what_they_may_work(
    transactions: SqlTransactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = MetricService(transactions)
    watches = metrics._watches
    monkeypatch.setattr(service_watch.time, "monotonic", lambda: 1_000.0)
    assert watches._rest(0.0) == 0.0
    watches._awake.update(threading.Event() for _ in range(3))
    assert watches._rest(0.1) == pytest.approx(0.5)
    assert watches._rest(0.1) == pytest.approx(1.0)
    assert watches._rest(0.01) == pytest.approx(0.15)
    monkeypatch.setattr(service_watch.time, "monotonic", lambda: 1_001.05)
    assert watches._rest(0.2) == pytest.approx(1.0)
    assert watches._rest(9.0) == service_watch.LONGEST_REST_S


def test_it_ends_when_nobody_listens_and_when_the_server_stops(
    metrics: MetricService, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_watch, "POLL_S", 100.0)
    page = Page(metrics, asking(run))
    page.turn()
    within(5, lambda: list(page.updates), page.gone.set)
    page = Page(metrics, asking(run))
    page.turn()

    def refused() -> None:
        with pytest.raises(ServerStopping):
            list(page.updates)

    within(5, refused, metrics.stop_watches)
    with pytest.raises(ServerStopping):
        Page(metrics, asking(run)).turn()


def within(seconds: float, act: Callable[[], object], then: Callable[[], object]) -> None:
    """``act`` waits until ``then`` is done, and no longer."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    then()
    thread.join(seconds)
    assert not thread.is_alive()
    assert failed == []
