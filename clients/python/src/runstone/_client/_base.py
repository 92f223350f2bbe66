"""What the parts of the client share: the way to each service."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from runstone import _settings, _uri
from runstone._arguments import checked
from runstone._connection import Connection
from runstone._journal import outlet
from runstone.exceptions import OfflineMode

if TYPE_CHECKING:
    import os

    from runstone.artifact.v1.artifact_service_pb2_grpc import ArtifactServiceStub
    from runstone.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
    from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub


SETTLE_SECONDS = 10.0
"""A read waits no longer for points that were logged here and are not delivered."""

_log = logging.getLogger("runstone")


class ClientBase:
    """Connections to the three services, made at once and opened when first called."""

    @checked
    def __init__(
        self,
        tracking_uri: str | os.PathLike[str] | None = None,
        registry_uri: str | None = None,
        *,
        artifact_uri: str | None = None,
        timeout: float | None = None,
        user: str | None = None,
    ) -> None:
        targets = _uri.resolve(tracking_uri, artifact_uri, registry_uri)
        self.user = _settings.user(user)
        self._timeout = _settings.timeout(timeout)
        # One connection for each place, whatever number of services stands there.
        connections = {
            target: Connection(target, user=self.user, timeout=self._timeout)
            for target in (targets.tracking, targets.artifact, targets.registry)
        }
        self._targets = targets
        self._connections = list(connections.values())
        offline = _settings.offline()

        def service(name: str) -> Any:
            where = connections[getattr(targets, name)]
            return _NoService() if offline else where.service(name)

        self._tracking: TrackingServiceStub = service("tracking")
        self._artifact: ArtifactServiceStub = service("artifact")
        self._registry: RegistryServiceStub = service("registry")

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes get a client of the same places, with connections of their own.
        return (_rebuild, (type(self), self._arguments()))

    def _arguments(self) -> dict[str, Any]:
        return {
            "tracking_uri": str(self._targets.tracking),
            "registry_uri": str(self._targets.registry),
            "artifact_uri": str(self._targets.artifact),
            "timeout": self._timeout,
            "user": self.user,
        }

    @property
    def tracking_uri(self) -> str:
        """Where the tracking service is."""
        return str(self._targets.tracking)

    @property
    def registry_uri(self) -> str:
        """Where the registry is."""
        return str(self._targets.registry)

    def _settle(self) -> None:
        """Before a read: what this process logged through its journal is read too."""
        if not outlet.flush(SETTLE_SECONDS, self.tracking_uri):
            _log.warning(
                "what is read may lack metrics that this process logged: not all of them are on"
                " the server after %.0f s (%s)",
                SETTLE_SECONDS,
                outlet.why(outlet.outlets(self.tracking_uri)),
            )

    def close(self) -> None:
        """Let the connections go; a later call opens them again."""
        for connection in self._connections:
            connection.close()


class _NoService:
    """A service in offline mode: it has every method, and none can be called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise OfflineMode(
            f"this call ({name}) needs a server, and {_settings.MODE}=offline says that there is"
            f" none: deliver what was logged with `runstone sync {_uri.offline_dir()}` and do this"
            f" then, without {_settings.MODE}"
        )


def _rebuild(kind: type[ClientBase], arguments: dict[str, Any]) -> ClientBase:
    return kind(**arguments)
