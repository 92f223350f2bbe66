"""A project in a container: `docker build` and `docker run` as argument lists.

Every value of an author or a user is the second half of one word, `--volume=…`, or a name that is
checked: none can become an option, and no shell sees any.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runstone import _settings, _uri
from runstone._containers import docker, manifests
from runstone._containers.manifests import USER_ID
from runstone._projects.refusals import checked_image, wrong

WORKDIR = "/mlflow/projects/code"
"""Where a built image has the project: MLflow's path, which images made for it know."""

DATA_PLACE = "/runstone-data"
"""Where the data folder of an embedded suite is in the container."""

IGNORED = (".git", "runstone-data", "runstone-offline", "mlruns", "mlartifacts")
"""Never of an image: histories, and what others logged."""

DIGITS = 7
"""Of the commit in a tag, as MLflow and git cut it."""

INSTEAD = "run the project with --env-manager local, or on Kubernetes with an image that is there"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPTION = re.compile(r"[A-Za-z]|[a-z][a-z0-9]*(-[a-z0-9]+)*")
_OWN_OPTIONS = frozenset({"name", "cidfile", "detach", "d", "entrypoint"})


@dataclass(frozen=True, slots=True)
class Container:
    """What `docker run` is told of a project.

    Attributes:
        volumes: As MLflow has them: ``/here:/there`` or ``name:/there[:ro]``.
        environment: A name is copied from here; a pair is name and value.
        options: Of the user (`-A`): name to value, True for one without.
        variables: Of the run; they beat the others.
    """

    image: str
    run_id: str
    volumes: Sequence[Any] = ()
    environment: Sequence[Any] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    tracking_uri: str = ""


def container_name(run_id: str) -> str:
    """The name of a run's container: by it, it is ended."""
    return f"runstone-{manifests.name_of(run_id, 40)}"


def run_command(program: str, container: Container) -> tuple[list[str], dict[str, str]]:
    """The words before the project's command, and variables for docker's own environment.

    What is secret there stays out of the words, which everybody on the machine can read: docker
    takes variables that are only named from its environment.

    Raises:
        ProjectInvalid: a volume, a variable or an option is none, or the suite is out of reach.
    """
    words = [program, "run", "--rm", "--init", f"--name={container_name(container.run_id)}"]
    words += option_words(container.options)
    words += [f"--volume={_volume(each)}" for each in container.volumes]
    variables = dict(container.variables)
    reach = _reach(container)
    words += reach.words
    variables |= reach.variables
    theirs, copied = _environment(container.environment)
    words += [f"--env={name}={value}" for name, value in theirs.items() if name not in variables]
    words += [f"--env={name}" for name in dict.fromkeys([*copied, *variables])]
    return [*words, checked_image(container.image, "docker_env.image")], variables


def option_words(options: Mapping[str, Any]) -> list[str]:
    """The words of `-A name=value`: each option one word with its value.

    >>> option_words({"gpus": "all", "t": True, "v": "/data:/data"})
    ['--gpus=all', '-t', '-v=/data:/data']

    Raises:
        ProjectInvalid: a name is none of an option, or is one that Runstone sets.
    """
    words = []
    for name, value in options.items():
        shown = f"docker_args.{name}"
        if not isinstance(name, str) or not _OPTION.fullmatch(name):
            raise wrong(shown, "must be an option's name without dashes, such as gpus=all")
        if name in _OWN_OPTIONS:
            raise wrong(shown, "is set by Runstone, which follows and ends the container")
        flag = f"-{name}" if len(name) == 1 else f"--{name}"
        if isinstance(value, bool):
            words.append(flag if value else f"{flag}=false")
        else:
            words.append(f"{flag}={_text(shown, value)}")
    return words


def _volume(value: Any) -> str:
    text = _text("docker_env.volumes", value)
    if ":" not in text:
        raise wrong("docker_env.volumes", f"must be /here:/there, not {text!r}")
    return text


def _environment(entries: Sequence[Any]) -> tuple[dict[str, str], list[str]]:
    """Variables with values, and the names of those to be copied from here."""
    said: dict[str, str] = {}
    copied = []
    for each in entries:
        if isinstance(each, list | tuple):
            if len(each) != 2:
                raise wrong("docker_env.environment", f"must be [name, value], not {each!r}")
            name = _variable(each[0])
            said[name] = _text(f"docker_env.environment.{name}", each[1]) if each[1] != "" else ""
            continue
        name = _variable(each)
        if name not in os.environ:
            raise wrong(
                "docker_env.environment",
                f"names {name}, which is not set here; set it, or give a value: [{name}, value]",
            )
        copied.append(name)
    return {name: value for name, value in said.items() if name not in copied}, copied


