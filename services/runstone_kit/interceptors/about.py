"""What a probe is told of the server: its version, and what its clock says."""

from __future__ import annotations

import time
from importlib import metadata
from typing import Any

import grpc

from runstone_kit.context import (
    REQUEST_ID_METADATA,
    TIME_METADATA,
    VERSION_METADATA,
    current,
)
from runstone_kit.interceptors.chain import Call, Method

HEALTH_SERVICE = "grpc.health.v1.Health"

DISTRIBUTION = "runstone-server"


class AboutLayer:
    """Adds version and time to the trailing metadata of the health service's answers.

    Only of those: other calls need neither, and every byte of theirs counts.
    """

    def wrap(self, method: Method, call: Call) -> Call:
        """``call`` itself unless it is a probe's."""
        if method.service != HEALTH_SERVICE or method.response_streaming:
            return call
        told = _version()

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            answer = call(request, context)
            # Last, so that the time is as near to the answer as can be.
            now_us = time.time_ns() // 1000
            context.set_trailing_metadata(
                (
                    (REQUEST_ID_METADATA, current().request_id),
                    (VERSION_METADATA, told),
                    (TIME_METADATA, str(now_us)),
                )
            )
            return answer

        return unary


def _version() -> str:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return ""
