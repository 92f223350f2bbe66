"""What TraceStore promises, on SQLite and on PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select, text

from runstone_kit.database import Database
from runstone_tracking.errors import (
    ExperimentDeleted,
    ExperimentNotFound,
    TagNotFound,
    TraceNotFound,
    TraceTooLarge,
)
from runstone_tracking.model_traces import Trace, TraceDeletion, TraceInfo, TraceState
from runstone_tracking.service_traces import TraceService
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.sqlstore_traces_spans import MAX_ENTRIES_BYTES
from runstone_tracking.tables_traces import spans, trace_metadata, trace_runs, trace_tags
from support.processes import wait_until
from support.traces import MS, new_span, span_id, trace_id, trace_info
from support.tracking import ON_POSTGRESQL, add_experiment


@pytest.fixture
def made(transactions: SqlTransactions) -> TraceInfo:
    """A trace that is there."""
    info = trace_info()
    transactions.write(lambda s: s.traces.claim("0", [info]))
    return info


def rows(database: Database) -> list[int]:
    """How many tags, entries of metadata, links and spans there are."""
    with database.read() as connection:
        return [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (trace_tags, trace_metadata, trace_runs, spans)
        ]


def test_claimed_is_read_back(transactions: SqlTransactions) -> None:
    full = trace_info(
        name="ö",
        request_preview="q" * 10_000,
        response_preview="",
        client_request_id="c",
        finalized=True,
        span_count=3,
        bytes=2**40,
        request_time=2**62,
        state=TraceState.IN_PROGRESS,
    )
    bare = TraceInfo(trace_id(), "0", 0)
    assert transactions.write(lambda s: s.traces.claim("0", [full, bare])) == {}
    asked = [bare.trace_id, "tr-none", full.trace_id]
    assert transactions.read(lambda s: s.traces.get(asked)) == [bare, full]


def test_a_claim_leaves_what_is_there_and_returns_it(
    transactions: SqlTransactions, made: TraceInfo
) -> None:
    other, new = replace(made, name="other", state=TraceState.ERROR), trace_info()
    found = transactions.write(lambda s: s.traces.claim("0", [other, new]))
    assert found == {made.trace_id: made}
    found = transactions.read(lambda s: s.traces.get([made.trace_id, new.trace_id]))
    assert found == [made, new]


def test_only_an_active_experiment_takes_traces(
    transactions: SqlTransactions, made: TraceInfo
) -> None:
    for experiment in ("77", "abc", "9" * 30):
        with pytest.raises(ExperimentNotFound):
            transactions.write(lambda s, e=experiment: s.traces.claim(e, [made]))
    gone = transactions.write(add_experiment).experiment_id
    transactions.write(lambda s: s.experiments.delete(gone, 5))
    with pytest.raises(ExperimentDeleted):
        transactions.write(lambda s: s.traces.claim(gone, [made]))


def test_update_replaces_every_column(transactions: SqlTransactions, made: TraceInfo) -> None:
    where = transactions.write(add_experiment).experiment_id
    changed = TraceInfo(
        *(made.trace_id, where, 7, TraceState.ERROR, None, "n", "a", "b", "c", True, 9, 10)
    )
    transactions.write(lambda s: s.traces.update([changed]))
    assert transactions.read(lambda s: s.traces.get([made.trace_id])) == [changed]
    assert transactions.write(lambda s: s.traces.lock(made.trace_id)) == changed
    transactions.write(lambda s: s.traces.update([]))
    with pytest.raises(TraceNotFound):
        transactions.write(lambda s: s.traces.lock("tr-none"))


def test_tags_and_metadata(transactions: SqlTransactions, made: TraceInfo) -> None:
    other = trace_info(name="named")
    transactions.write(lambda s: s.traces.claim("0", [other]))
    transactions.write(
        lambda s: s.traces.put_tags({made.trace_id: {"b": "1", "a": "☃"}, other.trace_id: {}})
    )
    transactions.write(lambda s: s.traces.put_tags({made.trace_id: {"b": "2"}}))
    for value, replaces in (("1", False), ("2", False), ("3", True)):
        transactions.write(
            lambda s, v=value, r=replaces: s.traces.put_metadata(
                {made.trace_id: {"m": v, f"m{v}": v}}, replace=r
            )
        )
    loaded = transactions.read(lambda s: s.traces.load([other, made]))
    assert loaded == [
        Trace(other, {}, {"mlflow.traceName": "named"}),
        Trace(made, {"m": "3", "m1": "1", "m2": "2", "m3": "3"}, {"a": "☃", "b": "2"}),
    ]
    with pytest.raises(TagNotFound, match="'nope'"):
        transactions.write(lambda s: s.traces.delete_tags(made.trace_id, ["b", "nope"]))
    transactions.write(lambda s: s.traces.delete_tags(made.trace_id, ["b"]))
    (loaded_again,) = transactions.read(lambda s: s.traces.load([made]))
    assert loaded_again.tags == {"a": "☃"}


def test_a_trace_has_so_much_text_and_no_more(
    transactions: SqlTransactions, made: TraceInfo, database: Database
) -> None:
    count = MAX_ENTRIES_BYTES // 8000
    full = {made.trace_id: {f"{number:04}": "é" * 3990 for number in range(count)}}
    rest = MAX_ENTRIES_BYTES - 8000 * count
    full[made.trace_id]["rest"] = "x" * (rest - 20)
    transactions.write(lambda s: s.traces.put_tags(full))
    transactions.write(lambda s: s.traces.put_tags(full))
    transactions.write(lambda s: s.traces.put_metadata(full, replace=True))
    one_more = {made.trace_id: {"x": "", "rest": "x" * (rest - 36)}}
    for what in (
        lambda s: s.traces.put_tags(one_more),
        lambda s: s.traces.put_metadata(one_more, replace=True),
    ):
        with pytest.raises(TraceTooLarge) as caught:
            transactions.write(what)
        assert caught.value.metadata["size"] == str(MAX_ENTRIES_BYTES + 1)
    assert rows(database) == [count + 1, count + 1, 0, 0]


def test_spans_come_back_as_they_came_roots_first(
    transactions: SqlTransactions, made: TraceInfo
) -> None:
    late = new_span(made.trace_id, 1, 9, start_time_ns=9)
    small = new_span(made.trace_id, 2, 9, start_time_ns=5, name="")
    large = new_span(made.trace_id, 3, 9, start_time_ns=6, attributes={"a": "é\x00" * 100_000})
    root = new_span(made.trace_id, 9, start_time_ns=7)
    transactions.write(lambda s: s.traces.put_spans([late, small, large, root]))
    (found,) = transactions.read(lambda s: s.traces.load([made], spans=True))
    assert found.spans == (root.content, small.content, large.content, late.content)
    assert transactions.read(lambda s: s.traces.load([made]))[0].spans == ()


def test_a_repeated_span_replaces_the_stored_one(
    transactions: SqlTransactions, made: TraceInfo
) -> None:
    other = trace_info()
    transactions.write(lambda s: s.traces.claim("0", [other]))
    first, second = (
        new_span(made.trace_id, 1),
        new_span(made.trace_id, 1, name="other", end_time_ns=0),
    )
    transactions.write(lambda s: s.traces.put_spans([first, new_span(other.trace_id, 1)]))
    transactions.write(lambda s: s.traces.put_spans([second]))
    transactions.write(lambda s: s.traces.put_spans([]))
    asked = [second, new_span(made.trace_id, 2), new_span(other.trace_id, 3)]
    stored = transactions.read(lambda s: s.traces.sizes(asked))
    assert stored == {(made.trace_id, span_id(1)): len(second.content)}
    (found,) = transactions.read(lambda s: s.traces.load([made], spans=True))
    assert found.spans == (second.content,)


def test_links_come_before_traces_and_go_with_runs(
    transactions: SqlTransactions, run: str, database: Database
) -> None:
    transactions.write(lambda s: s.traces.link(run, ["tr-later", "tr-a", "tr-a"]))
    transactions.write(lambda s: s.traces.link(run, ["tr-a"]))
    assert rows(database)[2] == 2
    transactions.write(lambda s: s.runs.delete(run, 5))
    transactions.write(lambda s: s.runs.purge([run], None, 10, dry_run=False))
    assert rows(database)[2] == 0


def fill(transactions: SqlTransactions, experiment: str, run: str, times: list[int]) -> list[str]:
    """Traces with a tag, metadata, a link and a span each."""
    infos = [trace_info(experiment_id=experiment, request_time=time) for time in times]
    ids = [info.trace_id for info in infos]

    def work(session: Any) -> None:
        session.traces.claim(experiment, infos)
        session.traces.put_tags({each: {"k": "v"} for each in ids})
        session.traces.put_metadata({each: {"k": "v"} for each in ids}, replace=True)
        session.traces.put_spans([new_span(each) for each in ids])
        session.traces.link(run, ids)

    transactions.write(work)
    return ids


def test_delete_takes_the_oldest_first_and_all_they_hold(
    transactions: SqlTransactions, run: str, database: Database
) -> None:
    elsewhere = transactions.write(add_experiment).experiment_id
    ids = fill(transactions, "0", run, [30, 10, 20])
    fill(transactions, elsewhere, run, [1])
    old = TraceDeletion("0", max_request_time=20)
    assert transactions.write(lambda s: s.traces.delete(old, 1)) == 1
    assert [i.trace_id for i in transactions.read(lambda s: s.traces.get(ids))] == [ids[0], ids[2]]
    assert transactions.write(lambda s: s.traces.delete(old, 10)) == 1
    named = TraceDeletion(elsewhere, (ids[0], "tr-none"))
    assert transactions.write(lambda s: s.traces.delete(named, 10)) == 0
    assert rows(database) == [2, 2, 2, 2]
    here = replace(named, experiment_id="0")
    assert transactions.write(lambda s: s.traces.delete(here, 10)) == 1
    assert rows(database) == [1, 1, 1, 1]
    for absent in ("77", "abc"):
        with pytest.raises(ExperimentNotFound):
            transactions.write(lambda s, e=absent: s.traces.delete(TraceDeletion(e, ("t",)), 1))


def test_traces_go_with_their_experiment(
    transactions: SqlTransactions, run: str, database: Database
) -> None:
    gone, kept = (transactions.write(add_experiment).experiment_id for _ in range(2))
    for experiment in (gone, kept):
        fill(transactions, experiment, run, [1, 2, 3])
    both = [gone, kept]
    assert transactions.write(lambda s: s.traces.drop_of_deleted(both, 9)) == 0
    transactions.write(lambda s: s.experiments.delete(gone, 5))
    assert transactions.write(lambda s: s.traces.drop_of_deleted(both, 2)) == 2
    assert rows(database) == [4, 4, 4, 4]
    transactions.write(lambda s: s.experiments.purge(None, 9, dry_run=False))
    # A link may wait for its trace, so what the cascade left of them does no harm.
    assert rows(database) == [3, 3, 4, 3]


@ON_POSTGRESQL
def test_a_second_claim_waits_for_the_first(
    transactions: SqlTransactions, database: Database
) -> None:
    info, claimed, go_on = trace_info(), threading.Event(), threading.Event()

    def first(session: Any) -> dict[str, TraceInfo]:
        found: dict[str, TraceInfo] = session.traces.claim("0", [info])
        claimed.set()
        assert go_on.wait(30)
        session.traces.update([replace(info, span_count=1)])
        return found

    with ThreadPoolExecutor(3) as pool:
        one = pool.submit(transactions.write, first)
        assert claimed.wait(30)
        two = pool.submit(transactions.write, lambda s: s.traces.claim("0", [info, trace_info()]))
        wait_until(lambda: pool.submit(waiting, database).result(), 30, "the second claim to wait")
        assert not two.done()
        go_on.set()
        assert one.result(30) == {}
        assert two.result(30) == {info.trace_id: replace(info, span_count=1)}


def waiting(database: Database) -> bool:
    """Whether a transaction waits for another one."""
    locks = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with database.read() as connection:
        return bool(connection.execute(locks).scalar_one())


def test_many_who_log_one_trace_lose_nothing(transactions: SqlTransactions) -> None:
    service, trace = TraceService(transactions), trace_id()
    numbers = range(1, 21)

    def log(number: int) -> None:
        one = new_span(trace, number, 1 if number > 1 else 0, start_time_ns=number * MS)
        service.log_spans("0", [one, new_span(trace, 99, 1, start_time_ns=50 * MS)], {"k": "v"})
        if number % 5 == 0:
            service.create(trace_info(trace), {"m": str(number)}, {"t": str(number)})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(log, numbers))
    found = service.get(trace, spans=True)
    assert len(set(found.spans)) == len(found.spans) == found.info.span_count == 21
    assert found.info.bytes == sum(map(len, found.spans))
    assert (found.info.request_time, found.info.duration, found.info.finalized) == (1000, 5, True)
    assert found.tags["k"] == "v"
    assert found.complete
