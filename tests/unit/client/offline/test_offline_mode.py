"""The fluent API in offline mode: kept in a folder, and checked as a server would."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import exceptions
from runstone._fluent import _state
from runstone._journal import folder as folders
from runstone._offline import layout, records, store
from runstone.entities import Dataset, Metric
from support.processes import wait_until


def kinds(folder: Path) -> list[int]:
    return [
        each.kind
        for part in layout.parts(folder)
        for each in records.read(part / layout.RECORDS).records
    ]


def another_process() -> None:
    """What is logged from here on goes into a part of its own, and nothing is remembered."""
    store.close()
    _state.reset()


def in_child(action: Any) -> None:
    """Run something in a fork that ends without a word, as workers do."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def test_a_run_is_kept_and_known(folder: Path) -> None:
    experiment = runstone.set_experiment("kept")
    assert (experiment.name, runstone.get_experiment_by_name("other")) == ("kept", None)
    with runstone.start_run(run_name="first", tags={"a": "b"}) as run:
        assert len(run.info.run_id) == 32
        runstone.log_param("lr", 0.1)
        runstone.log_metrics({"loss": 1.0, "acc": math.inf}, step=1)
        runstone.log_metric("loss", 0.5, step=2)
        runstone.log_metric("loss", 9.0, step=0)
        runstone.set_tag("a", "c")
        runstone.log_text("text", "a.txt")
    found = runstone.get_run(run.info.run_id)
    assert found.info.experiment_id == experiment.experiment_id
    assert (found.info.run_name, found.info.status) == ("first", "FINISHED")
    assert found.info.end_time is not None
    assert found.data.params == {"lr": "0.1"}
    assert found.data.metrics == {"loss": 0.5, "acc": math.inf}
    assert found.data.tags["a"] == "c"
    assert runstone.last_active_run() == found
    assert runstone.artifacts.load_text(f"runs:/{run.info.run_id}/a.txt") == "text"
    assert runstone.flush()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_it_says_that_it_waits_for_a_sync(folder: Path) -> None:
    assert runstone.delivery().backlog_bytes == 0
    with runstone.start_run():
        runstone.log_metrics({"a": 1, "b": 2})
    told = runstone.delivery()
    assert (told.points_logged, told.points_delivered, told.sender_alive) == (2, 0, False)
    assert told.backlog_bytes > 0
    assert told.last_error == f"kept in {folder} until `runstone sync`"


@pytest.mark.parametrize(
    "call",
    [
        lambda run: runstone.search_runs(),
        lambda run: runstone.search_experiments(),
        lambda run: runstone.get_run("0" * 32),
        lambda run: runstone.start_run(run_id="0" * 32, nested=True),
        lambda run: runstone.log_metric("a", 1, run_id="0" * 32),
        lambda run: runstone.log_param("a", 1) and runstone.delete_run(run),
        lambda run: runstone.register_model(f"runs:/{run}/model", "m"),
        lambda run: runstone.Client().get_run(run),
        lambda run: runstone.Client().log_metric(run, "a", 1),
        lambda run: runstone.Client("runstone://other").create_run("0"),
        lambda run: runstone.artifacts.list_artifacts(run_id=run),
        lambda run: runstone.active_run().client.get_metric_history(run, "a"),
    ],
)
def test_what_needs_a_server_says_so(folder: Path, call: Any) -> None:
    run = runstone.start_run()
    with pytest.raises(exceptions.OfflineMode, match="RUNSTONE_MODE=offline") as caught:
        call(run.info.run_id)
    message = caught.value.message
    assert f"`runstone sync {folder}`" in message or "RUNSTONE_OFFLINE_DIR" in message


