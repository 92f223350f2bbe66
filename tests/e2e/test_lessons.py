"""The newcomer's lessons on tracking, artifacts and servers: what they print, and what is kept."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import runstone
from support import fluent
from support.lessons import FOLDER, MAX_LINES, Lesson, script
from support.s3 import S3Server
from support.suites import end_suite

LESSONS = range(30)
TESTS = [Path(__file__), Path(__file__).with_name("test_lessons_of_models.py")]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with fluent.embedded(tmp_path_factory.mktemp("lessons")) as folder:
        yield folder


@pytest.fixture
def lesson(tmp_path: Path, data_dir: Path) -> Lesson:
    """On a suite that lessons share: how it comes to life is the matter of three others."""
    return Lesson(tmp_path, data_dir)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Lesson]:
    """With nothing set and nothing there."""
    yield Lesson(tmp_path)
    for status in tmp_path.glob("*/suite.json"):
        end_suite(status.parent)


def test_every_lesson_is_short_has_a_title_and_is_run_here() -> None:
    run = "".join(path.read_text("utf-8") for path in TESTS)
    for number in LESSONS:
        text = script(number).read_text("utf-8")
        title = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
        assert title.startswith(f"Lesson {number}: "), script(number)
        assert len(text.splitlines()) <= MAX_LINES, script(number)
        assert f".run({number}" in run, f"no test runs lesson {number}"
    assert len(list(FOLDER.glob("*.py"))) == len(LESSONS)


def test_0_first_server(fresh: Lesson) -> None:
    assert fresh.run(0) == [
        f"Runstone {runstone.__version__}",
        "The server is ready, and keeps everything in my-server/",
        "It has the experiment 0 Default",
        "It keeps: {'answer': 42.0}",
        "The server has ended with code 0",
    ]
    # A suite that is started there again has what the server kept.
    [run] = fresh.client(fresh.folder / "my-server").search_runs(["0"])
    assert (run.info.run_name, run.data.metrics) == ("hello", {"answer": 42.0})


def test_1_first_experiment(fresh: Lesson) -> None:
    said = fresh.run(1)
    assert said[:2] == [
        "run      elastic net FINISHED",
        "params   {'alpha': '0.01', 'l1_ratio': '0.5'}",
    ]
    assert re.match(r"metrics  \{'mae': 4\d\.\d+, 'r2': 0\.4", said[2])
    run = fresh.runs("diabetes")["elastic net"]
    assert (run.info.status, run.info.user_id) == ("FINISHED", "newcomer")
    assert run.data.metrics.keys() == {"mae", "r2"}
    [model] = fresh.client().search_logged_models([run.info.experiment_id])
    assert (model.name, model.status) == ("model", "READY")


def test_3_tracking_uri(fresh: Lesson) -> None:
    here, there = (fresh.folder / name for name in ("runstone-data", "elsewhere"))
    assert fresh.run(3) == [
        "set by anybody: False",
        f"default:        {here.as_uri()}",
        f"by the call:    {there.as_uri()}",
        "in elsewhere:   ['there']",
        "in the default: ['here']",
        f"by environment: {there.as_uri()}",
    ]
    for place, name in ((here, "here"), (there, "there")):
        assert [run.info.run_name for run in fresh.client(place).search_runs(["0"])] == [name]


def test_4_create_an_experiment(lesson: Lesson) -> None:
    said = dict(line.split(maxsplit=1) for line in lesson.run(4))
    assert said["tags"] == "{'mlflow.note.content': 'Which features help?', 'team': 'pricing'}"
    assert re.fullmatch(r"the name 'house prices' is taken by experiment \d+", said["refused"])
    assert (said["deleted"], said["restored"]) == ("deleted", "active")
    assert said["found"] == "['flat prices']"
    found = lesson.client().get_experiment_by_name("flat prices")
    assert found is not None
    assert (found.lifecycle_stage, found.tags["team"]) == ("active", "pricing")
    assert lesson.runs("flat prices")["a run"].data.metrics == {"rmse": 1.5}
    assert lesson.client().get_experiment_by_name("house prices") is None


def test_5_run_information(lesson: Lesson) -> None:
    said = lesson.run(5)
    for line in (
        "active before: None",
        "active inside: first",
        "active after:  None",
        "last one:      first",
        "status:        FINISHED",
        "params:        {'depth': '3'}",
        "last values:   {'loss': 0.7}",
        "least, most:   0.5 0.9",
        "history:       [(0, 0.9), (1, 0.5), (2, 0.7)]",
        "taken up:      ['loss', 'test_loss']",
        f"unknown:       there is no run with id {'0' * 32}",
    ):
        assert line in said
    run = lesson.runs("information")["first"]
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"loss": 0.7, "test_loss": 0.6})
    assert run.data.tags["mlflow.note.content"] == "Only to look at it."


def test_6_artifacts(lesson: Lesson) -> None:
    said = lesson.run(6)
    assert "report.txt   14 bytes" in said
    assert said[-4:] == [
        "text:   Trained on a Sunday.",
        "dict:   {'layers': [64, 32], 'dropout': 0.1}",
        "table:  {'word': ['a', 'b'], 'count': [3, 1]}",
        "folder: ['test.csv', 'train.csv']",
    ]
    run_id = lesson.runs("artifacts")["files"].info.run_id
    kept = lesson.client().list_artifacts(run_id, recursive=True)
    assert [file.path for file in kept] == [
        *("black.png", "config.yaml", "data/test.csv", "data/train.csv", "notes/day.txt"),
        *("plots/loss.png", "report.txt", "words.json"),
    ]
    assert (lesson.folder / "copy" / "data" / "test.csv").read_text() == "x,y\n1,2\n"


def test_7_tags(lesson: Lesson) -> None:
    said = lesson.run(7)
    mine = {"engineer": "ada", "priority": "1", "release": "1.0", "reviewed": "yes"}
    assert said[0] == f"mine:   {mine}"
    assert said[2] == "source: LOCAL 07_tags.py"
    assert [line.rpartition(": ")[2] for line in said[3:]] == [
        "['tagged']",
        "['other']",
        "['other', 'tagged']",
    ]
    tags = lesson.runs("tags")["tagged"].data.tags
    assert mine.items() <= tags.items()
    assert tags["mlflow.user"] == "newcomer"
    assert "draft" not in tags


def test_8_several_runs(lesson: Lesson) -> None:
    said = lesson.run(8)
    scores = [float(line.split()[1]) for line in said[:4]]
    assert scores == sorted(scores, reverse=True)
    assert {line.split()[0] for line in said[:4]} == {"k=1", "k=5", "k=15", "k=45"}
    assert said[4:] == [f"best: {said[0].split()[0][2:]} neighbours", "its parent: search"]
    runs = lesson.runs("wine neighbours")
    parent = runs.pop("search").info.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent}
    history = lesson.client().get_metric_history(runs["k=5"].info.run_id, "fold_accuracy")
    assert [point.step for point in history] == [0, 1, 2, 3, 4]


def test_9_several_experiments(lesson: Lesson) -> None:
    said = lesson.run(9)
    assert said[:3] == ["cancer bayes: 1 runs", "cancer linear: 2 runs", "cancer trees: 2 runs"]
    assert "metrics.accuracy" in said[3]
    assert said[4].startswith("0     cancer linear")
    assert len(said) == 7
    assert lesson.runs("cancer bayes")["cancer bayes 0"].data.params == {"steps": "GaussianNB"}


def test_11_postgresql_and_s3(
    fresh: Lesson, postgres_url: str, s3_bucket: str, minio: S3Server
) -> None:
    settings = {"RUNSTONE_DATABASE_URL": postgres_url, "RUNSTONE_OBJECTS_URL": s3_bucket}
    said = fresh.run(11, **settings)
    assert said[:2] == [f"{name} is set: True" for name in settings]
    assert said[-4:] == [
        "run:        {'alpha': '0.1'}",
        "file:       from my desk",
        "same model: True",
        "The server has ended with code 0",
    ]
    with psycopg.connect(postgres_url) as database:
        [(name,)] = database.execute("SELECT name FROM runstone_tracking.runs").fetchall()
    assert name == "ridge"
    bucket = s3_bucket.rpartition("/")[2]
    sizes = [each.size for each in minio.client().list_objects(bucket, recursive=True)]
    assert len("from my desk") in sizes
    assert not (fresh.folder / "runstone-data").exists()


def test_22_path_checks(lesson: Lesson) -> None:
    assert lesson.run(22) == [
        "refused: 'missing.txt' is not there",
        "refused: 'pipe' is neither a file nor a folder",
        "refused: 'folder/none' is not there",
        "True a FileNotFoundError",
        "refused: the artifact's path must not have '..' as a name: '../outside/good.txt'",
        "refused: the artifact's path must not begin or end with '/' or have '//': '/etc/good.txt'",
        "refused: the artifact's path must not begin or end with '/' or have '//': 'a//b/good.txt'",
        "kept: ['folder', 'good.txt']",
    ]


def test_26_project(lesson: Lesson) -> None:
    said = lesson.run(26)
    assert said[0] == "name: diabetes"
    at = said.index("status: FINISHED")
    assert said[at + 1] == "params: {'alpha': '0.5', 'intercept': 'yes'}"
    assert re.fullmatch(r"r2:     0\.\d+", said[at + 2])
    assert said[at + 3 : at + 6] == [
        "entry:  main",
        "refused: parameter 'alpha' must be a number, not 'much'",
        "Runs with an r2: 1",
    ]
    assert said[-1] == "exit code 0"
    entries = [
        run.data.tags["mlflow.project.entryPoint"] for run in lesson.runs("projects").values()
    ]
    assert sorted(entries) == ["main", "report"]


def test_27_doctor(lesson: Lesson) -> None:
    said = lesson.run(27)
    healthy, broken = said.index("exit code 0"), said.index("and with a wrong address 1")
    assert any(line.startswith("Installation\tpython\tok\t") for line in said[:healthy])
    assert any("127.0.0.1:9" in line for line in said[broken:])


def test_28_artifacts_command(lesson: Lesson) -> None:
    said = lesson.run(28)
    assert "copied: ['monday.txt', 'tuesday.txt']" in said
    assert "Deleted 1 file." in said
    assert sum(line.startswith("reports/tuesday.txt\t15\t") for line in said) == 1
    run_id = lesson.runs("files")["weather"].info.run_id
    kept = lesson.client().list_artifacts(run_id, recursive=True)
    assert [file.path for file in kept] == ["reports/monday.txt", "reports/tuesday.txt"]


def test_29_experiments_and_runs_commands(lesson: Lesson) -> None:
    said = lesson.run(29)
    at = said.index("NAME\tmetrics.taste\tparams.minutes")
    assert said[at + 1 : at + 3] == ["8 minutes\t10.0\t8", "5 minutes\t7.0\t5"]
    at = said.index("NAME\tstatus".upper())
    assert said[at + 1 : at + 3] == ["8 minutes\tFinished", "5 minutes\tFinished"]
    runs = lesson.runs("canteen")
    assert {name: run.data.params["minutes"] for name, run in runs.items()} == {
        f"{minutes} minutes": str(minutes) for minutes in (5, 8, 12)
    }
