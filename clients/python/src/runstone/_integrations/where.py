"""Which run a training reports to: the active one, one of its own, or one that is continued."""

from __future__ import annotations

import contextvars
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, TypedDict

from runstone import _settings
from runstone._entities.tracking import Run
from runstone._fluent import _state
from runstone._fluent._runs import ActiveRun, active_run, begin_run, start_run
from runstone._values import invalid
from runstone.exceptions import RunNotFound

_log = logging.getLogger("runstone")

RESUME = "runstone.resume"
"""Tag of a run that a training with the same key continues."""

MAX_RESUME = 200
"""Characters of such a key."""

RANK_SECONDS = 60.0
"""Processes of one job begin that far from each other at most."""

LOOK_SECONDS = 0.2

TRUE = ("1", "true", "yes", "on")


class Rest(TypedDict, total=False):
    """``Where`` without names."""

    run_id: str | None
    resume: str | None
    nested: bool | None
    tags: Mapping[str, Any] | None
    description: str | None
    log_system_metrics: bool | None
    tracking_uri: str | None


class Where(Rest, total=False):
    """Arguments that all hooks take, by name; each may be left out.

    Attributes:
        experiment_name: Where a new run belongs, made when missing; else the active experiment.
        run_name: Its name; made up when absent.
        run_id: Continue this run; else the one that RUNSTONE_RUN_ID names.
        resume: A key of yours, such as the id of a job: the run that was begun with it is
            continued, and when there is none yet, one is begun. RUNSTONE_RESUME otherwise.
        nested: Begin a child of the active run; else that one itself is logged to, and left open.
            RUNSTONE_NESTED_RUN otherwise.
        tags: Tags of the run, over those of RUNSTONE_RUN_TAGS (a dict as JSON).
        description: A note on the run.
        log_system_metrics: Log the machine's metrics while the training lasts.
        tracking_uri: Where the server is, from then on for the whole process; see
            ``runstone.set_tracking_uri``.
    """

    experiment_name: str | None
    run_name: str | None


@dataclass(frozen=True, slots=True)
class Choice:
    """What was said of the run; see ``Where``. It can be pickled, and nothing is opened yet.

    Attributes:
        fresh: It is one of many runs: not the one that RUNSTONE_RUN_ID names, but its child where
            no other run is active. Said by ``alone`` only.
    """

    experiment_name: str | None = None
    run_name: str | None = None
    run_id: str | None = None
    resume: str | None = None
    nested: bool = False
    tags: Mapping[str, Any] | None = None
    description: str | None = None
    log_system_metrics: bool | None = None
    tracking_uri: str | None = None
    fresh: bool = False

    @classmethod
    def of(cls, given: Rest | Where, **names: str | None) -> Choice:
        """The choice that arguments make, and the environment where they say nothing.

        Raises:
            InvalidField: a value is of the wrong type; TypeError: an argument is unknown.
        """
        said: dict[str, Any] = {**given, **names}
        known = [each.name for each in fields(cls) if each.name != "fresh"]
        unknown = sorted(set(said) - set(known))
        if unknown:
            raise TypeError(f"unknown argument {unknown[0]!r}; there are {', '.join(known)}")
        for name, value in said.items():
            if value is not None and not isinstance(value, _KINDS.get(name, str)):
                kind = {"tags": "a dict"}.get(name, "True or False" if name in _KINDS else "text")
                raise invalid(name, f"must be {kind}, not {type(value).__name__}")
        said["resume"] = _settings.value(said.get("resume"), _settings.RESUME)
        if said["resume"] is not None:
            _check_key(said["resume"])
        if said.get("nested") is None:
            said["nested"] = flag(_settings.NESTED_RUN)
        said["tags"] = {**_environment_tags(), **(said.get("tags") or {})}
        return cls(**said)

    def within(self, experiment_name: str | None) -> Choice:
        """The same in another experiment, unless that is None."""
        return replace(self, experiment_name=experiment_name) if experiment_name else self

    def alone(self, run_name: str | None = None) -> Choice:
        """The same for one of many runs, which is a new one; no name but this is said."""
        return replace(self, run_id=None, resume=None, run_name=run_name, fresh=True)


_KINDS: dict[str, type] = {"nested": bool, "log_system_metrics": bool, "tags": Mapping}


def flag(variable: str) -> bool:
    """Whether a variable of the environment says yes."""
    return os.environ.get(variable, "").strip().lower() in TRUE


def _check_key(key: str) -> None:
    if not 0 < len(key) <= MAX_RESUME or "'" in key or not key.isprintable():
        raise invalid(
            "resume", f"must be 1 to {MAX_RESUME} printable characters without ', not {key!r:.80}"
        )


def _environment_tags() -> dict[str, Any]:
    said = os.environ.get(_settings.RUN_TAGS)
    if not said:
        return {}
    try:
        found = json.loads(said)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise invalid(_settings.RUN_TAGS, f"must be a dict as JSON, not {said!r:.80}")
    return found


class Begun(NamedTuple):
    """A run, and whether the training is the one to end it."""

    run: ActiveRun
    own: bool


