"""Tiny models of each deep-learning framework, made from configs: nothing is downloaded."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [-1.0, 0.5, 9.0], [2.0, 2.0, 2.0]], "float32")
TEXTS = ["good day", "bad day"]


@dataclass(frozen=True)
class Case:
    """One flavor in one of its formats.

    Attributes:
        name: Of the test.
        flavor: Of Runstone and of MLflow.
        make: The model.
        predict: What its own framework predicts, as nested lists or arrays.
        data: What ``pyfunc`` is given; None where it has nothing for the model.
        options: Arguments of ``save_model``, in both.
        unsafe: What is said of it before its author's code may run; empty where none can.
    """

    name: str
    flavor: str
    make: Callable[[], Any]
    predict: Callable[[Any], Any]
    data: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    unsafe: str = ""

    def ours(self) -> Any:
        """The public module of Runstone."""
        return importlib.import_module(f"runstone.{self.flavor}")

    def theirs(self) -> Any:
        """The module of MLflow."""
        return importlib.import_module(f"mlflow.{self.flavor}")


def torch_model() -> Any:
    import torch

    torch.manual_seed(3)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4),
        torch.nn.BatchNorm1d(4),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.5),
        torch.nn.Linear(4, 2),
    )


def scripted_model() -> Any:
    import torch

    return torch.jit.script(torch_model().eval())


def of_torch(model: Any) -> Any:
    import torch

    with torch.no_grad():
        # A traced graph is for predictions as it is, and refuses eval().
        ready = model if hasattr(model, "_guards_fn") or not model.training else model.eval()
        return ready(torch.from_numpy(ROWS)).numpy()


def keras_model() -> Any:
    import keras

    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input([3]),
            keras.layers.Dense(4, activation="relu", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(2),
        ]
    )


def lambda_model() -> Any:
    import keras

    return keras.Sequential([keras.Input([3]), keras.layers.Lambda(lambda given: given * 2)])


def of_keras(model: Any) -> Any:
    return model.predict(ROWS, verbose=0)


def tensorflow_module() -> Any:
    import tensorflow as tf

    class Doubling(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])  # type: ignore[misc]
        def __call__(self, given: Any) -> Any:
            return given * 2

    return Doubling()


def of_module(model: Any) -> Any:
    import tensorflow as tf

    return model(tf.constant(ROWS)).numpy()


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "day"]


def _bert() -> tuple[Any, Any]:
    from transformers import BertConfig, BertTokenizer

    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    return config, BertTokenizer(vocab={word: at for at, word in enumerate(WORDS)})


def classifier() -> Any:
    import torch
    from transformers import BertForSequenceClassification, pipeline

    torch.manual_seed(3)
    config, tokenizer = _bert()
    model = BertForSequenceClassification(config).eval()
    return pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")


def filler() -> Any:
    import torch
    from transformers import BertForMaskedLM, pipeline

    torch.manual_seed(3)
    config, tokenizer = _bert()
    model = BertForMaskedLM(config).eval()
    return pipeline("fill-mask", model=model, tokenizer=tokenizer, device="cpu")


def of_classifier(pipeline: Any) -> Any:
    return [round(each["score"], 5) for each in pipeline(TEXTS)]


def of_filler(pipeline: Any) -> Any:
    return [round(each["score"], 5) for each in pipeline("good [MASK]")]


def embedder() -> Any:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertModel

    torch.manual_seed(3)
    config, tokenizer = _bert()
    folder = Path(os.environ["DEEP_SCRATCH"]) / "bert"
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    inner = Transformer(str(folder))
    return SentenceTransformer(modules=[inner, Pooling(16)], device="cpu")


def of_embedder(model: Any) -> Any:
    return model.encode(TEXTS)


def spacy_pipeline() -> Any:
    import spacy

    spacy.util.fix_random_seed(3)
    pipeline = spacy.blank("en")
    categories = pipeline.add_pipe("textcat")
    for label in ("GOOD", "BAD"):
        categories.add_label(label)
    pipeline.initialize()
    return pipeline


def of_spacy(pipeline: Any) -> Any:
    return [[round(value, 5) for value in pipeline(text).cats.values()] for text in TEXTS]


def forecast() -> Any:
    from prophet import Prophet

    days = pd.date_range("2026-01-01", periods=40)
    return Prophet(uncertainty_samples=0).fit(pd.DataFrame({"ds": days, "y": np.arange(40.0)}))


DAYS = pd.DataFrame({"ds": pd.date_range("2026-03-01", periods=5)})


def of_forecast(model: Any) -> Any:
    return model.predict(DAYS)["yhat"].to_numpy()


TABLE = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})


def session() -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]")
    settings = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1"}
    return builder.config(map=settings).getOrCreate()


def spark_pipeline() -> Any:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import VectorAssembler

    rows = session().createDataFrame(TABLE.assign(label=[0.0, 0.0, 1.0, 1.0]))
    assembler = VectorAssembler(inputCols=["a", "b"], outputCol="features")
    return Pipeline(stages=[assembler, LogisticRegression(maxIter=5)]).fit(rows)


def of_spark(model: Any) -> Any:
    found = model.transform(session().createDataFrame(TABLE))
    return [row.prediction for row in found.select("prediction").collect()]


CASES = [
    Case("pytorch-pt2", "pytorch", torch_model, of_torch, ROWS, {"input_example": ROWS}),
    Case(
        "pytorch-pickle",
        "pytorch",
        torch_model,
        of_torch,
        ROWS,
        {"serialization_format": "pickle", "input_example": ROWS},
        "a pickle (data/model.pth)",
    ),
    Case(
        "pytorch-torchscript",
        "pytorch",
        scripted_model,
        of_torch,
        ROWS,
        {"serialization_format": "pickle"},
        "a pickle (data/model.pth)",
    ),
    Case("keras", "keras", keras_model, of_keras, ROWS),
    Case("transformers", "transformers", classifier, of_classifier, TEXTS),
    Case("transformers-mask", "transformers", filler, of_filler, "good [MASK]"),
    Case("sentence_transformers", "sentence_transformers", embedder, of_embedder, TEXTS),
    Case("spacy", "spacy", spacy_pipeline, of_spacy, pd.DataFrame({"text": TEXTS})),
    Case("prophet", "prophet", forecast, of_forecast, DAYS),
    Case("spark", "spark", spark_pipeline, of_spark, TABLE),
]
"""Those that run with Keras on torch."""

TENSORFLOW_CASES = [
    Case("tensorflow-keras", "tensorflow", keras_model, of_keras, ROWS),
    Case(
        "tensorflow-module",
        "tensorflow",
        tensorflow_module,
        of_module,
        ROWS,
        unsafe="a SavedModel",
    ),
    Case("keras-on-tensorflow", "keras", keras_model, of_keras, ROWS),
    Case(
        "keras-exported",
        "keras",
        keras_model,
        lambda model: (
            model.predict(ROWS, verbose=0)
            if hasattr(model, "predict")
            else model.serve(ROWS).numpy()
        ),
        ROWS,
        {"save_exported_model": True},
        "a SavedModel",
    ),
]
"""Those that need Keras on TensorFlow, which a process chooses once."""
