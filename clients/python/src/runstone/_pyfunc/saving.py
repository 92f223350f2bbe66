"""What a user gives to be saved as a function, made ready for the flavor."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone._flavors import code_model
from runstone._flavors.libraries import library
from runstone._flavors.python_function import Own
from runstone._flavors.python_model import checked
from runstone._models import code_files, environment, imports
from runstone._models.writing import About
from runstone._schema.hints import function_hints, signature_from_type_hints
from runstone._values import invalid, warn
from runstone.exceptions import ModelFormatError

if TYPE_CHECKING:
    from runstone._schema.signature import ModelSignature


def prepared(
    python_model: Any,
    loader_module: str | None,
    data_path: str | os.PathLike[str] | None,
    artifacts: Mapping[str, str | os.PathLike[str]] | None,
    model_config: Any,
    code_paths: Sequence[str | os.PathLike[str]] | None,
) -> Own:
    """The model, of the one way that the arguments name.

    Raises:
        InvalidField: they name none, or two, or the model is none.
    """
    code = code_paths if isinstance(code_paths, Sequence) else ()
    if loader_module is not None:
        for field, given in (("python_model", python_model), ("artifacts", artifacts)):
            if given is not None:
                raise invalid(field, "cannot stand beside loader_module; give one of them")
        if not isinstance(loader_module, str) or not loader_module:
            raise invalid("loader_module", "must be the name of a module")
        return Own(loader=loader_module, code_paths=code)
    if data_path is not None:
        raise invalid("data_path", "goes with loader_module; a python_model takes artifacts")
    if python_model is None:
        raise invalid("python_model", "must be given, or loader_module")
    if isinstance(python_model, str | os.PathLike):
        script = Path(python_model)
        if script.suffix != ".py" or not script.is_file():
            raise invalid("python_model", f"names {script}, which is no Python script (*.py)")
        made = _made(script, code_model.configuration("model_config", model_config), code)
        return Own(made, script, code_paths=code)
    return Own(checked(python_model), code_paths=code)


def _made(
    script: Path, config: Mapping[str, Any] | None, code: Sequence[str | os.PathLike[str]]
) -> Any:
    # What stands in code_paths is importable on load, and so must be now.
    before = list(sys.path)
    sys.path[:0] = [str(Path(each).absolute().parent) for each in code]
    try:
        return code_model.run(script, config)
    except ModelFormatError as error:
        raise invalid("python_model", str(error)) from error
    finally:
        sys.path[:] = before


@contextmanager
def code_of(
    own: Own, code_paths: Sequence[str | os.PathLike[str]] | None, *, infer: bool
) -> Iterator[Sequence[str | os.PathLike[str]] | None]:
    """The files that go with a model: those that are named, or those that it is seen to need.

    Raises:
        InvalidField: both are wanted, or ``infer`` is neither True nor False.
    """
    if not isinstance(infer, bool):
        raise invalid("infer_code_paths", f"must be True or False, not {infer!r:.50}")
    if not infer:
        yield code_paths
        return
    if code_paths:
        raise invalid("infer_code_paths", "cannot stand beside code_paths; give one of them")
    with tempfile.TemporaryDirectory(prefix="runstone-code-") as place:
        scripts = [] if own.script is None else [own.script]
        files = code_files.needed([] if scripts else _modules(own), scripts)
        own.code_paths = code_files.copied(files, Path(place))
        yield list(own.code_paths) or None


def _modules(own: Own) -> set[str]:
    if own.loader is not None:
        return {own.loader}
    pickled = io.BytesIO(library("cloudpickle").dumps(own.python_model))
    return environment.modules_of_pickled(pickled) | imports.of_object(own.python_model)


def described(about: About, own: Own) -> About:
    """What the user says, with the signature that the model's type hints tell.

    Raises:
        InvalidField: a hint is half a hint; see ``signature_from_type_hints``.
    """
    if own.python_model is None or about.signature is False:
        return about
    func = getattr(own.python_model, "func", own.python_model.predict)
    # A hint of Any says nothing, and so needs no word of what it lacks.
    hinted = None if function_hints(func).input is Any else signature_from_type_hints(func)
    if hinted is None:
        return about
    said: ModelSignature | bool | None = about.signature
    if said is not None and said is not True and said != hinted:
        warn("the type hints of predict say another signature than the one given; theirs is kept")
    return dataclasses.replace(about, signature=hinted)
