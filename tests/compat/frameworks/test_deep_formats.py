"""What each format keeps and refuses, with the frameworks themselves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from compat.frameworks.deep_models import ROWS, keras_model, lambda_model, of_torch, torch_model
from runstone.exceptions import InvalidField, UntrustedModel


def of_others(folder: Path) -> Path:
    """The model as it looks that somebody else made."""
    return Path(shutil.copytree(folder, folder.with_name("of-others")))


def test_a_layer_with_code_needs_trust(tmp_path: Path) -> None:
    import runstone.keras

    runstone.keras.save_model(lambda_model(), tmp_path / "model")
    folder = of_others(tmp_path / "model")
    with pytest.raises(UntrustedModel, match="Lambda"):
        runstone.keras.load_model(folder)
    loaded = runstone.keras.load_model(folder, allow_pickle=True)
    np.testing.assert_allclose(loaded.predict(ROWS, verbose=0), ROWS * 2)


def test_keras_predicts_tables(tmp_path: Path) -> None:
    import runstone.keras

    table = pd.DataFrame(ROWS, columns=["a", "b", "c"], index=[4, 5, 6, 7])
    model = keras_model()
    runstone.keras.save_model(model, tmp_path / "model")
    found = runstone.pyfunc.load_model(tmp_path / "model").predict(table)
    assert list(found.index) == [4, 5, 6, 7]
    np.testing.assert_allclose(found.to_numpy(), model.predict(ROWS, verbose=0), rtol=1e-5)


if os.environ.get("KERAS_BACKEND") != "tensorflow":

    @pytest.mark.parametrize("as_tensor", [False, True])
    def test_a_graph_of_one_row_takes_many(tmp_path: Path, as_tensor: bool) -> None:
        import torch

        import runstone.pytorch

        model = torch_model()
        example = torch.from_numpy(ROWS[:1]) if as_tensor else ROWS[:1]
        runstone.pytorch.save_model(model, tmp_path / "model", input_example=example)
        assert model.training
        np.testing.assert_allclose(
            of_torch(runstone.pytorch.load_model(tmp_path / "model")), of_torch(model), rtol=1e-5
        )

    def test_a_model_that_cannot_be_traced_is_pickled_with_a_word(tmp_path: Path) -> None:
        import torch

        import runstone.pytorch

        class Branching(torch.nn.Module):  # type: ignore[misc]
            def forward(self, given: Any) -> Any:
                return given * 2 if float(given.sum()) > 0 else given

        with pytest.warns(UserWarning, match="kept as a pickle"):
            runstone.pytorch.save_model(Branching(), tmp_path / "model", input_example=ROWS)
        assert (tmp_path / "model" / "data" / "model.pth").is_file()
        with pytest.raises(InvalidField, match="cannot be traced"):
            runstone.pytorch.save_model(
                Branching(), tmp_path / "must", input_example=ROWS, serialization_format="pt2"
            )
        assert not (tmp_path / "must").exists()

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            ({"serialization_format": "pt2"}, "input_example"),
            ({"serialization_format": "onnx"}, "serialization_format"),
            ({"extra_files": ["nowhere.txt"]}, "extra_files"),
        ],
    )
    def test_wrong_arguments_are_named(
        tmp_path: Path, arguments: dict[str, Any], field: str
    ) -> None:
        import runstone.pytorch

        with pytest.raises(InvalidField, match=field):
            runstone.pytorch.save_model(torch_model(), tmp_path / "model", **arguments)
        assert not (tmp_path / "model").exists()

    def test_a_state_with_code_needs_trust(tmp_path: Path) -> None:
        import runstone.pytorch

        runstone.pytorch.save_state_dict({"path": tmp_path}, tmp_path / "state")
        with pytest.raises(UntrustedModel, match="allow_pickle"):
            runstone.pytorch.load_state_dict(tmp_path / "state")
        loaded = runstone.pytorch.load_state_dict(tmp_path / "state", allow_pickle=True)
        assert loaded == {"path": tmp_path}
