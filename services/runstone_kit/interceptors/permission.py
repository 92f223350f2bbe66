"""Deny by default: an RPC whose proto carries no permission rule is refused (design D12)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import grpc
from google.protobuf import descriptor_pool

from runstone.auth.v1 import permission_pb2
from runstone_kit.errors import PermissionDenied
from runstone_kit.interceptors.chain import Call, Method

PERMISSION_RULE_MISSING = "PERMISSION_RULE_MISSING"

OPEN_SERVICES = frozenset(
    {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
)
"""Open to everybody: probes cannot log in, and reflection is published with the source."""


class PermissionLayer:
    """Refuses RPCs without a rule. Whom a rule lets in is asked here once callers can log in."""

    def wrap(self, method: Method, call: Call) -> Call:
        """``call`` itself when a rule covers it, else a call that is always refused."""
        if not method.known or method.service in OPEN_SERVICES or rule_of(method.path) is not None:
            return call
        if method.response_streaming:
            return _refuse_stream
        return _refuse


def rule_of(path: str) -> permission_pb2.Permission | None:
    """The rule that the proto gives the RPC at ``/package.Service/Method``, None without one.

    A rule without a resource or an action is no rule.
    """
    try:
        method = descriptor_pool.Default().FindMethodByName(path.lstrip("/").replace("/", "."))
    except KeyError:
        return None
    options = method.GetOptions()
    if not options.HasExtension(permission_pb2.permission):
        return None
    rule: permission_pb2.Permission = options.Extensions[permission_pb2.permission]
    if not rule.resource or rule.action == permission_pb2.ACTION_UNSPECIFIED:
        return None
    return rule


def paths_without_rule(paths: Iterable[str]) -> list[str]:
    """Those of the RPCs that would always be refused; a server with one does not start."""
    return sorted(
        path
        for path in paths
        if path[1:].rpartition("/")[0] not in OPEN_SERVICES and rule_of(path) is None
    )


def _refuse(_request: Any, _context: grpc.ServicerContext) -> NoReturn:
    raise PermissionDenied("no rule permits this call", reason=PERMISSION_RULE_MISSING)


def _refuse_stream(_request: Any, _context: grpc.ServicerContext) -> Any:
    yield from ()
    raise PermissionDenied("no rule permits this call", reason=PERMISSION_RULE_MISSING)
