"""What a file of torch would run when it is read, found without reading it by torch.

A ``.pt2`` file is a zip of a graph (JSON), of tensors (raw bytes), and sometimes of pickles. Torch
evaluates expressions and resolves names that stand in the graph, and unpickles whatever says that
it is a pickle. So each of its parts must be one that is known to be harmless; all else counts as
able to run code.
"""

from __future__ import annotations

import ast
import io
import json
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from runstone.exceptions import ModelFormatError

MAX_TEXT = 256 * 2**20
"""A graph's text is some megabytes; more is not read into memory."""

_TEXTS = {"archive_format", "archive_version", "byteorder", "version", "serialization_id"}
_RAW = ("weight_", "tensor_")
"""What torch reads as raw bytes where the config beside it does not say that it is a pickle."""

_TENSORS = re.compile(
    r"torch\._utils _rebuild_(tensor|tensor_v2|parameter)|collections OrderedDict"
    r"|torch (\w+Storage|Size|device|float\w*|bfloat16|u?int\d+|bool|complex\d+)"
    r"|torch\.storage (Untyped|Typed)Storage"
)
"""What a pickle of tensors names."""

_TARGET = re.compile(
    r"torch\.ops\.(aten|prims|prim)\.(?!from_file|__)[a-z_]\w*\.[A-Za-z]\w*"
    r"|torch\.ops\.higher_order\.(cond|wrap_with_set_grad_enabled)"
    r"|torch\.sym_(int|float|max|min|not|ite|sqrt|sum)"
    r"|_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|pow|neg|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|math\.(ceil|floor|trunc|sqrt)"
)
"""The operations that a graph may name: of tensors and numbers, none that opens a file."""

_NAME = re.compile(r"[\w.]*")
_HARMLESS = re.compile(r"[^'\"\\\n\r]*")
_SPEC_TYPES = {None, *(f"builtins.{name}" for name in ("tuple", "list", "dict"))}
_FUNCTIONS = {"Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min", "Mod"}
_FUNCTIONS |= {"Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "Abs"}
_FUNCTIONS |= {"FloorDiv", "CeilDiv", "ModularIndexing", "PythonMod", "TruncToInt", "CleanDiv"}
_NODES = (
    ast.Expression,
    ast.Call,
    ast.keyword,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
)


def pt2_runs(path: Path) -> str | None:
    """What in a ``.pt2`` file could run code; None when nothing could."""
    try:
        with zipfile.ZipFile(path) as archive:
            if found := _ambiguous(archive):
                return found
            names = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            raw = _raw_records(archive, names)
            for name, info in names.items():
                if info.is_dir() or name in raw:
                    continue
                if info.file_size > MAX_TEXT:
                    return f"a record of {info.file_size} bytes ({name})"
                found = _record_runs(name, archive.read(info))
                if found:
                    return f"{found} ({name})"
    except (zipfile.BadZipFile, OSError, ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path.name} is no archive of torch.export: {error}") from error
    return None


def _ambiguous(archive: zipfile.ZipFile) -> str | None:
    """Why torch may read other records than those that are looked at here; None when it cannot.

    It takes the folder of the first record for that of all, and looks them up without regard to
    case.
    """
    names = [info.filename for info in archive.infolist()]
    if len({name.partition("/")[0] for name in names}) != 1:
        return "parts in more than one folder"
    if len({name.casefold() for name in names}) != len(names):
        return "two parts of one name"
    return None


def _record_runs(name: str, content: bytes) -> str | None:
    if name.rpartition("/")[2] in _TEXTS and re.fullmatch(rb"[\w.\s]{0,100}", content):
        return None
    if name.endswith(".json"):
        found = json.loads(content)
        # Torch looks records up without regard to case.
        return next(_strange(found), None) if name.casefold().startswith("models/") else None
    if name.startswith("data/"):
        return checkpoint_runs(io.BytesIO(content))
    return "a part that is not known"


def _raw_records(archive: zipfile.ZipFile, names: dict[str, zipfile.ZipInfo]) -> set[str]:
    """The records that torch reads as raw bytes."""
    raw: set[str] = set()
    pickled: set[str] = set()
    for name, info in names.items():
        if not re.fullmatch(r"data/(weights|constants)/[^/]+_config\.json", name):
            continue
        if info.file_size > MAX_TEXT:
            return set()
        for entry in json.loads(archive.read(info)).get("config", {}).values():
            record = str(entry.get("path_name"))
            plain = entry.get("use_pickle") is False and record.startswith(_RAW)
            (raw if plain else pickled).add(f"{name.rpartition('/')[0]}/{record}")
    return raw - pickled


def checkpoint_runs(file: IO[bytes] | Path) -> str | None:
    """What in a file of ``torch.save`` could run code; None when it holds tensors alone."""
    try:
        with zipfile.ZipFile(file) as archive:
            if found := _ambiguous(archive):
                return found
            for name in archive.namelist():
                inner = name.partition("/")[2]
                last = inner.rpartition("/")[2]
                if inner == "data.pkl":
                    with archive.open(name) as pickled:
                        strange = sorted(set(_globals(pickled)))
                    if strange:
                        return f"a pickle of {', '.join(strange)}"
                elif not inner.startswith(("data/", ".")) and last not in _TEXTS:
                    return f"a part that is not known, {name}"
    except zipfile.BadZipFile:
        return "a pickle"
    return None


def _globals(pickled: IO[bytes]) -> Iterator[str]:
    """What a pickle names besides what tensors are made of."""
    try:
        for operation, argument, _ in pickletools.genops(pickled):
            if operation.name in {"GLOBAL", "INST"}:
                if not _TENSORS.fullmatch(str(argument)):
                    yield str(argument).replace(" ", ".")
            elif operation.name == "STACK_GLOBAL" or operation.name.startswith("EXT"):
                yield "something that only running it tells"
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError):
        yield "something that cannot be read"


