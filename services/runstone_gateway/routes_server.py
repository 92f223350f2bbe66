"""What a client asks of the server itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from starlette.responses import PlainTextResponse

from runstone_gateway.call import Call
from runstone_gateway.routes_parts import presigns

MLFLOW_VERSION = "3.17.2"
"""The release whose REST API this is. Clients compare it with their own, so it stands here in place
of ours, which is in server-info."""


async def health(call: Call) -> Any:
    """GET /health: this process answers; the services have health checks of their own."""
    return PlainTextResponse("OK")


async def get_version(call: Call) -> Any:
    """GET /version."""
    return PlainTextResponse(MLFLOW_VERSION)


async def server_info(call: Call) -> Any:
    """GET server-info: what clients decide by how they speak to the server."""
    by_url = await presigns(call)
    return {
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": by_url,
        "multipart_downloads_enabled": by_url,
        "artifact_serving_enabled": True,
        "artifacts_presigned_only": call.settings.presigned_only,
        "tracking_auth": None,
        "runstone_version": version("runstone-server"),
    }
