"""`runstone models build-docker` and its like: a model's way into containers."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from runstone.cli._serving_commands import absolute, model_uri, point_to
from runstone.cli._session import Command, Session

pickle_in_image = click.option(
    "--allow-pickle",
    is_flag=True,
    help="Load code of the model's author: only where you trust its origin.",
)


def add_to(group: click.Group) -> None:
    """Put these commands into the group of models."""
    for each in (generate_dockerfile, build_docker, generate_manifest):
        group.add_command(each)


@click.command(
    "generate-dockerfile",
    cls=Command,
    epilog="""\b
Examples:
  runstone models generate-dockerfile -m models:/iris@champion -d iris-image
  docker build --tag iris iris-image
""",
)
@model_uri
@click.option(
    "-d", "--output-directory", "output", type=click.Path(path_type=Path, file_okay=False),
    default=Path("runstone-image"), show_default=True, help="A new or empty folder.",
)  # fmt: skip
@pickle_in_image
@click.pass_obj
def generate_dockerfile(session: Session, model_uri: str, output: Path, allow_pickle: bool) -> None:
    """Write a Dockerfile and all that it copies: the model, its requirements, this Runstone."""
    from runstone._serving import images

    point_to(session)
    path = images.write_context(absolute(model_uri), output, allow_pickle=allow_pickle)
    session.answer(
        {"dockerfile": str(path)}, f"Written: {path}. Now: docker build --tag NAME {output}"
    )


@click.command(
    "build-docker",
    cls=Command,
    epilog="""\b
Examples:
  runstone models build-docker -m models:/iris@champion -n iris:1
  docker run -p 5001:8080 iris:1 --workers 2
""",
)
@model_uri
@click.option("-n", "--name", required=True, metavar="TAG", help="Of the image.")
@pickle_in_image
@click.pass_obj
def build_docker(session: Session, model_uri: str, name: str, allow_pickle: bool) -> None:
    """Build an image that serves a model at port 8080; needs docker."""
    from runstone._serving import images

    point_to(session)
    with tempfile.TemporaryDirectory(prefix="runstone-image-") as scratch:
        context = Path(scratch) / "context"
        images.write_context(absolute(model_uri), context, allow_pickle=allow_pickle)
        images.build(context, name)
    session.answer({"image": name}, f"Built {name}. Now: docker run -p 5001:8080 {name}")


@click.command(
    "generate-manifest",
    cls=Command,
    epilog="""\b
Examples:
  runstone models generate-manifest --image iris:1 --name iris -o iris.yaml
  runstone models generate-manifest --image iris:1 --name iris --replicas 3
""",
)
@click.option("--image", required=True, help="That build-docker built.")
@click.option("--name", required=True, help="Of the Deployment and the Service.")
@click.option(
    "--replicas",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Containers that serve.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes of each.",
)
@click.option("--cpu", default="1", show_default=True, help="Asked for by each replica.")
@click.option("--memory", default="1Gi", show_default=True, help="Asked for, and the limit.")
@click.option(
    "-m",
    "--model-uri",
    default="",
    help="models:/NAME@ALIAS, models:/NAME/VERSION, runs:/RUN/PATH, or a folder.",
)
@click.option("--suite", default="", metavar="URI", help="Where that model is, from inside.")
@click.option(
    "-o", "--output-path", type=click.Path(path_type=Path, dir_okay=False),
    help="Default: standard output.",
)  # fmt: skip
@click.pass_obj
def generate_manifest(
    session: Session,
    image: str,
    name: str,
    replicas: int,
    workers: int,
    cpu: str,
    memory: str,
    model_uri: str,
    suite: str,
    output_path: Path | None,
) -> None:
    """Write a Deployment and a Service for Kubernetes, with probes and resources."""
    from runstone._serving import images

    text = images.manifest(
        image,
        name,
        replicas=replicas,
        workers=workers,
        cpu=cpu,
        memory=memory,
        model_uri=model_uri,
        tracking_uri=suite,
    )
    if output_path is not None:
        output_path.write_text(text, "utf-8")
        session.answer({"manifest": str(output_path)}, f"Written: {output_path}")
    else:
        session.answer({"manifest": text}, text.rstrip("\n"))
