"""The newcomer's lessons on models and the registry: what they print, and what is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import fluent
from support.lessons import Lesson


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("lessons")) as folder:
        yield folder


@pytest.fixture
def lesson(tmp_path: Path, data_dir: Path) -> Lesson:
    return Lesson(tmp_path, data_dir)


REFUSED = "refused: the input is not what the model's signature says"


def numbers(lines: list[str]) -> dict[str, float]:
    """What lines of a name and a number say."""
    found = (re.fullmatch(r"(\w+) +(-?\d+\.\d+)", line) for line in lines)
    return {match[1]: float(match[2]) for match in found if match}


def test_2_requirements(lesson: Lesson) -> None:
    said = lesson.run(2)
    found, more, own = (said.index(title) for title in TITLES)
    assert any(re.fullmatch(r" {4}scikit-learn==\d.*", line) for line in said[found:more])
    assert "    rich>=13" in said[more:own]
    assert said[own + 1 : -1] == [said[1], "    scikit-learn", "    skops", "    numpy>=2"]


TITLES = ("Found by itself:", "With one more:", "From a file of mine:")


def test_10_autolog(lesson: Lesson) -> None:
    said = lesson.run(10)
    assert said[0] == "estimator: RandomForestClassifier"
    assert numbers(said)["training_accuracy_score"] > 0.95
    assert "file:      training_confusion_matrix.png" in said
    assert said[-2:] == [
        "runs:      4 of which trials of the search: 2",
        "loaded:    RandomForestClassifier",
    ]
    run = lesson.runs("by itself")["search"]
    assert {"best_cv_score", "test_accuracy"} <= run.data.metrics.keys()


def test_12_signature_and_example(lesson: Lesson) -> None:
    said = lesson.run(12)
    assert said[1:6] == [
        "    sepal length (cm) double",
        "    sepal width (cm) double",
        "    petal length (cm) double",
        "    petal width (cm) double",
        "gives: [long (required)]",
    ]
    assert said[9:11] == [
        "1                4.9               3.0                1.4               0.2",
        "predicts [0, 0, 0]",
    ]
    assert said[-1] == (
        f"{REFUSED}: column 'petal width (cm)' is missing, must be double; not in the signature:"
        " 'petal width'; column 'sepal length (cm)' is str, must be double"
    )


def test_13_infer_signature(lesson: Lesson) -> None:
    assert lesson.run(13) == [
        "a DataFrame: 10 columns, the first is 'age': double (required)",
        "predictions: [Tensor('float64', (-1,))]",
        "an array:    [Tensor('float64', (-1, 3))]",
        "named ones:  ['image': Tensor('float64', (-1, 8, 8)), 'size': Tensor('float64', (-1,))]",
        "nested:      ['name': string (required), 'scores': Array(double) (required)]",
        "parameters:  ['threshold': double (default: 0.5), 'top': long (default: 3)]",
        "missing:     ['age': double (optional), 'name': string (required)]",
        "kept with the model: True",
    ]


def test_14_schema_by_hand(lesson: Lesson) -> None:
    said = lesson.run(14)
    assert (
        "  ['area': double (required), 'rooms': long (required), 'garden': double (optional)]"
        in (said)
    )
    assert said[-4:] == [
        "tensors: ['image': Tensor('float32', (-1, 28, 28))]",
        "without a garden: [60000.0]",
        f"{REFUSED}: column 'rooms' is missing, must be long",
        f"{REFUSED}: column 'rooms' is float64, must be long",
    ]


def test_15_pyfunc_wrapper(lesson: Lesson) -> None:
    said = lesson.run(15)
    assert said[0].split() == ["benign", "says"]
    assert [line.split(maxsplit=1)[1] for line in said[1:4]] == [
        "look again",
        "harmless",
        "harmless",
    ]
    assert said[4:] == [
        "and more careful: ['look again', 'harmless', 'look again']",
        "its own class: Screening",
    ]


def test_16_conda_environment(lesson: Lesson) -> None:
    said = lesson.run(16)
    by_itself, given, read = (
        said.index(title) for title in ("By itself:", "As a dict:", "From a file:")
    )
    assert "    - conda-forge" in said[by_itself:given]
    assert said[given + 1] == "    name: iris"
    assert "      - scikit-learn==1.9.1" in said[given:read]
    assert "    name: iris-from-a-file" in said[read:]
    files = ["MLmodel", "conda.yaml", "model.skops", "python_env.yaml", "requirements.txt"]
    assert said[-1] == f"Files: {files}"


def test_17_load_a_model(lesson: Lesson) -> None:
    said = lesson.run(17)
    assert len(said) == 9
    assert all(line.endswith(" True") for line in [*said[:7], said[8]])
    assert re.fullmatch(r"Lasso with \d features in use", said[7])
    version = lesson.client().get_model_version_by_alias("diabetes", "champion")
    assert version.current_stage == "Production"


def test_18_evaluate(lesson: Lesson) -> None:
    said = lesson.run(18)
    found = numbers(said)
    assert found["example_count"] == 143
    assert found["accuracy_score"] > 0.9
    assert found["roc_auc"] > 0.95
    assert said[-2:] == ["could not be made: {}", "kept with the run: True"]
    run_id = lesson.runs("evaluation")["forest"].info.run_id
    files = [file.path for file in lesson.client().list_artifacts(run_id)]
    assert "roc_curve_plot.png" in files


def test_19_custom_metrics(lesson: Lesson) -> None:
    said = lesson.run(19)
    found = numbers(said)
    assert 0 < found["within_fifty"] < 1
    assert found["cost"] > found["mean_absolute_error"]
    assert re.fullmatch(r"worst rows: \[\d+, \d+, \d+\]", said[-2])
    assert said[-1] == "files: ['residuals.png', 'worst.csv']"
    metrics = lesson.runs("own metrics")["linear"].data.metrics
    assert metrics["within_fifty"] == pytest.approx(found["within_fifty"], abs=1e-3)


def test_20_dummy_baseline(lesson: Lesson) -> None:
    said = lesson.run(20)
    assert said[0].startswith("accuracy_score  0.629 -> 0.9")
    assert said[2].startswith("roc_auc         0.500 -> 0.9")
    assert said[3] == "The tree is good enough."
    assert said[4].startswith("The dummy is not: the model is not good enough by 2 metrics:")
    assert lesson.runs("baseline").keys() == {"dummy", "tree"}


def test_21_registry(lesson: Lesson) -> None:
    said = lesson.run(21)
    assert said[:4] == [
        "1 Archived ['fallback'] ",
        "2 Production ['champion'] Ten times the trees.",
        "champion: 2",
        "trees:    50",
    ]
    assert said[4].startswith("refused:  version 1 of 'wine' may not move to Production: 'sign")
    events = [line.strip() for line in said[6:]]
    assert events[-1] == "CreateRegisteredModel"
    assert {"ApproveTransitionRequest", "TransitionModelVersionStage"} <= set(events)
    client = lesson.client()
    assert client.get_registered_model("wine").tags["team"] == "cellar"
    stages = {v.version: v.current_stage for v in client.search_model_versions("name = 'wine'")}
    assert {str(key): value for key, value in stages.items()} == {"1": "Staging", "2": "Production"}


def test_23_universal_pyfunc(lesson: Lesson) -> None:
    said = [line.split(maxsplit=1) for line in lesson.run(23)]
    assert [name for name, _ in said] == ["linear", "pipeline", "boosting", "ensemble", "function"]
    assert said[0][1].endswith("] python_function, sklearn")
    assert said[4][1] == "[152.0, 152.0, 152.0] python_function"


def test_24_import_a_model(lesson: Lesson) -> None:
    said = lesson.run(24)
    assert said[:2] == ["version 1 READY", "    licence = MIT"]
    assert "    runstone.import.source = https://example.com/models/iris" in said
    refused = next(line for line in said if line.startswith("refused:"))
    assert "is a pickle (from-a-colleague.joblib)" in refused
    assert said[-3:-1] == ["predicts the same: True", "version 2 is unsafe: False"]
    assert "'model.skops'" in said[-1]
    tags = lesson.client().get_model_version("iris-inherited", 1).tags
    assert tags["runstone.import.format"] == "joblib"


def test_25_complete_script(lesson: Lesson) -> None:
    said = lesson.run(25)
    assert re.match(r"best: \{'max_depth': '\d', 'n_estimators': '\d0'\} accuracy 0\.9", said[0])
    assert said[1] == "version 1 of cancer-forest is the champion"
    runs = lesson.runs("complete")
    assert len(runs) == 5
    parent = runs["forest"]
    assert "breast-cancer" in [each.dataset.name for each in parent.inputs.dataset_inputs]
    version = lesson.client().get_model_version_by_alias("cancer-forest", "champion")
    assert version.run_id == parent.info.run_id
