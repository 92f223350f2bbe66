"""The Python files of a user's own that a model needs are found by reading."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runstone import pyfunc
from runstone._models import code_files
from runstone.exceptions import InvalidField

FILES = {
    "shapes/__init__.py": "",
    "shapes/round.py": "from .tools.numbers import twice\n",
    "shapes/flat.py": "from ... import nothing\nraise RuntimeError('read, not run')\n",
    "shapes/tools/__init__.py": "from shapes.tools import words\n",
    "shapes/tools/numbers.py": "import json, spaces.inner\ndef twice(x): return 2 * x\n",
    "shapes/tools/words.py": "import shapes.round\n",
    "spaces/inner.py": "def late():\n    import lone\n",
    "spaces/unused.py": "",
    "lone.py": "this is no Python\n",
    "other.py": "",
    "secrets.py": "hidden = True\n",
    "environment/lib/site-packages/installed.py": "",
    "below/direct.py": "import lone\n",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def found(*modules: str, scripts: tuple[Path, ...] = ()) -> list[str]:
    return [each.as_posix() for each in code_files.needed(modules, scripts)]


def test_what_is_imported_and_what_that_imports(place: Path) -> None:
    assert found("shapes.round") == [
        "lone.py",
        "shapes/__init__.py",
        "shapes/round.py",
        "shapes/tools/__init__.py",
        "shapes/tools/numbers.py",
        "shapes/tools/words.py",
        "spaces/inner.py",
    ]
    assert "shapes" not in sys.modules


@pytest.mark.parametrize(
    "name", ["json", "runstone.pyfunc", "pytest", "nowhere", "secrets", "installed", "", ".", "..x"]
)
def test_no_code_of_the_users(name: str, place: Path) -> None:
    assert found(name) == []


def test_what_a_script_imports(place: Path) -> None:
    script = place / "script.py"
    script.write_text("from shapes import flat\nimport other as one\n")
    assert found(scripts=(script,)) == ["other.py", "shapes/__init__.py", "shapes/flat.py"]


def test_folders_below_that_are_on_the_path(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("direct") == []
    monkeypatch.syspath_prepend(str(place / "below"))
    monkeypatch.syspath_prepend(str(place / "environment/lib/site-packages"))
    assert found("direct", "installed") == ["direct.py", "lone.py"]


def test_a_module_of_the_same_name_from_elsewhere_is_meant(
    place: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "other.py").write_text("")
    monkeypatch.syspath_prepend(str(elsewhere))
    __import__("other")
    assert found("other") == []


def test_a_model_with_its_files_is_loaded_elsewhere(place: Path) -> None:
    from shapes.tools.numbers import twice  # type: ignore[import-not-found]

    class Doubling(pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [twice(each) for each in model_input]

    pyfunc.save_model("model", python_model=Doubling(), infer_code_paths=True)
    code = place / "model" / "code"
    assert (code / "shapes/tools/numbers.py").is_file()
    assert not (code / "shapes/flat.py").exists()
    elsewhere = place / "elsewhere"
    (place / "model").rename(elsewhere)
    for name in ("shapes", "spaces", "lone.py", "other.py"):
        (place / name).rename(place / f"gone-{name}")
    script = (
        "import runstone.pyfunc as p\n"
        f"print(p.load_model({str(elsewhere)!r}, allow_pickle=True).predict([4.0]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.stdout == "[8.0]\n", done.stderr


def test_a_loader_and_a_script(place: Path) -> None:
    (place / "loading.py").write_text(
        "import lone_tool\ndef _load_pyfunc(path): return lone_tool.Model()\n"
    )
    (place / "lone_tool.py").write_text("class Model:\n    def predict(self, x): return x\n")
    pyfunc.save_model("loaded", loader_module="loading", infer_code_paths=True)
    assert sorted(each.name for each in (place / "loaded/code").iterdir()) == [
        "loading.py",
        "lone_tool.py",
    ]
    (place / "script.py").write_text(
        "import lone_tool\nfrom runstone.models import set_model\n"
        "set_model(lambda model_input: model_input)\n"
    )
    pyfunc.save_model("scripted", python_model="script.py", infer_code_paths=True)
    assert [each.name for each in (place / "scripted/code").iterdir()] == ["lone_tool.py"]


def test_a_model_without_files_of_its_own_has_none(place: Path) -> None:
    pyfunc.save_model("model", python_model=len, infer_code_paths=True)
    assert not (place / "model" / "code").exists()


@pytest.mark.parametrize(
    "options", [{"infer_code_paths": 1}, {"infer_code_paths": True, "code_paths": ["other.py"]}]
)
def test_wrong_arguments_are_named(options: dict[str, Any], place: Path) -> None:
    with pytest.raises(InvalidField, match="infer_code_paths"):
        pyfunc.save_model("model", python_model=len, **options)
    assert not (place / "model").exists()
