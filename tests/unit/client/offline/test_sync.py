"""Delivery of a folder: whole, in order, around what is refused, damaged or missing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone import exceptions
from runstone._fluent import _state
from runstone._journal import folder as folders
from runstone._journal import format as frames
from runstone._offline import layout, records, store
from runstone._sync.runs import MARK
from runstone.exceptions import InvalidArgument, RunstoneException
from runstone.tracking.v1 import metric_pb2
from support.offline import FakeSuite, check_everything, log_everything


def over() -> None:
    """The process that has logged is gone; what is logged from here on is another's."""
    store.close()
    _state.reset()


def part_of(folder: Path) -> Path:
    (found,) = layout.parts(folder)
    return found


def record(part: Path, kind: int, place: int = 0) -> records.Record:
    found = records.read(part / layout.RECORDS).records
    return [each for each in found if each.kind == kind][place]


def changed(part: Path) -> int:
    return (part / layout.RECORDS).stat().st_mtime_ns


def damage(path: Path, place: int) -> None:
    with path.open("r+b") as opened:
        opened.seek(place)
        byte = opened.read(1)
        opened.seek(place)
        opened.write(bytes([byte[0] ^ 0x10]))


def test_everything_arrives_once(folder: Path, suite: FakeSuite) -> None:
    ids = log_everything()
    over()
    report = suite.sync(folder)
    check_everything(suite, ids)
    assert report.complete
    assert (report.runs_created, report.params, report.points, report.files) == (2, 2, 21, 2)
    assert (report.inputs, report.file_bytes, report.live_processes) == (1, 6, 0)
    assert [(each.run_id, each.name, each.experiment) for each in report.runs] == [
        (ids[0], "outer", "everything"),
        (ids[1], "inner", "everything"),
    ]
    again = suite.sync(folder)
    check_everything(suite, ids)
    assert (again.runs_created, again.params, again.points, again.files) == (0, 0, 0, 0)
    assert [each.server_run_id for each in again.runs] == list(suite.runs)


def test_a_run_is_delivered_while_it_goes_on(folder: Path, suite: FakeSuite) -> None:
    run = runstone.start_run(run_name="long")
    for step in range(10):
        runstone.log_metric("m", step, step=step)
        runstone.log_param(f"p{step}", step)
        if step % 3 == 0:
            assert suite.sync(folder).live_processes == 1
            found = suite.of(run.info.run_id)
            assert [each[1] for each in found.points] == list(range(step + 1))
            assert len(found.params) == step + 1
            assert (found.status, found.end_ms) == ("RUNNING", None)
    runstone.end_run("KILLED")
    over()
    assert suite.sync(folder).live_processes == 0
    found = suite.of(run.info.run_id)
    assert (found.status, len(found.points)) == ("KILLED", 10)
    assert found.end_ms is not None


def test_what_came_during_a_sync_does_not_end_the_run_early(folder: Path, suite: FakeSuite) -> None:
    """The training logs on and ends while its points are under way."""
    run = runstone.start_run()
    runstone.log_metric("m", 0, step=0)
    times = 0

    def log_on() -> None:
        nonlocal times
        times += 1
        if times == 3:
            for step in range(1, 500):
                runstone.log_metric("m", step, step=step)
            with runstone.start_run(nested=True):
                runstone.log_metric("c", 1)
            runstone.end_run()

    suite.step = log_on
    suite.sync(folder)
    found = suite.of(run.info.run_id)
    assert times > 3
    assert found.status == "RUNNING" or len(found.points) == 500
    suite.sync(folder)
    assert (found.status, len(found.points)) == ("FINISHED", 500)
    assert len(suite.runs) == 2


def test_several_processes_log_to_one_run(folder: Path, suite: FakeSuite) -> None:
    run = runstone.start_run()
    run_id = run.info.run_id
    runstone.set_tag("phase", "one")
    runstone.log_table({"x": [1]}, "rows.json")
    runstone.end_run()
    for number in (2, 3):
        over()
        with runstone.start_run(run_id=run_id):
            runstone.set_tag("phase", str(number))
            runstone.log_metric("m", number, step=number)
            runstone.log_table({"x": [number]}, "rows.json")
    over()
    # What was logged first is applied first, whatever the parts are called.
    first, *others = sorted(layout.parts(folder), key=changed)
    assert len(others) == 2
    first.rename(folder / f"29991231T235959-1-{os.urandom(4).hex()}")
    suite.sync(folder)
    found = suite.of(run_id)
    assert (found.tags["phase"], found.status) == ("3", "FINISHED")
    assert sorted(each[1] for each in found.points) == [2, 3]
    assert json.loads(found.files["rows.json"])["data"] == [[1], [2], [3]]


