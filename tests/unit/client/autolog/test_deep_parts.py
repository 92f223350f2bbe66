"""Parts of autologging that need no framework: checkpoints, data of Keras, which library counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runstone._autolog import checkpoints, guard, libraries, switches
from runstone._autolog.checkpoints import Checkpoints, Wish, wished
from runstone._autolog.keras_data import Given
from runstone._autolog.training import Training
from runstone.exceptions import InvalidField


class Kept(Training):
    """A training whose run is a dict of files and a tag."""

    def __init__(self) -> None:
        self.library, self.run_id = "keras", "run"
        self.files: dict[str, str] = {}
        self.latest: list[str] = []
        self.client = self  # type: ignore[assignment]

    def log_artifacts(self, run_id: str, folder: str, below: str) -> None:
        assert run_id == self.run_id
        for each in Path(folder).iterdir():
            self.files[f"{below}/{each.name}"] = each.read_text()

    def set_tag(self, _: str, key: str, value: str) -> None:
        assert key == "mlflow.latest_checkpoint_artifact"
        assert value in self.files  # it is there before it is told of
        self.latest.append(value)


@pytest.fixture(autouse=True)
def off() -> Iterator[None]:
    guard.forget()
    yield
    switches.reset()


def left(wish: Wish, values: list[float | None]) -> Kept:
    kept = Kept()
    made = Checkpoints(kept, wish, (".keras", ".h5"))
    for epoch, value in enumerate(values):
        metrics = {} if value is None else {wish.monitor: value}
        made.leave(epoch, 10 * epoch, metrics, lambda path: path.write_text(f"{path.name}"))
    return kept


@pytest.mark.parametrize(("mode", "best"), [("min", 2), ("max", 1)])
def test_the_best_in_place_of_the_last(mode: str, best: int) -> None:
    kept = left(Wish(mode=mode), [0.5, 0.7, 0.2, 0.6, None])
    assert set(kept.files) == {
        "checkpoints/latest_checkpoint.keras",
        "checkpoints/latest_checkpoint_metrics.json",
    }
    told = json.loads(kept.files["checkpoints/latest_checkpoint_metrics.json"])
    assert told["epoch"] == best
    assert told["global_step"] == 10 * best
    assert len(kept.latest) == 2


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        (Wish(best_only=False), ["epoch_0/checkpoint.keras", "epoch_1/checkpoint.keras"]),
        (
            Wish(best_only=False, weights_only=True, every=5),
            ["global_step_0/checkpoint.weights.h5", "global_step_10/checkpoint.weights.h5"],
        ),
    ],
)
def test_each(wish: Wish, names: list[str]) -> None:
    assert left(wish, [0.5, 0.7]).latest == [f"checkpoints/{each}" for each in names]


def test_one_that_cannot_be_left_is_not_the_best(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    made = Checkpoints(kept, Wish(), (".keras", ".h5"))

    def full(_: Path) -> None:
        raise OSError("the disk is full")

    made.leave(0, 1, {"val_loss": 0.1}, full)
    assert "the disk is full" in caplog.text
    made.leave(1, 2, {"val_loss": 0.3}, lambda path: path.write_text("x"))
    assert len(kept.latest) == 1


def test_a_metric_that_is_not_there_is_told_when_it_was_wished(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert left(Wish(), [None]).latest == []
    assert caplog.text == ""
    assert left(Wish(monitor="los"), [None]).latest == []
    assert "there is no metric 'los'" in caplog.text


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (("", "min", True, False, "epoch"), "checkpoint_monitor"),
        (("loss", "least", True, False, "epoch"), "checkpoint_mode"),
        (("loss", "min", 1, False, "epoch"), "checkpoint_save_best_only"),
        (("loss", "min", True, None, "epoch"), "checkpoint_save_weights_only"),
        (("loss", "min", True, False, "step"), "checkpoint_save_freq"),
        (("loss", "min", True, False, True), "checkpoint_save_freq"),
    ],
)
def test_wrong_wishes_are_named(given: Any, field: str) -> None:
    with pytest.raises(InvalidField, match=field):
        wished(*given)


def test_both_an_epoch_and_a_step() -> None:
    with pytest.raises(InvalidField, match="epoch"):
        checkpoints.fetched("run", 1, 2, "")


def test_the_library_that_was_turned_on_last_counts() -> None:
    both = ("tensorflow", "keras")
    assert switches.latest(both) is None
    for library in ("tensorflow", "keras", "sklearn", "tensorflow"):
        switches.turn(library, switches.Switch())
    assert switches.latest(both) == "tensorflow"
    switches.turn("tensorflow", None)
    assert switches.latest(both) == "keras"


@pytest.mark.parametrize(("number", "by_epoch"), [(2, True), (None, False), (0, False), (2, 1)])
def test_by_epoch_or_by_step(number: Any, by_epoch: Any) -> None:
    with pytest.raises(InvalidField, match="log_every"):
        libraries.steps(number, log_every_epoch=by_epoch)
    assert libraries.steps(2, log_every_epoch=False) == {"log_every_n_steps": 2}


ROWS = np.arange(24.0).reshape(8, 3)


def test_a_generator_is_the_users_until_the_training_reads_it() -> None:
    taken: list[int] = []

    def batches() -> Iterator[Any]:
        for place in range(3):
            taken.append(place)
            yield ROWS[:4] + place, ROWS[:4, 0]

    mine = batches()
    given = Given(mine, None)
    watched = given.watched()
    assert given.batch_size() is None
    assert taken == []
    next(watched)
    watched.close()
    assert given.batch_size() == 4
    np.testing.assert_array_equal(given.rows(), ROWS[:4])
    # What was not read is still there for the user.
    assert len(list(mine)) == 2


def test_rows_of_arrays_and_of_several_inputs() -> None:
    given = Given(ROWS, None)
    assert given.watched() is ROWS
    assert given.batch_size() is None
    rows = given.rows()
    rows[:] = 0
    assert ROWS.any()
    assert set(Given({"a": ROWS, "b": ROWS}, None).rows()) == {"a", "b"}
    assert Given([ROWS, ROWS], None).rows() is None
    assert Given(None, None).rows() is None
