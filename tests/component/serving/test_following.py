"""A server follows the alias: the new version beside the old, none when it cannot be loaded."""

import logging
from pathlib import Path
from typing import Any

import pytest

from runstone._pyfunc import loading
from runstone._serving import engine, following
from runstone._serving.engine import Engine
from runstone._serving.following import Follower
from runstone._serving.meters import Meters
from runstone._serving.settings import Settings
from runstone.exceptions import AliasNotFound, ModelFormatError
from support.serving import Held


class Registry:
    """Which version the alias names; loading one gives a model that predicts its number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.version = 1
        self.broken: set[str] = set()
        self.loads: list[str] = []
        self.folders: list[Path] = []
        self.error: Exception | None = None
        monkeypatch.setattr(loading, "load", self._load)
        monkeypatch.setattr(engine._state, "client", lambda: self)

    def resolve_model_uri(self, uri: str) -> Any:
        assert uri == "models:/iris@champion"
        if self.error is not None:
            raise self.error
        return self

    def _load(self, uri: str, dst_path: Path, *_: Any, quiet: bool) -> Any:
        version = uri.rpartition("/")[2]
        self.loads.append(uri)
        self.folders.append(dst_path)
        (dst_path / "MLmodel").touch()
        if version in self.broken:
            raise ModelFormatError("it is no model")
        return Model(version)


class Model:
    """Predicts its version."""

    def __init__(self, version: str) -> None:
        self.metadata = self
        self.signature = None
        self.version = version

    def predict(self, _data: Any, _params: Any = None) -> list[str]:
        return [self.version]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    return Registry(monkeypatch)


@pytest.fixture
def served(registry: Registry) -> Engine:
    made = Engine(Settings("models:/iris@champion"), Meters())
    made.load()
    return made


BODY = b'{"inputs": [1]}'


def answer(served: Engine) -> bytes:
    return served.answer(BODY, "application/json")


def test_it_moves_when_the_alias_does(served: Engine, registry: Registry) -> None:
    follower = Follower(served)
    assert not follower.look()
    registry.version = 2
    assert follower.look()
    assert (served.version, answer(served)) == ("2", b'{"predictions":["2"]}')
    assert registry.loads == ["models:/iris/1", "models:/iris/2"]
    assert [each.exists() for each in registry.folders] == [False, True]
    served.close()
    assert not registry.folders[1].exists()


def test_a_request_in_progress_keeps_its_version(served: Engine, registry: Registry) -> None:
    with served.using() as before:
        registry.version = 2
        assert Follower(served).look()
        assert before.model.predict([1]) == ["1"]
        assert registry.folders[0].exists()
        assert answer(served) == b'{"predictions":["2"]}'
    assert not registry.folders[0].exists()


def test_a_version_that_cannot_be_loaded_changes_nothing(
    served: Engine,
    registry: Registry,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    follower = Follower(served)
    registry.version, registry.broken = 2, {"2"}
    with caplog.at_level(logging.INFO, "runstone.serving"):
        assert not follower.look()
    assert "version 2 of models:/iris@champion cannot be loaded, version 1 goes on" in caplog.text
    assert b'reloads_total{outcome="failed"} 1.0' in served.meters.page()
    assert answer(served) == b'{"predictions":["1"]}'
    assert not registry.folders[1].exists()
    # Not tried again at every look, but some time later.
    assert not follower.look()
    assert len(registry.loads) == 2
    registry.broken = set()
    monkeypatch.setattr(following, "RETRY_S", 0.0)
    assert follower.look()
    assert answer(served) == b'{"predictions":["2"]}'


@pytest.mark.parametrize("error", [AliasNotFound("gone"), OSError("no network")])
def test_a_registry_that_does_not_answer_changes_nothing(
    served: Engine, registry: Registry, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Follower(served)
    registry.error = error
    assert not follower.look()
    assert not follower.look()
    assert caplog.text.count("cannot be found out") == 1
    assert answer(served) == b'{"predictions":["1"]}'
    registry.error, registry.version = None, 3
    assert follower.look()


@pytest.mark.parametrize(
    ("uri", "follows"),
    [
        ("models:/iris@champion", True),
        ("models:/iris/Production", True),
        ("models:/iris/latest", True),
        ("models:/iris/3", False),
        (f"models:/m-{'0' * 32}", False),
        (f"runs:/{'0' * 32}/model", False),
        ("/some/folder", False),
    ],
)
def test_what_can_move_is_followed(uri: str, follows: bool) -> None:
    assert Engine(Settings(uri), Meters()).follows == follows


def test_it_looks_again_and_again_until_it_is_stopped(registry: Registry) -> None:
    served = Engine(Settings("models:/iris@champion", reload_s=0.001), Meters())
    served.load()
    held = Held(lambda: False)
    follower = Follower(served)
    follower.look = held  # type: ignore[method-assign]
    held.release.set()
    follower.start()
    for _ in range(3):
        assert held.entered.acquire(timeout=10)
    follower.stop()
    assert not follower._thread.is_alive()
