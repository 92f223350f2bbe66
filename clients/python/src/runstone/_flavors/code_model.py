"""Models from code: a script that makes a model and names it by ``runstone.models.set_model``.

Nothing is pickled: the script is kept, and run again on load. One that was written for MLflow does
as well, where MLflow is installed, and MLflow runs those written for Runstone.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runstone._flavors.python_model import FunctionModel, is_python_model
from runstone._values import invalid
from runstone.exceptions import ModelFormatError, NotFound

_THEIRS = "mlflow.models.model"
_THEIR_CONFIG = "mlflow.models.model_config"

_UNSAID = object()

_running = threading.RLock()
"""A script says its model to the process, not to who runs it: one at a time."""

_said: Any = _UNSAID
_config: Any = _UNSAID
"""Of the script that runs; _UNSAID while none does."""


def set_model(model: Any) -> None:
    """Say which model a script makes, for ``runstone.pyfunc.log_model(python_model="script.py")``.

    Args:
        model: An instance of PythonModel, or a function.

    Raises:
        InvalidField: it is something else.

    Example:
        >>> import pathlib, runstone
        >>> _ = pathlib.Path("shout.py").write_text('''
        ... from runstone.models import set_model
        ...
        ... def shout(model_input: list[str]) -> list[str]:
        ...     return [each.upper() for each in model_input]
        ...
        ... set_model(shout)
        ... ''')
        >>> runstone.pyfunc.save_model("shouting", python_model="shout.py")
        >>> runstone.pyfunc.load_model("shouting").predict(["hello"])
        ['HELLO']
    """
    global _said
    if isinstance(model, type) or not (is_python_model(model) or callable(model)):
        raise invalid(
            "model", f"must be an instance of PythonModel or a function, not {model!r:.100}"
        )
    _said = model
    if _THEIRS in sys.modules:  # MLflow runs the script, perhaps
        sys.modules[_THEIRS].__mlflow_model__ = model  # type: ignore[attr-defined]


class ModelConfig:
    """The configuration of a model from code, read inside its script.

    Args:
        development_config: A dict or the path of a YAML file, for when the script is run by itself.
            When the model is logged or loaded, its ``model_config`` stands instead.

    Raises:
        NotFound: there is neither, or the file is not there.

    Example:
        >>> from runstone.models import ModelConfig
        >>> ModelConfig(development_config={"depth": 3}).get("depth")
        3
    """

    def __init__(
        self, *, development_config: str | os.PathLike[str] | Mapping[str, Any] | None = None
    ) -> None:
        given = _config
        if given is _UNSAID:
            theirs = sys.modules.get(_THEIR_CONFIG)
            given = getattr(theirs, "__mlflow_model_config__", None)
            given = development_config if given is None else given
        if not given:
            raise NotFound("the model has no configuration: give model_config when logging it")
        self.config = given
        self._found = configuration("development_config", given) or {}

    def to_dict(self) -> dict[str, Any]:
        """All of it."""
        return dict(self._found)

    def get(self, key: str) -> Any:
        """One value.

        Raises:
            KeyError: there is none; the message says which there are.
        """
        if key not in self._found:
            raise KeyError(f"{key!r} is not in the configuration: {', '.join(self._found)}")
        return self._found[key]


def configuration(field: str, given: Any) -> dict[str, Any] | None:
    """A configuration that is given as a dict or as the path of a YAML file.

    Raises:
        InvalidField: it is neither, or the file cannot be read.
    """
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        import yaml

        try:
            found = yaml.safe_load(Path(given).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise invalid(field, f"names a file that cannot be read: {error}") from error
    else:
        found = given
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise invalid(field, "must be a dict with texts as keys, or the path of a YAML file of one")
    return dict(found)


def run(script: Path, config: Mapping[str, Any] | None) -> Any:
    """Run a script; the model that it names. It is the author's code: ask ``trust`` first.

    Raises:
        ModelFormatError: it fails, or names no model.
    """
    global _said, _config
    name = f"runstone_code_model_{uuid.uuid4().hex}"
    spec = importlib.util.spec_from_file_location(name, script)
    if spec is None or spec.loader is None:
        raise ModelFormatError(f"{script.name} is no Python script")
    module = importlib.util.module_from_spec(spec)
    with _running:
        before = _said, _config
        _said, _config = _UNSAID, dict(config or {})
        theirs = _theirs(script, config)
        sys.modules[name] = module  # dataclasses, and pickles of what is in it, look for it there
        try:
            spec.loader.exec_module(module)
            said = _said if _said is not _UNSAID else theirs.said()
        except Exception as error:
            del sys.modules[name]
            raise ModelFormatError(
                f"{script.name} failed: {type(error).__name__}: {error}"
            ) from error
        finally:
            _said, _config = before
            theirs.end()
    if said is None or said is _UNSAID:
        del sys.modules[name]
        raise ModelFormatError(f"{script.name} names no model; it must call set_model(model)")
    return said if is_python_model(said) else FunctionModel(said)


class _Mlflow:
    """MLflow's own place for a script's model and configuration."""

    def __init__(self, config: Mapping[str, Any] | None) -> None:
        self._config = importlib.import_module(_THEIR_CONFIG)
        self._model = importlib.import_module(_THEIRS)
        self._config.__mlflow_model_config__ = dict(config or {}) or ""  # type: ignore[attr-defined]
        self._model.__mlflow_model__ = None  # type: ignore[attr-defined]

    def said(self) -> Any:
        return self._model.__mlflow_model__

    def end(self) -> None:
        self._config.__mlflow_model_config__ = None  # type: ignore[attr-defined]
        self._model.__mlflow_model__ = None  # type: ignore[attr-defined]


class _NoMlflow:
    def said(self) -> Any:
        return None

    def end(self) -> None:
        pass


def _theirs(script: Path, config: Mapping[str, Any] | None) -> _Mlflow | _NoMlflow:
    if b"mlflow" not in script.read_bytes() or importlib.util.find_spec("mlflow") is None:
        return _NoMlflow()
    return _Mlflow(config)
