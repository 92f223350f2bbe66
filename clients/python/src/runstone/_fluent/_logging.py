"""What is logged to the active run: parameters, metrics, tags, data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from runstone import _values
from runstone._arguments import CHECKS, checked
from runstone._entities.tracking import Dataset, DatasetInput, InputTag, LifecycleStage, Metric
from runstone._fluent import _state
from runstone._fluent._runs import active_or_new_run, is_open
from runstone._journal import rules
from runstone.exceptions import InvalidArgument, RunDeleted

if TYPE_CHECKING:
    from runstone._client import Client
    from runstone._journal.outlet import Destination

DATA_CONTEXT = "mlflow.data.context"


class RunOperations:
    """What ``synchronous=False`` gives."""

    def __init__(self, outlet: Destination | None = None) -> None:
        self._outlet = outlet

    def wait(self) -> None:
        """Return when what was logged is on the server."""
        if self._outlet is not None:
            self._outlet.flush()


_DONE = RunOperations()


def _outlet_of(client: Client) -> Destination:
    # What a point goes through is imported for the first one, by which time gRPC is.
    global _outlet_of
    from runstone._journal.outlet import of as _outlet_of

    return _outlet_of(client)


_checked: set[tuple[str, str]] = set()
"""Server and run id of runs that were not begun here and are there."""


def _destination(run_id: str | None) -> tuple[Client, str]:
    if run_id:
        return _state.client(), run_id
    run = active_or_new_run()
    return run.client, run.info.run_id


def _metrics_destination(run_id: str | None) -> tuple[Client, str]:
    """As ``_destination``; a run named by its id is looked at once.

    Later nobody would be there to be told of a typing error.
    """
    client, run = _destination(CHECKS["str | None"]("run_id", run_id))
    if run_id and not is_open(run_id) and (client.tracking_uri, run_id) not in _checked:
        # Without a change it only looks; in offline mode that reads no points, as get_run does.
        if client.update_run(run_id).lifecycle_stage == LifecycleStage.DELETED:
            raise RunDeleted(f"the run {run_id} is deleted", metadata={"run_id": run_id})
        _checked.add((client.tracking_uri, run_id))
    return client, run


@checked
def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Set a parameter of the active run; one is begun when there is none.

    Args:
        key: At most 250 characters of letters, digits, ``_ . - : /`` and space.
        value: Kept as ``str(value)``; cut with a warning after 6000 characters.
        synchronous: Taken for MLflow's sake; the parameter is stored on return in any case.

    Returns:
        ``value``, or an object with ``wait()`` when ``synchronous`` is False.

    Raises:
        ParamImmutable: it has another value already.
        InvalidField: the key breaks the rules.

    Example:
        >>> import runstone
        >>> with runstone.start_run():
        ...     runstone.log_param("lr", 0.1)
        0.1
    """
    client, run = _destination(None)
    client.log_param(run, key, value)
    return _DONE if synchronous is False else value


@checked
def log_params(
    params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None
) -> RunOperations | None:
    """Set many parameters at once, all or none; see ``log_param``.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_params({"lr": 0.1, "layers": 3})
        >>> sorted(runstone.get_run(run.info.run_id).data.params.items())
        [('layers', '3'), ('lr', '0.1')]
    """
    client, run = _destination(run_id)
    client.log_batch(run, params=params)
    return _DONE if synchronous is False else None


def log_metric(
    key: str,
    value: Any,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
) -> RunOperations | None:
    """Append one point to a metric of the active run; one is begun when there is none.

    Returns when the point is in this process's journal on the local disk, some microseconds later:
    from there it is delivered by another process, also when this one is killed. Whoever reads
    through this process sees it at once, others after a second or so; ``flush`` waits for that.

    Args:
        key: At most 250 characters of letters, digits, ``_ . - : /`` and space.
        value: A real number, NaN and infinities included; a scalar of numpy or torch will do.
        step: The step as the user counts it; 0 when absent. Any order.
        synchronous: True: return when the server has stored the point, or raise when it does not.
        timestamp: Unix milliseconds; now when absent.
        run_id: Another run than the active one.

    Returns:
        None, or an object with ``wait()`` when ``synchronous`` is False.

    Raises:
        InvalidField: the value is no number (a bool is none), or the key breaks the rules.
        RunNotFound, RunDeleted: of ``run_id``, when it is first used, and with ``synchronous``.
            Points of a run that is deleted later are told by a warning at its end.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     for step in range(3):
        ...         runstone.log_metric("loss", 1 / (step + 1), step=step)
        >>> runstone.get_run(run.info.run_id).data.metrics["loss"]
        0.3333333333333333
    """
    try:
        metrics = {key: value}
    except TypeError:
        raise _values.invalid("key", f"must be text, not {type(key).__name__}") from None
    return log_metrics(metrics, step, synchronous, run_id, timestamp)