def _variable(name: Any) -> str:
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        raise wrong("docker_env.environment", f"must name a variable, not {name!r}")
    return name


def _text(shown: str, value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise wrong(shown, f"must be a text, not {value!r}")
    text = str(value)
    if not text or "\0" in text:
        raise wrong(shown, f"must be a text without NUL, and not empty: {text!r}")
    return text


@dataclass(frozen=True, slots=True)
class _Reach:
    words: list[str]
    variables: dict[str, str]


def _reach(container: Container) -> _Reach:
    """How the container reaches the suite: by its folder, or by its address as it is."""
    target = _uri.parse(container.tracking_uri).tracking
    if isinstance(target, _uri.Embedded):
        uri = f"file:{DATA_PLACE}"
        return _Reach([f"--volume={target.data_dir}:{DATA_PLACE}"], {_settings.TRACKING_URI: uri})
    host_network = {container.options.get(name) for name in ("network", "net")} & {"host"}
    if _uri.is_loopback(target.host) and not host_network:
        raise wrong(
            "tracking_uri",
            f"{container.tracking_uri} is this machine's loopback, which a container does not"
            " reach: name the machine, or let it have this network: -A network=host",
        )
    return _Reach([], {_settings.TRACKING_URI: container.tracking_uri})


def only_here(tracking_uri: str) -> bool:
    """Whether an address of the suite means something on this machine alone."""
    target = _uri.parse(tracking_uri).tracking
    return isinstance(target, _uri.Embedded) or _uri.is_loopback(target.host)


def image_tag(repository: str, project: str, commit: str) -> str:
    """The name of a project's image: the repository, else the project's name, and the commit.

    >>> image_tag("", "My Project", "0123456789")
    'my-project:0123456'
    """
    name = repository or manifests.name_of(project, 100) or "project"
    return f"{name}:{commit[:DIGITS]}" if commit else name


def build(program: str, project: Path, base: str, tag: str) -> None:
    """Build the image of a project: its environment's image with the project's folder in it.

    Raises:
        ProjectInvalid: the base or the tag names no image.
        FailedPrecondition: docker failed.
    """
    with tempfile.TemporaryDirectory(prefix="runstone-image-") as scratch:
        dockerfile = Path(scratch) / "Dockerfile"
        dockerfile.write_text(
            f"FROM {checked_image(base, 'docker_env.image')}\n"
            f"COPY --chown={USER_ID}:{USER_ID} . {WORKDIR}/\n"
            f"WORKDIR {WORKDIR}\n",
            "utf-8",
        )
        ignored = ""
        with suppress(OSError):
            ignored = (project / ".dockerignore").read_text("utf-8")
        # Beside the Dockerfile it comes before the project's own, which it therefore repeats.
        name = f"{dockerfile.name}.dockerignore"
        (Path(scratch) / name).write_text("\n".join([ignored, *IGNORED, ""]), "utf-8")
        docker.build(program, project, tag, dockerfile=dockerfile)


def login(program: str, auth: Mapping[str, Any]) -> None:
    """Log in to a registry. The password goes by standard input: words can be read by everybody.

    Raises:
        ProjectInvalid: it is not username, password and, if any, registry.
        FailedPrecondition: docker failed.
    """
    unknown = sorted(set(auth) - {"username", "password", "registry"})
    if unknown:
        raise wrong(f"docker_auth.{unknown[0]}", "is unknown; username, password, registry")
    texts = {name: _text(f"docker_auth.{name}", value) for name, value in auth.items()}
    for name in ("username", "password"):
        if name not in texts:
            raise wrong(f"docker_auth.{name}", "is missing")
    words = [program, "login", f"--username={texts['username']}", "--password-stdin"]
    if "registry" in texts:
        words.append(checked_image(texts["registry"], "docker_auth.registry"))
    docker.call(words, stdin=texts["password"])


def stop_command(program: str, run_id: str) -> list[str]:
    """What ends a run's container, if it still is there, and removes it."""
    return [program, "rm", "--force", container_name(run_id)]