def test_what_is_refused_is_kept_told_and_the_rest_delivered(
    folder: Path, suite: FakeSuite
) -> None:
    with runstone.start_run() as run:
        runstone.log_param("a", 1)
        suite.sync(folder)
        # Somebody else sets it on the server.
        suite.of(run.info.run_id).params["b"] = "theirs"
        runstone.log_params({"b": "ours", "with": "b"})
        runstone.log_param("c", 3)
        runstone.set_tag("t", "after")
    over()
    report = suite.sync(folder)
    assert not report.complete
    assert suite.of(run.info.run_id).params == {"a": "1", "b": "theirs", "c": "3"}
    assert suite.of(run.info.run_id).tags["t"] == "after"
    (told,) = report.refused
    assert f"params b, with of run {run.info.run_id}: param b is theirs (" in told
    kept = json.loads(Path(told.rsplit("(", 1)[1].rstrip(")")).read_text())
    assert kept["record"]["params"] == {"b": "ours", "with": "b"}
    assert kept["code"] == "FAILED_PRECONDITION"
    # It stays told until somebody has looked, and its part is not removed.
    report = suite.sync(folder, clean=True)
    assert (len(report.refused), report.params, report.removed) == (1, 0, 0)


def test_a_run_that_is_deleted_meanwhile_is_told(folder: Path, suite: FakeSuite) -> None:
    with runstone.start_run() as run:
        runstone.log_metric("m", 1)
        suite.sync(folder)
        suite.of(run.info.run_id).deleted = True
        runstone.log_metrics({"m": 2, "n": 3})
        runstone.log_text("x", "a.txt")
    over()
    report = suite.sync(folder)
    text = "\n".join(report.refused)
    assert "2 points of run" in text
    assert f"file a.txt of run {run.info.run_id}" in text
    assert f"a change of run {run.info.run_id}" in text


def test_runs_of_a_deleted_experiment_wait(folder: Path, suite: FakeSuite) -> None:
    suite.experiments["gone"] = "7"
    suite.deleted_experiments.add("7")
    runstone.set_experiment("gone")
    with runstone.start_run() as run:
        runstone.log_metric("m", 1)
        runstone.log_param("a", 1)
        with runstone.start_run(nested=True) as child:
            runstone.log_metric("c", 1)
    over()
    runstone.set_experiment("there")
    with runstone.start_run() as other:
        runstone.log_metric("m", 1)
    over()
    report = suite.sync(folder)
    assert not report.complete
    assert suite.of(other.info.run_id).status == "FINISHED"
    assert len(suite.runs) == 1
    text = "\n".join(report.waiting)
    assert f"run {run.info.run_id}: experiment 7 is deleted" in text
    assert f"run {child.info.run_id}: its parent {run.info.run_id} waits" in text
    assert sum(f"the rest of {part}: run" in text for part in layout.parts(folder)) == 1
    assert suite.sync(folder, clean=True).removed == 1
    suite.deleted_experiments.clear()
    assert suite.sync(folder).complete
    found = suite.of(run.info.run_id)
    assert (found.params, found.points, found.status) == ({"a": "1"}, [("m", 0, 1.0)], "FINISHED")
    assert suite.of(child.info.run_id).points == [("c", 0, 1.0)]


def test_damaged_records_are_told_and_the_rest_delivered(folder: Path, suite: FakeSuite) -> None:
    ids = log_everything()
    over()
    part = part_of(folder)
    hit = record(part, records.TAGS, 0)
    damage(part / layout.RECORDS, hit.start + 30)
    report = suite.sync(folder)
    assert not report.complete
    (told,) = report.damaged
    assert told.startswith(f"{hit.end - hit.start} bytes that cannot be read: {part}")
    outer = suite.of(ids[0])
    assert (outer.params, outer.status, len(outer.points)) == (
        {"lr": "0.1", "layers": "3"},
        "FINISHED",
        20,
    )


