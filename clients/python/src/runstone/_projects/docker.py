"""Projects in containers: the words of `docker run` before those of a command."""

from __future__ import annotations

from runstone._projects.launch import Launch, Prepared
from runstone.exceptions import ProjectInvalid


def prepare(launch: Launch) -> Prepared:
    """How a launch is started in the container that its project asks for."""
    raise ProjectInvalid(
        f"the project runs in the image of its docker_env, which is not there yet: {launch.backend}"
    )