def log_metrics(
    metrics: Mapping[str, Any],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
) -> RunOperations | None:
    """Append one point to each of many metrics in one call, all or none; see ``log_metric``.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_metrics({"mse": 2.5, "rmse": 1.58}, step=1)
        >>> sorted(runstone.get_run(run.info.run_id).data.metrics)
        ['mse', 'rmse']
    """
    if type(metrics) is not dict and not isinstance(metrics, Mapping):
        raise _values.invalid("metrics", f"must be a dict, not {type(metrics).__name__}")
    place = 0 if step is None else _values.whole_number("step", step)
    now = rules.timestamp_ms(timestamp)
    client, run = _metrics_destination(run_id) if run_id else _destination(None)
    if synchronous:
        points = [Metric(key, value, now, place) for key, value in metrics.items()]
        if points:
            client.append_metrics(run, points, rank=rules.rank())
        return None
    outlet = _outlet_of(client)
    if metrics:
        outlet.log(run, metrics, place, now)
    return RunOperations(outlet) if synchronous is False else None


@checked
def set_tag(key: str, value: Any, synchronous: bool | None = None) -> RunOperations | None:
    """Set a tag of the active run; one is begun when there is none.

    Args:
        key: At most 250 characters of letters, digits, ``_ . - : /`` and space.
        value: Kept as ``str(value)``; cut with a warning after 8000 characters.
        synchronous: Taken for MLflow's sake; the tag is stored on return in any case.

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.set_tag("release", "1.2")
        >>> runstone.get_run(run.info.run_id).data.tags["release"]
        '1.2'
    """
    client, run = _destination(None)
    client.set_tag(run, key, value)
    return _DONE if synchronous is False else None


@checked
def set_tags(
    tags: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None
) -> RunOperations | None:
    """Set many tags at once, all or none; see ``set_tag``.

    Example:
        >>> import runstone
        >>> with runstone.start_run():
        ...     runstone.set_tags({"release": "1.2", "team": "risk"})
    """
    client, run = _destination(run_id)
    client.log_batch(run, tags=tags)
    return _DONE if synchronous is False else None


@checked
def delete_tag(key: str) -> None:
    """Delete a tag of the active run.

    Raises:
        TagNotFound: it is not set.

    Example:
        >>> import runstone
        >>> with runstone.start_run():
        ...     runstone.set_tag("draft", "yes")
        ...     runstone.delete_tag("draft")
    """
    client, run = _destination(None)
    client.delete_tag(run, key)


class DatasetLike(Protocol):
    """What ``log_input`` takes: the data sets of ``runstone.data``, or one of one's own."""

    def to_entity(self) -> Dataset:
        """The data set's description."""
        ...


@checked
def log_input(
    dataset: Dataset | DatasetLike,
    context: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Note that the active run reads a data set; repeating it is fine.

    Args:
        dataset: Made by ``runstone.data``, or described by an ``entities.Dataset``.
        context: What for, such as ``"training"``.
        tags: More marks of the use.

    Example:
        >>> import runstone
        >>> from runstone.entities import Dataset
        >>> with runstone.start_run() as run:
        ...     runstone.log_input(Dataset("wine", "a1b2", "local", "wine.csv"), context="training")
        >>> runstone.get_run(run.info.run_id).inputs.dataset_inputs[0].dataset.name
        'wine'
    """
    log_inputs([dataset], [context], [tags])


@checked
def log_inputs(
    datasets: Sequence[Dataset | DatasetLike],
    contexts: Sequence[str | None] | None = None,
    tags_list: Sequence[Mapping[str, str] | None] | None = None,
) -> None:
    """Note that the active run reads data sets; contexts and tags go with them one by one.

    Raises:
        InvalidArgument: the lists differ in length.

    Example:
        >>> import numpy, runstone
        >>> train = runstone.data.from_numpy(numpy.zeros((3, 2)), name="train")
        >>> test = runstone.data.from_numpy(numpy.ones((1, 2)), name="test")
        >>> with runstone.start_run():
        ...     runstone.log_inputs([train, test], ["training", "testing"])
    """
    every_context = contexts if contexts is not None else [None] * len(datasets)
    every_tags = tags_list if tags_list is not None else [None] * len(datasets)
    if not len(datasets) == len(every_context) == len(every_tags):
        raise InvalidArgument("datasets, contexts and tags_list must be of one length")
    inputs = []
    for dataset, context, tags in zip(datasets, every_context, every_tags, strict=True):
        marks = dict(tags or {}) | ({DATA_CONTEXT: context} if context else {})
        inputs.append(
            DatasetInput(_described(dataset), [InputTag(k, str(v)) for k, v in marks.items()])
        )
    client, run = _destination(None)
    client.log_inputs(run, inputs)


def _described(dataset: Dataset | DatasetLike) -> Dataset:
    if isinstance(dataset, Dataset):
        return dataset
    if not hasattr(dataset, "to_entity"):
        raise _values.invalid(
            "dataset",
            "must be made by runstone.data (from_pandas, from_numpy) or be an entities.Dataset,"
            f" not {type(dataset).__name__}",
        )
    return dataset.to_entity()
