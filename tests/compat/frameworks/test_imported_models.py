"""A folder of Hugging Face that was made elsewhere becomes a version, and predicts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import runstone
from compat.frameworks.deep_models import TEXTS, classifier, of_classifier
from runstone.exceptions import UntrustedModel

if os.environ.get("KERAS_BACKEND") != "tensorflow":

    @pytest.mark.parametrize("safe", [True, False])
    def test_a_folder_of_hugging_face(tmp_path: Path, safe: bool) -> None:
        pipeline = classifier()
        pipeline.save_pretrained(tmp_path / "hub")
        if not safe:
            import torch

            (tmp_path / "hub" / "model.safetensors").unlink()
            torch.save(pipeline.model.state_dict(), tmp_path / "hub" / "pytorch_model.bin")
        version = runstone.models.import_model(tmp_path / "hub", f"hub-{safe}")
        assert version.tags["runstone.import.format"] == "huggingface"
        uri = f"models:/{version.name}/{version.version}"
        if not safe:
            with pytest.raises(UntrustedModel):
                runstone.transformers.load_model(uri)
        loaded = runstone.transformers.load_model(uri, allow_pickle=None if safe else True)
        assert of_classifier(loaded) == of_classifier(pipeline)
        function = runstone.pyfunc.load_model(uri, allow_pickle=None if safe else True)
        assert len(function.predict(TEXTS)) == len(TEXTS)
