"""What every command shares: the way to the services, and one way to answer."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from runstone.cli import _mlflow_names
from runstone.cli._complete import URI_KEY
from runstone.cli._format import counted, word
from runstone.cli._table import (
    Column,
    drawn,
    fields,
    tab_separated,
    tab_separated_fields,
    wrapped,
)

if TYPE_CHECKING:
    from runstone import Client

PAGE_SIZE = 1000
"""Rows asked for at once by a command that shows them all."""

TRACKING_URI_HELP = (
    "Where the suite is. Default: RUNSTONE_TRACKING_URI, else the suite of ./runstone-data."
)

STATES = ("status", "lifecycle_stage", "stage", "state")
"""Fields that hold an enum's name."""

NAMED_COLUMNS = 4
"""So many columns without room are named; a run may have hundreds of metrics."""


class Session:
    """One invocation. Commands take it by `@click.pass_obj`."""

    def __init__(self, *, tracking_uri: str | None = None, as_json: bool = False) -> None:
        self.tracking_uri = tracking_uri
        self.as_json = as_json

    @cached_property
    def client(self) -> Client:
        """The client, made at first use: help and mistakes need no server."""
        import runstone

        return runstone.Client(self.tracking_uri)

    @cached_property
    def _connections(self) -> dict[str, Any]:
        from runstone import _settings, _uri
        from runstone._connection import Connection

        targets = _uri.resolve(self.tracking_uri)
        made = {
            target: Connection(target, user=_settings.user(), timeout=_settings.timeout())
            for target in {targets.tracking, targets.artifact, targets.registry}
        }
        return {name: made[getattr(targets, name)] for name in _uri.SERVICES}

    def service(self, name: str) -> Any:
        """The methods of the "tracking", "artifact" or "registry" service, as its stub has them."""
        return self._connections[name].service(name)

    def close(self) -> None:
        """Close what was opened."""
        if "client" in self.__dict__:
            self.client.close()
        if "_connections" in self.__dict__:
            for connection in self._connections.values():
                connection.close()

    def answer(self, value: Any, said: str) -> None:
        """One result: `value` in JSON, the sentence `said` for people."""
        click.echo(json.dumps(value) if self.as_json else said)

    def table(
        self,
        items: Iterable[Mapping[str, Any]],
        columns: Sequence[Column],
        *,
        none: str = "None.",
        rest: str = "--json has all",
    ) -> None:
        """A list: the items whole in JSON, chosen columns for people and pipes.

        On a terminal, `none` is said when there is nothing, and `rest` tells how to see the columns
        that had no room.
        """
        kept = list(items)
        if self.as_json:
            click.echo(json.dumps(kept))
        elif not on_terminal():
            click.echo("\n".join(tab_separated(kept, columns)))
        elif not kept:
            click.echo(none)
        else:
            table = drawn(kept, columns, terminal_width())
            click.secho(table.lines[0], bold=True)
            click.echo("\n".join(table.lines[1:]))
            if table.left_out:
                self.note(_more_columns(table.left_out, rest))

    def details(self, item: Mapping[str, Any]) -> None:
        """One thing with all its fields; for people without the empty ones."""
        if self.as_json:
            click.echo(json.dumps(item))
            return
        shown = {name: word(item[name]) if name in STATES else item[name] for name in item}
        if on_terminal():
            click.echo("\n".join(fields(shown, terminal_width())))
        else:
            click.echo("\n".join(tab_separated_fields(shown)))

    def note(self, text: str) -> None:
        """A remark below a table, for people: nothing in a pipe or in JSON."""
        if on_terminal() and not self.as_json:
            click.echo("\n".join(wrapped(text, terminal_width())))

    def warn(self, text: str) -> None:
        """Say something beside the answer; programs that read JSON are spared."""
        if not self.as_json:
            click.echo(f"Warning: {text}", err=True)


