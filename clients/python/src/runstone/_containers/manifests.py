"""What manifests for Kubernetes have in common, as plain data that is dumped once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from runstone._values import invalid

USER_ID = 1000
"""Whoever it is, not root."""

MANAGER = "app.kubernetes.io/managed-by"
NAME = "app.kubernetes.io/name"
RUN_ID = "runstone/run-id"
ATTEMPT = "runstone/attempt"
"""An annotation: which submission made it, for a run can be submitted again by its id."""

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
"""Of a Service, which is stricter than others: of DNS (RFC 1035)."""

_NOT_OF_A_LABEL = re.compile(r"[^a-z0-9]+")


def checked_name(name: str, field: str = "name") -> str:
    """The name, when Kubernetes takes it as one. Raises InvalidField."""
    if not _NAME.fullmatch(name):
        raise invalid(
            field,
            "must be letters a to z, digits and -, a letter first, 63 at most, for Kubernetes:"
            f" {name!r}",
        )
    return name


def name_of(text: str, most: int) -> str:
    """A name for Kubernetes that looks like a text, at most so long; may be empty."""
    return _NOT_OF_A_LABEL.sub("-", text.lower()).strip("-")[:most].strip("-")


def labels(name: str, **more: str) -> dict[str, str]:
    """The labels of everything that Runstone makes in a cluster."""
    return {NAME: name, MANAGER: "runstone", **more}


def container_security() -> dict[str, Any]:
    """What a container may not: be root, become it, or have any of its rights."""
    return {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pod_security() -> dict[str, Any]:
    """As whom the processes of a pod run; its volumes are theirs."""
    return {"runAsUser": USER_ID, "fsGroup": USER_ID}


def resources(cpu: str, memory: str, memory_limit: str | None = None) -> dict[str, Any]:
    """What a container asks for, and the limit of its memory: that asked for unless said."""
    return {
        "requests": {"cpu": cpu, "memory": memory},
        # No limit of cpu: what others do not need may be used.
        "limits": {"memory": memory_limit or memory},
    }


def literal(text: str) -> str:
    """A text of which Kubernetes makes itself: it puts variables in for $(NAME) by itself.

    >>> literal("$(HOME) for $5")
    '$$(HOME) for $$5'
    """
    return text.replace("$", "$$")


def environment(variables: Mapping[str, str]) -> list[dict[str, str]]:
    """Environment variables of a container, with these very values."""
    return [{"name": name, "value": literal(value)} for name, value in variables.items()]


def dumped(documents: Iterable[Mapping[str, Any]]) -> str:
    """Manifests as one YAML file."""
    import yaml

    text: str = yaml.safe_dump_all([dict(each) for each in documents], sort_keys=False)
    return text
