"""The contract as its source says it: comments are lost in the generated code."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

from support.binaries import REPOSITORY

FOLDER = REPOSITORY / "protos" / "runstone"
SERVICES = ("tracking", "artifact", "registry")


def descriptor(name: str) -> Any:
    """The descriptor of "tracking", "artifact" or "registry"."""
    module = import_module(f"runstone.{name}.v1.{name}_service_pb2")
    (found,) = module.DESCRIPTOR.services_by_name.values()
    return found


def _commented(path: str) -> Iterator[tuple[list[str], str]]:
    """Each line of a proto that has a comment above it, after that comment."""
    block: list[str] = []
    for line in map(str.strip, (FOLDER / path).read_text("utf-8").splitlines()):
        if line.startswith("//"):
            block.append(line.removeprefix("//").strip())
            continue
        if block:
            yield block, line
        block = []


@cache
def reasons(name: str) -> dict[str, str]:
    """Every reason of a service, to the code that its comment begins with."""
    return {
        line.split()[0].removeprefix("ERROR_REASON_"): block[0].split(".")[0]
        for block, line in _commented(f"{name}/v1/error_reason.proto")
        if line.startswith("ERROR_REASON_") and not line.endswith("= 0;")
    }


@cache
def comments(name: str) -> dict[str, list[str]]:
    """The comment above each RPC of a service, line by line."""
    return {
        line.split()[1].split("(")[0]: block
        for block, line in _commented(f"{name}/v1/{name}_service.proto")
        if line.startswith("rpc ")
    }
