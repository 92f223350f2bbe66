"""What one training reports to its run. Once it has begun, nothing here stops the training.

Metrics go the way of ``log_metric``, which waits for the local disk alone. Everything else is a
call to a server: while that is away, calls are kept and made later, in their order.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import itertools
import logging
import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from runstone import _values
from runstone._entities.tracking import LifecycleStage
from runstone._fluent._runs import (
    EXIT_SECONDS,
    ActiveRun,
    _end_through,
    _status_of,
    active_run,
    is_open,
)
from runstone._integrations import files, flatten, frames, where
from runstone._integrations.where import Choice
from runstone.exceptions import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    Overloaded,
    ParamImmutable,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from runstone._client import Client

T = TypeVar("T")

AWAY = (Unavailable, DeadlineExceeded, Overloaded)
"""What goes away by itself."""

LATER = (*AWAY, Unauthenticated)
"""What a training that has begun waits for, too: its token is exchanged while it lasts."""

CALL_SECONDS = 10.0
"""A training waits no longer for one call to a server that is away."""

PAUSE_SECONDS = 60.0
"""Between attempts while it is away, so that a training of hours is not slowed by its outage."""

END_SECONDS = 60.0
"""A training that is over waits so long for a server to take what was kept for it."""

LOOK_SECONDS = 1.0

MAX_WAITING = 10_000
"""Calls that are kept; more than any training makes in a night."""

PARAMS_IN_A_CALL = 100
"""Of at most 6000 characters each, so that a call stays below gRPC's 4 MiB."""

_log = logging.getLogger("runstone")


class Waiting(NamedTuple):
    """A call that is to be made; one that sends files lasts as long as their bytes do."""

    what: str
    call: Callable[[], object]
    kept: files.Kept | None


