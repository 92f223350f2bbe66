"""Runs the tests of deep-learning models where their frameworks are: `make test-frameworks`.

They share no package with `.venv`, so pytest runs in that environment, once for each framework that
Keras can be on: a process chooses that once.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from support.environments import programs
from support.mlflow_environments import FRAMEWORKS_DEEP
from support.suites import clean_environment, suite

ROOT = Path(__file__).parents[2]
TESTS = "tests/compat/frameworks"
LEFT_OUT = {
    # MLflow's autologging of Keras asks TensorFlow about all data.
    "torch": ("test_keras_autolog.py",),
    # Without Keras: once is enough, and torch does not load where TensorFlow was before.
    "tensorflow": ("test_lightning_autolog.py", "test_spark_autolog.py", "test_spark_udf.py"),
}
SOURCES = ("services", "clients/python/src", "tests")


def main(arguments: list[str]) -> int:
    """Run them; 0 when all passed. Raises Unobtainable."""
    python = programs(FRAMEWORKS_DEEP) / "python"
    settings = {
        **clean_environment(),
        "PYTHONPATH": ":".join(str(ROOT / source) for source in SOURCES),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        # Spark's own processes take the first python3 of PATH.
        "PYSPARK_PYTHON": str(python),
    }
    # Of other people's packages there are warnings enough; ours are errors in the ordinary tests.
    options = ["-q", f"--confcutdir={TESTS}", "-c", "/dev/null", "--rootdir=.", "-W", "default"]
    results: list[int] = []
    with (
        tempfile.TemporaryDirectory(prefix="runstone-frameworks-") as folder,
        suite(Path(folder) / "data", "--no-http", "--grpc-port", "0") as started,
    ):
        settings["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        settings["RUNSTONE_TRACKING_URI"] = f"runstone://{started.status['tcp']}"
        for backend in ("torch", "tensorflow"):
            ignored = [f"--ignore={TESTS}/{name}" for name in LEFT_OUT[backend]]
            done = subprocess.run(
                [python, "-m", "pytest", *options, *ignored, TESTS, *arguments],
                cwd=ROOT,
                env={**settings, "KERAS_BACKEND": backend},
                check=False,
            )
            results.append(done.returncode)
    # One that died of a signal has a negative one.
    return int(any(results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
