"""One training that logs by itself: its run, and what every framework logs alike."""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runstone import _values
from runstone._autolog import guard, switches
from runstone._autolog.switches import Switch
from runstone._entities.tracking import DatasetInput, InputTag, Metric
from runstone._fluent._logging import DATA_CONTEXT, log_metrics
from runstone._fluent._runs import ActiveRun, active_run, end_run, start_run

if TYPE_CHECKING:
    from runstone._client import Client
    from runstone.data import Dataset

AUTOLOGGING = "mlflow.autologging"
"""Tag of a run that was made for a training: which library's."""

EXAMPLE_ROWS = 5
"""So many rows of what was trained on make the signature and the example."""

MODEL = "model"
"""The name of the logged model that a training is about."""

MAX_VALUE = 500
"""Characters of a parameter: an estimator's repr may be a page. MLflow cuts there, too."""


class Training:
    """The run that a training logs to: the active one, or one that begins and ends with it."""

    def __init__(self, library: str, switch: Switch, run: ActiveRun, *, own: bool) -> None:
        self.library = library
        self.switch = switch
        self.run_id = run.info.run_id
        self.experiment_id = run.info.experiment_id
        self.client: Client = run.client
        self.own = own
        self.model_id: str | None = None
        self.dataset: tuple[str, str] | None = None

    @classmethod
    def begin(cls, library: str, switch: Switch) -> Training | None:
        """Begin the run unless one is active; None when that one is to be left alone."""
        run = active_run()
        if run is not None:
            return None if switch.exclusive else cls(library, switch, run, own=False)
        tags = {**switch.extra_tags, AUTOLOGGING: library}
        return cls(library, switch, start_run(tags=tags), own=True)

    def end(self, error: BaseException | None = None) -> None:
        """End the run, if it was made for the training."""
        if self.own:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            end_run("FINISHED" if error is None else "KILLED" if stopped else "FAILED")

    def guarded(self, what: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """See ``guard.guarded``."""
        return guard.guarded(self.library, what, call, *args, **kwargs)

    def log(
        self,
        metrics: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        step: int = 0,
    ) -> None:
        """Log all of it in one call; metrics are those of the model and the data set, too."""
        now = _values.now_ms()
        name, digest = self.dataset or (None, None)
        of_model: dict[str, Any] = {}
        if self.model_id is not None:
            of_model = {
                "model_id": self.model_id,
                "dataset_name": name,
                "dataset_digest": digest,
            }
        points = [
            Metric(key, float(value), now, step, **of_model)
            for key, value in (metrics or {}).items()
        ]
        self._log_batch(self.run_id, points, params or {}, tags or {})

    def _log_batch(
        self,
        run_id: str,
        points: list[Metric],
        params: Mapping[str, Any],
        tags: Mapping[str, Any],
    ) -> None:
        texts = {key: _cut(value) for key, value in params.items()}
        # The service takes 100 parameters in one call.
        chunks = list(_chunks(texts, 100)) or [{}]
        self.client.log_batch(run_id, points, chunks[0], tags)
        for chunk in chunks[1:]:
            self.client.log_batch(run_id, params=chunk)

    def log_trial(
        self, metrics: Mapping[str, float], params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> None:
        """Log one of the trials of a search, as a run of its own below this one."""
        ours = {"mlflow.parentRunId": self.run_id, AUTOLOGGING: self.library}
        run = self.client.create_run(self.experiment_id, tags={**tags, **ours})
        now = _values.now_ms()
        points = [Metric(key, value, now, 0) for key, value in metrics.items()]
        self._log_batch(run.info.run_id, points, params, {})
        self.client.set_terminated(run.info.run_id)

    def follow(self, metrics: Mapping[str, Any], step: int) -> None:
        """Log metrics in the midst of the training, which waits for the local disk alone."""
        log_metrics(metrics, step=step, run_id=self.run_id)

    def log_dataset(
        self, features: Any, targets: Any = None, context: str = "train", name: str | None = None
    ) -> None:
        """Tell the run what it was trained on: a DataFrame or arrays; other data is left out."""
        dataset = _dataset(features, targets, name)
        if dataset is not None:
            self.tell(dataset, context)

    def tell(self, dataset: Dataset, context: str = "train") -> None:
        """Tell the run of a data set."""
        entity = dataset.to_entity()
        if context != "train" and self.dataset == (entity.name, entity.digest):
            return  # a run has each data set once, and was trained on this one
        tags = [InputTag(DATA_CONTEXT, context)]
        self.client.log_inputs(self.run_id, [DatasetInput(entity, tags)])
        if context == "train":
            self.dataset = (entity.name, entity.digest)

    def log_model(
        self,
        flavor: str,
        model: Any,
        about: Mapping[str, Any],
        options: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        name: str = MODEL,
    ) -> None:
        """Log a model of the run; metrics that are logged later are of the first one, too."""
        from runstone._flavors import registry
        from runstone._models import logging, writing

        main = name == MODEL
        place = logging.Place(
            name,
            registered_model_name=self.switch.registered_model_name if main else None,
            run_id=self.run_id,
            params={key: _cut(value) for key, value in (params or {}).items()},
        )
        with quiet():
            info = logging.log(
                registry.flavor(flavor), model, place, writing.About(**about), options or {}
            )
        if main:
            self.model_id = info.model_id


@contextmanager
def training_of(library: str) -> Iterator[Training | None]:
    """The training that a call is, with its run; None when it is a part of another, or left alone.

    What is logged within is guarded by whoever logs it; what the training raises ends its run.
    """
    switch = switches.of(library)
    if switch is None or guard.is_inside():
        yield None
        return
    training = guard.guarded(library, "a run", Training.begin, library, switch)
    if training is None:
        yield None
        return
    with guard.inside():
        try:
            yield training
        except BaseException as error:
            training.guarded("the end of the run", training.end, error)
            raise
        training.guarded("the end of the run", training.end)


def arguments(original: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What a call is given by name, defaults among it; ``args`` are without ``self``."""
    found = [
        each for each in inspect.signature(original).parameters.values() if each.name != "self"
    ]
    places = [each.name for each in found if each.kind != inspect.Parameter.KEYWORD_ONLY]
    defaults = {
        each.name: each.default for each in found if each.default is not inspect.Parameter.empty
    }
    return {**defaults, **dict(zip(places, args, strict=False)), **kwargs}


def with_callback(
    original: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], callback: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call with one more callback; the user's own list stays as it is."""
    names = [name for name in inspect.signature(original).parameters if name != "self"]
    place = names.index("callbacks")
    if place < len(args):
        more = [*(args[place] or ()), callback]
        return (*args[:place], more, *args[place + 1 :]), dict(kwargs)
    return tuple(args), {**kwargs, "callbacks": [*(kwargs.get("callbacks") or ()), callback]}


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings: they are about what the user did not ask for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def described(switch: Switch, rows: Any, predict: Callable[[Any], Any]) -> dict[str, Any]:
    """``signature`` and ``input_example`` for some rows, as far as the switch wants them."""
    from runstone._schema.infer import infer_signature

    found: dict[str, Any] = {"signature": False, "input_example": None}
    if switch.log_model_signatures and rows is not None:
        with quiet():
            found["signature"] = infer_signature(rows, predict(rows))
    if switch.log_input_examples:
        found["input_example"] = rows
    return found


def first_rows(data: Any) -> Any:
    """A copy of the first rows of a table or array; None of what has none."""
    import copy

    try:
        return copy.deepcopy(data[:EXAMPLE_ROWS])
    except Exception:
        return None


def _dataset(features: Any, targets: Any, name: str | None = None) -> Any:
    from runstone import data

    kind = type(features)
    if kind.__module__.partition(".")[0] == "pandas" and hasattr(features, "columns"):
        frame = features
        if targets is not None and len(getattr(targets, "shape", ())) == 1:
            target = getattr(targets, "name", None) or "target"
            if target not in frame.columns:
                values = getattr(targets, "to_numpy", lambda: targets)()
                frame = frame.assign(**{str(target): values})
                return data.from_pandas(frame, targets=str(target), name=name)
        return data.from_pandas(frame, name=name)
    if kind.__module__.partition(".")[0] == "numpy" and hasattr(features, "dtype"):
        same = type(targets).__module__.partition(".")[0] == "numpy"
        return data.from_numpy(features, targets=targets if same else None, name=name)
    return None


def _cut(value: Any) -> str:
    text = str(value)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 3]}..."


def _chunks(texts: Mapping[str, str], size: int) -> Iterator[dict[str, str]]:
    items = iter(texts.items())
    while chunk := dict(itertools.islice(items, size)):
        yield chunk
