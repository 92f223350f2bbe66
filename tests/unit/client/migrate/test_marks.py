"""Run ids inside tags, and what tells a change."""

from __future__ import annotations

import json
from dataclasses import replace

from runstone._migrate import marks
from runstone._migrate.model import SourceRun

RUN = SourceRun(
    run_id="a",
    experiment_id="1",
    name="n",
    user_id="u",
    status="FINISHED",
    start_time=1,
    end_time=2,
    active=True,
    artifact_uri="",
    params={"p": "1"},
    tags={},
    metrics={"m": "0 1 0.5"},
)


def test_run_ids_in_tags_become_those_of_here() -> None:
    history = [{"run_id": "a", "artifact_path": "model"}, {"run_id": "z"}, "odd"]
    tags = {
        "mlflow.parentRunId": "p",
        "mlflow.log-model.history": json.dumps(history),
        "note": "a",
    }
    found = marks.translated(tags, {"a": "A", "p": "P"})
    assert found["mlflow.parentRunId"] == "P"
    assert json.loads(found["mlflow.log-model.history"]) == [
        {"run_id": "A", "artifact_path": "model"},
        {"run_id": "z"},
        "odd",
    ]
    assert found["note"] == "a"


def test_a_history_that_names_no_known_run_stays_as_it_was_written() -> None:
    for said in ('[{"run_id":"x"}]', '[{"run_id": "x"', "{}", ""):
        tags = {"mlflow.log-model.history": said}
        assert marks.translated(tags, {"a": "A"}) == tags


def test_every_change_of_a_run_changes_its_digest() -> None:
    changed = [
        replace(RUN, name="other"),
        replace(RUN, status="FAILED"),
        replace(RUN, end_time=3),
        replace(RUN, active=False),
        replace(RUN, params={"p": "2"}),
        replace(RUN, metrics={"m": "1 1 0.5"}),
    ]
    digests = {marks.digest(each, {}) for each in [RUN, *changed]} | {marks.digest(RUN, {"t": ""})}
    assert len(digests) == 8
    assert marks.digest(RUN, {}) == marks.digest(replace(RUN, artifact_uri="elsewhere"), {})


def test_a_state_that_somebody_wrote_over_is_no_state() -> None:
    assert marks.state_of({marks.RUN_STATE: "abc 12"}) == ("abc", 12)
    for said in ("", "abc", "abc x", "abc -1", "abc ²", "abc " + "9" * 5000):
        assert marks.state_of({marks.RUN_STATE: said}) == ("", 0)
