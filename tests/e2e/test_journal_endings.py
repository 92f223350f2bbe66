"""Points that are logged as a process ends, by those that it forked, and by signal handlers."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from runstone._journal import folder as folders
from support import fluent
from support.processes import wait_until
from support.suites import clean_environment

DELIVERY_SECONDS = 60.0


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("endings")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def process(data_dir: Path, tmp_path: Path) -> Iterator[None]:
    with fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(data_dir)):
        yield


def script(text: str, data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text)],
        env=clean_environment(RUNSTONE_DATA_DIR=str(data_dir)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str], said: str = "") -> list[str]:
    out, err = process.communicate(said, timeout=100)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out.split()


def steps(run_id: str) -> list[int]:
    return sorted(point.step for point in runstone.Client().get_metric_history(run_id, "m"))


QUIET_PARENT = """
    import os
    import runstone

    with runstone.start_run() as run:
        print(run.info.run_id, flush=True)
        if os.fork() == 0:
            runstone.log_metric("m", 1, step=1)
            os._exit(0)
        os.wait()
        input()
"""


def test_a_forked_worker_s_points_are_delivered_while_its_parent_logs_none(data_dir: Path) -> None:
    parent = script(QUIET_PARENT, data_dir)
    assert parent.stdout is not None
    run_id = parent.stdout.readline().strip()
    wait_until(lambda: steps(run_id) == [1], DELIVERY_SECONDS)
    wait_until(lambda: not folders.journals(folders.root()), DELIVERY_SECONDS)
    assert parent.poll() is None
    finished(parent, "\n")


TERMINATED_WORKER = """
    import multiprocessing, time
    import runstone

    def work(logged):
        runstone.log_metric("m", 1, step=1)
        logged.set()
        time.sleep(100)

    with runstone.start_run() as run:
        context = multiprocessing.get_context("fork")
        logged = context.Event()
        worker = context.Process(target=work, args=(logged,))
        worker.start()
        assert logged.wait(60)
        worker.terminate()
        worker.join()
    print(run.info.run_id)
"""


def test_a_terminated_worker_s_points_are_delivered_when_its_parent_ends(data_dir: Path) -> None:
    (run_id,) = finished(script(TERMINATED_WORKER, data_dir))
    wait_until(lambda: steps(run_id) == [1], DELIVERY_SECONDS)
    wait_until(lambda: not folders.journals(folders.root()), DELIVERY_SECONDS)


LAST_WORDS = """
    import atexit

    @atexit.register
    def last():
        runstone.log_metric("m", 2, step=2, run_id=run.info.run_id)
        runstone.log_metric("m", 3, step=3, run_id=run.info.run_id)

    import runstone

    with runstone.start_run() as run:
        runstone.log_metric("m", 1, step=1)
    print(run.info.run_id)
"""


def test_a_function_that_runs_after_ours_at_exit_may_log(data_dir: Path) -> None:
    (run_id,) = finished(script(LAST_WORDS, data_dir))
    wait_until(lambda: steps(run_id) == [1, 2, 3], DELIVERY_SECONDS)
    wait_until(lambda: not folders.journals(folders.root()), DELIVERY_SECONDS)


HANDLERS = """
    import faulthandler, signal
    import runstone

    faulthandler.dump_traceback_later(80, exit=True)
    signals = 0

    def handler(*_):
        global signals
        signals += 1
        runstone.log_metric("m", signals, step=1_000_000 + signals, run_id=outer)
        if signals % 3 == 0:
            assert runstone.flush(timeout=60)
        if signals % 7 == 0:
            runstone.end_run()

    before = runstone.start_run()
    outer = before.info.run_id
    runstone.end_run()
    print(outer)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    step = 0
    while signals < 100:
        with runstone.start_run():
            runstone.log_metric("m", step, step=step, run_id=outer)
            runstone.flush(timeout=60)
            step += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(step, signals)
"""


@pytest.mark.faults
def test_a_signal_handler_may_log_flush_and_end_runs_at_any_moment(data_dir: Path) -> None:
    run_id, rounds, signals = finished(script(HANDLERS, data_dir))
    expected = [*range(int(rounds)), *range(1_000_001, 1_000_001 + int(signals))]
    wait_until(lambda: steps(run_id) == expected, DELIVERY_SECONDS)
