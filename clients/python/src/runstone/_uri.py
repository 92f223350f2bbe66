"""Where the services are: the grammar of tracking URIs.

(nothing)                          the embedded suite of RUNSTONE_DATA_DIR, else ./runstone-data
file:PATH, file:///PATH, ./PATH    the embedded suite of that folder
runstone://HOST[:PORT]             a server, plain; PORT is 5051 unless said
runstones://HOST[:PORT]            the same through TLS
runstone://HOST?artifact=HOST:PORT&registry=HOST:PORT
                                   services behind addresses of their own; or a bare :PORT
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from runstone import _settings
from runstone.exceptions import InvalidUri

DEFAULT_PORT = 5051
SERVICES = ("tracking", "artifact", "registry")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
GRAMMAR = "runstone://host:port, runstones://host:port (TLS), file:path, or nothing at all"


@dataclass(frozen=True, slots=True)
class Embedded:
    """The suite that serves a folder, started when needed. The path is absolute."""

    data_dir: Path

    def __str__(self) -> str:
        return self.data_dir.as_uri()


@dataclass(frozen=True, slots=True)
class Remote:
    """A server that somebody else runs."""

    host: str
    port: int
    tls: bool = False

    @property
    def address(self) -> str:
        """As gRPC wants it: ``host:port``, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{'runstones' if self.tls else 'runstone'}://{self.address}"


Target = Embedded | Remote


@dataclass(frozen=True, slots=True)
class Targets:
    """Where each of the three services is."""

    tracking: Target
    artifact: Target
    registry: Target


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, and no name that a stranger can own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_resolved: dict[str, Path] = {}


def data_dir() -> Path:
    """The absolute folder that RUNSTONE_DATA_DIR names, else ./runstone-data.

    A relative path in the environment is resolved once in a process, so that a later ``os.chdir``
    does not silently open a second, empty store.
    """
    return _once(_settings.value(None, _settings.DATA_DIR) or _settings.DEFAULT_DATA_DIR)


def offline_dir() -> Path:
    """The absolute folder that RUNSTONE_OFFLINE_DIR names, else ./runstone-offline; likewise."""
    return _once(_settings.value(None, _settings.OFFLINE_DIR) or _settings.DEFAULT_OFFLINE_DIR)


def _once(path: str) -> Path:
    if path not in _resolved:
        _resolved[path] = _absolute(path)
    return _resolved[path]


def _absolute(path: str) -> Path:
    return Path(path).expanduser().resolve()


def forget() -> None:
    """Resolve relative paths of the environment anew. For tests."""
    _resolved.clear()


def resolve(
    tracking: str | os.PathLike[str] | None = None,
    artifact: str | None = None,
    registry: str | None = None,
) -> Targets:
    """Where the services are by arguments, environment and default.

    Raises:
        InvalidUri: one of the URIs is not of the grammar above.
    """
    given = os.fspath(tracking) if tracking is not None else None
    text = _settings.value(given, _settings.TRACKING_URI)
    targets = parse(text, once=not given) if text else _all(Embedded(data_dir()))
    others = {}
    for name, argument, variable in (
        ("artifact", artifact, _settings.ARTIFACT_URI),
        ("registry", registry, _settings.REGISTRY_URI),
    ):
        uri = _settings.value(argument, variable)
        others[name] = getattr(parse(uri, once=not argument) if uri else targets, name)
    return Targets(targets.tracking, others["artifact"], others["registry"])


def parse(uri: str, *, once: bool = False) -> Targets:
    """Where the services of one URI are.

    ``once``: it comes from the environment, so its relative path is resolved once in a process.

    Raises:
        InvalidUri: ``uri`` is not of the grammar above.
    """
    if uri.startswith((".", "/", "~")):
        return _all(Embedded(_once(uri) if once else _absolute(uri)))
    try:
        parts = urlsplit(uri)
        scheme = parts.scheme.lower()
        if scheme == "file":
            path = _path(uri)
            return _all(Embedded(_once(path) if once else _absolute(path)))
        if scheme not in {"runstone", "runstones"}:
            raise ValueError(_other_scheme(uri, scheme))
        if parts.path not in {"", "/"} or parts.fragment or "@" in parts.netloc:
            raise ValueError("only a host and a port can follow the scheme")
        default = _remote(parts.netloc, tls=scheme == "runstones")
        found: dict[str, Target] = dict.fromkeys(SERVICES, default)
        for name, place in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True):
            if name not in SERVICES:
                raise ValueError(f"unknown service {name!r} behind '?'")
            found[name] = _remote(place, tls=default.tls, host=default.host)
    except ValueError as error:
        raise InvalidUri(f"cannot read the URI {uri!r}: {error}; use {GRAMMAR}") from None
    return Targets(**found)


def _all(target: Target) -> Targets:
    return Targets(target, target, target)


def _path(uri: str) -> str:
    rest = uri[len("file:") :]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in {"", "localhost"}:
            raise ValueError("a file URI names a path of this machine (file:///absolute/path)")
        rest = slash + path
    rest = unquote(rest)
    if not rest or "\0" in rest:
        raise ValueError("the path is missing")
    return rest


def _remote(netloc: str, *, tls: bool, host: str = "") -> Remote:
    parts = urlsplit(f"//{netloc}")
    name = parts.hostname or host
    if not name or any(c.isspace() for c in netloc):
        raise ValueError("the host is missing")
    port = parts.port
    if port == 0:
        raise ValueError("port 0 is no address")
    return Remote(name, DEFAULT_PORT if port is None else port, tls)


def _other_scheme(uri: str, scheme: str) -> str:
    if scheme in {"http", "https"}:
        return (
            "this client speaks gRPC, not the HTTP of MLflow's servers; a Runstone server's gRPC"
            f" port is {DEFAULT_PORT} unless said"
        )
    # urlsplit takes the host of "localhost:5051" for a scheme.
    host, colon, port = uri.partition(":")
    if _HOST.fullmatch(host) and (port.isdecimal() if colon else "." in host):
        return f"is it runstone://{uri} that is meant?"
    if scheme:
        return f"unknown scheme {scheme!r}"
    return "there is no scheme (a relative path begins with ./)"
