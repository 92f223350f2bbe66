"""Where projects run: the interface of a backend, and which there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from runstone._projects.launch import Launch
from runstone.exceptions import ProjectInvalid

GROUP = "runstone.project_backends"
"""Entry points of other distributions: name = "module:Class", which is called without arguments."""

OURS = {
    "local": "runstone._projects.local:LocalBackend",
    "kubernetes": "runstone._projects.kubernetes:KubernetesBackend",
}


@runtime_checkable
class SubmittedRun(Protocol):
    """A run that a backend works on, as MLflow's. Its calls may come from several threads."""

    @property
    def run_id(self) -> str:
        """The run that records it."""
        ...

    @property
    def failure(self) -> str:
        """Why it failed, such as "exit code 3"; empty while it has not."""
        ...

    def get_status(self) -> str:
        """RUNNING, SCHEDULED, FINISHED, FAILED or KILLED, without waiting."""
        ...

    def wait(self) -> bool:
        """Wait for its end; whether it succeeded. MUST be safe to be called again."""
        ...

    def cancel(self) -> None:
        """End it with all that it started, and wait until that is so; nothing once it has ended."""
        ...


@runtime_checkable
class Backend(Protocol):
    """Starts runs of projects.

    The run's status is set by the caller, who waits: a backend changes it only where it knows more.
    One whose commands see the files of this machine has ``sees_this_machine = True``: parameters of
    type ``path`` are then absolute, and downloaded. Else they stay as they were given.
    """

    def check(self, config: Mapping[str, Any]) -> None:
        """Refuse a configuration that cannot work, before a run is made. Raises ProjectInvalid."""
        ...

    def submit(self, launch: Launch) -> SubmittedRun:
        """Start the launch and return at once.

        A backend on other machines MUST have taken the project's files by then: the caller may
        leave, and remove them.

        Raises:
            ExecutionException: it cannot be started; nothing of it is left behind.
        """
        ...


def sees_this_machine(backend: Backend) -> bool:
    """Whether the commands of a backend see the files of this machine."""
    return bool(getattr(backend, "sees_this_machine", False))


def load(name: str) -> Backend:
    """The backend of that name.

    Raises:
        ProjectInvalid: there is none, or it cannot be imported.
    """
    import importlib

    place = OURS.get(name) or _others().get(name)
    if place is None:
        names = ", ".join(sorted({*OURS, *_others()}))
        raise ProjectInvalid(
            f"there is no backend {name!r}; there are {names}. Others come with distributions that"
            f" have an entry point of the group {GROUP}"
        )
    module, _, kind = place.partition(":")
    try:
        found = getattr(importlib.import_module(module), kind)()
    except (ImportError, AttributeError) as error:
        raise ProjectInvalid(f"backend {name!r} cannot be imported: {error}") from error
    if not isinstance(found, Backend):
        raise ProjectInvalid(f"backend {name!r} is no Backend: it needs check and submit")
    return found


def _others() -> dict[str, str]:
    import importlib.metadata

    return {each.name: each.value for each in importlib.metadata.entry_points(group=GROUP)}
