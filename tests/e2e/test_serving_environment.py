"""A model logged in one environment, served in a clean one: real virtualenv, real packages.

About a minute, most of it for packages to come: `make test-serving`, not CI.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from sklearn.linear_model import LinearRegression

import runstone
from runstone._serving import environments
from runstone.exceptions import FailedPrecondition
from support.environments import programs
from support.mlflow_environments import UV
from support.processes import free_port, stop
from support.serving_process import prediction, serve
from support.suites import clean_environment

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("manager", ["virtualenv", "uv"])
def test_a_clean_environment_is_built_from_the_models_files_alone(
    manager: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LinearRegression(fit_intercept=False).fit([[1.0]], [2.0])
    runstone.sklearn.save_model(model, tmp_path / "model")
    cache = str(tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    if manager == "uv":
        monkeypatch.setenv("PATH", str(programs(UV)), prepend=os.pathsep)
    python = environments.prepare(str(tmp_path / "model"), manager)
    look = "import json, sys, runstone; print(json.dumps([sys.prefix, runstone.__file__]))"
    done = subprocess.run(
        [*environments.command(python), "-c", look], capture_output=True, check=True
    )
    place = str(python.parents[1])
    assert all(each.startswith(place) for each in json.loads(done.stdout))
    port = free_port()
    arguments = ("-m", str(tmp_path / "model"), "--env-manager", manager)
    with serve(tmp_path, port, *arguments, XDG_CACHE_HOME=cache) as (process, _):
        worker = psutil.Process(process.pid).children()[0]
        assert worker.cmdline()[0] == str(python)
        assert prediction(port) == pytest.approx(2.0)
        stop(process, signal.SIGTERM)
        assert process.returncode == 0
    predicts(tmp_path, manager)


def predicts(folder: Path, manager: str) -> None:
    """The model there predicts by command and by function, in the environment of before."""
    rows = folder / "rows.json"
    rows.write_text('{"inputs": [[3.0]]}')
    command = [sys.executable, "-m", "runstone.cli", "models", "predict", "-m", "model"]
    done = subprocess.run(
        [*command, "-i", "rows.json", "--env-manager", manager],
        cwd=folder,
        env=clean_environment(XDG_CACHE_HOME=str(folder / "cache"), PATH=os.environ["PATH"]),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"predictions": [pytest.approx(6.0)]}
    out = folder / "out.json"
    runstone.models.predict(folder / "model", [[4.0]], output_path=out, env_manager=manager)
    assert json.loads(out.read_text()) == {"predictions": [pytest.approx(8.0)]}
    with pytest.raises(FailedPrecondition, match="did not predict in its environment"):
        runstone.models.predict(folder / "model", [["a"]], env_manager=manager)
