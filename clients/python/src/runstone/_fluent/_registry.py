"""The registry, by the fluent API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from runstone._arguments import checked
from runstone._fluent import _state
from runstone.exceptions import ModelNameTaken

if TYPE_CHECKING:
    from runstone._entities.paging import PagedList
    from runstone._entities.registry import ModelVersion, RegisteredModel

T = TypeVar("T")

_LABELS = "runstone._flavors.labels"
"""By name, for it stands above: a version is labelled by what its flavors say, when it is made."""


@checked
def register_model(
    model_uri: str,
    name: str,
    await_registration_for: int | None = None,
    *,
    tags: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Create the next version of a registered model; the model is created when missing.

    A model of which loading runs code of its author gets the tag ``runstone.unsafe``.

    Args:
        model_uri: ``runs:/<run_id>/<path>``, ``models:/<name>/<version>``, or a local file or
            folder, which is uploaded. The version keeps its files whatever becomes of the source.
        name: 1 to 256 characters without ``/`` and ``:``.
        await_registration_for: Taken for MLflow's sake; the version is READY on return.
        tags: Tags of the version.

    Raises:
        SourceRunNotFound, SourceNotFound
        InvalidUri, LocalPathError

    Example:
        >>> import runstone
        >>> with runstone.start_run() as run:
        ...     runstone.log_text("weights", "model/weights.txt")
        >>> version = runstone.register_model(f"runs:/{run.info.run_id}/model", "example")
        >>> version.version, version.status
        (1, 'READY')
        >>> runstone.artifacts.load_text("models:/example/latest/weights.txt")
        'weights'
    """
    client = _state.client()
    labelled = getattr(import_module(_LABELS), "labelled")  # noqa: B009
    tags = labelled(client, model_uri, tags)
    try:
        client.create_registered_model(name)
    except ModelNameTaken:
        pass
    return client.create_model_version(
        name, model_uri, tags=tags, await_creation_for=await_registration_for
    )


@checked
def search_registered_models(
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
) -> list[RegisteredModel]:
    """The registered models that match, page after page; all of them without ``max_results``.

    Raises:
        FilterInvalid

    Example:
        >>> import runstone
        >>> _ = runstone.Client().create_registered_model("searched", tags={"team": "risk"})
        >>> found = runstone.search_registered_models(filter_string="tags.team = 'risk'")
        >>> [model.name for model in found]
        ['searched']
    """
    client = _state.client()
    found: list[RegisteredModel] = []
    token: str | None = None
    while True:
        page = client.search_registered_models(
            filter_string, _size(max_results, found), order_by, token
        )
        if not _more(found, page, max_results):
            return found
        token = page.token


@checked
def search_model_versions(
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
) -> list[ModelVersion]:
    """The model versions that match, page after page; all of them without ``max_results``.

    Args:
        max_results: At most this many.
        filter_string: Such as ``"name = 'churn' AND tags.checked = 'yes'"``.
        order_by: Such as ``["version_number DESC"]``; the last changed first when absent.

    Raises:
        FilterInvalid

    Example:
        >>> import pathlib, runstone
        >>> _ = pathlib.Path("weights.bin").write_bytes(b"123")
        >>> _ = runstone.register_model("weights.bin", "versioned")
        >>> _ = runstone.register_model("weights.bin", "versioned")
        >>> found = runstone.search_model_versions(
        ...     filter_string="name = 'versioned'", order_by=["version_number ASC"]
        ... )
        >>> [version.version for version in found]
        [1, 2]
    """
    client = _state.client()
    found: list[ModelVersion] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(
            filter_string, _size(max_results, found), order_by, token
        )
        if not _more(found, page, max_results):
            return found
        token = page.token


def _size(wanted: int | None, found: Sequence[object]) -> int:
    return 1000 if wanted is None else min(1000, wanted - len(found))


def _more(found: list[T], page: PagedList[T], wanted: int | None) -> bool:
    found.extend(page)
    return page.token is not None and (wanted is None or len(found) < wanted)


@checked
def set_model_version_tag(
    name: str, version: int | str | None = None, key: str | None = None, value: Any = None
) -> None:
    """Set a tag of a model version.

    Raises:
        ModelNotFound, VersionNotFound

    Example:
        >>> import pathlib, runstone
        >>> _ = pathlib.Path("weights.bin").write_bytes(b"123")
        >>> version = runstone.register_model("weights.bin", "marked")
        >>> runstone.set_model_version_tag("marked", version.version, "checked", "yes")
    """
    _state.client().set_model_version_tag(name, version, key, value)
