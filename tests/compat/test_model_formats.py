"""Models of every flavor: what Runstone saves MLflow loads, and the other way round.

One process makes the whole table (`scripts/model_formats.py`), for importing the frameworks is most
of its time; here each row of it is a test.
"""

from typing import Any

import pytest

from support.compat import answered
from support.mlflow_environments import FRAMEWORKS
from support.mlflow_plugin import CLIENT, SCRIPTS
from support.suites import clean_environment

CASES = (
    *("sklearn", "sklearn, pickle", "sklearn, proba"),
    *("xgboost", "xgboost, ranker in JSON", "xgboost, booster", "xgboost, .xgb"),
    *("lightgbm", "lightgbm, pickle", "lightgbm, booster"),
    *("catboost", "catboost, JSON"),
    *("statsmodels", "statsmodels, time series"),
    *("onnx", "onnx, weights outside"),
)
EXAMPLES = ("xgboost", "lightgbm", "catboost", "statsmodels", "onnx")

HANGS_S = 300.0


@pytest.fixture(scope="module")
def frameworks(tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The table."""
    folder = tmp_path_factory.mktemp("formats")
    environment = {
        **clean_environment(),
        "PYTHONPATH": str(CLIENT / "src"),
        "RUNSTONE_TRACKING_URI": tracking_uri,
        "RUNSTONE_JOURNAL_DIR": str(folder / "journals"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [str(FRAMEWORKS.python), str(SCRIPTS / "model_formats.py")]
    found: dict[str, Any] = answered(command, folder, environment, HANGS_S)
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_model_is_the_same_on_both_sides(frameworks: dict[str, Any], case: str) -> None:
    faults = {name: text for name, text in frameworks["cases"][case].items() if text}
    assert faults == {}, "\n".join(faults.values())


def test_every_case_is_a_test(frameworks: dict[str, Any]) -> None:
    assert sorted(frameworks["cases"]) == sorted(CASES)


@pytest.mark.parametrize("module", EXAMPLES)
def test_the_examples_of_the_documentation(frameworks: dict[str, Any], module: str) -> None:
    assert frameworks["examples"][module] == ""
