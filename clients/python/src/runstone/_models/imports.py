"""Which modules a model's own code imports: found by reading it, never by running it."""

from __future__ import annotations

import ast
import dis
import inspect
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_MOST = 10_000
"""Objects looked at: a model that refers to more refers to a library, not to code of its own."""


def of_object(model: Any) -> set[str]:
    """The modules that the classes and functions of ``__main__`` and of scripts import or name.

    A pickle by cloudpickle holds these whole; an ``import`` inside a function runs only when that
    is called, and a module among the globals stands in the pickle by a text.
    """
    return {name for each in _code_of(model) for name in _modules(each)}


def of_files(paths: Iterable[Path]) -> set[str]:
    """The modules that Python files, and those below folders, import; unreadable ones tell none."""
    found: set[str] = set()
    own: set[str] = set()
    for path in paths:
        files = [path] if path.is_file() else list(path.rglob("*.py"))
        own.add(path.stem)
        # Imported by the name below a folder of code_paths, or of the folder itself.
        own.update(each.stem if each.is_file() else each.name for each in _children(path))
        for file in files:
            found |= of_source(file)
    return {name for name in found if name.partition(".")[0] not in own}


def of_source(file: Path) -> set[str]:
    """The modules that one Python file imports."""
    if file.suffix != ".py":
        return set()
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def _children(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.is_dir() else []


def _code_of(model: Any) -> Iterator[types.FunctionType]:
    """The functions that are pickled by value with the model, each once."""
    waiting: list[Any] = (
        [model, type(model), *vars(model).values()] if _has_vars(model) else [model]
    )
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, types.MethodType):
            waiting.append(each.__func__)
        elif isinstance(each, property):
            waiting += [each.fget, each.fset, each.fdel]
        elif isinstance(each, staticmethod | classmethod):
            waiting.append(each.__func__)
        elif isinstance(each, types.FunctionType) and _by_value(each):
            yield each
            waiting += _names(each)
        elif inspect.isclass(each) and _by_value(each):
            waiting += [*each.__bases__, *vars(each).values()]
        elif _has_vars(each) and _by_value(type(each)):
            waiting += [type(each), *vars(each).values()]


def _names(function: types.FunctionType) -> Iterator[Any]:
    """What a function's code refers to outside of itself."""
    for code in _nested(function.__code__):
        for name in code.co_names:
            if name in function.__globals__:
                yield function.__globals__[name]
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
    yield from function.__defaults__ or ()


def _modules(function: types.FunctionType) -> Iterator[str]:
    for code in _nested(function.__code__):
        for each in dis.get_instructions(code):
            if each.opname == "IMPORT_NAME" and isinstance(each.argval, str):
                yield each.argval
    for value in _names(function):
        name = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
        if isinstance(name, str):
            yield name


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _nested(each)


def _has_vars(value: Any) -> bool:
    return isinstance(getattr(value, "__dict__", None), dict) and not inspect.ismodule(value)


def _by_value(value: Any) -> bool:
    """Whether cloudpickle holds a class or function whole: by its name nobody else finds it."""
    module = getattr(value, "__module__", None)
    if module is None or module == "__main__":
        return True
    found: Any = sys.modules.get(module)
    for name in getattr(value, "__qualname__", "").split("."):
        found = getattr(found, name, None)
    return found is not value
