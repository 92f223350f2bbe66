"""The YAML of an MLproject file as plain values: bounded, and with no key twice."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from runstone._projects.mlproject import MAX_BYTES
from runstone.exceptions import ProjectInvalid


class _Loader(yaml.SafeLoader):
    """Refuses what SafeLoader would take the last of without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value != "<<":
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key_node.value!r} stands twice", key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def read(path: Path) -> dict[str, Any]:
    """A file's top mapping; an empty file is an empty one.

    Raises:
        ProjectInvalid: it cannot be read, is too long, or is no mapping in YAML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ProjectInvalid(f"{path} is longer than {MAX_BYTES} bytes")
        found = yaml.load(content.decode("utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise ProjectInvalid(f"{path} cannot be read as YAML: {said}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ProjectInvalid(f"{path} must hold a mapping, such as 'name: demo', not {found!r:.60}")
    return found
