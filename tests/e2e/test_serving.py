"""`runstone models serve` as a process: workers that die, an alias that moves, an end in order."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sklearn.linear_model import LinearRegression

import runstone
from support import fluent
from support.processes import free_port, listens, stop, wait_until
from support.serving import ask
from support.serving_process import prediction, serve
from support.suites import clean_environment, suite


def log_version(factor: float) -> None:
    """A version of `times`, which multiplies by `factor`."""
    model = LinearRegression(fit_intercept=False).fit([[1.0]], [factor])
    runstone.sklearn.log_model(model, name="times", registered_model_name="times")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A suite with two versions of a model, the first of which is the champion."""
    folder = tmp_path_factory.mktemp("serving")
    with suite(folder / "data", "--grpc-port", "0") as started:
        uri = f"runstone://{started.status['tcp']}"
        with fluent.fresh(folder, RUNSTONE_TRACKING_URI=uri):
            log_version(2.0)
            log_version(3.0)
            runstone.Client(uri).set_registered_model_alias("times", "champion", "1")
        yield uri


def test_workers_follow_the_alias_and_are_replaced_when_they_die(uri: str, tmp_path: Path) -> None:
    port = free_port()
    arguments = ("-m", "models:/times@champion", "-w", "2", "--reload-seconds", "0.1")
    with serve(tmp_path, port, *arguments, RUNSTONE_TRACKING_URI=uri) as (process, log):
        parent = psutil.Process(process.pid)
        wait_until(lambda: log.read_text().count("is served at") == 2, 60, "both workers")
        assert prediction(port) == pytest.approx(2.0)

        runstone.Client(uri).set_registered_model_alias("times", "champion", "2")
        wait_until(lambda: log.read_text().count("is version 2 now") == 2, 60, "the new version")
        assert {round(prediction(port)) for _ in range(8)} == {3}

        victim = parent.children()[0]
        victim.kill()
        wait_until(lambda: log.read_text().count("is served at") == 3, 60, "another worker")
        assert len([each for each in parent.children() if each.status() != "zombie"]) == 2
        assert prediction(port) == pytest.approx(3.0)
        page = ask(port, "/metrics").body.decode()
        # Of all workers together, whichever is asked.
        assert 'runstone_serving_reloads_total{outcome="loaded"} 2.0' in page

        stop(process, signal.SIGTERM)
        assert process.returncode == 0
        assert log.read_text().count("stopped") == 2
        assert not listens(port)


def test_a_pickle_is_not_loaded_unless_that_is_asked_for(tmp_path: Path) -> None:
    model = LinearRegression(fit_intercept=False).fit([[1.0]], [2.0])
    runstone.sklearn.save_model(model, tmp_path / "model", serialization_format="pickle")
    command = [sys.executable, "-m", "runstone.cli", "models", "serve", "-p", "0", "-m", "model"]
    done = subprocess.run(
        command, env=clean_environment(), cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"cannot serve" in done.stderr
    assert b"allow_pickle" in done.stderr
    port = free_port()
    with serve(tmp_path, port, "-m", "model", "--allow-pickle") as (process, log):
        assert prediction(port) == pytest.approx(2.0)
        stop(process, signal.SIGTERM)
        assert process.returncode == 0, log.read_text()
