"""Group commit: who waits for whom, and what one bad batch does to its neighbours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from runstone_kit.context import RequestContext, current, use
from runstone_kit.errors import DeadlineExceeded, Unavailable
from runstone_tracking.errors import RunDeleted
from runstone_tracking.model_metrics import POINT_BYTES, Append
from runstone_tracking.service_appends import MAX_GROUP_BYTES, PREPARED_BYTES, GroupedAppends
from runstone_tracking.store_metrics import Appended
from support.metric_points import batch
from support.processes import wait_until


def _append(sequence: int, points: int = 1) -> Append:
    return Append("run", "w", sequence, batch({"k": [(1, 2, 3.0)] * points}))


class Writer:
    """A store whose writes wait until they are let go."""

    def __init__(self, answer: Callable[[Append], Appended]) -> None:
        self.groups: list[list[int]] = []
        self.started = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)
        self._answer = answer

    def __call__(self, appends: Sequence[Append]) -> list[Appended]:
        self.groups.append([each.sequence for each in appends])
        self.started.release()
        assert self.let_go.acquire(timeout=30)
        return [self._answer(each) for each in appends]


class Calls:
    """Appends in threads, started one after the other."""

    def __init__(self, appends: GroupedAppends, pool: ThreadPoolExecutor) -> None:
        self._appends = appends
        self._pool = pool

    def start(self, new: Append) -> Future[Appended]:
        before = len(self._appends._waiting)
        future = self._pool.submit(self._appends.append, new)
        wait_until(
            lambda: len(self._appends._waiting) > before or self._led(new),
            30,
            "a call in its place",
        )
        return future

    def _led(self, new: Append) -> bool:
        writer = self._appends._write
        assert isinstance(writer, Writer)
        return any(new.sequence in group for group in writer.groups)


def _run(writer: Writer, appends: Sequence[Append], writes: int) -> list[Future[Appended]]:
    """All appends appended, the first alone while the others gather; one leader."""
    with ThreadPoolExecutor(len(appends)) as pool:
        calls = Calls(GroupedAppends(list, writer, leaders=1), pool)
        futures = [calls.start(each) for each in appends]
        for _ in range(writes):
            writer.let_go.release()
        return futures


def test_whoever_comes_during_a_write_goes_together() -> None:
    writer = Writer(lambda each: each.sequence != 3)
    futures = _run(writer, [_append(number) for number in range(1, 5)], writes=2)
    assert writer.groups == [[1], [2, 3, 4]]
    assert [future.result() for future in futures] == [True, True, False, True]


def test_a_refused_batch_is_its_own_callers_alone() -> None:
    refused = RunDeleted("run")
    writer = Writer(lambda each: refused if each.sequence == 2 else True)
    futures = _run(writer, [_append(number) for number in range(1, 4)], writes=2)
    assert [future.result() for future in futures] == [True, refused, True]


def test_a_group_that_fails_for_an_unknown_reason_is_written_one_by_one() -> None:
    def answer(each: Append) -> Appended:
        if each.sequence == 3:
            raise ValueError("poison")
        return True

    writer = Writer(answer)
    futures = _run(writer, [_append(number) for number in range(1, 5)], writes=5)
    assert writer.groups == [[1], [2, 3, 4], [2], [3], [4]]
    assert [futures[index].result() for index in (0, 1, 3)] == [True, True, True]
    with pytest.raises(ValueError, match="poison"):
        futures[2].result()


def test_a_database_that_is_away_is_told_to_the_whole_group_and_work_goes_on() -> None:
    away = [Unavailable("away", reason="DATABASE_UNAVAILABLE")]

    def answer(each: Append) -> Appended:
        if each.sequence == 2:
            raise away[0]
        return True

    writer = Writer(answer)
    futures = _run(writer, [_append(number) for number in range(1, 4)], writes=2)
    assert [future.exception() for future in futures] == [None, away[0], away[0]]
    with ThreadPoolExecutor(1) as pool:
        writer.let_go.release()
        assert pool.submit(GroupedAppends(list, writer).append, _append(9)).result() is True


def test_a_locked_run_fails_only_its_own_appends_and_is_tried_once() -> None:
    locked = [Unavailable("locked", reason="OVERLOADED")]

    def answer(each: Append) -> Appended:
        if each.run_id == "locked":
            raise locked[0]
        return True

    appends = [_append(number) for number in range(1, 6)]
    for each in appends[1:3]:
        object.__setattr__(each, "run_id", "locked")
    writer = Writer(answer)
    futures = _run(writer, appends, writes=5)
    assert writer.groups == [[1], [2, 3, 4, 5], [2], [4], [5]]
    assert [future.exception() for future in futures] == [None, locked[0], locked[0], None, None]


def test_whoever_waits_gives_up_at_its_deadline() -> None:
    writer = Writer(lambda _each: True)
    appends = GroupedAppends(list, writer, leaders=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(appends.append, _append(1))
        assert writer.started.acquire(timeout=30)
        with (
            use(RequestContext(deadline=time.monotonic() + 0.01)),
            pytest.raises(DeadlineExceeded),
        ):
            appends.append(_append(2))
        writer.let_go.release()
        assert first.result() is True
    assert writer.groups == [[1]]


def test_a_group_is_bounded_in_bytes() -> None:
    large = [_append(1), *(_append(n, MAX_GROUP_BYTES // 2 // POINT_BYTES) for n in (2, 3, 4))]
    writer = Writer(lambda _each: True)
    futures = _run(writer, large, writes=4)
    assert writer.groups == [[1], [2], [3], [4]]
    assert all(future.result() for future in futures)


class Preparer:
    """Prepares when it is told to."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.let_go: dict[int, threading.Event] = {}

    def __call__(self, appends: Sequence[Append]) -> list[Append]:
        self.groups.append([each.sequence for each in appends])
        assert self.let_go[appends[0].sequence].wait(30)
        return list(appends)