class Report:
    """The run of one training, and what is logged to it. Safe for many threads.

    Args:
        library: The framework's name, for messages.
        begun: Its run.
        endless: The framework does not say when a training ends otherwise than well: the run is
            FAILED if it is still open when the program ends, or when the next training begins.
    """

    def __init__(self, library: str, begun: where.Begun, *, endless: bool = True) -> None:
        self.library = library
        self.run = begun.run
        self.run_id = begun.run.info.run_id
        self.experiment_id = begun.run.info.experiment_id
        self.client: Client = begun.run.client
        self.own = begun.own
        self.endless = endless
        self.ended = False
        self.joined = False
        self.pid = os.getpid()
        self.training = frames.Call()
        self._lock = threading.RLock()
        self._waiting: deque[Waiting] = deque()
        self._not_before = 0.0
        self._said: set[str] = set()
        # Of a run that another process began, that one's exit knows.
        if self.own and is_open(self.run_id):
            _open.append(self)

    @classmethod
    def begin(
        cls,
        library: str,
        choice: Choice,
        *,
        active: bool = True,
        endless: bool = True,
        run_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        parent_run_id: str | None = None,
    ) -> Report:
        """Begin the report; the arguments are those of ``where.begin`` and of the class.

        Raises what keeps it from being made: nothing has been trained yet.
        """
        _end_forgotten()
        begun = where.begin(
            choice, active=active, run_name=run_name, tags=tags, parent_run_id=parent_run_id
        )
        return cls(library, begun, endless=endless)

    @classmethod
    def join(
        cls, library: str, run_id: str, choice: Choice, *, own: bool, active: bool = False
    ) -> Report:
        """Report to a run that another process began, and may end.

        Args:
            choice: Names its server.
            active: It is the active run here too, until the report's end.
        """
        from runstone._fluent import _state

        if choice.tracking_uri is not None:
            _state.set_tracking_uri(choice.tracking_uri)
        client = _state.client()
        run = ActiveRun(client.get_run(run_id), client)
        report = cls(library, where.Begun(run, own))
        if active:
            _state.stack.set((*_state.stack.get(), run))
            report.joined = True
        return report

    @classmethod
    def rejoin(
        cls,
        library: str,
        run_id: str,
        choice: Choice,
        *,
        active: bool = True,
        endless: bool = True,
    ) -> Report | None:
        """Go on with the run of a checkpoint; None when it is over, or not to be found here."""
        from runstone._fluent import _state

        if choice.tracking_uri is not None:
            _state.set_tracking_uri(choice.tracking_uri)
        try:
            before = _state.client().get_run(run_id).info
        except (NotFound, InvalidArgument):
            return None
        current = active_run() if active else None
        goes_on = before.status != "FINISHED" and before.lifecycle_stage == LifecycleStage.ACTIVE
        if not goes_on or (current is not None and current.info.run_id != run_id):
            return None
        again = dataclasses.replace(choice, run_id=run_id)
        return cls.begin(library, again, active=active, endless=endless)

    def guarded(self, what: str, call: Callable[..., T], *args: Any, **kwargs: Any) -> T | None:
        """What the call gives; None when it fails, which is said once for each ``what``."""
        try:
            return call(*args, **kwargs)
        except Exception as error:
            self.say(what, f"{type(error).__name__}: {error}")
            return None

    def say(self, what: str, why: str) -> None:
        """Warn, once in a training, that something is not logged."""
        with self._lock:
            if what in self._said:
                return
            self._said.add(what)
        # Not by `warnings`: a filter that makes errors of those would stop the training.
        _log.warning("%s: %s could not be logged: %s (said once)", self.library, what, why)

    def metrics(self, values: Mapping[str, Any], step: Any = 0) -> None:
        """Log the numbers among some values; what is no number is said once."""
        self.guarded("metrics", self._metrics, values, step)

    def _metrics(self, values: Mapping[str, Any], step: Any) -> None:
        from runstone._journal import outlet

        numbers: dict[str, float] = {}
        for name, value in values.items():
            if value is None:
                continue
            try:
                number = float(value) if isinstance(value, bool) else value
                numbers[flatten.key(str(name))] = _values.metric_value(name, number)
            except Exception as error:
                self.say(f"the metric {name!r:.80}", str(error))
        if numbers:
            place = _values.whole_number("step", 0 if step is None else step)
            outlet.of(self.client).log(self.run_id, numbers, place, _values.now_ms())

    def params(self, config: Any, separator: str = ".") -> None:
        """Log a configuration as parameters; those that changed since the run began are said."""
        found = self.guarded("parameters", flatten.flat, config, separator)
        items = iter((found or {}).items())
        while some := dict(itertools.islice(items, PARAMS_IN_A_CALL)):
            self.call("parameters", partial(self._params, some))

    def _params(self, texts: Mapping[str, str]) -> None:
        try:
            self.client.log_batch(self.run_id, params=texts)
        except ParamImmutable:
            before = self.client.get_run(self.run_id).data.params
            new = {name: text for name, text in texts.items() if name not in before}
            if new:
                self.client.log_batch(self.run_id, params=new)
            changed = [name for name in texts if before.get(name, texts[name]) != texts[name]]
            if changed:
                self.say(
                    f"another value of {', '.join(changed[:10])}",
                    f"run {self.run_id} has parameters of these names, which stay as they are",
                )

    def tags(self, values: Mapping[str, Any]) -> None:
        """Set tags; values are cut to what the server takes."""
        texts = {
            flatten.key(str(name)): flatten.text(value)[: _values.MAX_TAG_VALUE]
            for name, value in values.items()
        }
        if texts:
            self.call("tags", partial(self.client.log_batch, self.run_id, tags=texts))

    def text(self, text: str, path: str) -> None:
        """Keep a text as a file of the run."""
        self.call(path, partial(self.client.log_text, self.run_id, text, path))

    def artifact(self, path: str | os.PathLike[str], directory: str | None = None) -> None:
        """Keep a file, or a folder under its own name."""
        self._send(
            Path(path), lambda local: self.client.log_artifact(self.run_id, local, directory)
        )

    def artifacts(self, path: str | os.PathLike[str], directory: str | None = None) -> None:
        """Keep what stands in a folder."""
        self._send(
            Path(path), lambda local: self.client.log_artifacts(self.run_id, local, directory)
        )

    def model(self, path: str | os.PathLike[str], name: str, step: int = 0) -> None:
        """Keep a file or folder, such as a checkpoint, as a logged model of the run."""
        self._send(Path(path), lambda local: self._model(local, name, step))

    def _model(self, local: Path, name: str, step: int) -> None:
        from runstone._entities.tracking import LoggedModelOutput

        made = self.client.create_logged_model(self.experiment_id, name, self.run_id)
        try:
            if local.is_dir():
                self.client.log_model_artifacts(made.model_id, local)
            else:
                self.client.upload(local, logged_model_id=made.model_id)
        except BaseException:
            self.guarded(
                "a failed model", self.client.finalize_logged_model, made.model_id, "FAILED"
            )
            raise
        self.client.finalize_logged_model(made.model_id, "READY")
        self.client.log_outputs(self.run_id, [LoggedModelOutput(made.model_id, step=step)])

    def log_model(self, flavor: str, model: Any, name: str = "model", step: int = 0) -> None:
        """Log a model as the flavor does; not repeated, for the training may change it."""
        self.guarded("the model", self._log_model, flavor, model, name, step)

    def _log_model(self, flavor: str, model: Any, name: str, step: int) -> None:
        from runstone._flavors import registry
        from runstone._models import logging as models
        from runstone._models import writing

        with warnings.catch_warnings():
            # Of what was not asked for: a missing signature, a serializer's habits.
            warnings.simplefilter("ignore")
            place = models.Place(name, run_id=self.run_id, step=step)
            models.log(registry.flavor(flavor), model, place, writing.About(), {})

    def _send(self, path: Path, send: Callable[[Path], object]) -> None:
        """Send files, or links to them while the server is away: the training may remove them."""
        if not path.exists():
            self.say(path.name, f"{path} is not there")
            return
        kept = files.Kept(path)
        with self._lock:
            # Linked before another thread can send it, which would remove the links too early.
            if not self.call(path.name, lambda: send(kept.path), kept):
                self.guarded(path.name, kept.keep)

    def call(self, what: str, call: Callable[[], object], kept: files.Kept | None = None) -> bool:
        """Make a call to the server, or keep it while that is away; whether nothing waits."""
        with self._lock:
            if len(self._waiting) >= MAX_WAITING:
                self.say("more", f"{MAX_WAITING} calls wait for the server already")
                return True
            self._waiting.append(Waiting(what, call, kept))
            if time.monotonic() < self._not_before:
                return False
            return self._work(CALL_SECONDS)

    def _work(self, seconds: float) -> bool:
        """Make the calls that wait, in their order, until the server is away."""
        while self._waiting:
            next_one = self._waiting[0]
            try:
                self._make(next_one, seconds)
                self._not_before = 0.0
            except LATER as error:
                self._not_before = time.monotonic() + PAUSE_SECONDS
                self.say("something at once", f"it is kept, and logged later: {error}")
                return False
            except Exception as error:
                self.say(next_one.what, f"{type(error).__name__}: {error}")
            # What stops the program (Ctrl-C) leaves it for the end.
            self._waiting.popleft()
            if next_one.kept is not None:
                next_one.kept.discard()
        return True

    def _make(self, waiting: Waiting, seconds: float) -> None:
        from runstone._embedded import no_longer_than

        with no_longer_than(seconds):
            if waiting.kept is None:
                waiting.call()
                return
            # A transfer has much more patience: looked at first, whether there is a server.
            self.client.update_run(self.run_id)
        waiting.call()

    def end(self, status: str = "FINISHED", wait: bool | float = True) -> None:
        """End the run if it is the training's own, when all that waits is on the server.

        Args:
            status: FINISHED, FAILED or KILLED.
            wait: As of ``runstone.end_run``; KILLED waits no longer than a second.
        """
        patience = END_SECONDS if wait is True else float(wait)
        if status == "KILLED":
            patience, wait = min(patience, LOOK_SECONDS), min(float(patience), LOOK_SECONDS)
        with self._lock:
            self._finish(patience)
            self.ended = True
        if self.own:
            with contextlib.suppress(ValueError):
                _open.remove(self)
            self.guarded("the end", self._end, status, wait)
        elif self.joined:
            from runstone._fluent import _state

            _state.stack.set(tuple(each for each in _state.stack.get() if each is not self.run))

    def _finish(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._waiting and not self._work(max(min(CALL_SECONDS, end - time.monotonic()), 0.1)):
            if time.monotonic() + LOOK_SECONDS >= end:
                self._give_up()
                return
            time.sleep(LOOK_SECONDS)

    def _give_up(self) -> None:
        """Say what is lost, and where files are that the training itself may have removed."""
        first = dict.fromkeys(each.what for each in itertools.islice(self._waiting, 5))
        folders = [each.kept.kept_in for each in self._waiting if each.kept is not None]
        beside = dict.fromkeys(str(each.parent / files.PREFIX) for each in folders if each)
        _log.warning(
            "%s: the server is away, and %d calls of run %s are lost: %s%s",
            self.library,
            len(self._waiting),
            self.run_id,
            ", ".join(first),
            f"; their files are kept in {', '.join(f'{each}*' for each in beside)}: log them"
            " yourself, then remove these folders"
            if beside
            else "",
        )
        self._waiting.clear()

    def _end(self, status: str, wait: bool | float) -> None:
        if is_open(self.run_id):
            _end_through(self.run_id, status, wait)
        else:  # a second training of the same run, or another process's
            self.client.set_terminated(self.run_id, status)


_open: list[Report] = []
"""Reports of this process with a run of their own that has not ended."""


def _end_forgotten() -> None:
    """End the active run as FAILED when its training is over and could not say so: it raised."""
    active = active_run()
    for each in tuple(_open):
        if (
            active is not None
            and each.endless
            and each.run_id == active.info.run_id
            and not each.training.goes_on()
        ):
            each.end("FAILED")


def status_of_error() -> str:
    """FAILED, or KILLED where what is being raised stops the program."""
    error = sys.exception()
    return "KILLED" if _status_of(error) == "KILLED" else "FAILED"


@atexit.register
def _end_left_over() -> None:
    """End what was not heard of again. Runs before the fluent API's own, which sees none of it."""
    from runstone._embedded import no_longer_than

    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    mine = [each for each in _open if each.pid == os.getpid()]
    for each in reversed(mine):
        status = _status_of(error)
        if status == "FINISHED" and each.endless:
            status = "FAILED"
        with no_longer_than(EXIT_SECONDS):
            each.end(status, EXIT_SECONDS / 2)
    _open.clear()
