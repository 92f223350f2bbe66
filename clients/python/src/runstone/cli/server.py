"""`runstone server`: the whole suite in one process."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from runstone.cli._session import Command, Session
from runstone.cli._suite import suite_module

EXAMPLES = """\b
Examples:
  runstone server
  runstone server --data-dir team-data --host 0.0.0.0 --grpc-port 5051
"""


@click.command("server", cls=Command, local=True, epilog=EXAMPLES)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for SQLite and artifacts. Default: ./runstone-data.",
)
@click.option("--host", help="Where to listen. Default: 127.0.0.1.")
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65535),
    help="Default: 5051. 0: any free one.",
)
@click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    help="Port of MLflow's REST API. Default: 5000. 0: any free one.",
)
@click.option("--no-http", is_flag=True, help="Serve gRPC only.")
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Port of Prometheus metrics. Default: none.",
)
@click.option(
    "--tokens-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Who may call, as `runstone auth create-token` says. Default: all.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Processes that share the port; more than one needs PostgreSQL.",
)
@click.pass_obj
@click.pass_context
def command(
    ctx: click.Context,
    session: Session,
    data_dir: Path | None,
    host: str | None,
    grpc_port: int | None,
    http_port: int | None,
    no_http: bool,
    metrics_port: int | None,
    tokens_file: Path | None,
    workers: int | None,
) -> None:
    """Serve the whole suite until Ctrl-C: gRPC, and MLflow's REST API over HTTP.

    Metadata is kept in SQLite and artifacts in a folder, both in the data folder, unless
    RUNSTONE_DATABASE_URL (postgresql://...) and RUNSTONE_OBJECTS_URL
    (s3+http://key:secret@host:9000/bucket) say otherwise; both may also come from a file named by
    RUNSTONE_DATABASE_URL_FILE and RUNSTONE_OBJECTS_URL_FILE.
    """
    # Collections while modules load find nothing and take a tenth of a start; `run` enables them.
    gc.disable()
    try:
        with suite_module("server") as suite:
            options = suite.Options(
                data_dir=data_dir,
                host=host,
                grpc_port=grpc_port,
                http_port=http_port,
                no_http=no_http,
                metrics_port=metrics_port,
                tokens_file=tokens_file,
                workers=workers,
                as_json=session.as_json,
            )
            ctx.exit(suite.run(options))
    finally:
        gc.enable()