def on_terminal() -> bool:
    """Whether somebody looks at the answer, rather than a program."""
    return sys.stdout.isatty()


def terminal_width() -> int:
    """Columns of the terminal; COLUMNS says otherwise."""
    return shutil.get_terminal_size().columns


def _more_columns(names: Sequence[str], rest: str) -> str:
    shown = ", ".join(names[:NAMED_COLUMNS])
    if len(names) > NAMED_COLUMNS:
        shown += ", ..."
    return f"{counted(len(names), 'more column')}: {shown} ({rest})."


def pages(call: Callable[[Any], Any], request: Any, field: str, most: int) -> Iterator[Any]:
    """The entries of all pages of a list call, `most` of them (0: all)."""
    left = most
    while True:
        request.page_size = min(left, PAGE_SIZE) if most else PAGE_SIZE
        response = call(request)
        for entry in getattr(response, field):
            yield entry
            left -= 1
            if most and not left:
                return
        if not response.next_page_token:
            return
        request.page_token = response.next_page_token


def key_values(texts: Iterable[str], option: str) -> dict[str, str]:
    """`key=value` arguments as a dict. Raises click.BadParameter."""
    found = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{text!r} is not key=value", param_hint=option)
        found[key] = value
    return found


class Declined(Exception):
    """Somebody answered no; nothing was done."""


def confirm(session: Session, question: str, yes: bool) -> None:
    """Ask before a deletion; --yes and --json ask nothing.

    Raises Declined for a no, and click.UsageError when there is nobody to ask.
    """
    if yes or session.as_json:
        return
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort as error:
        if not isinstance(error.__context__, EOFError):
            raise
        click.echo(err=True)
        raise click.UsageError("nobody answered; --yes deletes without asking") from None
    if not agreed:
        raise Declined


def _set_json(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if asked and isinstance(ctx.obj, Session):
        ctx.obj.as_json = True


def _set_tracking_uri(ctx: click.Context, _param: click.Parameter, uri: str | None) -> None:
    if uri is not None:
        ctx.meta[URI_KEY] = uri
    if uri is not None and isinstance(ctx.obj, Session):
        ctx.obj.tracking_uri = uri


class Command(click.Command):
    """A command that also takes --json and --tracking-uri behind its own name.

    A `local` one asks no suite and takes no --tracking-uri.
    """

    def __init__(self, *arguments: Any, local: bool = False, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if not local:
            self.params.append(
                click.Option(
                    ["--tracking-uri"],
                    metavar="URI",
                    expose_value=False,
                    callback=_set_tracking_uri,
                    help=TRACKING_URI_HELP,
                )
            )
        self.params.append(
            click.Option(
                ["--json"],
                is_flag=True,
                expose_value=False,
                callback=_set_json,
                help="Answer in JSON.",
            )
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, MLflow's names for some of them too."""
        return super().parse_args(ctx, _mlflow_names.translated(path_of(ctx), args))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own epilog, else its examples."""
        super().format_epilog(ctx, formatter)
        if not self.epilog:
            # Only help needs them.
            from runstone.cli._examples import text_of

            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(text_of(path_of(ctx)))


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or of MLflow's name for it."""
        name = _mlflow_names.COMMANDS.get((self.name or "", cmd_name), cmd_name)
        return super().get_command(ctx, name)


def path_of(ctx: click.Context) -> tuple[str, ...]:
    """The names of a command and its groups, whatever they were called by."""
    names: list[str] = []
    while ctx.parent is not None:
        above = ctx.parent.command
        known = isinstance(above, click.Group) and ctx.info_name in above.list_commands(ctx.parent)
        names.insert(0, (ctx.info_name if known else ctx.command.name) or "")
        ctx = ctx.parent
    return tuple(names)


limit = click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    default=100,
    show_default=True,
    help="Show at most this many; 0: all.",
)

yes = click.option("--yes", is_flag=True, help="Do not ask.")