def test_another_mode_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_MODE", "of-line")
    with pytest.raises(exceptions.InvalidArgument, match="online or offline, not 'of-line'"):
        runstone.start_run()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: runstone.log_params({"lr": 0.1, "fine": 1, "a//b": 2}), "InvalidField"),
        (lambda: runstone.log_param("lr", 2), "ParamImmutable"),
        (lambda: runstone.set_tag("../up", 2), "InvalidField"),
        (lambda: runstone.set_tag("x" * 251, 2), "InvalidField"),
        (lambda: runstone.delete_tag("none"), "TagNotFound"),
        (lambda: runstone.log_metric("a", True), "InvalidField"),
        (lambda: runstone.log_metric("a b?", 1), "InvalidField"),
        (lambda: runstone.log_metric("a b?", 1, synchronous=True), "InvalidField"),
        (lambda: runstone.log_text("x", "../up.txt"), "InvalidField"),
        (lambda: runstone.log_text("x", "/root.txt"), "InvalidField"),
        (lambda: runstone.log_text("x", "a\nb"), "InvalidField"),
        (lambda: runstone.log_artifact("nowhere.txt"), "LocalPathMissing"),
        (lambda: runstone.set_tag("a", "\udcff"), "InvalidField"),
        (lambda: runstone.create_experiment("a\tb"), "InvalidField"),
        (lambda: runstone.create_experiment("there"), "ExperimentNameTaken"),
        (lambda: runstone.start_run(nested=True, run_name="x" * 251), "InvalidField"),
        (lambda: runstone.start_run(nested=True, tags={f"t{n}": 1 for n in range(101)}), "Inv"),
        (lambda: runstone.end_run("DONE"), "InvalidField"),
        (lambda: _client().create_run("0", start_time=10**15), "InvalidField"),
        (lambda: _client().set_terminated(_id(), end_time=-1), "InvalidField"),
        (lambda: runstone.log_input(Dataset("a", "b", "c", "x" * 2**22)), "InvalidArgument"),
        (lambda: runstone.artifacts.load_text(f"runs:/{_id()}/no"), "ArtifactNotF"),
    ],
)
def test_what_a_server_would_refuse_is_refused_at_once(call: Any, error: str) -> None:
    runstone.create_experiment("there")
    run = runstone.start_run()
    runstone.log_param("lr", 1)
    with pytest.raises(exceptions.RunstoneException) as caught:
        call()
    assert type(caught.value).__name__.startswith(error)
    assert runstone.get_run(run.info.run_id).data.params == {"lr": "1"}


def _id() -> str:
    active = runstone.active_run()
    assert active is not None
    return active.info.run_id


def _client() -> runstone.Client:
    active = runstone.active_run()
    assert active is not None
    return active.client


def test_a_folder_of_somebody_else_is_not_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTONE_OFFLINE_DIR", str(tmp_path))
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(exceptions.InvalidArgument, match=r"holds thesis\.tex.*RUNSTONE_OFFLINE_DI"):
        runstone.start_run()
    folder.mkdir()
    (folder / layout.MARK).write_text(json.dumps({"version": 99}))
    monkeypatch.delenv("RUNSTONE_OFFLINE_DIR")
    with pytest.raises(exceptions.InvalidArgument, match="later release"):
        runstone.start_run()


