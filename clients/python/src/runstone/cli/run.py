"""`runstone run`."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from runstone.cli._serving_commands import point_to
from runstone.cli._session import Command, Session, key_values

SIGNALLED = 128
"""A shell's exit code of who was ended by a signal, without its number."""

EXAMPLES = """\b
Examples:
  runstone run . -P alpha=0.5
  runstone run https://example.com/team/project.git#models -v v1.2 -e train
  runstone run project.zip --env-manager uv --experiment-name churn
  runstone run . -e clean.py -P depth=3 --json
"""


@click.command("run", cls=Command, epilog=EXAMPLES)
@click.argument("uri")
@click.option(
    "-e", "--entry-point", default="main", show_default=True, metavar="NAME",
    help="Of the MLproject file, or a .py or .sh file of the project.",
)  # fmt: skip
@click.option("-v", "--version", metavar="VERSION", help="A branch, tag or commit of a repository.")
@click.option(
    "-P", "--param-list", "params", multiple=True, metavar="NAME=VALUE",
    help="A parameter; one that is not declared is handed on as --NAME VALUE.",
)  # fmt: skip
@click.option(
    "-A", "--docker-args", multiple=True, metavar="NAME[=VALUE]",
    help="An option of docker run, such as -A gpus=all or -A t.",
)  # fmt: skip
@click.option("--experiment-name", metavar="NAME", help="Where the run belongs; made if missing.")
@click.option("--experiment-id", metavar="ID", help="Where the run belongs.")
@click.option(
    "-b", "--backend", default="local", show_default=True, metavar="NAME",
    help="local, kubernetes, or what other distributions bring.",
)  # fmt: skip
@click.option("-c", "--backend-config", metavar="JSON|FILE", help="What the backend is to know.")
@click.option(
    "--env-manager",
    type=click.Choice(["local", "virtualenv", "uv", "conda"]),
    help="What makes its environment. Default: what the project has a file for.",
)
@click.option("--run-name", metavar="NAME", help="The run's name. Default: one is made up.")
@click.option("--run-id", metavar="ID", help="Use this run instead of a new one.")
@click.option(
    "--storage-dir", type=click.Path(file_okay=False, path_type=Path),
    help="Where downloads and checkouts are put, and stay. Default: a temporary folder.",
)  # fmt: skip
@click.option("--build-image", is_flag=True, help="Build an image with the project's files.")
@click.option(
    "--no-wait", is_flag=True, help="Leave when it has begun; for backends on other machines."
)
@click.pass_obj
@click.pass_context
def command(ctx: click.Context, session: Session, /, uri: str, **given: Any) -> None:
    """Run a project, and record how, so that it can be run again.

    URI is a folder, a git repository (https, ssh) or a .zip; #folder names a project within. Its
    output is shown here (with --json on standard error). Ctrl-C ends it, and marks its run KILLED.
    """
    from runstone import projects
    from runstone._projects import running

    if given["experiment_name"] and given["experiment_id"]:
        raise click.UsageError("--experiment-name and --experiment-id exclude each other")
    if given["no_wait"] and given["backend"] == "local":
        raise click.UsageError(
            "--no-wait is for backends on other machines; a shell runs this beside it with &"
        )
    point_to(session)
    storage = given["storage_dir"]
    wishes = running.Wishes(
        backend=given["backend"],
        backend_config=projects.config(given["backend_config"]),
        env_manager=given["env_manager"],
        storage=storage and storage.absolute(),
        docker_args=_docker_args(given["docker_args"]),
        build_image=given["build_image"],
        output_to_stderr=session.as_json,
        waits=not given["no_wait"],
    )
    try:
        with terminable():
            begun = running.start(
                uri,
                given["entry_point"],
                given["version"],
                _params(given["params"]),
                lambda: running.experiment(
                    given["experiment_name"], given["experiment_id"], given["run_id"]
                ),
                wishes,
                run_id=given["run_id"],
                run_name=given["run_name"],
            )
            if given["no_wait"]:
                begun.leave()
                answer = {"run_id": begun.run_id, "status": begun.get_status()}
                session.answer(answer, f"Run {begun.run_id} has begun.")
                return
            begun.wait()
    except Terminated as came:
        ctx.exit(SIGNALLED + came.number)
    begun.check()
    session.answer(
        {"run_id": begun.run_id, "entry_point": begun.entry_point, "status": "FINISHED"},
        f"Run {begun.run_id} finished.",
    )


class Terminated(BaseException):
    """SIGTERM or SIGHUP came; what runs is ended, as by Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def terminable() -> Iterator[None]:
    """Inside, SIGTERM and a terminal that is closed raise Terminated."""
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, _terminate)}
    # `nohup` has it ignored, so that what runs outlives the terminal.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, _terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)


def _params(texts: Iterable[str]) -> dict[str, str]:
    found = key_values(texts, "-P")
    if len(found) < len(list(texts)):
        raise click.UsageError("-P names a parameter twice")
    return found


def _docker_args(texts: Iterable[str]) -> dict[str, str | bool]:
    found: dict[str, str | bool] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not name or name.startswith("-") or name in found:
            raise click.BadParameter(
                f"{text!r} is not NAME or NAME=VALUE, or stands twice", param_hint="-A"
            )
        found[name] = value if separator else True
    return found
