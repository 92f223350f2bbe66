"""A model logged in one environment, served in a clean one: real virtualenv, real packages.

About a minute, most of it for packages to come: `make test-serving`, not CI.
"""

import json
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from sklearn.linear_model import LinearRegression

import runstone
from runstone._serving import environments
from support.processes import free_port, stop
from support.serving_process import prediction, serve

pytestmark = pytest.mark.timeout(900)


def test_a_clean_environment_is_built_from_the_models_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LinearRegression(fit_intercept=False).fit([[1.0]], [2.0])
    runstone.sklearn.save_model(model, tmp_path / "model")
    cache = str(tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    python = environments.prepare(str(tmp_path / "model"), "virtualenv")
    look = "import json, sys, runstone; print(json.dumps([sys.prefix, runstone.__file__]))"
    done = subprocess.run(
        [*environments.command(python), "-c", look], capture_output=True, check=True
    )
    place = str(python.parents[1])
    assert all(each.startswith(place) for each in json.loads(done.stdout))
    port = free_port()
    arguments = ("-m", str(tmp_path / "model"), "--env-manager", "virtualenv")
    with serve(tmp_path, port, *arguments, XDG_CACHE_HOME=cache) as (process, _):
        worker = psutil.Process(process.pid).children()[0]
        assert worker.cmdline()[0] == str(python)
        assert prediction(port) == pytest.approx(2.0)
        stop(process, signal.SIGTERM)
        assert process.returncode == 0
