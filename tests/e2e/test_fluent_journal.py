"""Metrics of the fluent API: in the journal on return, on the server once, whatever happens."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import runstone
from runstone import exceptions
from runstone._journal import folder as folders
from runstone._journal import outlet
from runstone.tracking import columnar
from runstone.tracking.v1 import metric_pb2, run_pb2
from support import fluent
from support.processes import free_port, wait_until
from support.suites import SuiteProcess, clean_environment, suite

DELIVERY_SECONDS = 60.0


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("journal")) as folder:
        yield folder


@pytest.fixture
def process(data_dir: Path, tmp_path: Path) -> Iterator[None]:
    with fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(data_dir)):
        yield


def stored(run_id: str, key: str = "m") -> list[float]:
    """What the server has; unlike `get_metric_history` without delivering anything before."""
    stub = runstone.Client()._tracking
    request = metric_pb2.ListMetricKeysRequest(run_id=run_id)
    if not any(each.key == key for each in stub.ListMetricKeys(request).metrics):
        return []
    pages = stub.GetMetricHistory(metric_pb2.GetMetricHistoryRequest(run_id=run_id, key=key))
    columns = [columnar.unpack_double(columnar.joined(page.values)) for page in pages]
    return [value for column in columns for value in column]


def count(run_id: str, key: str = "m") -> int:
    """How often the server was given a point; a repetition counts."""
    keys = runstone.Client().list_metric_keys(run_id)
    return sum(each.count for each in keys if each.key == key)


def script(text: str, folder: Path, data_dir: Path) -> subprocess.Popen[str]:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, str(path)],
        cwd=folder,
        env=clean_environment(RUNSTONE_DATA_DIR=str(data_dir)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out.split()


@pytest.mark.usefixtures("process")
def test_reads_of_this_process_see_what_it_logged() -> None:
    run = runstone.start_run()
    runstone.log_metrics({"m": 1.0, "n": 2}, step=3)
    assert runstone.get_run(run.info.run_id).data.metrics == {"m": 1.0, "n": 2.0}
    runstone.log_metric("m", 2.0, step=4)
    (found,) = runstone.search_runs(filter_string="metrics.m = 2", output_format="list")
    assert found.info.run_id == run.info.run_id
    runstone.log_metric("m", 3.0, step=5)
    history = runstone.Client().get_metric_history(run.info.run_id, "m")
    assert [(each.step, each.value) for each in history] == [(3, 1.0), (4, 2.0), (5, 3.0)]
    runstone.end_run()


@pytest.mark.usefixtures("process")
def test_end_run_and_flush_wait_for_the_server() -> None:
    with runstone.start_run() as run:
        runstone.log_metric("m", 1.0)
        assert runstone.flush()
        assert stored(run.info.run_id) == [1.0]
        runstone.log_metric("m", 2.0, step=1)
    assert stored(run.info.run_id) == [1.0, 2.0]
    assert runstone.flush(timeout=0)


@pytest.mark.usefixtures("process")
def test_the_sender_delivers_by_itself_and_ends_with_the_run_s_last_point() -> None:
    run = runstone.start_run()
    (journal,) = _log_until_sender()
    runstone.log_metric("m", -1.0, step=-1)
    runstone.end_run(wait=False)
    wait_until(lambda: -1.0 in stored(run.info.run_id), DELIVERY_SECONDS)
    outlet.close()
    wait_until(lambda: not journal.journal.folder.exists(), DELIVERY_SECONDS)
    assert count(run.info.run_id) == len(stored(run.info.run_id))


def _log_until_sender() -> list[outlet.Outlet]:
    for step in range(10**9):
        runstone.log_metric("m", float(step), step=step)
        every = outlet.outlets()
        if every[0].sender is not None and every[0].sender.alive:
            return every
    raise AssertionError


@pytest.mark.usefixtures("process")
def test_delivery_tells_how_far_it_is() -> None:
    with runstone.start_run():
        runstone.log_metrics({"a": 1.0, "b": 2.0}, step=1)
        assert runstone.delivery().points_logged == 2
        assert runstone.flush(DELIVERY_SECONDS)
        told = runstone.delivery()
        assert (told.points_delivered, told.points_rejected, told.points_dropped) == (2, 0, 0)
        assert (told.backlog_bytes, told.lag_seconds, told.last_error) == (0, 0.0, "")


@pytest.mark.usefixtures("process")
def test_a_run_that_asks_has_the_machines_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    key = "system/cpu_utilization_percentage"

    def steps(run_id: str) -> list[int]:
        return [point.step for point in runstone.Client().get_metric_history(run_id, key)]

    with runstone.start_run(log_system_metrics=True) as run:
        run_id = run.info.run_id
        wait_until(lambda: count(run_id, key) >= 2, DELIVERY_SECONDS, "samples")
    before = wait_until(lambda: steps(run_id), DELIVERY_SECONDS, "samples")
    with runstone.start_run(run_id, log_system_metrics=True):
        wait_until(lambda: len(steps(run_id)) > len(before), DELIVERY_SECONDS, "more samples")
    after = steps(run_id)
    assert all(left < right for left, right in pairwise(after))
    with runstone.start_run() as other:
        runstone.log_metric("m", 1.0)
    assert set(runstone.get_run(other.info.run_id).data.metrics) == {"m"}


@pytest.mark.usefixtures("process")
def test_what_is_wrong_with_sampling_is_told_before_the_run_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=r"at least 0\.1 seconds, not 0"):
        runstone.set_system_metrics_sampling_interval(0)
    with pytest.raises(exceptions.InvalidField, match="key of only letters"):
        runstone.set_system_metrics_node_id("a?b")
    monkeypatch.setenv("RUNSTONE_ENABLE_SYSTEM_METRICS_LOGGING", "maybe")
    with pytest.raises(exceptions.InvalidArgument, match="must be true or false, not 'maybe'"):
        runstone.start_run()
    assert runstone.active_run() is None


@pytest.mark.usefixtures("process")
def test_synchronous_calls_are_answered_by_the_server() -> None:
    with runstone.start_run() as run:
        runstone.log_metric("m", 1.0, synchronous=True)
        assert stored(run.info.run_id) == [1.0]
        handle = runstone.log_metric("m", 2.0, step=1, synchronous=False)
        assert handle is not None
        handle.wait()
        assert stored(run.info.run_id) == [1.0, 2.0]
    runstone.delete_run(run.info.run_id)
    with pytest.raises(exceptions.RunDeleted):
        runstone.log_metric("m", 3.0, synchronous=True, run_id=run.info.run_id)


@pytest.mark.usefixtures("process")
def test_a_run_named_by_its_id_must_be_there() -> None:
    with pytest.raises(exceptions.RunNotFound):
        runstone.log_metric("m", 1.0, run_id="0" * 32)
    with runstone.start_run() as run:
        pass
    runstone.log_metrics({"m": 1.0}, run_id=run.info.run_id)
    assert runstone.get_run(run.info.run_id).data.metrics == {"m": 1.0}
    runstone.delete_run(run.info.run_id)
    with runstone.start_run() as other:
        pass
    runstone.delete_run(other.info.run_id)
    with pytest.raises(exceptions.RunDeleted):
        runstone.log_metrics({"m": 1.0}, run_id=other.info.run_id)


@pytest.mark.usefixtures("process")
def test_nothing_is_written_of_a_call_that_is_refused() -> None:
    with runstone.start_run() as run:
        for bad in ({"m": 1.0, "n": True}, {"m": 1.0, "n?": 1.0}, {"m": "1"}):
            with pytest.raises(exceptions.InvalidField, match=r"metrics\['[mn]"):
                runstone.log_metrics(bad)
        with pytest.raises(exceptions.InvalidField, match="step"):
            runstone.log_metric("m", 1.0, step=2**63)
        with pytest.raises(exceptions.InvalidField, match="timestamp"):
            runstone.log_metric("m", 1.0, timestamp=-1)
        runstone.log_metrics({})
    assert runstone.get_run(run.info.run_id).data.metrics == {}


@pytest.mark.usefixtures("process")
def test_points_of_a_run_that_was_deleted_meanwhile_are_told_and_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "runstone"):
        run = runstone.start_run()
        runstone.log_metric("m", 1.0)
        runstone.flush()
        # By somebody else: a deletion by this process delivers before.
        stub = runstone.Client()._tracking
        stub.DeleteRun(run_pb2.DeleteRunRequest(run_id=run.info.run_id))
        runstone.log_metrics({"m": 2.0, "n": 3.0}, step=1)
        assert runstone.flush()
    (journal,) = outlet.outlets()
    rejected = journal.journal.folder / folders.REJECTED
    assert "2 points were refused" in caplog.text
    assert str(rejected) in caplog.text
    assert list(rejected.iterdir())
    runstone.restore_run(run.info.run_id)
    runstone.log_metric("m", 4.0, step=2)
    runstone.end_run()
    assert stored(run.info.run_id) == [1.0, 4.0]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[SuiteProcess, str]]:
    port = str(free_port())
    with suite(tmp_path / "data", "--grpc-port", port) as started:
        yield started, f"runstone://127.0.0.1:{port}"


def test_logging_goes_on_while_the_server_is_away(
    server: tuple[SuiteProcess, str], tmp_path: Path
) -> None:
    process, uri = server
    with fluent.fresh(tmp_path, RUNSTONE_TRACKING_URI=uri):
        run = runstone.start_run()
        runstone.log_metric("m", 0.0)
        assert runstone.flush(timeout=DELIVERY_SECONDS)
        process.kill()
        for step in range(1, 100):
            runstone.log_metric("m", float(step), step=step)
        assert not runstone.flush(timeout=0.2)
        process.restart()
        assert runstone.flush(timeout=DELIVERY_SECONDS)
        runstone.end_run()
        assert stored(run.info.run_id) == list(range(100))
        assert count(run.info.run_id) == 100


FORKED = """
    import multiprocessing, os
    import runstone

    def work(number):
        for step in range(10):
            runstone.log_metric("m", number * 10 + step, step=number * 10 + step)

    with runstone.start_run() as run:
        runstone.log_metric("m", 100, step=100)
        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=work, args=(number,)) for number in range(4)]
        for each in workers:
            each.start()
        for each in workers:
            each.join()
            assert each.exitcode == 0
        pid = os.fork()
        if pid == 0:
            runstone.log_metric("m", 40, step=40)
            os._exit(0)
        os.waitpid(pid, 0)
        runstone.log_metric("m", 101, step=101)
    print(run.info.run_id)
