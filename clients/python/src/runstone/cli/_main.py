"""The top of the command line: options that every command has, groups, and how failures look."""

from __future__ import annotations

import importlib
import json
import keyword
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from runstone import _settings
from runstone.cli import _mlflow_names
from runstone.cli._complete import VARIABLE
from runstone.cli._session import TRACKING_URI_HELP, Command, Declined, Session

FAILED = 1
WRONG_USAGE = 2
DECLINED = 3
INTERRUPTED = 130

NO_ARGUMENTS = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""Click 8.1 shows a group's help without raising anything."""

EPILOG = """\b
Exit codes:
  0    done
  1    it failed: standard error says why in one line, "Error: ..."; or it
       compared (scrub, verify, sync, import, export) and not all is well
  2    the command line is wrong, or a question got no answer
  3    a question was answered no, and nothing was deleted
  4    runs differ (runs diff, runs reproduce)
  130  interrupted

\b
Output:
  A terminal gets a table of its width. A pipe gets a line of headings and a
  line for each thing, tab separated, with whole ids and times in UTC; a tab,
  newline or backslash in a cell is \\t, \\n or \\\\. --json gives all fields;
  errors are then JSON too.

\b
A run id can be cut to its first digits, 4 at least, where they are unique.
Completion of commands: runstone completion --help
"""

AWAY = "; start it by `runstone server`, or name another by --tracking-uri or RUNSTONE_TRACKING_URI"
"""What to do about a server that does not answer."""

GROUPS = {
    "auth": "Tokens, by which a server knows who calls.",
    "artifacts": "Files of runs and model versions.",
    "completion": "Completion for bash, zsh and fish.",
    "db": "The databases behind a server.",
    "doctor": "Whether all is well here, and what to do.",
    "experiments": "Named groups of runs.",
    "export": "Write back to MLflow.",
    "gc": "Remove for good what was deleted.",
    "import": "Bring over what MLflow holds.",
    "models": "Registered models, their versions and stages.",
    "run": "Run a project: a folder, a git repository or an archive.",
    "runs": "Runs and what they logged.",
    "server": "Serve the whole suite from this machine.",
    "sync": "Deliver what offline mode kept in a folder.",
    "ui": "Open the server's page.",
    "webhooks": "Who is told of changes over HTTP.",
}
"""Name and help of each command; importing them all would cost what `--help` must not."""


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the alphabet."""
        return sorted(GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        cmd_name = _mlflow_names.GROUPS.get(cmd_name, cmd_name)
        if cmd_name not in GROUPS:
            return None
        # A module cannot have a keyword's name.
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        module = importlib.import_module(f"runstone.cli.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(GROUPS.items()))


def _version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if not asked or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"runstone {version('runstone')}")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)
@click.option("--tracking-uri", metavar="URI", help=TRACKING_URI_HELP)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option(
    "--traceback",
    is_flag=True,
    expose_value=False,
    help="Show where an error that Runstone did not foresee came from.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show the version and leave.",
)
@click.pass_context
def cli(ctx: click.Context, tracking_uri: str | None, as_json: bool) -> None:
    """Runstone: experiments, runs, artifacts and models."""
    session = Session(tracking_uri=tracking_uri, as_json=as_json)
    ctx.obj = session
    ctx.call_on_close(session.close)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        _check_text(given)
        with _settings.online():
            code = cli.main(given, prog_name="runstone", standalone_mode=False)
    except NO_ARGUMENTS as error:
        # A group alone is a question, not a mistake: its help, in its own lines.
        error.show()
        return WRONG_USAGE
    except click.UsageError as error:
        _show_usage(error, as_json)
        return WRONG_USAGE
    except click.ClickException as error:
        _show({"message": error.format_message()}, as_json)
        return FAILED
    except Declined:
        # Only people are asked.
        click.echo("Nothing deleted.")
        return DECLINED
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except SystemExit:
        if VARIABLE in os.environ:
            # Click has answered a shell that completes.
            raise
        # Of a reader that left click makes this.
        return _unread()
    except BrokenPipeError:
        return _unread()
    except Exception as error:
        if "--traceback" in given and not _foreseen(error):
            raise
        _show(_explained(error), as_json)
        return FAILED
    return code if isinstance(code, int) else 0


def _unread() -> int:
    """The exit code when the reader (head, less) had enough.

    What Python flushes at its end would complain again, if it were still for that reader.
    """
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
    return FAILED


def _check_text(given: Sequence[str]) -> None:
    """Raises click.UsageError: bytes that are no UTF-8 cannot go into a message."""
    for argument in given:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"{argument!r} is not UTF-8") from None


def _foreseen(error: Exception) -> bool:
    from runstone.exceptions import RunstoneException

    return isinstance(error, RunstoneException | OSError)


def _explained(error: Exception) -> dict[str, Any]:
    """What is known about an error."""
    from runstone.exceptions import RunstoneException, Unavailable

    if isinstance(error, RunstoneException):
        facts: dict[str, Any] = {
            "kind": type(error).__name__,
            "code": error.code,
            "message": error.message,
        }
        if type(error) is Unavailable and not error.reason:
            # No server of ours gave it: it is away, or elsewhere.
            facts["message"] += AWAY
        if error.reason:
            facts["reason"] = error.reason
        if error.metadata:
            facts["metadata"] = error.metadata
        if error.field_violations:
            facts["field_violations"] = [each._asdict() for each in error.field_violations]
        if error.request_id:
            facts["request_id"] = error.request_id
        return facts
    if isinstance(error, OSError):
        return {"kind": type(error).__name__, "message": str(error)}
    # A defect of ours; where it is belongs in a report of it, not on everybody's screen.
    kind = type(error).__name__
    return {
        "kind": kind,
        "message": f"unexpected {kind}: {error} (runstone --traceback ... shows where)",
    }


def _show(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": facts}, default=str), err=True)
    else:
        said = " ".join(str(facts["message"]).split())
        # A name of somebody else's may have what moves a terminal's cursor in it.
        shown = "".join(each if each.isprintable() else "\ufffd" for each in said)
        click.echo(f"Error: {shown}", err=True)


def _show_usage(error: click.UsageError, as_json: bool) -> None:
    if as_json:
        _show({"kind": "UsageError", "message": error.format_message()}, as_json)
        return
    said = error.format_message()
    if error.ctx is not None:
        said = f"{said.rstrip('.')} (try '{error.ctx.command_path} --help')"
    _show({"message": said}, as_json)


__all__ = ["Command", "cli", "main"]
