"""Projects in containers of this machine: the words of `docker run` before those of a command."""

from __future__ import annotations

from runstone import _settings
from runstone._containers import docker as program
from runstone._fluent import _state
from runstone._projects import docker_env
from runstone._projects.docker_env import Container
from runstone._projects.launch import Launch, Prepared
from runstone._projects.mlproject import DockerEnv

IMAGE_TAG = "mlflow.docker.image.uri"
IMAGE_ID_TAG = "mlflow.docker.image.id"


def prepare(launch: Launch) -> Prepared:
    """How a launch is started in the container that its project asks for.

    The image has the project in it, or gets it with ``build_image``, as with MLflow.

    Raises:
        ProjectInvalid: a volume, a variable or an option is none, or the suite is out of reach.
        LibraryMissing: there is no docker.
        FailedPrecondition: it failed to log in or to build.
    """
    environment = launch.project.environment
    assert isinstance(environment, DockerEnv)
    docker = program.program(docker_env.INSTEAD)
    image = environment.image
    if launch.build_image:
        image = docker_env.image_tag("", launch.project.name or "", launch.source.commit or "")
    # Before minutes go into an image.
    words, variables = docker_env.run_command(
        docker,
        Container(
            image,
            launch.run_id,
            environment.volumes,
            environment.environment,
            launch.docker_args,
            launch.environment,
            launch.environment[_settings.TRACKING_URI],
        ),
    )
    if launch.docker_auth is not None:
        docker_env.login(docker, launch.docker_auth)
    if launch.build_image:
        docker_env.build(docker, launch.project.folder, environment.image, image)
    note_image(launch.run_id, image, program.inspect(docker, image, "{{.Id}}"))
    return Prepared(
        (*words, *launch.argv),
        variables,
        stop=tuple(docker_env.stop_command(docker, launch.run_id)),
    )


def note_image(run_id: str, image: str, digest: str) -> None:
    """Tag a run with the image that it runs in, by MLflow's names."""
    client = _state.client()
    client.set_tag(run_id, IMAGE_TAG, image)
    if digest:  # an image that is not here yet is fetched when it is run
        client.set_tag(run_id, IMAGE_ID_TAG, digest)
