"""`runstone models serve` and its like: models at work, rather than in the registry."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import click

from runstone.cli._session import Command, Session
from runstone.exceptions import LocalPathMissing

model_uri = click.option(
    "-m",
    "--model-uri",
    required=True,
    metavar="URI",
    help="models:/NAME@ALIAS, models:/NAME/VERSION, runs:/RUN/PATH, or a folder.",
)

allow_pickle = click.option(
    "--allow-pickle",
    is_flag=True,
    default=None,
    help="Load code of the model's author: only where you trust its origin.",
)

env_manager = click.option(
    "--env-manager",
    type=click.Choice(["local", "uv", "virtualenv"]),
    default="local",
    show_default=True,
    help="Packages of this Python, or of a clean environment as the model's files say.",
)


def add_to(group: click.Group) -> None:
    """Put these commands into the group of models."""
    for each in (serve, predict, prepare_env):
        group.add_command(each)


def point_to(session: Session) -> None:
    """Have the fluent API call the suite that the command line names."""
    import runstone

    if session.tracking_uri is not None:
        runstone.set_tracking_uri(session.tracking_uri)


@click.command(
    cls=Command,
    context_settings={"help_option_names": ["--help"]},
    epilog="""\b
Examples:
  runstone models serve -m models:/iris@champion -p 5001
  runstone models serve -m models:/iris/3 --env-manager uv --workers 4
  curl -H 'Content-Type: application/json' localhost:5001/invocations \\
    -d '{"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}'
""",
)
@model_uri
@click.option(
    "-p", "--port", type=click.IntRange(0, 65535), default=5000, show_default=True,
    help="0: any free one.",
)  # fmt: skip
@click.option(
    "--grpc-port", type=click.IntRange(1, 65535),
    help="The Open Inference Protocol over gRPC, too. Default: not.",
)  # fmt: skip
@click.option("-h", "--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "-w", "--workers", type=click.IntRange(1, 256), default=1, show_default=True,
    help="Processes that share the port; one that dies is replaced.",
)  # fmt: skip
@click.option(
    "--threads", type=click.IntRange(0, 1024), default=0,
    help="Predictions at once in each. Default: as many as processors, 2 at least.",
)  # fmt: skip
@env_manager
@click.option(
    "-t", "--timeout", type=click.FloatRange(0.001), default=60.0, show_default=True,
    help="Seconds that a request may take.",
)  # fmt: skip
@click.option(
    "--max-body-bytes", type=click.IntRange(1), default=100 * 2**20, show_default=True,
    help="Longer requests are refused.",
)  # fmt: skip
@click.option(
    "--batch-size", type=click.IntRange(0), default=0,
    help="Join requests that come together, up to this many rows. Default: join none.",
)  # fmt: skip
@click.option(
    "--batch-wait-ms", type=click.FloatRange(0, 60_000), default=5.0, show_default=True,
    help="How long the first of them waits for others.",
)  # fmt: skip
@allow_pickle
@click.option("--no-reload", is_flag=True, help="Stay when the alias or stage moves.")
@click.option(
    "--reload-seconds", type=click.FloatRange(0.01), default=5.0, show_default=True,
    help="Between two looks at where it points.",
)  # fmt: skip
@click.option(
    "--grace-seconds", type=click.FloatRange(1), default=30.0, show_default=True,
    help="What requests in progress get when the server is told to end.",
)  # fmt: skip
@click.option("--name", default="", help="Of the model at /v2/models. Default: that of the URI.")
@click.pass_obj
@click.pass_context
def serve(ctx: click.Context, session: Session, /, **given: Any) -> None:
    """Serve a model over HTTP until Ctrl-C.

    It answers MLflow's scoring protocol (POST /invocations; /ping, /health, /version), the Open
    Inference Protocol (/v2) and Prometheus (/metrics). A model that is named by an alias, a stage
    or "latest" is followed: when it moves, the server moves to the new version without a pause.
    """
    from runstone._serving import serve as run
    from runstone._serving.settings import Settings

    settings = Settings(
        model_uri=absolute(given["model_uri"]),
        name=given["name"],
        host=given["host"],
        port=given["port"],
        grpc_port=given["grpc_port"],
        workers=given["workers"],
        threads=given["threads"],
        timeout_s=given["timeout"],
        max_body_bytes=given["max_body_bytes"],
        batch_rows=given["batch_size"],
        batch_wait_ms=given["batch_wait_ms"],
        allow_pickle=given["allow_pickle"],
        reload_s=0.0 if given["no_reload"] else given["reload_seconds"],
        grace_s=given["grace_seconds"],
        tracking_uri=session.tracking_uri,
    )
    # A supervisor's codes are for itself: 3 is a question answered no everywhere else.
    ctx.exit(1 if run(settings, given["env_manager"]) else 0)


def absolute(uri: str) -> str:
    """A relative path as seen from here: workers may have another working folder."""
    return uri if ":" in uri.partition("/")[0] else str(Path(uri).resolve())


@click.command(
    cls=Command,
    epilog="""\b
