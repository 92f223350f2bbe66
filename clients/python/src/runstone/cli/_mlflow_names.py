"""Names of MLflow's command line, which fingers know: taken, and left out of the help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

GROUPS = {"registry": "models"}
"""Other names of groups; this one is not MLflow's but the service's."""

COMMANDS = {
    ("artifacts", "log-artifact"): "log",
    ("artifacts", "log-artifacts"): "log",
    ("experiments", "csv"): "export",
}

JOINED = "/"
"""The value is a path below the argument before."""

Place = int | str
"""Where an option's value goes: to the argument of that number, or to the option of that name."""

_RUN = {"--run-id": 0}
_EXPERIMENT: dict[str, Place] = {"--experiment-id": 0, "-x": 0, "--experiment-name": 0}

OPTIONS: dict[tuple[str, ...], Mapping[str, Place]] = {
    ("artifacts", "download"): {
        **_RUN,
        "-r": 0,
        "--artifact-uri": 0,
        "-u": 0,
        "--artifact-path": 1,
        "-a": 1,
        "--dst-path": "--to",
        "-d": "--to",
    },
    ("artifacts", "list"): {**_RUN, "--artifact-path": 1, "-a": 1},
    ("artifacts", "log"): {
        "--local-file": 0,
        "--local-dir": 0,
        "-l": 0,
        "--run-id": 1,
        "-r": 1,
        "--artifact-path": JOINED,
        "-a": JOINED,
    },
    ("experiments", "create"): {"--experiment-name": 0, "-n": 0},
    ("experiments", "delete"): _EXPERIMENT,
    ("experiments", "export"): {**_EXPERIMENT, "--filename": "--output"},
    ("experiments", "get"): _EXPERIMENT,
    ("experiments", "rename"): {**_EXPERIMENT, "--new-name": 1},
    ("experiments", "restore"): _EXPERIMENT,
    ("runs", "create"): {
        "--experiment-id": "--experiment",
        "--experiment-name": "--experiment",
        "--run-name": "--name",
    },
    ("runs", "delete"): _RUN,
    ("runs", "describe"): _RUN,
    ("runs", "list"): {"--experiment-id": "--experiment"},
    ("runs", "restore"): _RUN,
}
"""By command, MLflow's options and where their values go here."""

VALUES = {"active_only": "active", "deleted_only": "deleted"}
"""Of --view."""


def translated(path: tuple[str, ...], given: Sequence[str]) -> list[str]:
    """A command's arguments, MLflow's options among them replaced by ours."""
    names = OPTIONS.get(path)
    if names is None:
        return list(given)
    kept: list[str] = []
    found: dict[int, str] = {}
    below = ""
    left = list(given)
    while left:
        argument = left.pop(0)
        if argument == "--":
            kept += [argument, *left]
            break
        name, equals, value = argument.partition("=")
        place = names.get(name)
        if place is None or not (equals or left):
            kept.append(argument)
            if argument == "--view" and left:
                kept.append(VALUES.get(left[0].lower(), left[0]))
                del left[0]
            continue
        value = value if equals else left.pop(0)
        if place == JOINED:
            below = value
        elif isinstance(place, int):
            found[place] = value
        else:
            kept += [place, value]
    places = [found[number] for number in sorted(found)]
    if below and places:
        places[-1] = f"{places[-1]}/{below}"
    return [*kept, *places]
