"""Flavors without their frameworks: what is decided before one is imported."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

import runstone
from runstone._flavors import estimators, libraries, onnx_session, registry
from runstone._models import logging, writing
from runstone.exceptions import InvalidField, LibraryMissing, ModelFormatError

FLAVORS = ("sklearn", "xgboost", "lightgbm", "catboost", "statsmodels", "onnx")


def made_by(module: str, *names: str) -> Any:
    """An object of a class of that module, which inherits from the next, and so on.

    A class of another module is named with it: "spacy.language:Language".
    """
    kind = object
    for each in reversed(names):
        place, _, name = each.rpartition(":")
        kind = type(name, (kind,), {"__module__": place or module})
    return kind()


@pytest.mark.parametrize(
    ("flavor", "model"),
    [
        ("xgboost", made_by("xgboost.sklearn", "XGBClassifier", "XGBModel")),
        ("xgboost", made_by("xgboost.core", "Booster")),
        ("lightgbm", made_by("lightgbm.sklearn", "LGBMRanker", "LGBMModel")),
        ("lightgbm", made_by("lightgbm.basic", "Booster")),
        ("catboost", made_by("catboost.core", "CatBoostRegressor", "CatBoost")),
        ("statsmodels", made_by("statsmodels.base.wrapper", "ResultsWrapper")),
        ("onnx", made_by("onnx.onnx_ml_pb2", "ModelProto")),
        ("pytorch", made_by("torch.nn.modules.linear", "Linear", "Module")),
        ("spacy", made_by("spacy.lang.en", "English", "spacy.language:Language")),
        ("prophet", made_by("prophet.forecaster", "Prophet")),
        ("spark", made_by("pyspark.ml.base", "PipelineModel", "Model", "Transformer")),
        ("sklearn", LinearRegression()),
    ],
)
def test_one_flavor_owns_a_model(flavor: str, model: Any) -> None:
    before = set(sys.modules)
    owners = [name for name in registry.names() if registry.flavor(name).owns(model)]
    assert owners == [flavor]
    # Of the frameworks none was imported to see that.
    assert not {"torch", "spacy", "prophet", "pyspark", "keras"} & (set(sys.modules) - before)


def test_estimators_of_others_come_before_those_of_sklearn() -> None:
    class Classifier(LinearRegression):
        __module__ = "xgboost.sklearn"

    Classifier.__name__ = "XGBModel"
    assert registry.flavor("sklearn").owns(Classifier())
    first = next(name for name in registry.names() if registry.flavor(name).owns(Classifier()))
    assert first == "xgboost"


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("verb", ["save_model", "log_model"])
def test_every_argument_goes_somewhere(
    flavor: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = getattr(getattr(runstone, flavor), verb)
    given = {
        name: f"<{name}>"
        for name, each in inspect.signature(function).parameters.items()
        if each.kind is not each.VAR_KEYWORD
    }
    model = next(iter(given))
    received: dict[str, Any] = {}

    def keep(chosen: Any, it: Any, *rest: Any) -> None:
        assert (chosen.name, it) == (flavor, given[model])
        *where, options = rest
        for each in where:
            if isinstance(each, writing.About | logging.Place):
                received.update({name: getattr(each, name) for name in each.__slots__})
            else:
                received["path"] = each
        taken = inspect.signature(chosen.write).parameters
        assert set(options) <= set(taken), set(options) - set(taken)
        received.update(options)

    monkeypatch.setattr(writing, "save", keep)
    monkeypatch.setattr(logging, "log", keep)
    function(**given)
    for name in given.keys() - {model, "await_registration_for"}:
        assert received[name] == given[name], name


@pytest.mark.parametrize("flavor", ["xgboost", "lightgbm", "catboost", "statsmodels", "onnx"])
def test_a_missing_framework_is_named(
    flavor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, flavor, None)
    with pytest.raises(LibraryMissing, match=f"pip install {flavor}"):
        getattr(runstone, flavor).save_model(object(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flavor", "key"), [("xgboost", "model_class"), ("catboost", "model_type")]
)
def test_a_class_that_a_file_names_is_not_imported(flavor: str, key: str, tmp_path: Path) -> None:
    configuration = {"data": "model", key: "antigravity.Booster"}
    with pytest.raises(ModelFormatError, match=f"flavors.{flavor}.{key}"):
        registry.flavor(flavor).read(tmp_path, configuration)
    assert "antigravity" not in sys.modules


def test_a_subclass_is_kept_as_what_it_inherits_from() -> None:
    known = ("xgboost.sklearn.XGBModel",)
    assert libraries.class_name(made_by("xgboost.sklearn", "XGBModel"), known) == known[0]
    assert libraries.class_name(object(), known) is None
    mine = type("Mine", (type(made_by("xgboost.sklearn", "XGBModel")),), {})()
    with pytest.warns(UserWarning, match=r"what .*\.Mine adds to that is lost"):
        assert libraries.class_name(mine, known) == known[0]


class TestPredicting:
    @staticmethod
    def total(data: Any, scale: float = 1.0) -> Any:
        return data.sum(axis=1).to_numpy() * scale

    def test_parameters_reach_the_method(self) -> None:
        predict = libraries.predicting(self.total)
        assert predict(pd.DataFrame({"a": [1], "b": [2]}), {"scale": 2.0}).tolist() == [6.0]

    def test_a_parameter_that_it_does_not_take_is_left_out(self) -> None:
        predict = libraries.predicting(self.total)
        with pytest.warns(UserWarning, match="takes no colour"):
            assert predict(pd.DataFrame({"a": [1]}), {"colour": "red"}).tolist() == [1.0]

    @pytest.mark.parametrize("data", [{"a": [1.0], "b": [2.0]}, {"a": 1.0, "b": 2.0}])
    def test_a_dict_is_a_table(self, data: dict[str, Any]) -> None:
        assert libraries.predicting(self.total)(data, {}).tolist() == [3.0]

    def test_a_dict_that_is_no_table_is_refused(self) -> None:
        with pytest.raises(InvalidField, match="data must have columns of one length"):
            libraries.predicting(self.total)({"a": [1.0], "b": [1.0, 2.0]}, {})


class TestEstimators:
    def test_types_that_skops_does_not_know_are_listed_for_mlflow(self, tmp_path: Path) -> None:
        rows = np.arange(12.0).reshape(6, 2)
        model = DecisionTreeRegressor().fit(rows, rows[:, 0])
        kept = estimators.keep(model, tmp_path, None, "sk_model")
        assert kept.configuration()["skops_trusted_types"] == ["sklearn.tree._tree.Tree"]
        assert "sklearn.tree._tree.Tree" in str(estimators.unsafe(kept.path, kept.format))

    def test_what_its_own_file_lists_is_not_trusted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import skops.io

        kept = estimators.keep(LinearRegression(), tmp_path, "skops", "sk_model")
        assert estimators.unsafe(kept.path, "skops") is None
        monkeypatch.setattr(skops.io, "get_untrusted_types", lambda file: ["os.system", "known"])
        said = estimators.unsafe(kept.path, "skops", ["known"])
        assert said == "a file of skops with types that it does not know: os.system"

    @pytest.mark.parametrize("asked", estimators.FORMATS)
    def test_a_format_gives_the_same_predictions(self, asked: str, tmp_path: Path) -> None:
        rows = np.arange(12.0).reshape(6, 2)
        model = LinearRegression().fit(rows, rows[:, 0])
        kept = estimators.keep(model, tmp_path, asked, "sk_model")
        found = estimators.load(kept.path, kept.format)
        assert found.predict(rows).tolist() == model.predict(rows).tolist()
        assert (estimators.unsafe(kept.path, kept.format) is None) == (asked == "skops")

    def test_an_unknown_format_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidField, match="must be one of skops, cloudpickle, pickle"):
            estimators.keep(LinearRegression(), tmp_path, "joblib", "sk_model")

    def test_a_damaged_file_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "model.skops").write_bytes(b"no zip")
        with pytest.raises(ModelFormatError, match=r"model\.skops cannot be read"):
            estimators.unsafe(tmp_path / "model.skops", "skops")
        with pytest.raises(ModelFormatError, match=r"model\.skops cannot be read"):
            estimators.load(tmp_path / "model.skops", "skops")


class TestOptionsOfOnnx:
    @pytest.mark.parametrize(
        ("entry", "named"),
        [
            ("CPUExecutionProvider", []),
            (["CUDAExecutionProvider", {"device_id": 0, "arena": "-1", "graph": "True"}], []),
            (["QNNExecutionProvider", {"backend_path": "libevil.so"}], ["backend_path"]),
            (["Broken"], []),
        ],
    )
    def test_texts_count_as_paths(self, entry: Any, named: list[str]) -> None:
        assert onnx_session.paths_in({"providers": [entry]}) == named

    def test_so_do_those_of_the_session(self) -> None:
        extra = {"ep.context_file_path": "/etc/passwd", "session.dynamic_block_base": "4"}
        options = {"onnx_session_options": {"extra_session_config": extra}}
        assert onnx_session.paths_in(options) == ["ep.context_file_path"]

    @pytest.mark.parametrize("given", ["CPUExecutionProvider", [1], [("CPU",)], {"CPU": {}}])
    def test_providers_that_are_none_are_refused(self, given: Any) -> None:
        with pytest.raises(InvalidField, match="onnx_execution_providers must be a list"):
            onnx_session.checked_providers(given)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"threads": 1}, "'threads'.* is not known"),
            ({"intra_op_num_threads": -1}, "from 0 on"),
            ({"execution_mode": "fast"}, "sequential or parallel"),
            ({"graph_optimization_level": 3}, "one of"),
            ({"extra_session_config": 1}, "must be a dict"),
            ([], "must be a dict"),
        ],
    )
    def test_options_that_are_wrong_are_refused(self, given: Any, words: str) -> None:
        with pytest.raises(InvalidField, match=words):
            onnx_session.checked_options(given)
