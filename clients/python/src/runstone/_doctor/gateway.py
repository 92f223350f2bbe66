"""The gateway: MLflow's REST API beside gRPC, where one is named."""

from __future__ import annotations

import http.client
import json
import ssl
import statistics
import time
from typing import Any, NamedTuple, Self
from urllib.parse import SplitResult, urlsplit

from runstone import _uri
from runstone._doctor import places
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines, Status

HEALTH = "/health"
INFO = "/api/3.0/mlflow/server-info"
BEHIND = "/api/2.0/mlflow/experiments/get?experiment_id=0"
"""Asks the tracking service; no such experiment is an answer too."""

ARGUMENT = "argument"

TOKEN = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - a variable's name
"""Sent as MLflow's clients send it."""

CALLS = 3
SECONDS = 3.0
MOST_BYTES = 65536


def look(asked: Asked, name: str) -> Lines:
    """Whether it answers, whether it is ours, and whether its services answer it."""
    url, source = _named(asked)
    if not url:
        yield Line(name, OK, "no gateway is named (--gateway http://host:5000 looks at one)")
        return
    details: dict[str, Any] = {"url": url, "source": source}
    gateway = _Gateway.of(url, asked.within(SECONDS), asked.environment.get(TOKEN, ""))
    if gateway is None:
        fix = "name it as http://host:5000"
        yield Line(name, FAILURE, f"{url} is no address of a gateway", fix, details)
        return
    try:
        times = [gateway.get(HEALTH).seconds for _ in range(CALLS)]
        info = gateway.get(INFO)
    except (OSError, http.client.HTTPException) as error:
        yield _away(name, url, error, details)
        return
    median = statistics.median(times)
    details |= {"median_ms": round(median * 1000, 2), "status": info.status, "info": info.json}
    strange = _strange(url, source, info)
    if strange is not None:
        status, said, fix = strange
        yield Line(name, status, said, fix, details)
        return
    assert info.json is not None
    version = info.json["runstone_version"]
    said = f"{url} answers ({source}): median {median * 1000:.3g} ms, version {version}"
    yield Line(name, OK, said, details=details)
    yield _behind(f"{name}.services", gateway)


def _strange(url: str, source: str, info: _Answer) -> tuple[Status, str, str] | None:
    """What is wrong with the answer of what should be a gateway."""
    if info.json is not None and "runstone_version" in info.json:
        return None
    # Nobody asked for it by name: it may well be used by none.
    worst = FAILURE if source == ARGUMENT else WARNING
    if info.status == http.client.FORBIDDEN:
        return (
            worst,
            f"{url} refuses to be called by this name (HTTP 403)",
            "set RUNSTONE_GATEWAY_ALLOWED_HOSTS there to the names that it is called by",
        )
    if info.status in (http.client.UNAUTHORIZED, http.client.PROXY_AUTHENTICATION_REQUIRED):
        return (
            WARNING,
            f"{url} asks who calls (HTTP {info.status})",
            f"set {TOKEN} to your token (it is sent through TLS and to this machine alone)",
        )
    other = "an MLflow server" if info.json is not None else "something else"
    return (
        worst,
        f"{url} is {other}, no gateway of Runstone (HTTP {info.status})",
        "name the gateway with --gateway; its port is 5000 unless said",
    )


def _behind(name: str, gateway: _Gateway) -> Line:
    fix = "see RUNSTONE_GATEWAY_TRACKING_ADDRESS of the gateway, and the lines of the services"
    try:
        answer = gateway.get(BEHIND)
    except (OSError, http.client.HTTPException):
        return Line(name, FAILURE, "the services behind the gateway do not answer it", fix)
    if answer.status >= http.client.INTERNAL_SERVER_ERROR:
        said = f"the services behind the gateway fail (HTTP {answer.status})"
        return Line(name, FAILURE, said, fix, {"status": answer.status, "body": answer.json})
    return Line(name, OK, "the tracking service behind the gateway answers it")


def _away(name: str, url: str, error: Exception, details: dict[str, Any]) -> Line:
    if isinstance(error, ssl.SSLError):
        why = getattr(error, "verify_message", "") or error.reason or str(error)
        fix = "have a certificate for that name, of an authority that this machine trusts"
        return Line(name, FAILURE, f"TLS with {url} failed: {why}", fix, details)
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    fix = "start it (runstone server, or runstone-gateway), or correct the URL"
    return Line(name, FAILURE, f"no gateway answers at {url}: {why}", fix, details)


def _named(asked: Asked) -> tuple[str, str]:
    if asked.gateway:
        return asked.gateway, ARGUMENT
    theirs = asked.environment.get("MLFLOW_TRACKING_URI", "")
    if theirs.startswith(("http://", "https://")):
        return theirs, "MLFLOW_TRACKING_URI"
    for folder in places.data_folders(asked):
        says = places.suite(asked, folder).says or {}
        if says.get("http"):
            return str(says["http"]), "suite.json"
    return "", ""


class _Answer(NamedTuple):
    """Of one request; ``json`` is None when it is no object of JSON."""

    status: int
    seconds: float
    json: dict[str, Any] | None


class _Gateway:
    """Asked by HTTP, straight and not through a proxy of the environment."""

    def __init__(self, parts: SplitResult, seconds: float, token: str) -> None:
        assert parts.hostname is not None
        safe = parts.scheme == "https" or _uri.is_loopback(parts.hostname)
        self._headers = {"Authorization": f"Bearer {token}"} if token and safe else {}
        self._kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._seconds = seconds

    @classmethod
    def of(cls, url: str, seconds: float, token: str = "") -> Self | None:
        """None for what is no URL of HTTP."""
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            return None
        return cls(parts, seconds, token) if good else None

    def get(self, path: str) -> _Answer:
        """Raises OSError, HTTPException."""
        began = time.perf_counter()
        connection = self._kind(self._host, self._port, timeout=self._seconds)
        try:
            connection.request("GET", self._base + path, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read(MOST_BYTES)
        finally:
            connection.close()
        took = time.perf_counter() - began
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        return _Answer(answer.status, took, said if isinstance(said, dict) else None)