"""


def test_forked_workers_have_journals_of_their_own(
    process: None, tmp_path: Path, data_dir: Path
) -> None:
    (run_id,) = finished(script(FORKED, tmp_path, data_dir))
    expected = [*range(41), 100, 101]
    wait_until(lambda: sorted(stored(run_id)) == expected, DELIVERY_SECONDS)
    assert count(run_id) == len(expected)
    wait_until(lambda: not folders.journals(folders.root()), DELIVERY_SECONDS)


LEFT = """
    import runstone
    run = runstone.start_run()
    for step in range(100):
        runstone.log_metric("m", step, step=step)
    print(run.info.run_id)
"""


def test_a_script_that_just_ends_has_delivered_everything(
    process: None, tmp_path: Path, data_dir: Path
) -> None:
    (run_id,) = finished(script(LEFT, tmp_path, data_dir))
    assert stored(run_id) == list(range(100))
    assert runstone.get_run(run_id).info.status == "FINISHED"
    assert folders.journals(folders.root()) == []


ENDLESS = """
    import runstone
    run = runstone.start_run()
    print(run.info.run_id, flush=True)
    step = 0
    while True:
        runstone.log_metric("m", step, step=step)
        print(step, flush=True)
        step += 1
"""


@pytest.mark.faults
def test_what_a_killed_script_logged_is_delivered_by_what_runs_next(
    process: None, tmp_path: Path, data_dir: Path
) -> None:
    for round_ in range(int(os.environ.get("RUNSTONE_TEST_KILLS", "1")) * 2):
        killed = script(ENDLESS, tmp_path, data_dir)
        assert killed.stdout is not None
        run_id = killed.stdout.readline().strip()
        # Before it had a sender, and with one.
        while int(killed.stdout.readline()) < 10 + 20_000 * (round_ % 2):
            pass
        os.kill(killed.pid, signal.SIGKILL)
        out, _ = killed.communicate()
        # The first line may have lost its beginning to the readline before, the last one its end.
        said = [int(line) for line in out.split("\n")[1:-1]]
        finished(script(LEFT, tmp_path, data_dir))
        wait_until(lambda: not folders.journals(folders.root()), DELIVERY_SECONDS)
        steps = [point.step for point in runstone.Client().get_metric_history(run_id, "m")]
        assert steps == list(range(len(steps)))
        assert len(steps) > max(said, default=0)
        assert count(run_id) == len(steps)
