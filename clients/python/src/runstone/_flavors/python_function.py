"""Models of their users' own code: a PythonModel or function, pickled; a script; a loader."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pickle
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, ClassVar

from runstone._flavors import code_model, hinted
from runstone._flavors.libraries import dump_pickle, library
from runstone._flavors.python_model import (
    FunctionModel,
    Loaded,
    PythonModelContext,
    checked,
    is_python_model,
    streams,
)
from runstone._models import environment, imports, paths, trust, writing
from runstone._models.flavor import Flavor, Predictor, Streamer, Written
from runstone._models.model import MLMODEL
from runstone._modeluri import local_path, parse_artifact_uri
from runstone._values import invalid
from runstone.exceptions import ArtifactNotFound, ModelFormatError

PICKLED = "mlflow.pyfunc.model"
SCRIPT = "mlflow.pyfunc.loaders.code_model"

_FILE = "python_model.pkl"
_ARTIFACTS = "artifacts"
_UNFIT = re.compile(r"[^\w.-]+|^\.+")
_DATA = "data"
_KEYS = "flavors.python_function"

_OPENERS: dict[str, Callable[..., Any]] = {
    "lzma": lzma.open,
    "bzip2": bz2.open,
    "gzip": gzip.open,
}


@dataclass(slots=True)
class Own:
    """What is to be saved: one of three, and what goes with it.

    Attributes:
        python_model: A PythonModel, a function as one, or None.
        script: The script that makes the model; ``python_model`` is what it made.
        loader: The module whose ``_load_pyfunc`` loads it.
        code_paths: The Python files that go with it, to see what they import.
        folder: Where it was written; the example is predicted from there.
    """

    python_model: Any = None
    script: Path | None = None
    loader: str | None = None
    code_paths: Iterable[str | os.PathLike[str]] = ()
    folder: Path | None = None


class PythonFunction(Flavor):
    """Models that have no framework but Python."""

    name: ClassVar[str] = "python_function"
    loader_module: ClassVar[str] = PICKLED
    other_loaders: ClassVar[tuple[str, ...]] = (SCRIPT,)
    distributions: ClassVar[tuple[str, ...]] = ()

    def write(
        self,
        model: Any,
        folder: Path,
        *,
        artifacts: Mapping[str, str | os.PathLike[str]] | None = None,
        model_config: Mapping[str, Any] | None = None,
        data_path: str | os.PathLike[str] | None = None,
        streamable: bool | None = None,
    ) -> Written:
        own: Own = model if isinstance(model, Own) else Own(checked(model))
        own.folder = folder
        code = [Path(each) for each in own.code_paths]
        modules = imports.of_files(code)
        found: dict[str, Any] = {"loader_module": PICKLED}
        if artifacts:
            found["artifacts"] = _kept(artifacts, folder / _ARTIFACTS)
        if model_config is not None:
            found["config"] = dict(model_config)
        if own.loader is not None:
            found["loader_module"] = own.loader
            modules.add(own.loader)
            if data_path is not None:
                found["data"] = _copied("data_path", Path(data_path), folder / _DATA, folder)
        elif own.script is not None:
            shutil.copy2(own.script, folder / own.script.name)
            found |= {"loader_module": SCRIPT, "model_code_path": own.script.name}
            modules |= imports.of_source(own.script)
        else:
            dump_pickle(own.python_model, folder / _FILE, "cloudpickle")
            found["python_model"] = _FILE
            found["cloudpickle_version"] = library("cloudpickle").__version__
            modules |= environment.modules_of_pickle(folder / _FILE)
            modules |= imports.of_object(own.python_model)
        found["streamable"] = streams(own.python_model) if streamable is None else bool(streamable)
        own_files = {path.stem for path in code}
        modules = {name for name in modules if name.partition(".")[0] not in own_files}
        return Written(
            found,
            distributions=sorted(environment.distributions_of(modules)),
            python_function=found,
        )

    def read(
        self,
        folder: Path,
        configuration: Mapping[str, Any],
        *,
        model_config: Any = None,
        **options: Any,
    ) -> Any:
        saved = configuration.get("config")
        if not isinstance(saved, Mapping | None):
            raise ModelFormatError(f"{_KEYS}.config in MLmodel must be a mapping")
        given = code_model.configuration("model_config", model_config)
        config = None if saved is None and given is None else {**(saved or {}), **(given or {})}
        context = PythonModelContext(_artifacts(folder, configuration), config)
        if configuration.get("model_code_path") is not None:
            model = code_model.run(_script(folder, configuration), config)
        else:
            model = _unpickled(folder, configuration)
        if not is_python_model(model):
            model = FunctionModel(model)
        model.load_context(context)
        return Loaded(model, context)

    def unsafe(self, folder: Path, configuration: Mapping[str, Any]) -> str | None:
        loader = configuration.get("loader_module")
        if not isinstance(loader, str):
            raise ModelFormatError(f"{_KEYS}.loader_module in MLmodel must be a text")
        if loader not in {PICKLED, SCRIPT}:
            return f"a model with a loader of its own ({loader})"
        if configuration.get("model_code_path") is not None:
            return f"a script ({_script(folder, configuration).name})"
        return f"a pickle ({_pickle(folder, configuration).name})"

    def predictor(self, model: Any, configuration: Mapping[str, Any]) -> Predictor:
        if isinstance(model, Own):
            if model.loader is not None or model.folder is None:
                raise invalid("input_example", "cannot be predicted by a loader module on saving")
            # From the files, as everybody will: that they can be read shows now, not then.
            model = self.read(model.folder, configuration)
        loaded: Loaded = model
        return lambda data, params: loaded.predict(_converted(loaded, data), params)

    def streamer(self, model: Any, configuration: Mapping[str, Any]) -> Streamer | None:
        if not isinstance(model, Loaded) or not streams(model.python_model):
            return None
        return model.predict_stream

    def owns(self, model: Any) -> bool:
        return is_python_model(model)


def _converted(loaded: Loaded, data: Any) -> Any:
    hints = getattr(loaded.python_model, "predict_type_hints", None)
    return hinted.converted(data, getattr(hints, "input", None))


def _script(folder: Path, configuration: Mapping[str, Any]) -> Path:
    said = configuration["model_code_path"]
    if isinstance(said, str):
        # MLflow writes where the script was on its author's machine.
        said = PurePosixPath(PureWindowsPath(said).name).name
    return paths.file_inside(folder, said, f"{_KEYS}.model_code_path")


def _pickle(folder: Path, configuration: Mapping[str, Any]) -> Path:
    return paths.file_inside(folder, configuration.get("python_model"), f"{_KEYS}.python_model")


def _unpickled(folder: Path, configuration: Mapping[str, Any]) -> Any:
    from runstone._flavors.mlflow_pickle import Unpickler

    path = _pickle(folder, configuration)
    library("cloudpickle")
    compression = configuration.get("python_model_compression")
    if compression is not None and compression not in _OPENERS:
        raise ModelFormatError(
            f"{_KEYS}.python_model_compression in MLmodel must be one of {', '.join(_OPENERS)},"
            f" not {compression!r:.50}"
        )
    opener = _OPENERS[compression] if compression else open
    try:
        with opener(path, "rb") as file:
            return Unpickler(file).load()
    except (
        *(pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError),
        *(OSError, lzma.LZMAError, TypeError, ValueError, KeyError),
    ) as error:
        raise ModelFormatError(
            f"{path.name} cannot be unpickled: {type(error).__name__}: {error}"
        ) from error


def _artifacts(folder: Path, configuration: Mapping[str, Any]) -> dict[str, str]:
    saved = configuration.get("artifacts") or {}
    if not isinstance(saved, Mapping) or not all(
        isinstance(each, Mapping) for each in saved.values()
    ):
        raise ModelFormatError(f"{_KEYS}.artifacts in MLmodel must be mappings of path and uri")
    field = f"{_KEYS}.artifacts"
    return {
        str(name): str(paths.inside(folder, each.get("path"), f"{field}.{name}.path"))
        for name, each in saved.items()
    }


def _kept(artifacts: Any, target: Path) -> dict[str, dict[str, Any]]:
    """Files put into the model's folder, and what the MLmodel file says of them."""
    if not isinstance(artifacts, Mapping) or not all(
        isinstance(name, str) and isinstance(uri, str | os.PathLike)
        for name, uri in artifacts.items()
    ):
        raise invalid("artifacts", "must be a dict of names and paths or URIs")
    target.mkdir()
    taken: set[str] = set()
    found: dict[str, dict[str, Any]] = {}
    for number, (name, given) in enumerate(artifacts.items()):
        uri = os.fspath(given)
        with tempfile.TemporaryDirectory(prefix="runstone-artifacts-") as place:
            source = _fetched(name, uri, place)
            where = target
            if source.name.casefold() in taken:
                where = target / str(number)  # two of one name, from different folders
            taken.add(source.name.casefold())
            path = _copied(f"artifacts.{name}", source, where, target.parent)
            # Of these very files: an alias or ``latest`` may mean others by now.
            own = (source / MLMODEL).is_file() and trust.is_own(source)
        found[name] = {"path": path, "uri": uri}
        if own:
            trust.own_folder(target.parent / path)
            found[name][trust.OWN_MARK] = True
    return found


def _fetched(name: str, uri: str, place: str) -> Path:
    if parse_artifact_uri(uri) is None:
        return local_path(uri)
    from runstone import artifacts

    # What has no name within its owner, as a whole model, is called by the end of its URI.
    target = Path(place) / (_UNFIT.sub("-", uri.rstrip("/").rpartition("/")[2]) or "files")
    target.mkdir()
    try:
        return Path(artifacts.download_artifacts(uri, dst_path=target))
    except ArtifactNotFound as error:
        raise invalid(f"artifacts.{name}", f"names {uri}, where nothing is") from error


def _copied(field: str, source: Path, where: Path, folder: Path) -> str:
    """Copy a file or folder below ``where``; its path from the model's folder on."""
    source = source.absolute()
    if not source.exists():
        raise invalid(field, f"names {source}, which is not there")
    where.mkdir(parents=True, exist_ok=True)
    target = where / (source.name or "files")
    if source.is_dir():
        writing.copy_tree(source, target, folder)
    else:
        shutil.copy2(source, target)
    return target.relative_to(folder).as_posix()
