"""What the Open Inference Protocol is told of a model."""

from types import SimpleNamespace

import numpy as np

from runstone._serving import inference
from runstone.models import infer_signature


def test_tensors_without_names_are_told_apart() -> None:
    signature = infer_signature(np.zeros((2, 3)), np.zeros(2))
    model = SimpleNamespace(metadata=SimpleNamespace(signature=signature))
    said = inference.described("m", SimpleNamespace(model=model, version="1"))  # type: ignore[arg-type]
    assert said["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 3]}]
    assert said["outputs"] == [{"name": "predictions", "datatype": "FP64", "shape": [-1]}]