def test_what_changes_later_was_copied_before(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "weights.bin"
    source.write_bytes(b"before")
    with runstone.start_run() as run:
        runstone.log_artifact(source, "model")
        with source.open("r+b") as opened:
            opened.write(b"AFTER!")
        assert (
            runstone.artifacts.load_text(f"runs:/{run.info.run_id}/model/weights.bin") == "before"
        )


def test_a_file_that_is_logged_again_takes_its_room_once(folder: Path) -> None:
    with runstone.start_run() as run:
        for number in range(5):
            runstone.log_text(str(number), "last.txt")
        runstone.log_text("other", "other.txt")
    (part,) = layout.parts(folder)
    kept = sorted(each.read_text() for each in (part / layout.FILES).iterdir())
    assert kept == ["4", "other"]
    assert runstone.artifacts.load_text(f"runs:/{run.info.run_id}/last.txt") == "4"


def test_what_is_made_in_memory_is_kept_too(folder: Path) -> None:
    import numpy as np

    class Figure:
        def savefig(self, buffer: Any, **_: Any) -> None:
            buffer.write(b"drawn")

    with runstone.start_run() as run:
        runstone.log_dict({"a": [1]}, "a.yaml")
        runstone.log_figure(Figure(), "plots/loss.png")
        runstone.log_image(np.zeros((2, 2)), key="sample", step=3)
        runstone.log_text("x" * 3_000_000, "long.txt")
        runstone.log_input(
            runstone.data.from_numpy(np.ones((2, 1)), name="train"), context="training"
        )
    found = run.client.get_run(run.info.run_id)
    (given,) = found.inputs.dataset_inputs
    assert (given.dataset.name, given.tags[0].value) == ("train", "training")
    uri = f"runs:/{run.info.run_id}"
    assert runstone.artifacts.load_dict(f"{uri}/a.yaml") == {"a": [1]}
    assert runstone.artifacts.load_text(f"{uri}/plots/loss.png") == "drawn"
    assert len(runstone.artifacts.load_text(f"{uri}/long.txt")) == 3_000_000
    (part,) = layout.parts(folder)
    paths = [each.about.get("path", "") for each in records.read(part / layout.RECORDS).records]
    assert any(path.startswith("images/sample%step%3%") for path in paths)


def test_of_a_folder_with_a_bad_file_nothing_is_kept(folder: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.txt").write_text("a")
    (tree / "b\nc.txt").write_text("b")
    with runstone.start_run(), pytest.raises(exceptions.LocalPathError):
        runstone.log_artifacts(tree)
    assert records.FILE not in kinds(folder)


def test_a_run_goes_on_in_another_process(folder: Path) -> None:
    runstone.set_experiment("shared")
    run = runstone.start_run()
    runstone.log_param("lr", 1)
    runstone.log_table({"x": [1]}, "rows.json")
    runstone.end_run()
    another_process()
    assert runstone.get_experiment_by_name("shared") is not None
    with runstone.start_run(run_id=run.info.run_id) as again:
        assert (again.info.status, again.info.end_time) == ("RUNNING", None)
        assert again.data.params == {"lr": "1"}
        runstone.log_table({"x": [2]}, "rows.json")
        with pytest.raises(exceptions.ParamImmutable):
            runstone.log_param("lr", 2)
    assert len(layout.parts(folder)) == 2
    table = runstone.artifacts.load_dict(f"runs:/{run.info.run_id}/rows.json")
    assert table["data"] == [[1], [2]]
    frame = runstone.load_table("rows.json", run_ids=[run.info.run_id])
    assert list(frame["x"]) == [1, 2]


def test_forked_workers_log_to_their_parents_run(folder: Path) -> None:
    with runstone.start_run() as run:
        runstone.log_metric("m", 0, step=0)
        for number in (1, 2):
            in_child(lambda number=number: _work(number))
        runstone.log_metric("m", 3, step=3)
    assert len(layout.parts(folder)) == 3
    found = runstone.get_run(run.info.run_id)
    assert found.data.tags["worker1"] == found.data.tags["worker2"] == "yes"
    assert found.data.metrics == {"m": 3.0, "w": 2.0}
    # Their owners are gone, the parent's is not.
    free = [folders.take(part / folders.OWNER_LOCK) for part in layout.parts(folder)]
    assert sum(each is not None for each in free) == 2
    for each in free:
        if each is not None:
            os.close(each)


def _work(number: int) -> None:
    runstone.log_metric("w", number, step=number)
    runstone.set_tag(f"worker{number}", "yes")


def test_points_carry_the_rank(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runstone._journal.reader import Points, Reader

    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with runstone.start_run() as run:
        runstone.log_metric("m", 1.5)
        run.client.append_metrics(run.info.run_id, [Metric("m", 2.5, 7, 1)], rank=5)
        run.client.append_metrics(run.info.run_id, {"n": ([1], [2], [3.5])})
    (part,) = layout.parts(folder)
    found = [each for stretch in Reader(part) for each in stretch.records]
    assert [(each.keys, each.rank) for each in found if isinstance(each, Points)] == [
        (("m",), 3),
        (("m",), 5),
        (("n",), None),
    ]


@pytest.fixture
def alarm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("folder", "alarm")
def test_a_signal_handler_logs_in_the_middle_of_anything() -> None:
    run = runstone.start_run()
    handled = 0

    def handler(*_: object) -> None:
        nonlocal handled
        handled += 1
        runstone.set_tag(f"handled{handled}", "yes")
        runstone.log_metric("handled", handled, step=handled)

    signal.signal(signal.SIGUSR1, handler)
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            os.kill(os.getpid(), signal.SIGUSR1)
            stop.wait(0.001)

    thread = threading.Thread(target=disturb)
    thread.start()
    for step in range(200):
        runstone.set_tag(f"t{step}", step)
        runstone.log_metric("m", step, step=step)
    wait_until(lambda: handled > 3)
    stop.set()
    thread.join()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    tags = runstone.get_run(run.info.run_id).data.tags
    assert all(tags[f"t{step}"] == str(step) for step in range(200))
    assert all(tags[f"handled{number}"] == "yes" for number in range(1, handled + 1))


@pytest.mark.usefixtures("folder")
def test_system_metrics_are_not_there(caplog: pytest.LogCaptureFixture) -> None:
    with runstone.start_run(log_system_metrics=True):
        pass
    assert "no system metrics in offline mode" in caplog.text


@pytest.mark.usefixtures("folder")
def test_experiments_are_tagged_by_the_id_that_they_have_here() -> None:
    experiment = runstone.create_experiment("tagged", tags={"a": "1"})
    runstone.set_experiment(experiment_id=experiment)
    runstone.set_experiment_tags({"b": "2"})
    runstone.delete_experiment_tag("a")
    with pytest.raises(exceptions.TagNotFound):
        runstone.delete_experiment_tag("a")
    assert runstone.get_experiment(experiment).tags == {"b": "2"}
    # One of a server's is taken at its word.
    assert runstone.set_experiment(experiment_id="17").experiment_id == "17"
    assert runstone.get_experiment_by_name("Default") == runstone.get_experiment("0")


@pytest.mark.usefixtures("folder")
def test_the_client_goes_to_other_processes() -> None:
    import pickle

    with runstone.start_run() as run:
        client = pickle.loads(pickle.dumps(run.client))
        client.set_tag(run.info.run_id, "from", "afar")
        assert runstone.get_run(run.info.run_id).data.tags["from"] == "afar"
