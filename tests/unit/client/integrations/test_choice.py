"""What is said of the run of a training, and files that wait for a server."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
import sys
from pathlib import Path
from typing import Any

import pytest

import runstone.integrations
from runstone._integrations.files import Kept
from runstone._integrations.where import Choice
from runstone.exceptions import InvalidField, LibraryMissing


def test_the_environment_says_what_arguments_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Choice.of({}) == Choice(tags={})
    monkeypatch.setenv("RUNSTONE_RESUME", "job 1")
    monkeypatch.setenv("RUNSTONE_NESTED_RUN", "TRUE")
    monkeypatch.setenv("RUNSTONE_RUN_TAGS", '{"team": "risk", "n": 1}')
    said = Choice.of({"tags": {"n": 2}})
    assert (said.resume, said.nested, said.tags) == ("job 1", True, {"team": "risk", "n": 2})
    said = Choice.of({"resume": "mine", "nested": False})
    assert (said.resume, said.nested) == ("mine", False)
    assert pickle.loads(pickle.dumps(said)) == said
    alone = said.within("other").alone()
    assert (alone.experiment_name, alone.resume, alone.fresh) == ("other", None, True)
    assert said.alone("mine").run_name == "mine"
    with pytest.raises(TypeError, match="unknown argument 'fresh'"):
        Choice.of({"fresh": True})  # type: ignore[typeddict-unknown-key]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"run_name": 3}, "run_name must be text, not int"),
        ({"nested": "yes"}, "nested must be True or False, not str"),
        ({"tags": ["a"]}, "tags must be a dict, not list"),
        ({"resume": "it's"}, "resume must be 1 to 200 printable characters without '"),
        ({"resume": "a" * 201}, "resume must be"),
    ],
)
def test_what_is_wrong_is_named(given: Any, message: str) -> None:
    with pytest.raises(InvalidField, match=message):
        Choice.of(given)


@pytest.mark.parametrize("said", ["[1]", "{", "team=risk"])
def test_tags_of_the_environment_are_a_dict(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTONE_RUN_TAGS", said)
    with pytest.raises(InvalidField, match="RUNSTONE_RUN_TAGS must be a dict as JSON"):
        Choice.of({})


def test_an_unknown_argument() -> None:
    with pytest.raises(TypeError, match="unknown argument 'run_nane'; there are experiment_name"):
        Choice.of({"run_nane": "x"})  # type: ignore[typeddict-unknown-key]


HOOKS = [each.name for each in pkgutil.iter_modules(runstone.integrations.__path__)]


def test_every_framework_has_a_hook() -> None:
    assert sorted(HOOKS) == [
        *("accelerate", "hydra", "keras", "lightgbm", "lightning", "optuna", "ray"),
        *("transformers", "xgboost"),
    ]


@pytest.mark.parametrize("name", HOOKS)
def test_a_framework_that_is_missing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (name, f"{name}.pytorch", "pytorch_lightning", "hydra.experimental.callback"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"runstone.integrations.{name}", raising=False)
    with pytest.raises(LibraryMissing, match="pip install"):
        importlib.import_module(f"runstone.integrations.{name}")


def test_links_outlive_what_they_are_of(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-1"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "weights").write_bytes(b"1234")
    single = tmp_path / "last.ckpt"
    single.write_bytes(b"5678")
    kept = [Kept(folder), Kept(single)]
    for each in kept:
        each.keep()
    (folder / "deep" / "weights").unlink()
    single.unlink()
    assert (kept[0].path / "deep" / "weights").read_bytes() == b"1234"
    assert kept[1].path.read_bytes() == b"5678"
    assert [each.path.name for each in kept] == ["checkpoint-1", "last.ckpt"]
    for each in kept:
        each.discard()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["checkpoint-1"]


def test_what_cannot_be_kept_leaves_nothing(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "gone")
    with pytest.raises(OSError, match="gone"):
        kept.keep()
    assert list(tmp_path.iterdir()) == []