def test_damaged_points_are_told_and_the_rest_delivered(folder: Path, suite: FakeSuite) -> None:
    ids = log_everything(steps=100)
    over()
    part = part_of(folder)
    journal = frames.file_path(part, 1)
    damage(journal, journal.stat().st_size // 2)
    report = suite.sync(folder)
    assert len(report.damaged) == 1
    assert len(suite.of(ids[0]).points) == 99
    assert suite.of(ids[0]).status == "FINISHED"
    assert suite.sync(folder, clean=True).removed == 0


def test_a_run_whose_beginning_is_damaged_is_made_all_the_same(
    folder: Path, suite: FakeSuite
) -> None:
    ids = log_everything()
    over()
    part = part_of(folder)
    damage(part / layout.RECORDS, record(part, records.RUN).start + 30)
    report = suite.sync(folder)
    assert any(f"the beginning of run {ids[0]}" in each for each in report.damaged)
    outer = suite.of(ids[0])
    assert (outer.experiment, outer.params["lr"], len(outer.points)) == ("0", "0.1", 20)
    assert suite.of(ids[1]).tags["mlflow.parentRunId"] in suite.runs
    suite.sync(folder)
    assert len(suite.runs) == 2


@pytest.mark.parametrize("content", [None, "{", '{"version": 1}'])
def test_a_part_without_its_meta_is_delivered(
    folder: Path, suite: FakeSuite, content: str | None
) -> None:
    ids = log_everything()
    over()
    meta = part_of(folder) / folders.META
    if content is None:
        meta.unlink()
    else:
        meta.write_text(content)
    assert suite.sync(folder).complete
    check_everything(suite, ids)


def test_a_damaged_mark_or_memory_of_the_server_costs_nothing(
    folder: Path, suite: FakeSuite
) -> None:
    ids = log_everything()
    over()
    suite.sync(folder)
    (folder / layout.MARK).write_text("?")
    memory = folder / layout.DELIVERED
    for place in range(20, memory.stat().st_size, 60):
        damage(memory, place)
    assert suite.sync(folder).complete
    check_everything(suite, ids)


def test_a_copy_that_was_damaged_or_lost_is_told(folder: Path, suite: FakeSuite) -> None:
    with runstone.start_run() as run:
        for name in ("good", "changed", "lost"):
            runstone.log_text(name, f"{name}.txt")
    over()
    part = part_of(folder)
    (part / layout.FILES / record(part, records.FILE, 1).about["file"]).write_text("CHANGED")
    (part / layout.FILES / record(part, records.FILE, 2).about["file"]).unlink()
    report = suite.sync(folder)
    assert suite.of(run.info.run_id).files == {"good.txt": b"good"}
    assert suite.of(run.info.run_id).status == "FINISHED"
    assert [each.split(" of run")[0] for each in report.refused] == [
        "file changed.txt",
        "file lost.txt",
    ]


def test_a_file_that_is_logged_again_during_the_sync_is_no_loss(
    folder: Path, suite: FakeSuite
) -> None:
    run = runstone.start_run()
    runstone.log_text("one", "last.txt")
    again = iter(["two"])

    def log_again() -> None:
        for text in again:
            runstone.log_text(text, "last.txt")

    suite.step = log_again
    assert suite.sync(folder).complete
    assert suite.sync(folder).complete
    assert suite.of(run.info.run_id).files == {"last.txt": b"two"}


def test_another_server_is_refused_unless_all_goes_there(
    folder: Path, suite: FakeSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = log_everything()
    over()
    suite.sync(folder)
    other = FakeSuite("runstone://other:5051")
    with pytest.raises(InvalidArgument, match=r"delivered to runstone://fake:5051 before.*--again"):
        other.sync(folder)
    # The same one under another name is none.
    suite.tracking_uri = "runstone://alias:5051"
    assert suite.sync(folder).complete
    monkeypatch.setattr(suite, "append", other.append)
    assert other.sync(folder, again=True).points == 21
    check_everything(other, ids)
    with pytest.raises(InvalidArgument, match="delivered to runstone://other:5051 before"):
        suite.sync(folder)


def test_what_is_delivered_whole_is_removed_on_request(folder: Path, suite: FakeSuite) -> None:
    ids = log_everything()
    over()
    run = runstone.start_run()
    assert suite.sync(folder, clean=True).removed == 1
    assert len(layout.parts(folder)) == 1
    runstone.log_metric("m", 1)
    runstone.end_run()
    over()
    report = suite.sync(folder, clean=True)
    assert (report.removed, report.runs_created, layout.parts(folder)) == (1, 0, [])
    assert suite.of(run.info.run_id).points == [("m", 0, 1.0)]
    # What they became is still known.
    report = suite.sync(folder)
    assert {each.run_id for each in report.runs} == {*ids, run.info.run_id}
    assert report.complete


def test_many_tags_params_and_files_are_all_there(folder: Path, suite: FakeSuite) -> None:
    many = {f"p{number}": "x" * 5000 for number in range(600)}
    # The client adds some of its own.
    tags = {f"t{number}": "y" for number in range(95)}
    with runstone.start_run(tags=tags) as run:
        runstone.log_params(many)
        for number in range(30):
            runstone.log_text(str(number), f"{number % 10}.txt")
    over()
    assert suite.sync(folder).files == 10
    found = suite.of(run.info.run_id)
    assert found.params == many
    assert tags.items() <= found.tags.items()
    assert {name: int(text) for name, text in found.files.items()} == {
        f"{number}.txt": 20 + number for number in range(10)
    }


def test_a_suite_that_has_no_data_yet_has_no_runs(
    folder: Path, suite: FakeSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> Any:
        raise exceptions.NotFound("no Runstone data there")

    monkeypatch.setattr(suite, "search_runs", none)
    ids = log_everything()
    over()
    assert suite.sync(folder).complete
    check_everything(suite, ids)


def test_only_one_sync_is_at_work(folder: Path, suite: FakeSuite) -> None:
    log_everything()
    held = folders.take(folder / layout.SYNC_LOCK)
    assert held is not None
    with pytest.raises(RunstoneException, match="another sync"):
        suite.sync(folder)
    os.close(held)
    assert suite.sync(folder).complete


def test_what_is_no_such_folder_is_said(folder: Path, suite: FakeSuite, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="there is no folder"):
        suite.sync(folder)
    with pytest.raises(InvalidArgument, match=r"no folder of offline mode: there is no offline"):
        suite.sync(tmp_path)
    log_everything()
    with pytest.raises(InvalidArgument, match=f"a part of a folder.*sync {folder}"):
        suite.sync(part_of(folder))
    assert not (tmp_path / layout.SYNC_LOCK).exists()


def test_a_server_that_goes_away_ends_the_sync_and_the_next_goes_on(
    folder: Path, suite: FakeSuite
) -> None:
    ids = log_everything()
    over()
    left = iter(range(6))

    def away() -> None:
        if next(left, None) is None:
            raise exceptions.Unavailable("nobody answers")

    suite.step = away
    with pytest.raises(exceptions.Unavailable, match=r"nobody answers; .*: sync again"):
        suite.sync(folder)
    suite.step = lambda: None
    assert suite.sync(folder).complete
    check_everything(suite, ids)


def test_long_journals_are_kept_file_by_file(
    folder: Path, suite: FakeSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runstone.start_run() as run:
        journal = run.client._store.journal
        monkeypatch.setattr(journal, "_file_bytes", 2000)
        monkeypatch.setattr(journal, "_step", 500)
        for step in range(400):
            runstone.log_metric("m", step, step=step)
            if step == 200:
                suite.sync(folder)
    over()
    part = part_of(folder)
    assert len(frames.file_numbers(part)) > 3
    assert suite.sync(folder).complete
    assert frames.file_numbers(part)[0] == 1
    assert sorted(each[1] for each in suite.of(run.info.run_id).points) == list(range(400))
    assert suite.sync(folder, again=True).points == 400


def test_points_dropped_for_want_of_room_are_told(
    folder: Path, suite: FakeSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSTONE_JOURNAL_POLICY", "drop")
    with runstone.start_run() as run:
        journal = run.client._store.journal
        with monkeypatch.context() as patched:
            patched.setattr(journal, "_write", _no_room)
            runstone.log_metrics({"a": 1, "b": 2})
        runstone.log_metric("a", 3)
    over()
    assert suite.sync(folder).dropped_points == 2
    assert suite.of(run.info.run_id).points == [("a", 0, 3.0)]


def _no_room(data: bytes) -> None:
    from runstone._journal.writer import _NoRoom

    raise _NoRoom("is full")


def test_the_mark_names_the_run_of_the_folder(folder: Path, suite: FakeSuite) -> None:
    with runstone.start_run() as run:
        pass
    over()
    suite.sync(folder)
    ((server_id, found),) = suite.runs.items()
    assert found.tags[MARK] == run.info.run_id != server_id


def test_the_writer_of_the_points_is_the_folders(
    folder: Path, suite: FakeSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    real = suite.append

    def append(request: bytes) -> bool:
        seen.append(metric_pb2.AppendMetricsRequest.FromString(request))
        return real(request)

    monkeypatch.setattr(suite, "append", append)
    with runstone.start_run():
        for step in range(3):
            runstone.log_metric("m", step, step=step)
            suite.sync(folder)
    meta = folders.Meta.read(part_of(folder))
    assert [(each.writer_id, each.sequence) for each in seen] == [
        (meta.writer_id, number) for number in (1, 2, 3)
    ]
