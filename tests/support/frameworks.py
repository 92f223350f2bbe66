"""Runs the tests of deep-learning frameworks and of Ray where they are: `make test-frameworks`.

They share no package with `.venv`, so pytest runs in their environments; in that of deep learning
once for each framework that Keras can be on: a process chooses that once.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from support.environments import Environment, programs
from support.mlflow_environments import FRAMEWORKS_DEEP, RAY
from support.suites import clean_environment, suite

ROOT = Path(__file__).parents[2]
TESTS = "tests/compat/frameworks"
CLUSTERS = "tests/compat/clusters"
LEFT_OUT = {
    # MLflow's autologging of Keras asks TensorFlow about all data.
    "torch": ["test_keras_autolog.py"],
    # Without Keras: once is enough, and torch does not load where TensorFlow was before.
    "tensorflow": [
        *("test_lightning_autolog.py", "test_spark_autolog.py", "test_spark_udf.py"),
        "test_hook_[!k]*.py",
    ],
}
SOURCES = ("services", "clients/python/src", "tests")


def main(arguments: list[str]) -> int:
    """Run them; 0 when all passed. Raises Unobtainable."""
    runs: list[tuple[Environment, list[str], dict[str, str]]] = [
        *((FRAMEWORKS_DEEP, _on(backend), {"KERAS_BACKEND": backend}) for backend in LEFT_OUT),
        (RAY, [CLUSTERS], {}),
    ]
    pythons = {each: programs(each) / "python" for each in (FRAMEWORKS_DEEP, RAY)}
    settings = {
        **clean_environment(),
        "PYTHONPATH": ":".join(str(ROOT / source) for source in SOURCES),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        # Of its 30 s a busy machine needs more.
        "RAY_raylet_start_wait_time_s": "120",
        # Spark's own processes take the first python3 of PATH.
        "PYSPARK_PYTHON": str(pythons[FRAMEWORKS_DEEP]),
    }
    # Of other people's packages there are warnings enough; ours are errors in the ordinary tests.
    options = ["-q", "--noconftest", "-c", "/dev/null", "--rootdir=.", "-W", "default"]
    results: list[int] = []
    for environment, tests, more in runs:
        # A server for each: experiments have the same names.
        with (
            tempfile.TemporaryDirectory(prefix="runstone-frameworks-") as folder,
            suite(Path(folder) / "data", "--no-http", "--grpc-port", "0") as started,
        ):
            more["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
            more["RUNSTONE_TRACKING_URI"] = f"runstone://{started.status['tcp']}"
            done = subprocess.run(
                [pythons[environment], "-m", "pytest", *options, *tests, *arguments],
                cwd=ROOT,
                env={**settings, **more},
                check=False,
            )
            results.append(done.returncode)
    # One that died of a signal has a negative one.
    return int(any(results))


def _on(backend: str) -> list[str]:
    """The tests that run with Keras on a backend, as pytest is told."""
    return [TESTS, *(f"--ignore-glob={ROOT / TESTS}/{name}" for name in LEFT_OUT[backend])]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
