"""`runstone completion`: what a shell needs to complete commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from runstone.cli._complete import VARIABLE
from runstone.cli._session import Command, Session

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    cls=Command,
    local=True,
    epilog="""\b
Set it up, once:
  bash:  echo 'eval "$(runstone completion bash)"' >> ~/.bashrc
  zsh:   echo 'eval "$(runstone completion zsh)"' >> ~/.zshrc
  fish:  runstone completion fish > ~/.config/fish/completions/runstone.fish

\b
Example:
  runstone completion bash

\b
Experiments, runs, models and versions are asked of the suite that
RUNSTONE_TRACKING_URI or --tracking-uri names, for a second at most.
""",
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes runstone's commands in a shell.

    bash must be 4.4 or newer.
    """
    session: Session = ctx.obj
    known = get_completion_class(shell)
    assert known is not None, "every one of SHELLS is known to click"
    # The script alone: click's own way to it starts a bash to ask for its version.
    made = known(ctx.find_root().command, {}, "runstone", VARIABLE)
    script = made.source_template % made.source_vars()
    session.answer({"shell": shell, "script": script}, script)
