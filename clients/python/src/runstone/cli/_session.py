"""What every command shares: the way to the services, and one way to answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from runstone import Client

Column = tuple[str, Callable[[Mapping[str, Any]], object]]
"""A heading, and what stands below it for one item."""

PAGE_SIZE = 1000
"""Rows asked for at once by a command that shows them all."""


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

    def table(self, items: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        """A list: the items whole in JSON, chosen columns for people."""
        kept = list(items)
        if self.as_json:
            click.echo(json.dumps(kept))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading, _ in columns:
            table.add_column(heading)
        for item in kept:
            # As text, not markup: names come from users.
            table.add_row(*(Text(cell(value(item))) for _, value in columns))
        _print(table)

    def details(self, item: Mapping[str, Any]) -> None:
        """One thing with all its fields; for people without the empty ones."""
        if self.as_json:
            click.echo(json.dumps(item))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for name, value in item.items():
            if value not in (None, "", [], {}):
                table.add_row(name.replace("_", " "), Text(cell(value, "\n")))
        _print(table)


def cell(value: object, separator: str = ", ") -> str:
    """A value as people read it in a table."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return separator.join(f"{key}={cell(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return separator.join(cell(each) for each in value)
    return str(value)


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


def confirm(session: Session, question: str, yes: bool) -> None:
    """Ask before something that cannot be undone; --yes and --json ask nothing."""
    if not yes and not session.as_json:
        click.confirm(question, abort=True)


def _print(table: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        # A pipe has no width: whoever reads it wants whole cells.
        wide = Console(highlight=False, width=10_000)
        console = Console(highlight=False, width=max(1, wide.measure(table).maximum))
    console.print(table)


def _set_json(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if asked and isinstance(ctx.obj, Session):
        ctx.obj.as_json = True


class Command(click.Command):
    """A command that also takes --json behind its own name."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(
            click.Option(
                ["--json"],
                is_flag=True,
                expose_value=False,
                callback=_set_json,
                help="Answer in JSON.",
            )
        )


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type


limit = click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="At most so many; 0: all.",
)

yes = click.option("--yes", is_flag=True, help="Do not ask.")