def modules_of_checkpoint(path: Path) -> set[str]:
    """The modules that a file of ``torch.save`` names; empty when it is none."""
    from runstone._models import environment

    found: set[str] = set()
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("/data.pkl"):
                    found |= environment.modules_of_pickled(io.BytesIO(archive.read(name)))
    except zipfile.BadZipFile:
        return set()
    return found


def _strange(found: Any, key: str = "") -> Iterator[str]:
    """What in a graph is not known to be harmless."""
    if isinstance(found, dict):
        for name, value in found.items():
            if name == "guards_code" and value:
                yield "guards written in Python"
            elif name == "metadata":
                continue  # told to people, never run
            else:
                yield from _strange(value, name)
    elif isinstance(found, list):
        for each in found:
            yield from _strange(each, key)
    elif isinstance(found, str) and not _is_harmless(key, found):
        yield f"{key} {found!r:.100}"


def _is_harmless(key: str, text: str) -> bool:
    if key in {"target", "as_operator"}:
        return _TARGET.fullmatch(text) is not None
    if key == "expr_str":
        return _is_arithmetic(text)
    if key in {"in_spec", "out_spec"}:
        return _is_plain_spec(text)
    if key in {"name", "fqn", "forward_arg_names", "as_name", "class_fqn"}:
        return _NAME.fullmatch(text) is not None
    return _HARMLESS.fullmatch(text) is not None


def _is_arithmetic(text: str) -> bool:
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError):
        return False
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            return False
        if isinstance(node, ast.Call) and not (
            isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
        ):
            return False
        if isinstance(node, ast.Name) and not re.fullmatch(r"[A-Za-z]\w*", node.id):
            return False
        text_ = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text_, str) and not re.fullmatch(r"[A-Za-z]\w*", text_):
            return False
    return True


def _is_plain_spec(text: str) -> bool:
    """Whether a tree of arguments is of tuples, lists and dicts alone; others import modules."""
    if not text:
        return True
    waiting = [json.loads(text)[1]]
    while waiting:
        node = waiting.pop()
        if node["type"] not in _SPEC_TYPES:
            return False
        waiting += node["children_spec"]
    return True
