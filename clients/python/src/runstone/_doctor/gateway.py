"""The gateway: MLflow's REST API beside gRPC, where one is named."""

from __future__ import annotations

import http.client
import json
import ssl
import statistics
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from runstone._doctor import places
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines

INFO = "/api/3.0/mlflow/server-info"
CALLS = 3
SECONDS = 3.0
MOST_BYTES = 65536


def look(asked: Asked, name: str) -> Lines:
    """One line, and one for its version."""
    url, source = _named(asked)
    if not url:
        yield Line(name, OK, "no gateway is named (--gateway http://host:5000 looks at one)")
        return
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield Line(
            name, FAILURE, f"{url} is no address of a gateway", "name it as http://host:5000"
        )
        return
    details: dict[str, Any] = {"url": url, "source": source}
    try:
        took, said = _asked(url, min(SECONDS, asked.seconds))
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or str(error)
        yield Line(name, FAILURE, f"TLS with {url} failed: {why}", _certificate(), details)
        return
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        fix = "start it (runstone server, or runstone-gateway), or correct the URL"
        yield Line(name, FAILURE, f"no gateway answers at {url}: {why}", fix, details)
        return
    details |= {"status": said.status, "median_ms": round(took * 1000, 2), "info": said.info}
    if said.info is None or "runstone_version" not in said.info:
        other = "an MLflow server" if said.info is not None else "something else"
        yield Line(
            name,
            WARNING if source.startswith("MLFLOW") else FAILURE,
            f"{url} is {other}, no gateway of Runstone (HTTP {said.status})",
            "name the gateway with --gateway; its port is 5000 unless said",
            details,
        )
        return
    version = said.info["runstone_version"]
    yield Line(
        name,
        OK,
        f"{url} answers ({source}): median {took * 1000:.3g} ms, version {version}",
        details=details,
    )


def _certificate() -> str:
    return "have a certificate for that name, of an authority that this machine trusts"


def _named(asked: Asked) -> tuple[str, str]:
    if asked.gateway:
        return asked.gateway, "argument"
    theirs = asked.environment.get("MLFLOW_TRACKING_URI", "")
    if theirs.startswith(("http://", "https://")):
        return theirs, "MLFLOW_TRACKING_URI"
    for folder in places.data_folders(asked):
        says = places.suite(asked, folder).says or {}
        if says.get("http"):
            return str(says["http"]), "suite.json"
    return "", ""


class _Said:
    """What was answered."""

    def __init__(self, status: int, info: Mapping[str, Any] | None) -> None:
        self.status = status
        self.info = info


def _asked(url: str, seconds: float) -> tuple[float, _Said]:
    """How long a request takes, and the answer. Raises OSError, HTTPException."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    assert parts.hostname is not None
    connection = kind(parts.hostname, parts.port, timeout=seconds)
    times = []
    try:
        for _ in range(CALLS):
            began = time.perf_counter()
            connection.request("GET", parts.path.rstrip("/") + INFO)
            answer = connection.getresponse()
            body = answer.read(MOST_BYTES)
            times.append(time.perf_counter() - began)
    finally:
        connection.close()
    try:
        info = json.loads(body)
    except ValueError:
        info = None
    return statistics.median(times), _Said(answer.status, info if isinstance(info, dict) else None)
