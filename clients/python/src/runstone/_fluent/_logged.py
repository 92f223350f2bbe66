"""Logged models, by the fluent API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from runstone._arguments import checked
from runstone._fluent import _state
from runstone._fluent._runs import active_run
from runstone.exceptions import InvalidArgument

if TYPE_CHECKING:
    import pandas as pd

    from runstone._entities.logged import LoggedModel

EXTERNAL = "mlflow.model.isExternal"
"""Tag of a logged model whose files are elsewhere."""

PAGE = 1000

_last: str | None = None


def note(model_id: str) -> None:
    """Say which model this process logged last."""
    global _last
    _last = model_id


@checked
def initialize_logged_model(
    name: str | None = None,
    source_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    experiment_id: str | None = None,
) -> LoggedModel:
    """Begin a logged model whose files come later; it is PENDING until it is finalized.

    Args:
        name: At most 500 characters, without any of / : . % " '; made up when absent.
        source_run_id: The run that makes it; the active one, if any, when absent.
        tags: Its tags.
        params: Its parameters, each immutable once set.
        model_type: What kind of model it is.
        experiment_id: Where it belongs; that of its run, else the active one, when absent.

    Raises:
        ExperimentNotFound, ExperimentDeleted, RunNotFound, LoggedModelTooLarge

    Example:
        >>> import runstone
        >>> model = runstone.initialize_logged_model("net", params={"layers": 3})
        >>> runstone.finalize_logged_model(model.model_id, "READY").status
        'READY'
    """
    client, run = _state.client(), active_run()
    run_id = source_run_id or (run.info.run_id if run else None)
    if experiment_id is None:
        of_run = client.get_run(run_id).info.experiment_id if run_id else None
        experiment_id = of_run or _state.experiment_id()
    model = client.create_logged_model(experiment_id, name, run_id, tags, params, model_type)
    note(model.model_id)
    return model


@checked
def create_external_model(
    name: str | None = None,
    source_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    experiment_id: str | None = None,
) -> LoggedModel:
    """A logged model whose files are elsewhere, for its parameters and metrics; READY at once.

    Raises:
        As ``initialize_logged_model``, whose arguments it has.

    Example:
        >>> import runstone
        >>> model = runstone.create_external_model("hosted", params={"version": "4"})
        >>> runstone.get_logged_model(model.model_id).params["version"]
        '4'
    """
    marked = {**(tags or {}), EXTERNAL: "true"}
    model = initialize_logged_model(name, source_run_id, marked, params, model_type, experiment_id)
    return finalize_logged_model(model.model_id, "READY")


@checked
def finalize_logged_model(model_id: str, status: str) -> LoggedModel:
    """Say that a logged model is READY, or FAILED.

    Raises:
        LoggedModelNotFound, LoggedModelDeleted
        InvalidArgument: it is another status.

    Example:
        >>> import runstone
        >>> model = runstone.initialize_logged_model("broken")
        >>> runstone.finalize_logged_model(model.model_id, "FAILED").status
        'FAILED'
    """
    return _state.client().finalize_logged_model(model_id, status)


@checked
def get_logged_model(model_id: str) -> LoggedModel:
    """A logged model, with its parameters, tags and latest metrics.

    Raises:
        LoggedModelNotFound

    Example:
        >>> import runstone
        >>> model = runstone.create_external_model("hosted")
        >>> runstone.get_logged_model(model.model_id).name
        'hosted'
    """
    return _state.client().get_logged_model(model_id)


def last_logged_model() -> LoggedModel | None:
    """The model that this process logged last; None when it logged none.

    Example:
        >>> import runstone
        >>> model = runstone.create_external_model("hosted")
        >>> runstone.last_logged_model().model_id == model.model_id
        True
    """
    return None if _last is None else get_logged_model(_last)


@checked
def search_logged_models(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str | None = None,
    datasets: Sequence[Mapping[str, str] | None] | None = None,
    max_results: int | None = None,
    order_by: Sequence[Mapping[str, str] | None] | None = None,
    output_format: Literal["pandas", "list"] = "pandas",
) -> pd.DataFrame | list[LoggedModel]:
    """The logged models that match, of the active experiment unless others are named.

    Args:
        experiment_ids: Experiments to search.
        filter_string: Such as ``"metrics.auc > 0.9 AND params.depth = '3'"``.
        datasets: ``{"dataset_name": …, "dataset_digest": …}`` each, the digest optional: the
            filter's metrics are those on one of these.
        max_results: At most this many.
        order_by: ``{"field_name": "metrics.auc", "ascending": False}`` each.
        output_format: ``"pandas"`` for a DataFrame with a row a model, ``"list"`` for
            ``entities.LoggedModel`` objects.

    Raises:
        FilterInvalid

    Example:
        >>> import runstone
        >>> _ = runstone.set_experiment("logged models")
        >>> _ = runstone.create_external_model("small", params={"depth": 2})
        >>> _ = runstone.create_external_model("large", params={"depth": 9})
        >>> found = runstone.search_logged_models(
        ...     filter_string="params.depth = '9'", output_format="list"
        ... )
        >>> [model.name for model in found]
        ['large']
    """
    if output_format not in ("pandas", "list"):
        raise InvalidArgument(f"output_format must be 'pandas' or 'list', not {output_format!r}")
    client = _state.client()
    ids = list(experiment_ids) if experiment_ids else [_state.experiment_id()]
    found: list[LoggedModel] = []
    token: str | None = None
    while max_results is None or len(found) < max_results:
        size = PAGE if max_results is None else min(PAGE, max_results - len(found))
        page = client.search_logged_models(
            ids,
            filter_string,
            [each for each in datasets or () if each],
            size,
            [each for each in order_by or () if each],
            token,
        )
        found.extend(page)
        token = page.token
        if token is None:
            break
    if output_format == "list":
        return found
    import pandas as pd

    return pd.DataFrame([each.to_dictionary() for each in found])


@checked
def delete_logged_model(model_id: str) -> None:
    """Delete a logged model; `runstone gc` frees its files later.

    Raises:
        LoggedModelNotFound

    Example:
        >>> import runstone
        >>> model = runstone.create_external_model("gone")
        >>> runstone.delete_logged_model(model.model_id)
        >>> runstone.get_logged_model(model.model_id).lifecycle_stage
        'deleted'
    """
    _state.client().delete_logged_model(model_id)


@checked
def set_logged_model_tags(model_id: str, tags: Mapping[str, Any]) -> None:
    """Set tags of a logged model.

    Raises:
        LoggedModelNotFound, LoggedModelDeleted

    Example:
        >>> import runstone
        >>> model = runstone.create_external_model("hosted")
        >>> runstone.set_logged_model_tags(model.model_id, {"checked": "yes"})
        >>> runstone.get_logged_model(model.model_id).tags["checked"]
        'yes'
    """
    _state.client().set_logged_model_tags(model_id, tags)


@checked
def delete_logged_model_tag(model_id: str, key: str) -> None:
    """Delete a tag of a logged model.

    Raises:
        LoggedModelNotFound, LoggedModelDeleted, TagNotFound

    Example:
        >>> import runstone
        >>> model = runstone.create_external_model("hosted", tags={"checked": "no"})
        >>> runstone.delete_logged_model_tag(model.model_id, "checked")
        >>> "checked" in runstone.get_logged_model(model.model_id).tags
        False
    """
    _state.client().delete_logged_model_tag(model_id, key)


@checked
def log_model_params(params: Mapping[str, Any], model_id: str | None = None) -> None:
    """Add parameters to a logged model: that one, else the one that was logged last.

    Raises:
        ParamImmutable: one has another value.
        InvalidArgument: none was logged, and none is named.
        LoggedModelNotFound, LoggedModelDeleted

    Example:
        >>> import runstone
        >>> model = runstone.create_external_model("hosted")
        >>> runstone.log_model_params({"temperature": 0.2}, model.model_id)
        >>> runstone.get_logged_model(model.model_id).params["temperature"]
        '0.2'
    """
    chosen = model_id or _last
    if chosen is None:
        raise InvalidArgument("model_id must be given, for this process logged no model yet")
    _state.client().log_logged_model_params(chosen, params)
