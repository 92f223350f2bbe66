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
OF_NO_BACKEND = ("test_lightning_autolog.py", "test_spark_autolog.py", "test_spark_udf.py")
"""Tests without Keras: run once, and not where TensorFlow is, which torch does not load after."""
CLUSTERS = "tests/compat/clusters"
SOURCES = ("services", "clients/python/src", "tests")


def main(arguments: list[str]) -> int:
    """Run them; 0 when all passed. Raises Unobtainable."""
    left_out = [f"--ignore={TESTS}/{name}" for name in OF_NO_BACKEND]
    # What does not ask for Keras is the same on each of its backends.
    left_out.append(f"--ignore-glob={ROOT / TESTS}/test_hook_[!k]*.py")
    runs: list[tuple[Environment, list[str], dict[str, str]]] = [
        (FRAMEWORKS_DEEP, [TESTS], {"KERAS_BACKEND": "torch"}),
        (FRAMEWORKS_DEEP, [TESTS, *left_out], {"KERAS_BACKEND": "tensorflow"}),
        (RAY, [CLUSTERS], {}),
    ]
    pythons = {each: programs(each) / "python" for each in (FRAMEWORKS_DEEP, RAY)}
    settings = {
        **clean_environment(),
        "PYTHONPATH": ":".join(str(ROOT / source) for source in SOURCES),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "2",
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