def test_a_group_is_prepared_while_the_one_before_is_written_and_written_behind_it() -> None:
    writer = Writer(lambda _each: True)
    preparer = Preparer()
    preparer.let_go = {number: threading.Event() for number in (1, 2, 3, 4)}
    appends = GroupedAppends(preparer, writer)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(appends.append, _append(1))]
        wait_until(lambda: preparer.groups == [[1]], 30, "the first is prepared")
        large = _append(2, PREPARED_BYTES // POINT_BYTES)
        futures.append(pool.submit(appends.append, large))
        wait_until(lambda: len(preparer.groups) == 2, 30, "the second is prepared")
        futures += [pool.submit(appends.append, _append(number)) for number in (3, 4)]
        wait_until(lambda: len(appends._waiting) == 2, 30, "the others wait")
        # The second is ready first, and waits for the first all the same.
        preparer.let_go[2].set()
        time.sleep(0.05)
        assert writer.groups == []
        preparer.let_go[1].set()
        preparer.let_go[3].set()
        for _ in range(3):
            writer.let_go.release()
        assert [future.result(30) for future in futures] == [True] * 4
    assert writer.groups == [[1], [2], [3, 4]]


def test_what_takes_no_time_to_prepare_gathers_until_the_write_before_it_is_over() -> None:
    writer = Writer(lambda _each: True)
    appends = GroupedAppends(list, writer)
    with ThreadPoolExecutor(4) as pool:
        calls = Calls(appends, pool)
        futures = [calls.start(_append(number)) for number in (1, 2, 3)]
        for _ in range(2):
            writer.let_go.release()
        assert [future.result(30) for future in futures] == [True] * 3
        assert writer.groups == [[1], [2, 3]]
        # Who comes when nobody leads waits for nobody.
        writer.let_go.release()
        assert pool.submit(appends.append, _append(4)).result(30) is True


def test_many_small_ones_are_prepared_during_a_write() -> None:
    writer = Writer(lambda _each: True)
    prepared: list[int] = []

    def prepare(group: Sequence[Append]) -> Sequence[Append]:
        prepared.append(len(group))
        return group

    count = PREPARED_BYTES // _append(1).size + 1
    with ThreadPoolExecutor(1 + count) as pool:
        appends = GroupedAppends(prepare, writer)
        first = pool.submit(appends.append, _append(1))
        assert writer.started.acquire(timeout=30)
        futures = [pool.submit(appends.append, _append(2 + number)) for number in range(count)]
        wait_until(lambda: prepared == [1, count], 30, "they are prepared")
        assert writer.groups == [[1]]
        for _ in range(2):
            writer.let_go.release()
        assert all(future.result(30) for future in [first, *futures])


def test_a_group_that_cannot_be_prepared_fails_alone() -> None:
    def prepare(appends: Sequence[Append]) -> Sequence[Append]:
        if any(each.sequence == 2 for each in appends):
            raise ValueError("poison")
        return appends

    appends = GroupedAppends(prepare, lambda group: [True] * len(group))
    assert appends.append(_append(1)) is True
    with pytest.raises(ValueError, match="poison"):
        appends.append(_append(2))
    assert appends.append(_append(3)) is True


def test_a_deadline_is_its_own_callers_alone() -> None:
    seen: list[float | None] = []

    def write(group: Sequence[Append]) -> list[Appended]:
        seen.append(current().remaining())
        return [True] * len(group)

    with use(RequestContext(request_id="a", deadline=time.monotonic() + 5)):
        assert GroupedAppends(list, write).append(_append(1)) is True
        assert current().remaining() is not None
    assert seen == [None]


def test_a_leader_that_fails_anywhere_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    appends = GroupedAppends(list, lambda group: [True] * len(group))

    def fails(*_: object) -> list[object]:
        raise MemoryError

    for _ in range(5):
        with monkeypatch.context() as patched:
            patched.setattr(appends, "_gather", fails)
            with pytest.raises(MemoryError):
                appends.append(_append(1))
    assert appends.append(_append(2)) is True


def test_too_few_outcomes_are_an_error_for_all() -> None:
    appends = GroupedAppends(list, lambda _group: [])
    with pytest.raises(ValueError, match="shorter"):
        appends.append(_append(1))
    assert appends._free_leaders == 2


def test_batches_of_one_call_go_together_and_each_has_its_outcome() -> None:
    refused = RunDeleted("run")
    writer = Writer(lambda each: refused if each.sequence == 2 else True)
    appends = GroupedAppends(list, writer)
    writer.let_go.release()
    assert appends.append_all([_append(number) for number in (1, 2, 3)]) == [True, refused, True]
    assert writer.groups == [[1, 2, 3]]


def test_batches_of_one_call_wait_with_others_and_may_lead() -> None:
    writer = Writer(lambda _each: True)
    appends = GroupedAppends(list, writer, leaders=1)
    size = MAX_GROUP_BYTES // 2 // POINT_BYTES
    with ThreadPoolExecutor(2) as pool:
        calls = Calls(appends, pool)
        first = calls.start(_append(1))
        batches = [_append(2), _append(3, size), _append(4, size), _append(5)]
        others = pool.submit(appends.append_all, batches)
        wait_until(lambda: len(appends._waiting) == len(batches), 30, "they wait")
        # What does not fit in one group makes another, led by the same call.
        for _ in range(3):
            writer.let_go.release()
        assert others.result(30) == [True] * len(batches)
        assert first.result(30) is True
    assert writer.groups == [[1], [2, 3], [4, 5]]
    assert (appends._waiting_bytes, appends._free_leaders) == (0, 1)


def test_batches_of_one_call_give_up_at_their_deadline() -> None:
    writer = Writer(lambda _each: True)
    appends = GroupedAppends(list, writer, leaders=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(appends.append, _append(1))
        assert writer.started.acquire(timeout=30)
        with use(RequestContext(deadline=time.monotonic() + 0.01)):
            found = appends.append_all([_append(2), _append(3)])
        assert [type(each) for each in found] == [DeadlineExceeded] * 2
        writer.let_go.release()
        assert first.result() is True
    assert writer.groups == [[1]]
    assert appends._waiting_bytes == 0
