"""Models of scikit-learn that the tests of a server share."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import runstone
from runstone.models import ModelSignature
from runstone.types import ColSpec, Schema


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predicts a + 10 b + 100 c, of which c is a whole number."""
    folder = tmp_path_factory.mktemp("serving") / "sums"
    rows = pd.DataFrame({"a": [1.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0], "c": [0, 0, 1]})
    estimator = LinearRegression(fit_intercept=False).fit(rows, [1.0, 10.0, 100.0])
    columns = [ColSpec("double", "a"), ColSpec("double", "b"), ColSpec("long", "c")]
    signature = ModelSignature(Schema(columns), Schema([ColSpec("double")]))
    runstone.sklearn.save_model(estimator, folder, signature=signature)
    return folder


@pytest.fixture(scope="session")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predicts the sum of three numbers; says nothing of what it takes."""
    folder = tmp_path_factory.mktemp("serving") / "unsigned"
    estimator = LinearRegression(fit_intercept=False).fit(np.eye(3), np.ones(3))
    runstone.sklearn.save_model(estimator, folder)
    return folder
