"""`runstone runs reproduce`: a run of a project, run again and compared."""

from __future__ import annotations

from typing import Any

import click

from runstone.cli._diff_command import DIFFERENT, show, tolerance_option
from runstone.cli._runids import whole_run_id
from runstone.cli._serving_commands import point_to
from runstone.cli._session import Command, Session
from runstone.cli.run import SIGNALLED, Terminated, terminable


@click.command(
    "reproduce",
    cls=Command,
    epilog="""\b
Examples:
  runstone runs reproduce 3f2a9c41
  runstone runs reproduce 3f2a9c41 --tolerance 1e-6 --env-manager uv

\b
Exit codes: 0 when the new run is as the first, 4 when something differs,
1 when it failed or cannot be run again; 2 as everywhere.
""",
)
@click.argument("run_id")
@tolerance_option
@click.option(
    "-b", "--backend", metavar="NAME", help="local, kubernetes, or what other distributions bring."
)
@click.option("-c", "--backend-config", metavar="JSON|FILE", help="What the backend is to know.")
@click.option(
    "--env-manager",
    type=click.Choice(["local", "virtualenv", "uv", "conda"]),
    help="Default: that of the run.",
)
@click.option("--run-name", metavar="NAME", help="The run's name. Default: one is made up.")
@click.pass_obj
@click.pass_context
def reproduce(
    ctx: click.Context, session: Session, /, run_id: str, tolerance: float, **given: Any
) -> None:
    """Run again what a run ran, and show what differs.

    The source is checked out at its commit, with the changes that were not committed; entry point,
    parameters, environment and backend are the same, unless said otherwise. The new run has the tag
    runstone.reproduces. This runs the code that the run names: trust its author.

    It works for runs of `runstone run` whose source is in git, or an archive that is still there.
    Of others it says what is recorded and what is missing.
    """
    from runstone import projects
    from runstone._projects import reproducing

    first = whole_run_id(session, run_id)
    point_to(session)
    config = given.pop("backend_config")
    recipe = reproducing.recipe(session.client, first)
    try:
        with terminable():
            begun = reproducing.start(
                session.client,
                recipe,
                backend_config=None if config is None else projects.config(config),
                output_to_stderr=session.as_json,
                **given,
            )
            begun.wait()
    except Terminated as came:
        ctx.exit(SIGNALLED + came.number)
    begun.check()
    found = session.client.diff_runs(first, begun.run_id, tolerance)
    if not session.as_json:
        click.echo(f"Run {begun.run_id} repeats {first}.", err=True)
    show(session, found)
    if not found.same:
        ctx.exit(DIFFERENT)
