"""What is told of a version when it is registered: whether loading it runs code of its author.

A label is for those who look at the registry; whoever loads the model is asked whatever it says.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runstone._flavors import registry
from runstone._flavors.libraries import JOBLIB, PICKLES
from runstone._models import loading, paths
from runstone._models.logging import PICKLED
from runstone._models.model import PYTHON_FUNCTION, Model, read
from runstone._modeluri import local_path, parse_artifact_uri
from runstone.exceptions import RunstoneException

if TYPE_CHECKING:
    from runstone._client import Client

MOST_BYTES = 8 * 2**20
"""A model on the server up to this size is fetched and looked at; else its description alone."""

NOT_SEEN = "not looked into: its files are too large to be fetched for this"


def labelled(
    client: Client, model_uri: str, tags: Mapping[str, object] | None
) -> dict[str, object]:
    """The tags of a version to be made of what is at a URI, with the label that it deserves.

    Whatever is wrong there is for the registration itself to say.
    """
    found = dict(tags or {})
    if PICKLED in found:
        return found
    try:
        unsafe = _unsafe(client, model_uri)
    except RunstoneException:
        unsafe = None
    return {**found, PICKLED: unsafe} if unsafe else found


def _unsafe(client: Client, model_uri: str) -> str | None:
    if parse_artifact_uri(model_uri) is None:
        return of_folder(local_path(model_uri))
    with tempfile.TemporaryDirectory(prefix="runstone-model-") as place:
        source = loading.resolve(model_uri, client)
        model = read(loading.fetched_description(source, model_uri, place, client))
        size = model.model_size_bytes
        if isinstance(size, int) and size <= MOST_BYTES:
            found = loading.fetch(model_uri, Path(place) / "whole", client)
            return of_folder(found.folder)
    return by_description(model)


def of_folder(folder: Path) -> str | None:
    """How loading the model in a local folder would run code; None also of what is no model."""
    if not (folder / "MLmodel").is_file():
        return None
    paths.refuse_links_outside(folder)
    return registry.unsafe(folder, read(folder))


def by_description(model: Model) -> str | None:
    """The same, as far as an MLmodel file alone tells."""
    for name, configuration in model.flavors.items():
        kind = configuration.get("serialization_format")
        if kind in {*PICKLES, JOBLIB}:
            return f"a {kind}"
        if configuration.get("code"):
            return "a model with Python files of its own"
        if name == PYTHON_FUNCTION and not registry.loads_by_another(model):
            return "a model of its author's own code"
    return NOT_SEEN
