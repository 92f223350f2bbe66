"""Which files of deep-learning frameworks could run code: judged without any of the frameworks."""

from __future__ import annotations

import collections
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

from runstone._flavors import registry
from runstone._flavors.hub import folder_runs
from runstone._flavors.kerasfiles import keras_runs
from runstone._flavors.torchfiles import checkpoint_runs, pt2_runs
from runstone.exceptions import ModelFormatError

NODE = {"target": "torch.ops.aten.linear.default", "name": "linear", "metadata": {}}
SPEC = '[1, {"type": "builtins.tuple", "context": "null", "children_spec": []}]'


def graph(**changed: Any) -> dict[str, Any]:
    return {
        "graph_module": {"graph": {"nodes": [{**NODE, **changed}]}, "in_spec": SPEC},
        "guards_code": [],
    }


def archive(path: Path, records: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w") as found:
        for name, content in records.items():
            found.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return path


def weights(*, use_pickle: bool) -> dict[str, Any]:
    return {"config": {"w": {"path_name": "weight_0", "use_pickle": use_pickle}}}


def pt2(path: Path, model: Any = None, **records: Any) -> Path:
    """A file of torch.export as torch lays it out."""
    kept: dict[str, Any] = {
        "m/models/model.json": graph() if model is None else model,
        "m/data/weights/model_weights_config.json": weights(use_pickle=False),
        "m/data/weights/weight_0": b"\x00" * 8,
        "m/archive_format": b"pt2",
        "m/.data/version": b"6\n",
    }
    return archive(path, {**kept, **records})


def checkpoint(pickled: bytes) -> bytes:
    """What torch.save writes, around a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as found:
        found.writestr("archive/data.pkl", pickled)
        found.writestr("archive/byteorder", "little")
    return file.getvalue()


TENSOR = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00."
SYSTEM = b"\x80\x02cos\nsystem\nq\x00X\x04\x00\x00\x00true\x85R."


def test_a_graph_of_operations_on_tensors_runs_nothing(tmp_path: Path) -> None:
    assert pt2_runs(pt2(tmp_path / "model.pt2")) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"target": "torch.hub.os.system"},
        {"target": "torch.ops.aten.from_file.default"},
        {"target": "torch.ops.load_library"},
        {"target": "torch.ops.aten.__class__.mro"},
        {"target": "math.__loader__.load_module"},
        {"inputs": [{"arg": {"as_operator": "torch.serialization.load"}}]},
        {"sizes": [{"as_expr": {"expr_str": "__import__('os').system('true')"}}]},
        {"sizes": [{"as_expr": {"expr_str": "Symbol('s0').__class__"}}]},
        {"sizes": [{"as_expr": {"expr_str": "Symbol('s0; import os')"}}]},
        {"sizes": [{"as_expr": {"expr_str": "(lambda: 1)()"}}]},
        {"name": "x): import os #"},
        {"inputs": [{"arg": {"as_string": "' or __import__('os').system('true') or '"}}]},
        {"in_spec": SPEC.replace("builtins.tuple", "collections.defaultdict")},
    ],
    ids=str,
)
def test_a_graph_that_names_more_may_run_code(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert pt2_runs(pt2(tmp_path / "model.pt2", graph(**changed))) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Symbol('s77', positive=True, integer=True)",
        "2*Symbol('s0', integer=True) + 1",
        "Max(1, s0)",
    ],
)
def test_sizes_are_arithmetic(tmp_path: Path, text: str) -> None:
    sizes = [{"as_expr": {"expr_str": text}}]
    assert pt2_runs(pt2(tmp_path / "model.pt2", graph(sizes=sizes))) is None


def test_guards_in_python_are_code(tmp_path: Path) -> None:
    model = {**graph(), "guards_code": ["True"]}
    assert "guards" in str(pt2_runs(pt2(tmp_path / "model.pt2", model)))


@pytest.mark.parametrize(
    "records",
    [
        {"m/data/weights/weight_0": b"\x00", "m/data/constants/custom_obj_0": SYSTEM},
        {
            "m/data/weights/model_weights_config.json": weights(use_pickle=True),
            "m/data/weights/weight_0": checkpoint(SYSTEM),
        },
        {"m/data/sample_inputs/model.pt": checkpoint(SYSTEM)},
        {"m/data/sample_inputs/model.pt": SYSTEM},
        {"m/data/aotinductor/model/model.so": b"\x7fELF"},
        {"m/extra/program.py": b"import os"},
    ],
    ids=",".join,
)
def test_an_archive_with_more_than_tensors_may_run_code(
    tmp_path: Path, records: dict[str, Any]
) -> None:
    assert pt2_runs(pt2(tmp_path / "model.pt2", **records)) is not None


EVIL = graph(target="torch.hub.os.system")


@pytest.mark.parametrize(
    "records",
    [
        {"z/models/model.json": {}},
        {"m/Models/model.json": EVIL},
        {"m/models/MODEL.json": {}},
        {"Other/version": b"6"},
    ],
    ids=",".join,
)
def test_an_archive_that_can_be_read_in_two_ways_may_run_code(
    tmp_path: Path, records: dict[str, Any]
) -> None:
    # What is looked at must be what torch reads: the first folder, without regard to case.
    assert pt2_runs(pt2(tmp_path / "model.pt2", EVIL, **records)) is not None


def test_a_checkpoint_with_two_pickles_may_run_code() -> None:
    file = io.BytesIO(checkpoint(TENSOR))
    with zipfile.ZipFile(file, "a") as found:
        found.writestr("archive/DATA.pkl", SYSTEM)
    assert "two parts" in str(checkpoint_runs(file))


def test_an_archive_may_hold_tensors_as_torch_saves_them(tmp_path: Path) -> None:
    records = {"m/data/sample_inputs/model.pt": checkpoint(TENSOR)}
    assert pt2_runs(pt2(tmp_path / "model.pt2", **records)) is None
    plain = pickle.dumps(collections.OrderedDict(a=1), protocol=2)
    assert checkpoint_runs(io.BytesIO(checkpoint(plain))) is None


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(b"nothing")
    with pytest.raises(ModelFormatError, match=r"model\.pt2"):
        pt2_runs(tmp_path / "model.pt2")
    with pytest.raises(ModelFormatError, match=r"model\.keras"):
        keras_runs(archive(tmp_path / "model.keras", {"other.json": {}}))


DENSE = {"class_name": "Dense", "module": "keras.layers", "registered_name": None, "config": {}}


def keras_file(path: Path, layer: dict[str, Any]) -> Path:
    model = {
        "class_name": "Sequential",
        "module": "keras",
        "registered_name": "Sequential",
        "config": {"layers": [layer]},
    }
    return archive(path, {"config.json": model, "model.weights.h5": b""})


def test_keras_own_layers_run_nothing(tmp_path: Path) -> None:
    activation = {"class_name": "function", "module": "builtins", "config": "relu"}
    layer = {**DENSE, "config": {"activation": activation, "shape": {"class_name": "__tuple__"}}}
    assert keras_runs(keras_file(tmp_path / "model.keras", layer)) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"class_name": "Lambda"},
        {"class_name": "TorchModuleWrapper"},
        {"class_name": "TFSMLayer"},
        {"module": "os", "class_name": "system"},
        {"module": "keras.src.utils.file_utils", "class_name": "get_file"},
        {"module": None, "class_name": "Own", "registered_name": "mine>Own"},
        {"config": {"function": {"class_name": "__lambda__", "config": {"code": "4wEA"}}}},
        {"config": {"function": {"class_name": "function", "module": "os", "config": "system"}}},
    ],
    ids=str,
)
def test_other_layers_may_run_code(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert keras_runs(keras_file(tmp_path / "model.keras", {**DENSE, **changed})) is not None


def test_a_folder_of_a_hub_runs_what_stands_beside_its_weights(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"")
    (tmp_path / "model" / "config.json").write_text('{"architectures": ["BertModel"]}')
    assert folder_runs(tmp_path) is None
    for name, content in [
        ("model/pytorch_model.bin", ""),
        ("model/modeling_own.py", ""),
        ("model/tokenizer_config.json", '{"auto_map": {"AutoTokenizer": "own.Own"}}'),
        ("model/processor_config.json", "no JSON"),
    ]:
        file = tmp_path / name
        file.write_text(content)
        assert name in str(folder_runs(tmp_path))
        file.unlink()


@pytest.mark.parametrize(
    ("kind", "configuration", "plain"),
    [
        ("Pooling", {"word_embedding_dimension": 8}, True),
        ("Dense", {"activation_function": "torch.nn.modules.activation.Tanh"}, True),
        ("Dense", {"activation_function": "joblib.load"}, False),
        ("Dense", {"activation_function": ["torch.nn"]}, False),
        ("Asym", {"types": {"w": "sklearn.utils.parallel.joblib"}}, False),
        ("Router", {"types": {"w": "os.system"}}, False),
        ("WordEmbeddings", {"tokenizer_class": "os.system"}, False),
    ],
)
def test_modules_of_sentence_transformers_that_name_classes_may_run_code(
    tmp_path: Path, kind: str, configuration: dict[str, Any], plain: bool
) -> None:
    place = tmp_path / "model.sentence_transformer"
    (place / "0_part").mkdir(parents=True)
    listed = [{"type": f"sentence_transformers.models.{kind}", "path": "0_part"}]
    (place / "modules.json").write_text(json.dumps(listed))
    (place / "0_part" / "config.json").write_text(json.dumps(configuration))
    unsafe = registry.flavor("sentence_transformers").unsafe(tmp_path, {})
    assert (unsafe is None) is plain


def test_a_pipeline_of_spacy_names_what_it_makes(tmp_path: Path) -> None:
    config = tmp_path / "model.spacy" / "config.cfg"
    config.parent.mkdir()
    flavor = registry.flavor("spacy")
    config.write_text('factory = "textcat"\n@readers = "spacy.Corpus.v1"\n@opt = "Adam.v1"\n')
    assert flavor.unsafe(tmp_path, {"data": "model.spacy"}) is None
    config.write_text("source = null\n")
    assert flavor.unsafe(tmp_path, {"data": "model.spacy"}) is None
    for line in (
        'factory = "mine"',
        '@callbacks = "mine.v1"',
        '@x = "spacy.copy_from_base_model.v1"',
        'source = "en_core_web_sm"',
        'callback = {"@callbacks":"mine.v1"}',
    ):
        config.write_text(f"{line}\n")
        assert "not spaCy's own" in str(flavor.unsafe(tmp_path, {"data": "model.spacy"}))


def test_a_pipeline_of_spark_names_its_classes(tmp_path: Path) -> None:
    part = tmp_path / "sparkml" / "metadata" / "part-00000"
    part.parent.mkdir(parents=True)
    flavor = registry.flavor("spark")
    part.write_text('{"class": "org.apache.spark.ml.PipelineModel"}\n')
    assert flavor.unsafe(tmp_path, {"model_data": "sparkml"}) is None
    for content in (
        '{"class": "org.apache.spark.ml.feature.SQLTransformer"}',
        '{"class": "mine.Stage"}',
        "no JSON",
        "",
    ):
        part.write_text(content)
        assert flavor.unsafe(tmp_path, {"model_data": "sparkml"}) is not None
    part.unlink()
    assert flavor.unsafe(tmp_path, {"model_data": "sparkml"}) is not None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        *(("pytorch", "model_data"), ("keras", "data"), ("tensorflow", "data"), ("spacy", "data")),
        *(("spark", "model_data"), ("transformers", "model_binary")),
    ],
)
def test_paths_stay_inside_the_model(tmp_path: Path, name: str, key: str) -> None:
    with pytest.raises(ModelFormatError, match=key):
        registry.flavor(name).unsafe(tmp_path, {key: "../elsewhere"})


def test_weights_elsewhere_are_refused(tmp_path: Path) -> None:
    flavor = registry.flavor("transformers")
    configuration = {"source_model_name": "somebody/model", "source_model_revision": "abc"}
    with pytest.raises(ModelFormatError, match="somebody/model"):
        flavor.unsafe(tmp_path, configuration)
