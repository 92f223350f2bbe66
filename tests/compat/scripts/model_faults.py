"""What is wrong with a model, its description or its data is said in so many words."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from model_cases import HEAD, Case

import runstone
from runstone import exceptions
from runstone.exceptions import InvalidArgument, ModelFormatError, UntrustedModel
from runstone.models import Model

DATA = {"sklearn": "pickled_model"}
"""The key of the file's name, where it is not "data"."""


def refused(kind: type[Exception], words: str, call: Callable[[], Any]) -> None:
    """Has the call raise an error of that kind, whose message has the words."""
    said = None
    try:
        call()
    except kind as error:
        said = str(error)
    assert said is not None, f"nothing says {words!r}"
    assert words in said, f"{words!r} is not in {said!r}"


class Faults:
    """The faults of one flavor, on a model of it."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self.folder = folder
        self.module = getattr(runstone, case.flavor)

    def _saved(self, name: str, **changes: Any) -> Path:
        """A model whose description, as somebody else might have written it, has these changes."""
        path = self.folder / name
        self.module.save_model(self.case.model, path, **self.case.options)
        written = yaml.safe_load((path / "MLmodel").read_text("utf-8"))
        written["flavors"][self.case.flavor] |= changes
        (path / "MLmodel").write_text(yaml.safe_dump(written), "utf-8")
        return path

    def _key(self) -> str:
        return DATA.get(self.case.flavor, "data")

    def _file(self, path: Path) -> Path:
        written = yaml.safe_load((path / "MLmodel").read_text("utf-8"))
        return path / str(written["flavors"][self.case.flavor][self._key()])

    def damaged(self) -> None:
        path = self._saved("damaged")
        file = self._file(path)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
        load = self.module.load_model
        refused(ModelFormatError, file.name, lambda: load(path, allow_pickle=True))
        as_function = runstone.pyfunc.load_model
        refused(ModelFormatError, "", lambda: as_function(path, allow_pickle=True))

    def outside(self) -> None:
        path = self._saved("outside", **{self._key(): "../secret"})
        load = self.module.load_model
        refused(ModelFormatError, "leads outside", lambda: load(path, allow_pickle=True))

    def another_object(self) -> None:
        wrong = self.folder / "wrong"
        refused(InvalidArgument, "_model must be", lambda: self.module.save_model(object(), wrong))
        assert not wrong.exists()

    def unknown_argument(self) -> None:
        path, model = self.folder / "unknown", self.case.model
        with suppress(TypeError):  # Python's own, where the signature has no **kwargs
            save = self.module.save_model
            refused(InvalidArgument, "frmat", lambda: save(model, path, frmat=1))
        assert not path.exists()

    def extra_files(self) -> None:
        (self.folder / "notes.txt").write_text("hello")
        path = self.folder / "extra"
        files = [self.folder / "notes.txt"]
        self.module.save_model(self.case.model, path, extra_files=files, **self.case.options)
        assert (path / "extra_files" / "notes.txt").read_text() == "hello"
        found = Model.load(path).flavors[self.case.flavor]
        assert found["extra_files"] == [{"path": "extra_files/notes.txt"}]


def foreign_class(faults: Faults) -> None:
    """A class that is named in a file of somebody is not imported."""
    key = "model_type" if faults.case.flavor == "catboost" else "model_class"
    path = faults._saved("foreign", **{key: "antigravity.Popen"})
    refused(ModelFormatError, key, lambda: faults.module.load_model(path, allow_pickle=True))


def onnx_data(faults: Faults) -> None:
    """Data that a graph cannot take."""
    model = runstone.pyfunc.load_model(faults._saved("data"))
    refused(InvalidArgument, "lacks y", lambda: model.predict({"x": np.zeros((1, 600))}))
    refused(InvalidArgument, "takes x, y", lambda: model.predict(np.zeros((1, 600))))
    refused(InvalidArgument, "not list", lambda: model.predict([1.0]))
    shapes = {"x": np.zeros((1, 7)), "y": np.zeros((1, 2))}
    refused(InvalidArgument, "cannot take", lambda: model.predict(shapes))


def onnx_options(faults: Faults) -> None:
    """Options of the runtime may name libraries to be loaded."""
    providers = [["TensorrtExecutionProvider", {"trt_extra_plugin_lib_paths": "evil.so"}]]
    path = faults._saved("options", providers=providers)
    refused(UntrustedModel, "trt_extra_plugin_lib_paths", lambda: runstone.pyfunc.load_model(path))
    harmless = faults._saved("number", providers=[["CPUExecutionProvider", {"device_id": "0"}]])
    runstone.pyfunc.load_model(harmless)
    save, model = runstone.onnx.save_model, faults.case.model
    target = faults.folder / "never"
    for options, words in (
        ({"threads": 1}, "is not known"),
        ({"execution_mode": "fast"}, "sequential or parallel"),
        ({"intra_op_num_threads": -1}, "from 0 on"),
    ):
        refused(
            exceptions.InvalidField,
            words,
            lambda options=options: save(model, target, onnx_session_options=options),
        )
    refused(
        exceptions.InvalidField,
        "onnx_execution_providers",
        lambda: save(model, target, onnx_execution_providers="CPUExecutionProvider"),
    )


def parameters(faults: Faults) -> None:
    """Those that the model's method takes reach it; others are left out, as by MLflow."""
    model = runstone.pyfunc.load_model(faults._saved("parameters"))
    raw = model.predict(HEAD, params={"output_margin": True, "colour": "red"})
    np.testing.assert_allclose(raw, faults.case.model.predict(HEAD, output_margin=True))
    as_dict = model.predict(HEAD.to_dict("list"))
    np.testing.assert_allclose(as_dict, faults.case.model.predict(HEAD))


def subclass(faults: Faults) -> None:
    """A class of the user's is kept as what it inherits from."""

    class Mine(type(faults.case.model)):  # type: ignore[misc]
        pass

    made = Mine(n_estimators=2).fit(HEAD, [0, 1, 0, 1, 0])
    path = faults.folder / "mine"
    faults.module.save_model(made, path)
    assert type(faults.module.load_model(path)) is type(faults.case.model)


COMMON = (
    Faults.damaged,
    Faults.outside,
    Faults.another_object,
    Faults.unknown_argument,
    Faults.extra_files,
)
ALSO: dict[str, tuple[Callable[[Faults], None], ...]] = {
    "xgboost": (foreign_class, parameters, subclass),
    "catboost": (foreign_class,),
    "onnx, weights outside": (onnx_data, onnx_options),
}


def found(case: Case, folder: Path) -> dict[str, str]:
    """Name of each check to what was wrong with it."""
    table: dict[str, str] = {}
    for check in (*COMMON, *ALSO.get(case.name, ())):
        name = f"{check.__name__} faults"
        where = folder / check.__name__
        where.mkdir(parents=True)
        try:
            check(Faults(case, where))
            table[name] = ""
        except Exception:
            table[name] = traceback.format_exc()
    return table
