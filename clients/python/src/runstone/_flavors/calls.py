"""From the arguments of a public ``save_model`` or ``log_model``, which are MLflow's, to ours.

They are handed over by name, as ``locals()`` has them: what says something of any model, or where
it goes, is known here; what is left is the flavor's own.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runstone._flavors import registry
from runstone._models import logging, writing
from runstone._models.info import ModelInfo
from runstone._values import invalid

EXTRA = "extra_files"
"""Where files that go with a model are kept in its folder."""

_ABOUT = frozenset(field.name for field in dataclasses.fields(writing.About))
_PLACE = frozenset(field.name for field in dataclasses.fields(logging.Place))
_IGNORED = frozenset({"await_registration_for"})


def save(flavor: str, model: str, given: Mapping[str, Any], **options: Any) -> None:
    """What ``save_model`` does.

    Args:
        flavor: Its name.
        model: The name of the argument that holds the model.
        given: All arguments, by name.
        options: The flavor's own that differ from what was given.
    """
    about, _, own = _parted(given, model, "path")
    chosen = registry.flavor(flavor)
    writing.save(chosen, given[model], given["path"], writing.About(**about), {**own, **options})


def log(flavor: str, model: str, given: Mapping[str, Any], **options: Any) -> ModelInfo:
    """What ``log_model`` does; as ``save``."""
    about, place, own = _parted(given, model)
    return logging.log(
        registry.flavor(flavor),
        given[model],
        logging.Place(**place),
        writing.About(**about),
        {**own, **options},
    )


def _parted(
    given: Mapping[str, Any], *named: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    about = {name: given[name] for name in given if name in _ABOUT}
    place = {name: given[name] for name in given if name in _PLACE and name not in _ABOUT}
    known = {*about, *place, *named, *_IGNORED}
    return about, place, {name: given[name] for name in given if name not in known}


def keep_extra(
    given: Sequence[str | os.PathLike[str]] | None, folder: Path
) -> dict[str, list[dict[str, str]]]:
    """Put files that go with a model into its folder; what the flavor's configuration says of them.

    Raises:
        InvalidField: it is no list of paths, or one is no file, or two have one name.
    """
    if given is None:
        return {}
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise invalid("extra_files", f"must be a list of paths, not {type(given).__name__}")
    target = folder / EXTRA
    target.mkdir()
    kept: list[dict[str, str]] = []
    for each in map(Path, given):
        if not each.is_file():
            raise invalid("extra_files", f"names {each}, which is no file")
        if (target / each.name).exists():
            raise invalid("extra_files", f"names two files {each.name!r}")
        shutil.copy2(each, target / each.name)
        kept.append({"path": f"{EXTRA}/{each.name}"})
    return {"extra_files": kept}