def around() -> str | None:
    """The run that many new ones are children of: the active one, else RUNSTONE_RUN_ID's."""
    current = active_run()
    return current.info.run_id if current is not None else os.environ.get(_settings.RUN_ID) or None


def begin(
    choice: Choice,
    *,
    active: bool = True,
    run_name: str | None = None,
    tags: Mapping[str, Any] | None = None,
    parent_run_id: str | None = None,
) -> Begun:
    """Begin, continue or find the run of a training.

    Args:
        choice: What was said.
        active: Make a new one the active run, so that ``runstone.log_metric`` logs to it; else
            it is known to its hook alone.
        run_name: For a new run when the choice has none.
        tags: More tags of a new run; the user's own win.
        parent_run_id: Make it a child of this run, whatever is active, and the only active one of
            this context, which should be a copy.

    Raises:
        RunNotFound, RunDeleted, ExperimentDeleted, Unavailable: there will be no report.
    """
    if choice.tracking_uri is not None:
        _state.set_tracking_uri(choice.tracking_uri)
    current = active_run()
    alone = not choice.nested and parent_run_id is None
    if current is not None and alone and choice.run_id in (None, current.info.run_id):
        return Begun(current, own=False)
    if choice.fresh and current is None and parent_run_id is None:
        parent_run_id = around()

    def start() -> ActiveRun:
        if parent_run_id is not None or (not active and not choice.nested):
            _state.stack.set(())
        return _start(choice, run_name, tags, parent_run_id)

    # In a context of its own it becomes active there, and nowhere else.
    return Begun(start() if active else contextvars.copy_context().run(start), own=True)


def _start(
    choice: Choice, run_name: str | None, tags: Mapping[str, Any] | None, parent: str | None
) -> ActiveRun:
    experiment_id = _experiment(choice)
    every = {**(tags or {}), **(choice.tags or {})}
    run_id = choice.run_id
    if run_id is None and choice.resume is not None:
        run_id = marked(choice.resume, experiment_id)
        every[RESUME] = choice.resume
    if run_id is not None:
        # It stays where it is, and its child of whom it was.
        return start_run(
            run_id,
            nested=choice.nested,
            tags=every,
            description=choice.description,
            log_system_metrics=choice.log_system_metrics,
        )
    return begin_run(
        experiment_id=experiment_id,
        run_name=choice.run_name or run_name,
        nested=choice.nested,
        parent_run_id=parent,
        tags=every,
        description=choice.description,
        log_system_metrics=choice.log_system_metrics,
        environment=not choice.fresh,
    )


def _newest(value: str, experiment_id: str | None, tag: str) -> Run | None:
    found = _state.client().search_runs(
        [experiment_id or _state.experiment_id()], f"tags.\"{tag}\" = '{value}'", max_results=1
    )
    return found[0] if found else None


def marked(value: str, experiment_id: str | None = None, tag: str = RESUME) -> str | None:
    """The newest run of an experiment that was begun with a key to resume it; None without one."""
    found = _newest(value, experiment_id, tag)
    return found.info.run_id if found else None


def tagged(tag: str, value: str, choice: Choice) -> str | None:
    """The run of this choice's experiment that has a tag; None without one."""
    if choice.tracking_uri is not None:
        _state.set_tracking_uri(choice.tracking_uri)
    return marked(value, _experiment(choice), tag)


def awaited(
    choice: Choice, tag: str = RESUME, value: str | None = None, *, finished: bool = True
) -> str:
    """The run that another rank begins with the same ``resume``, as soon as it is there.

    Args:
        choice: Where it is.
        tag: It has it; of several, it is the newest.
        value: Of the tag; else ``resume``.
        finished: Whether it may be over. Not by a name: that would be an earlier training's of the
            same name, and the other rank is about to begin the next.

    Raises:
        RunNotFound: it is not, after a minute.
    """
    if choice.tracking_uri is not None:
        _state.set_tracking_uri(choice.tracking_uri)
    key = value or choice.resume or ""
    end = time.monotonic() + RANK_SECONDS
    while True:
        found = _newest(key, _experiment(choice), tag)
        if found is not None and (finished or found.info.status != "FINISHED"):
            return found.info.run_id
        if time.monotonic() >= end:
            raise RunNotFound(f"no other process began a run with the tag {tag}={key!r}")
        time.sleep(LOOK_SECONDS)


def reach(choice: Choice) -> None:
    """Make sure that there is a server, and the experiment. Raises what keeps a run from it."""
    if choice.tracking_uri is not None:
        _state.set_tracking_uri(choice.tracking_uri)
    _state.client().get_experiment(_experiment(choice) or _state.experiment_id())


def say(library: str, what: str, error: object) -> None:
    """Warn that a run could not be begun in the midst of others."""
    _log.warning("%s: %s could not be begun: %s", library, what, error)


def _experiment(choice: Choice) -> str | None:
    if not choice.experiment_name:
        return None
    return _state.find_or_create(choice.experiment_name).experiment_id
