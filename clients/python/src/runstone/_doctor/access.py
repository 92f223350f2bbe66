"""Tokens: which one would be sent, who could read it, and whether the server takes it.

Health is open to everybody, so each service is asked something that it tells only to those whom it
knows. Nothing is sent to an embedded suite: its folder lets nobody else in.
"""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstone import _credentials, _settings, _uri
from runstone._doctor import places
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines
from runstone.exceptions import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RunstoneException,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)

if TYPE_CHECKING:
    from runstone._connection import Connection

SECONDS = 3.0

NOWHERE = "0" * 32
"""A run that no server has."""

OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH


def files(asked: Asked, name: str) -> Lines:
    """The files that hold a token are for their owner alone."""
    found = []
    with suppress(InvalidArgument):  # a user without a home keeps no token
        found.append(_credentials.place())
    if named := asked.environment.get(_settings.TRACKING_TOKEN_FILE):
        found.append(Path(named))
    told = False
    for path in found:
        try:
            open_to_others = path.stat().st_mode & OTHERS_MAY_READ
        except FileNotFoundError:
            continue
        told = told or bool(open_to_others)
        if open_to_others:
            yield Line(
                f"{name}.{path.name}",
                WARNING,
                f"other users of this machine can read the token in {path}",
                f"chmod 600 {path}",
            )
    if not told:
        yield Line(name, OK, "no token is in a file that others can read")


def look(asked: Asked, name: str) -> Lines:
    """One service; ``name`` is ``access.tracking`` or another's."""
    service = name.partition(".")[2]
    target = places.targets(asked)[service]
    if not isinstance(target, _uri.Remote):
        return
    try:
        token = _credentials.token_for(target)
    except InvalidArgument as error:
        fix = "correct it, or what holds it: runstone auth login"
        yield Line(name, FAILURE, error.message, fix)
        return
    from runstone._connection import Connection

    connection = Connection(target, timeout=asked.within(SECONDS), token=token)
    try:
        _ask(connection, service)
    except (Unavailable, DeadlineExceeded, Unimplemented):
        return  # what the lines of the service say
    except Unauthenticated as error:
        yield _unknown(name, target, token, error)
        return
    except PermissionDenied as error:
        fix = "ask whoever runs the server for that right"
        yield Line(name, FAILURE, error.message, fix, {"reason": error.reason})
        return
    except RunstoneException as error:
        said = f"a call to the {service} service fails: {error.message}"
        fix = "the server's log has the reason, by that request id"
        details = {"code": error.code, "reason": error.reason, "request_id": error.request_id}
        yield Line(name, FAILURE, said, fix, details)
        return
    finally:
        connection.close()
    yield _taken(name, service, target, token)


def _ask(connection: Connection, service: str) -> None:
    calls: Any = connection.service(service)
    if service == "tracking":
        from runstone.tracking.v1 import experiment_pb2

        calls.SearchExperiments(experiment_pb2.SearchExperimentsRequest(page_size=1))
    elif service == "registry":
        from runstone.registry.v1 import model_pb2

        calls.SearchRegisteredModels(model_pb2.SearchRegisteredModelsRequest(page_size=1))
    else:
        from runstone.artifact.v1 import artifact_pb2

        owner = artifact_pb2.Owner(run_id=NOWHERE)
        try:
            calls.ListArtifacts(artifact_pb2.ListArtifactsRequest(owner=owner, page_size=1))
        except NotFound:
            pass  # which it tells only to those whom it knows


def _unknown(name: str, target: _uri.Remote, token: str, error: Unauthenticated) -> Line:
    if token:
        return Line(
            name,
            FAILURE,
            f"{target} does not know your token: {error.message}",
            "have a new one made (runstone auth create-token, on the server), then: runstone auth"
            f" login {target}",
            {"has_token": True},
        )
    return Line(
        name,
        FAILURE,
        f"{target} asks for a token, and there is none",
        f"runstone auth login {target}, or set {_settings.TRACKING_TOKEN}",
        {"has_token": False},
    )


def _taken(name: str, service: str, target: _uri.Remote, token: str) -> Line:
    details = {"has_token": bool(token)}
    near = _uri.is_loopback(target.host)
    if token and not target.tls and not near:
        return Line(
            name,
            WARNING,
            f"your token goes to {target} without TLS, where others on the way can read it",
            f"use runstones://, and unset {_settings.ALLOW_PLAIN_TOKEN}",
            details,
        )
    how = "with your token" if token else "without a token"
    return Line(name, OK, f"the {service} service takes calls {how}", details=details)
