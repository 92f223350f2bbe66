"""The schemas that Kubernetes publishes of its manifests."""

from collections.abc import Mapping
from typing import Any

import kubernetes_validate

VERSION = "1.33"
"""Of the schemas: of the oldest Kubernetes that is still maintained somewhere."""


def checked_manifest(manifest: Mapping[str, Any]) -> None:
    """Raise unless a manifest is exactly of the published schema: no unknown key, no wrong type."""
    kubernetes_validate.validate(dict(manifest), VERSION, strict=True)
