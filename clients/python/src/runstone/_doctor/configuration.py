"""What is set, where each value comes from, and what contradicts another."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from runstone import _settings, _uri
from runstone._doctor import places, variables
from runstone._doctor.model import FAILURE, OK, WARNING, Asked, Line, Lines
from runstone._journal import folder as folders
from runstone._journal import rules
from runstone.exceptions import RunstoneException

ARGUMENT, ENVIRONMENT, DEFAULT = "argument", "environment", "default"


def _source(asked: Asked, variable: str, argument: object = None) -> str:
    if argument:
        return ARGUMENT
    return f"{ENVIRONMENT}, {variable}" if asked.environment.get(variable) else DEFAULT


def uris(asked: Asked, name: str) -> Lines:
    """Where the three services are."""
    try:
        targets = places.targets(asked)
    except RunstoneException as error:
        yield Line(name, FAILURE, error.message, "correct that URI, or unset its variable")
        return
    said = _source(asked, _settings.TRACKING_URI, asked.tracking_uri)
    if said == DEFAULT and isinstance(targets["tracking"], _uri.Embedded):
        said = _source(asked, _settings.DATA_DIR)
    details: dict[str, Any] = {each: str(target) for each, target in targets.items()}
    yield Line(
        name, OK, f"tracking URI {targets['tracking']} ({said})", "", {**details, "source": said}
    )
    for service, variable in (
        ("artifact", _settings.ARTIFACT_URI),
        ("registry", _settings.REGISTRY_URI),
    ):
        if targets[service] != targets["tracking"]:
            said = _source(asked, variable)
            if said == DEFAULT:
                said = "of the tracking URI"
            yield Line(f"{name}.{service}", OK, f"{service} URI {targets[service]} ({said})")


def settings(asked: Asked, name: str) -> Lines:
    """The other settings: that they can be read, and which of them somebody has set."""
    told: dict[str, dict[str, str]] = {}
    plain = []
    for variable, read in _READ.items():
        try:
            value = read()
        except RunstoneException as error:
            yield Line(f"{name}.{variable}", FAILURE, error.message, f"correct or unset {variable}")
            continue
        source = _source(asked, variable)
        told[variable] = {"value": _text(value), "source": source.partition(",")[0]}
        if source != DEFAULT:
            plain.append(f"{variable}={_text(value)}")
    others = [each for each in _settings.CLIENT_VARIABLES if each not in _READ]
    for variable in others:
        if value := asked.environment.get(variable):
            told[variable] = {"value": value, "source": ENVIRONMENT}
            plain.append(f"{variable}={value}")
    said = f"by the environment: {', '.join(plain)}" if plain else "all settings are the defaults"
    yield Line(name, OK, said, details=told)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


_READ: dict[str, Callable[[], Any]] = {
    _settings.TIMEOUT: _settings.timeout,
    _settings.USER: _settings.user,
    _settings.MODE: lambda: "offline" if _offline() else "online",
    _settings.OFFLINE_DIR: _uri.offline_dir,
    _settings.DATA_DIR: _uri.data_dir,
    _settings.JOURNAL_DIR: folders.root,
    _settings.JOURNAL_POLICY: lambda: "drop" if rules.drops() else "block",
    _settings.JOURNAL_MAX_BYTES: rules.max_bytes,
}
"""How the client reads them; they raise for what it would refuse."""


def _offline() -> bool:
    # The command line itself is always online; a script would not be.
    _settings.offline()
    return os.environ.get(_settings.MODE) == "offline"


def unknown(asked: Asked, name: str) -> Lines:
    """Variables with our prefix that nothing reads: mistyped, mostly."""
    known = variables.known()
    strange = [
        each
        for each in sorted(asked.environment)
        if each.startswith(variables.PREFIX) and each not in known
    ]
    for each in strange:
        near = variables.nearest(each)
        yield Line(
            f"{name}.{each}",
            WARNING,
            f"nothing reads {each}",
            f"did you mean {near}? Else unset it" if near else "unset it",
            {"variable": each, "nearest": near},
        )
    if not strange:
        yield Line(name, OK, "every RUNSTONE_ variable that is set is known")


def contradictions(asked: Asked, name: str) -> Lines:
    """Settings that each are right and do not do what their owner believes."""
    found = [*_mlflow(asked, name), *_mode(asked, name), *_servers(asked, name)]
    yield from found
    if not found:
        yield Line(name, OK, "no setting contradicts another")


def _mlflow(asked: Asked, name: str) -> Lines:
    theirs = asked.environment.get(_settings.MLFLOW_TRACKING_URI, "")
    if not theirs or asked.tracking_uri or asked.environment.get(_settings.TRACKING_URI):
        return
    line = f"{name}.{_settings.MLFLOW_TRACKING_URI}"
    if theirs.startswith(("runstone://", "runstones://")):
        fix = f"set {_settings.TRACKING_URI}={theirs} as well"
        said = "only MLflow's own client reads it"
    else:
        fix = f"set {_settings.TRACKING_URI}=runstone://host:5051"
        said = "Runstone does not read it"
    yield Line(line, WARNING, f"{_settings.MLFLOW_TRACKING_URI}={theirs} is set: {said}", fix)


def _mode(asked: Asked, name: str) -> Lines:
    if asked.environment.get(_settings.MODE) != "offline":
        return
    uri = asked.environment.get(_settings.TRACKING_URI)
    if uri:
        yield Line(
            f"{name}.{_settings.MODE}",
            WARNING,
            f"{_settings.MODE}=offline: scripts log to a folder, and nothing goes to {uri}",
            f"unset {_settings.MODE}, or deliver with: runstone sync {_uri.offline_dir()}",
        )


def _servers(asked: Asked, name: str) -> Lines:
    found = [each for each in _settings.SERVER_PLACES if asked.environment.get(each)]
    for each in found:
        if each.endswith("_FILE"):
            yield from _file(f"{name}.{each}", each, asked.environment[each])
    if found and places.data_folders(asked):
        yield Line(
            f"{name}.{found[0]}",
            WARNING,
            f"{' and '.join(found)} tell a server where its data are; the embedded suite does not"
            " read them",
            f"to use a server set {_settings.TRACKING_URI}=runstone://host:port",
        )


def _file(name: str, variable: str, path: str) -> Lines:
    try:
        with open(path, encoding="utf-8") as opened:  # noqa: PTH123
            opened.read(1)
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or "") if isinstance(error, OSError) else "not UTF-8 text"
        yield Line(
            name,
            FAILURE,
            f"{variable} names {path}, which cannot be read: {why}",
            "correct the path, or its permissions",
        )
