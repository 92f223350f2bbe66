"""What `import runstone` gives, and what it costs."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import tomllib
from operator import attrgetter
from types import ModuleType

import pytest

import runstone
from runstone import _missing
from support.binaries import REPOSITORY
from support.public_face import MODULES

# Nothing of these may be loaded by `import runstone`: each costs more than all of ours.
HEAVY = {
    "click",
    "google.protobuf",
    "grpc",
    "importlib.metadata",
    "numpy",
    "pandas",
    "rich",
    "runstone._client",
    "subprocess",
    "uuid",
    "yaml",
}


def test_everything_listed_is_there() -> None:
    for module in MODULES:
        assert len(set(module.__all__)) == len(module.__all__)
        for name in module.__all__:
            assert getattr(module, name) is not None
        assert set(module.__all__) <= set(dir(module))


def test_everything_public_is_listed() -> None:
    generated = {"artifact", "auth", "registry", "tracking", "cli"}
    public = {
        name
        for name, value in vars(runstone).items()
        if not name.startswith("_")
        and name not in generated
        and name not in {"annotations", "TYPE_CHECKING", "Any"}
        and not (isinstance(value, ModuleType) and name not in runstone.__all__)
    }
    assert public <= set(runstone.__all__)


def test_everything_listed_is_documented() -> None:
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert (value.__doc__ or "").strip(), name


def test_the_client_is_documented() -> None:
    for name, method in inspect.getmembers(runstone.Client, inspect.isfunction):
        if not name.startswith("_"):
            assert (method.__doc__ or "").strip(), name


def test_the_version_is_that_of_the_distribution() -> None:
    manifest = tomllib.loads((REPOSITORY / "clients/python/pyproject.toml").read_text("utf-8"))
    assert runstone.__version__ == manifest["project"]["version"]


def test_importing_loads_nothing_heavy() -> None:
    script = "import sys, json, runstone; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert loaded & HEAVY == set()


def test_unknown_names_are_attribute_errors() -> None:
    assert not hasattr(runstone, "no_such_thing")


@pytest.mark.parametrize("name", ["langchain", "genai", "trace", "log_trace"])
def test_what_mlflow_has_and_we_do_not_says_what_to_do(name: str) -> None:
    with pytest.raises(AttributeError, match=f"runstone.{name} does not exist yet; .*log"):
        getattr(runstone, name)


def test_what_is_to_be_done_instead_is_there() -> None:
    for name in (*_missing._INSTEAD, *_missing._FLAVORS):
        for verb in re.findall(r"runstone\.([\w.]+)", _missing.explanation(name).partition(";")[2]):
            assert attrgetter(verb)(runstone), verb


def test_nothing_that_is_there_is_told_as_missing() -> None:
    assert not set(_missing._INSTEAD) & set(runstone.__all__)
    with pytest.raises(AttributeError, match=r"has no attribute 'log_metrik' \(did you mean log_m"):
        _ = runstone.log_metrik
    with pytest.raises(AttributeError, match=r"has no attribute '_log_metric'$"):
        _ = runstone._log_metric
