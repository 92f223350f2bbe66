"""Learns which RPCs are put on a server, so that one without a rule stops the start."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import grpc

from runstone_kit.interceptors.permission import paths_without_rule
from runstone_kit.spec import ServiceParts


class RegistrationError(Exception):
    """The services must not be served as they are."""


class _Recorder:
    """Stands in for the server while a servicer registers itself, and passes everything on."""

    def __init__(self, server: grpc.Server) -> None:
        self._server = server
        self.paths: set[str] = set()

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        self.paths.update(f"/{service}/{name}" for name in handlers)
        self._server.add_registered_method_handlers(service, handlers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


def register(server: grpc.Server, parts: Sequence[ServiceParts]) -> None:
    """Put every part on the server.

    Raises RegistrationError when an RPC has no permission rule, or when a part registers none.
    """
    for part in parts:
        _load_rules(part.name)
        recorder = _Recorder(server)
        part.add_to_server(recorder)  # type: ignore[arg-type]
        if not recorder.paths:
            raise RegistrationError(f"{part.name} registers no RPC that can be checked")
        if missing := paths_without_rule(recorder.paths):
            raise RegistrationError("no permission rule for " + ", ".join(missing))


def _load_rules(service: str) -> None:
    # The generated stubs import the messages only; the RPCs' options are in a module of their own,
    # `runstone.tracking.v1.tracking_service_pb2` for `runstone.tracking.v1.TrackingService`.
    package, _, name = service.rpartition(".")
    if not package:
        return
    stem = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    # One that is not there shows itself as RPCs without a rule.
    with suppress(ModuleNotFoundError):
        import_module(f"{package}.{stem}_pb2")