Examples:
  runstone models predict -m models:/iris@champion -i rows.csv -o out.json
  cat rows.json | runstone models predict -m models:/iris/3
""",
)
@model_uri
@click.option(
    "-i", "--input-path", type=click.Path(path_type=Path, dir_okay=False),
    help="Default: standard input.",
)  # fmt: skip
@click.option(
    "-t", "--content-type", type=click.Choice(["json", "csv", "parquet"]),
    help="What the input is. Default: as its file is called, else json.",
)  # fmt: skip
@click.option(
    "-o", "--output-path", type=click.Path(path_type=Path, dir_okay=False),
    help="Default: standard output.",
)  # fmt: skip
@env_manager
@allow_pickle
@click.pass_obj
@click.pass_context
def predict(ctx: click.Context, session: Session, /, **given: Any) -> None:
    """Predict from a file, as a server would: {"predictions": ...}."""
    from runstone._serving import predict_file

    point_to(session)
    uri, path, manager = absolute(given["model_uri"]), given["input_path"], given["env_manager"]
    if path is not None and not path.exists():
        raise LocalPathMissing(f"--input-path: there is no file {path}")
    kind = given["content_type"] or (path.suffix[1:] if path else "")
    kind = kind if kind in {"json", "csv", "parquet"} else "json"
    output = given["output_path"]
    if manager == "local":
        predict_file(uri, path, kind, output, given["allow_pickle"])
        return
    from runstone._serving import environments

    again = ["models", "predict", "-m", uri, "-t", kind]
    again += ["-i", str(path)] if path else []
    again += ["-o", str(output)] if output else []
    again += ["--allow-pickle"] if given["allow_pickle"] else []
    again += ["--tracking-uri", session.tracking_uri] if session.tracking_uri else []
    python = environments.command(environments.prepare(uri, manager))
    ctx.exit(subprocess.run([*python, "-m", "runstone.cli", *again], check=False).returncode)


@click.command(
    "prepare-env",
    cls=Command,
    epilog="""\b
Examples:
  runstone models prepare-env -m models:/iris@champion
""",
)
@model_uri
@click.option(
    "--env-manager",
    type=click.Choice(["uv", "virtualenv"]),
    default="virtualenv",
    show_default=True,
    help="What makes it.",
)
@click.pass_obj
def prepare_env(session: Session, model_uri: str, env_manager: str) -> None:
    """Make the clean environment of a model now, so that serving starts at once later.

    Says where its Python is. It is made from the model's requirements.txt and python_env.yaml, and
    kept below ~/.cache/runstone.
    """
    from runstone._serving import environments

    point_to(session)
    python = environments.prepare(absolute(model_uri), env_manager)
    session.answer({"python": str(python)}, f"The environment is ready: {python}")
