"""The backend's configuration: MLflow's three keys, and ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from runstone._projects.refusals import checked_image, wrong

START_TIMEOUT_S = 600.0
"""A container that cannot be made for so long will not be: a wrong name, a missing secret."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where and how a Job is made.

    Attributes:
        context: Of the kubeconfig; the current one when empty.
        repository_uri: Where the image of the project is pushed to; without, nothing is built.
        template: A manifest of a Job to fill; ours when None.
        namespace: Beats the template's and the context's.
        image: What runs, as it is: nothing is built.
        service_account: Beats the template's.
        tracking_uri: Where the suite is, seen from inside the cluster.
        start_timeout_s: How long a container may fail to be made; 0 for ever.
    """

    context: str = ""
    repository_uri: str = ""
    template: Path | None = None
    namespace: str = ""
    image: str = ""
    service_account: str = ""
    tracking_uri: str = ""
    start_timeout_s: float = START_TIMEOUT_S


_FIELDS = {
    "kube-context": "context",
    "repository-uri": "repository_uri",
    "kube-job-template-path": "template",
    "namespace": "namespace",
    "image": "image",
    "service-account": "service_account",
    "tracking-uri": "tracking_uri",
    "start-timeout": "start_timeout_s",
}


def read(config: Mapping[str, Any], folder: Path) -> Settings:
    """The settings that a backend_config says; paths are relative to a folder.

    Raises:
        ProjectInvalid: a key is unknown, or its value is not what it must be.
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = _FIELDS.get(key)
        if name is None:
            near = get_close_matches(str(key), _FIELDS, n=1)
            meant = f"; did you mean {near[0]}?" if near else f"; it may be {', '.join(_FIELDS)}"
            raise wrong(f"backend_config.{key}", f"is unknown to the kubernetes backend{meant}")
        found[name] = _value(key, value, folder)
    if found.get("image") and found.get("repository_uri"):
        raise wrong(
            "backend_config.image",
            "says that nothing is built, and repository-uri where to push what is: keep one",
        )
    return Settings(**found)


def _value(key: str, value: Any, folder: Path) -> Any:
    field = f"backend_config.{key}"
    if key == "start-timeout":
        seconds = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
        if not 0 <= seconds < math.inf:
            raise wrong(field, f"must be a number of seconds, 0 for no limit, not {value!r}")
        return float(seconds)
    if not isinstance(value, str) or not value:
        raise wrong(field, f"must be a text, not {value!r}")
    if key in {"image", "repository-uri"}:
        return checked_image(value, field)
    if key == "kube-job-template-path":
        path = folder / value
        if not path.is_file():
            raise wrong(field, f"must be a file: {path}")
        return path
    return value
