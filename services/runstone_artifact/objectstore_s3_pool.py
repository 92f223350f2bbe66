"""The connections to an S3 store: what a store leaves unanswered is asked again, soon."""

from __future__ import annotations

from typing import Any

from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import MaxRetryError, ProtocolError, ReadTimeoutError

CONNECT_S = 3.0

PROMPT_S = 4.0
"""MinIO never answers some requests that reach it while it starts; the same request again is
answered at once. Clients are promised to go on within ten seconds."""

SLOW_S = 60.0
"""For a store that is slow, not deaf: the second time, and for what must not be asked twice."""


class StorePool(PoolManager):
    """urllib3's pool. A restart is bridged by callers, who know how long they want to wait."""

    def __init__(self, connections: int) -> None:
        super().__init__(
            num_pools=4,
            maxsize=connections,
            timeout=Timeout(connect=CONNECT_S, read=SLOW_S),
            retries=Retry(total=2, backoff_factor=0.1, status_forcelist=[502, 503, 504]),
        )

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **how: Any
    ) -> BaseHTTPResponse:
        """Send a request. Raises urllib3.exceptions.HTTPError."""
        # Only the end of an upload by parts is a POST with a body; redirects bring their retries.
        if "retries" not in how and (method != "POST" or not how.get("body")):
            try:
                return super().urlopen(
                    method,
                    url,
                    redirect,
                    **how,
                    timeout=Timeout(connect=CONNECT_S, read=PROMPT_S),
                    retries=Retry(
                        total=2, read=0, backoff_factor=0.1, status_forcelist=[502, 503, 504]
                    ),
                )
            except ReadTimeoutError:
                pass
            except MaxRetryError as error:
                if not isinstance(error.reason, ReadTimeoutError | ProtocolError):
                    raise
        return super().urlopen(method, url, redirect, **how)
