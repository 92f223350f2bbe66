"""What two runs are compared by."""

from types import SimpleNamespace
from typing import Any, cast

from runstone._client import _compare
from runstone._client._compare import CompareCalls


def test_a_line_that_says_more_than_a_version_is_no_package() -> None:
    assert _compare._packages(b"a==1  # why\n- 'b=2'\n") == {"a": "1", "b": "2"}
    assert _compare._packages(b"a==1; python_version < '3.12'\n") == {}
    assert _compare._packages(b"a==1 --hash=sha256:00\n") == {}


class Kept:
    """A client with two models of one name, and files below source/."""

    def get_logged_model(self, _: str) -> Any:
        return SimpleNamespace(name="net")

    def list_artifacts(self, *_: str, logged_model_id: str = "", recursive: bool = True) -> Any:
        names = ["w.bin"] if logged_model_id else ["source/x.py", "source/project.json"]
        return [
            SimpleNamespace(path=each, sha256=f"{logged_model_id}!", file_size=1) for each in names
        ]

    def get_run(self, _: str) -> Any:
        data = SimpleNamespace(tags={}, params={}, metrics={})
        return SimpleNamespace(data=data, info=SimpleNamespace(status="FINISHED"), inputs=None)

    def _environment(self, *_: Any) -> dict[str, str]:
        return {}

    def _models(self, _: Any) -> dict[str, str]:
        return {}


def test_models_of_one_name_are_told_apart() -> None:
    outputs = [SimpleNamespace(model_id="a"), SimpleNamespace(model_id="b")]
    run = SimpleNamespace(outputs=SimpleNamespace(model_outputs=outputs))
    found = CompareCalls._models(cast("Any", Kept()), cast("Any", run))
    files = {"net/w.bin": "a!", "net (2)/w.bin": "b!"}
    assert found == {"net": "logged", "net (2)": "logged"} | files


def test_files_of_the_user_below_source_are_compared(monkeypatch: Any) -> None:
    monkeypatch.setattr(_compare, "_inputs", lambda _: {})
    facts = CompareCalls._facts(cast("Any", Kept()), "a")
    assert list(facts["artifact"]) == ["source/x.py"]
