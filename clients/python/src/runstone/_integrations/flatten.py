"""A training's configuration, however nested, as parameters: keys and texts for the server."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import os
import posixpath
import re
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import SimpleNamespace
from typing import Any

from runstone._journal.rules import MAX_KEY
from runstone._values import MAX_PARAM_VALUE

MOST_ENTRIES = 200
"""A dict or list with more is one parameter: the labels of a model are thousands, and no choice."""

MOST_DEEP = 20
"""Levels; what is below is one text."""

MOST_ELEMENTS = 32
"""Of an array that is written out; of a larger one the shape tells enough."""

_FORBIDDEN = re.compile(r"[^/\w.\- :]")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def key(text: str) -> str:
    """The nearest key that the server takes, of a parameter, tag or metric.

    >>> key("ndcg@5"), key("layers[0]"), key("/a//b")
    ('ndcg_at_5', 'layers_0_', 'a/b')
    """
    clean = _FORBIDDEN.sub("_", text.replace("@", "_at_"))
    clean = posixpath.normpath(clean).lstrip("/")
    if clean in ("", "."):
        return "_"
    clean = "/".join("__" if each == ".." else each for each in clean.split("/"))
    if clean.startswith(".."):
        clean = f"__{clean[2:]}"
    if len(clean) > MAX_KEY:
        # Two that differ only at their ends stay two.
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
        clean = f"{clean[: MAX_KEY - 9]}_{digest}"
    return clean


def flat(config: Any, separator: str = ".") -> dict[str, str]:
    """Parameters of a configuration, in its order.

    Dicts, dataclasses, namespaces, named tuples, configurations of OmegaConf and pydantic, and
    lists of these are walked through; a list of plain values is one parameter.

    >>> flat({"model": {"layers": [4, 2], "drop": None}, "steps": [{"lr": 0.1}]})
    {'model.layers': '[4, 2]', 'model.drop': 'None', 'steps.0.lr': '0.1'}
    """
    found: dict[str, str] = {}
    inner = _inner(config)
    if inner is None:
        raise TypeError(f"a configuration must be a dict or the like, not {type(config).__name__}")
    for path, value in _walk(inner, (), separator, frozenset()):
        name = key(path)
        place = 2
        while name in found:  # {"a.b": 1, "a": {"b": 2}}
            name, place = key(f"{path}_{place}"), place + 1
        found[name] = text(value)
    return found


def text(value: Any) -> str:
    """A value as a parameter's text, the same in every process: without addresses in memory."""
    try:
        said = _said(value)
    except Exception:  # whatever a foreign __str__ does
        said = _name(type(value))
    # A lone surrogate cannot be sent.
    said = said.encode("utf-8", "replace").decode("utf-8")
    return said if len(said) <= MAX_PARAM_VALUE else f"{said[: MAX_PARAM_VALUE - 3]}..."


def _walk(
    entries: Mapping[Any, Any], above: tuple[str, ...], separator: str, seen: frozenset[int]
) -> Iterator[tuple[str, Any]]:
    for name, value in entries.items():
        path = (*above, str(name))
        inner = _inner(value)
        crowded = inner is None or not inner or len(inner) > MOST_ENTRIES
        if inner is None or crowded or len(path) >= MOST_DEEP or id(value) in seen:
            yield separator.join(path), value
        else:
            yield from _walk(inner, path, separator, seen | {id(value)})


def _inner(value: Any) -> Mapping[Any, Any] | None:
    """The entries of what has some; None of a plain value."""
    if isinstance(value, type):
        return None
    for read in (_of_omegaconf, _of_record):
        found = read(value)
        if found is not None:
            return found if isinstance(found, Mapping) else _inner(found)
    if isinstance(value, list | tuple) and any(_inner(each) is not None for each in value):
        return dict(enumerate(value))
    return value if isinstance(value, Mapping) else None


def _of_omegaconf(value: Any) -> Any:
    module = sys.modules.get("omegaconf")
    if module is None or not isinstance(value, (module.DictConfig, module.ListConfig)):
        return None
    try:
        return module.OmegaConf.to_container(value, resolve=True)
    except Exception:  # an interpolation that leads nowhere
        return module.OmegaConf.to_container(value, resolve=False)


def _of_record(value: Any) -> Mapping[Any, Any] | None:
    if dataclasses.is_dataclass(value):
        return {each.name: getattr(value, each.name, None) for each in dataclasses.fields(value)}
    if isinstance(value, Namespace | SimpleNamespace):
        return vars(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        found: Mapping[Any, Any] = value._asdict()
        return found
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        return {name: getattr(value, name, None) for name in type(value).model_fields}
    return None


def _said(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, enum.Enum):
        return str(value.value) if isinstance(value.value, str | int | float) else value.name
    if value is None or isinstance(value, bool | int | float | complex):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if hasattr(value, "shape") and hasattr(value, "tolist"):
        return _said_of_array(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{k!r}: {_quoted(v)}' for k, v in _some(value.items()))}}}"
    if isinstance(value, AbstractSet):
        return f"{{{', '.join(sorted(map(_quoted, value)))}}}" if value else "{}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | range):
        return f"[{', '.join(map(_quoted, _some(value)))}]"
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return _name(value)
    said = str(value)
    return _name(type(value)) if _ADDRESS.search(said) else said


def _some(values: Any) -> Iterator[Any]:
    # Each takes three characters at least; more would be cut.
    for place, each in enumerate(values):
        if place > MAX_PARAM_VALUE // 3:
            return
        yield each


def _quoted(value: Any) -> str:
    return repr(value) if isinstance(value, str) else _said(value)


def _said_of_array(value: Any) -> str:
    size = 1
    for each in value.shape:
        size *= int(each)
    if size <= MOST_ELEMENTS:
        return str(value.tolist())
    return f"{_name(type(value))} of shape {tuple(value.shape)}"


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}".removeprefix("builtins.")
