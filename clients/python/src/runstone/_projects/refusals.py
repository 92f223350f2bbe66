"""How a wrong setting of a backend is told."""

from __future__ import annotations

from typing import Any

from runstone._containers import docker
from runstone.exceptions import InvalidField, ProjectInvalid


def wrong(field: str, description: str) -> ProjectInvalid:
    """The exception for one wrong setting: which, and what would be right."""
    return ProjectInvalid(f"{field} {description}", metadata={"field": field})


def checked_image(name: Any, field: str) -> str:
    """The name of an image, which cannot be anything else of a command. Raises ProjectInvalid."""
    try:
        return docker.checked_image(name, field)
    except InvalidField as error:
        raise ProjectInvalid(error.message, metadata={"field": field}) from None
