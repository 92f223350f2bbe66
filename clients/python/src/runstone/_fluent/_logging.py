"""What is logged to the active run: parameters, metrics, tags, data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from runstone import _values
from runstone._arguments import checked
from runstone._entities.tracking import Dataset, DatasetInput, InputTag, Metric
from runstone._fluent import _state
from runstone._fluent._runs import active_or_new_run
from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    from runstone._client import Client

DATA_CONTEXT = "mlflow.data.context"


class RunOperations:
    """What ``synchronous=False`` gives: calls that are done already."""

    def wait(self) -> None:
        """Return at once: what was logged is on the server."""


_DONE = RunOperations()


def _destination(run_id: str | None) -> tuple[Client, str]:
    if run_id:
        return _state.client(), run_id
    run = active_or_new_run()
    return run.client, run.info.run_id


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

    Args:
        key: At most 250 characters of letters, digits, ``_ . - : /`` and space.
        value: A real number, NaN and infinities included; a scalar of numpy or torch will do.
        step: The step as the user counts it; 0 when absent. Any order.
        synchronous: Taken for MLflow's sake; the point is stored on return in any case.
        timestamp: Unix milliseconds; now when absent.
        run_id: Another run than the active one.

    Raises:
        InvalidField: the value is no number (a bool is none), or the key breaks the rules.
        RunNotFound, RunDeleted

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     for step in range(3):
        ...         runstone.log_metric("loss", 1 / (step + 1), step=step)
        >>> runstone.get_run(run.info.run_id).data.metrics["loss"]
        0.3333333333333333
    """
    client, run = _destination(run_id)
    client.log_metric(run, key, value, timestamp, step)
    return _DONE if synchronous is False else None


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
    client, run = _destination(run_id)
    now = _values.timestamp_ms(timestamp)
    points = [
        Metric(key, value, now, 0 if step is None else step) for key, value in metrics.items()
    ]
    if points:
        client.append_metrics(run, points)
    return _DONE if synchronous is False else None


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
