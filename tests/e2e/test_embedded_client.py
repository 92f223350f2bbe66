"""Promise 8 for the embedded suite: whatever happens to it, clients go on by themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import runstone
from runstone.exceptions import NotFound
from support import fluent
from support.processes import wait_until
from support.suites import clean_environment, read_status, suite

RESUME_SECONDS = 10.0


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    with (
        fluent.embedded(tmp_path) as folder,
        fluent.fresh(tmp_path, RUNSTONE_DATA_DIR=str(folder)),
    ):
        yield folder


DELIVERY_SECONDS = 60.0


def values(run_id: str) -> list[float]:
    return [point.value for point in runstone.Client().get_metric_history(run_id, "m")]


@pytest.mark.faults
def test_a_client_goes_on_after_its_suite_was_killed(data_dir: Path) -> None:
    began = time.monotonic()
    with runstone.start_run() as run:
        runstone.log_metric("m", 0)
        # On a machine busy with other tests a start alone can take longer than the promise.
        limit = max(RESUME_SECONDS, 3 * (time.monotonic() - began))
        for number in range(1, 4):
            killed = read_status(data_dir)["pid"]
            os.kill(killed, signal.SIGKILL)
            began = time.monotonic()
            runstone.log_metric("m", number, step=number)
            assert runstone.flush()
            assert time.monotonic() - began < limit
            assert read_status(data_dir)["pid"] != killed
    assert values(run.info.run_id) == [0, 1, 2, 3]
    assert runstone.get_run(run.info.run_id).info.status == "FINISHED"


@pytest.mark.faults
def test_a_client_follows_a_server_that_takes_the_folder_over(data_dir: Path) -> None:
    with runstone.start_run() as run:
        runstone.log_metric("m", 0)
        background = read_status(data_dir)["pid"]
        with suite(data_dir, "--grpc-port", "0") as server:
            assert server.status["pid"] != background
            # Not repeated when it fails: it must be sent to the new owner at once.
            runstone.set_tag("draft", "yes")
            runstone.delete_tag("draft")
            runstone.log_metric("m", 1, step=1)
            assert not psutil.pid_exists(background) or zombie(background)
            server.terminate()
        runstone.log_metric("m", 2, step=2)
    assert values(run.info.run_id) == [0, 1, 2]


def zombie(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


POOL = """
    import multiprocessing, sys
    import runstone

    def work(number):
        runstone.log_metric("m", number, step=number)
        return runstone.active_run().info.run_id

    if __name__ == "__main__":
        with runstone.start_run() as run:
            runstone.log_metric("m", 100, step=100)
            with multiprocessing.get_context("fork").Pool(4) as pool:
                assert set(pool.map(work, range(20))) == {run.info.run_id}
            runstone.log_metric("m", 101, step=101)
        print(run.info.run_id)
"""


def run_script(text: str, folder: Path, data_dir: Path) -> str:
    script = folder / "script.py"
    script.write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=clean_environment(RUNSTONE_DATA_DIR=str(data_dir)),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_forked_workers_log_to_their_parents_run(data_dir: Path, tmp_path: Path) -> None:
    run_id = run_script(POOL, tmp_path, data_dir)
    # The pool ends its workers by a signal: their senders deliver what they logged.
    wait_until(lambda: sorted(values(run_id)) == [*range(20), 100, 101], DELIVERY_SECONDS)
    assert runstone.get_run(run_id).info.status == "FINISHED"


def test_a_file_of_the_users_hides_no_module_of_the_suite(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "sqlalchemy.py").write_text("raise RuntimeError('not this one')")
    script = "import runstone\nwith runstone.start_run() as run: pass\nprint(run.info.run_id)"
    assert runstone.get_run(run_script(script, tmp_path, data_dir)).info.status == "FINISHED"


def test_processes_of_one_folder_share_one_suite(data_dir: Path, tmp_path: Path) -> None:
    script = "import runstone\nprint(runstone.create_experiment(__import__('sys').argv[1]))"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, f"experiment {number}"],
            cwd=tmp_path,
            env=clean_environment(RUNSTONE_DATA_DIR=str(data_dir)),
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    ids = {child.communicate(timeout=100)[0].strip() for child in children}
    assert ids == {"1", "2", "3", "4"}


def test_a_folder_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    with fluent.embedded(folder) as data_dir, fluent.fresh(tmp_path):
        runstone.set_tracking_uri(data_dir)
        # Not a read: where there are no data yet, a read makes none.
        runstone.create_experiment("first")
        assert runstone.get_experiment("0").name == "Default"
        assert read_status(data_dir)["address"] != f"unix:{data_dir}/runstone.sock"


def test_a_read_makes_no_folder_and_a_write_does(tmp_path: Path) -> None:
    with fluent.embedded(tmp_path) as data_dir, fluent.fresh(tmp_path):
        reads: list[Callable[[], object]] = [
            runstone.search_experiments,
            runstone.search_registered_models,
            lambda: runstone.get_run("f" * 32),
            lambda: runstone.set_experiment(experiment_id="0"),
        ]
        for read in reads:
            with pytest.raises(NotFound, match=f"no Runstone data in {data_dir}: "):
                read()
        assert runstone.get_experiment_by_name("churn") is None
        assert list(tmp_path.iterdir()) == []
        runstone.set_experiment("churn")
        assert {each.name for each in runstone.search_experiments()} == {"Default", "churn"}


def test_the_command_line_makes_no_folder_of_a_typing_error(tmp_path: Path) -> None:
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("name: Default", "utf-8")
    for uri, command, said in (
        ("./runstone-dtaa", ("experiments", "list"), "no Runstone data in"),
        ("./mlruns", ("experiments", "list"), "no Runstone data in"),
        ("./mlruns", ("experiments", "create", "churn"), "it holds 0/ (an MLflow folder)"),
    ):
        failed = subprocess.run(
            [str(Path(sys.executable).with_name("runstone")), "--tracking-uri", uri, *command],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert failed.returncode == 1, failed.stdout
        assert said in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mlruns"]
    assert [path.name for path in (tmp_path / "mlruns").iterdir()] == ["0"]
