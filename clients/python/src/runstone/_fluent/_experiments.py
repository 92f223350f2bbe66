"""Experiments, by the fluent API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runstone._arguments import checked
from runstone._entities.tracking import Experiment, LifecycleStage, ViewType
from runstone._fluent import _state
from runstone.exceptions import ExperimentDeleted, InvalidArgument


@checked
def set_experiment(
    experiment_name: str | None = None, experiment_id: str | None = None
) -> Experiment:
    """Make an experiment the active one: new runs belong to it. A missing name is created.

    Args:
        experiment_name: Its name, 1 to 500 characters; created when there is none.
        experiment_id: Or its id.

    Raises:
        InvalidArgument: both are given, or none.
        ExperimentNotFound: no experiment has this id.
        ExperimentDeleted: it is deleted; restore it, or take another name.

    Example:
        >>> import runstone
        >>> experiment = runstone.set_experiment("churn")
        >>> with runstone.start_run() as run:
        ...     run.info.experiment_id == experiment.experiment_id
        True
    """
    if (experiment_name is None) == (experiment_id is None):
        raise InvalidArgument("set_experiment takes experiment_name or experiment_id, one of them")
    if experiment_id is not None:
        found = _state.client().get_experiment(experiment_id)
    else:
        found = _state.find_or_create(experiment_name or "")
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise ExperimentDeleted(
            f"experiment {found.name!r} ({found.experiment_id}) is deleted:"
            f" runstone.restore_experiment({found.experiment_id!r}), or choose another name",
            metadata={"experiment_id": found.experiment_id},
        )
    _state.set_experiment_id(found.experiment_id)
    return found


@checked
def create_experiment(
    name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
) -> str:
    """Create an experiment and return its id.

    Args:
        name: 1 to 500 characters, unlike that of every active and deleted experiment.
        artifact_location: Ignored with a warning: the server chooses where files are stored.
        tags: Tags of the experiment; longer values than 20000 characters are cut with a warning.

    Raises:
        ExperimentNameTaken

    Example:
        >>> import runstone
        >>> experiment_id = runstone.create_experiment("fraud", tags={"team": "risk"})
        >>> runstone.get_experiment(experiment_id).tags
        {'team': 'risk'}
    """
    return _state.client().create_experiment(name, artifact_location, tags)


@checked
def get_experiment(experiment_id: str) -> Experiment:
    """The experiment with this id, deleted or not.

    Raises:
        ExperimentNotFound

    Example:
        >>> import runstone
        >>> runstone.get_experiment("0").name
        'Default'
    """
    return _state.client().get_experiment(experiment_id)


@checked
def get_experiment_by_name(name: str) -> Experiment | None:
    """The experiment with this name, deleted or not; None when there is none.

    Example:
        >>> import runstone
        >>> runstone.get_experiment_by_name("Default").experiment_id
        '0'
        >>> runstone.get_experiment_by_name("no such experiment") is None
        True
    """
    return _state.client().get_experiment_by_name(name)


@checked
def delete_experiment(experiment_id: str) -> None:
    """Delete an experiment and its runs; ``restore_experiment`` brings them back.

    Raises:
        ExperimentNotFound, DefaultExperimentFixed

    Example:
        >>> import runstone
        >>> experiment_id = runstone.create_experiment("mistake")
        >>> runstone.delete_experiment(experiment_id)
        >>> runstone.get_experiment(experiment_id).lifecycle_stage
        'deleted'
        >>> runstone.restore_experiment(experiment_id)
    """
    _state.client().delete_experiment(experiment_id)


@checked
def restore_experiment(experiment_id: str) -> None:
    """Restore a deleted experiment and the runs that were deleted with it.

    Raises:
        ExperimentNotFound

    Example:
        >>> import runstone
        >>> experiment_id = runstone.create_experiment("wanted after all")
        >>> runstone.delete_experiment(experiment_id)
        >>> runstone.restore_experiment(experiment_id)
    """
    _state.client().restore_experiment(experiment_id)


@checked
def set_experiment_tag(key: str, value: Any) -> None:
    """Set a tag of the active experiment.

    Example:
        >>> import runstone
        >>> experiment = runstone.set_experiment("marked")
        >>> runstone.set_experiment_tag("owner", "ada")
    """
    set_experiment_tags({key: value})


@checked
def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    """Set tags of the active experiment, all or none.

    Example:
        >>> import runstone
        >>> _ = runstone.set_experiment("tagged")
        >>> runstone.set_experiment_tags({"stage": "exploration"})
    """
    _state.client().set_experiment_tags(_state.experiment_id(), tags)


@checked
def delete_experiment_tag(key: str) -> None:
    """Delete a tag of the active experiment.

    Raises:
        TagNotFound: it is not set.

    Example:
        >>> import runstone
        >>> experiment = runstone.set_experiment("unmarked")
        >>> runstone.set_experiment_tag("owner", "ada")
        >>> runstone.delete_experiment_tag("owner")
    """
    _state.client().delete_experiment_tag(_state.experiment_id(), key)


@checked
def search_experiments(
    view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
) -> list[Experiment]:
    """The experiments that match, page after page; all of them without ``max_results``.

    Args:
        view_type: One of ``entities.ViewType``.
        max_results: At most this many.
        filter_string: Such as ``"name LIKE 'chur%' AND tags.team = 'risk'"``.
        order_by: Such as ``["name ASC"]``; the last changed first when absent.

    Raises:
        FilterInvalid

    Example:
        >>> import runstone
        >>> [e.name for e in runstone.search_experiments(filter_string="name = 'Default'")]
        ['Default']
    """
    client = _state.client()
    found: list[Experiment] = []
    token: str | None = None
    while max_results is None or len(found) < max_results:
        size = 1000 if max_results is None else min(1000, max_results - len(found))
        page = client.search_experiments(view_type, size, filter_string, order_by, token)
        found.extend(page)
        token = page.token
        if token is None:
            break
    return found
