"""What every command shares: the client, and one way to answer, for people or in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from runstone import Client

F = TypeVar("F", bound=Callable[..., Any])

Column = tuple[str, Callable[[Mapping[str, Any]], object]]
"""A heading, and what stands below it for one item."""


class Session:
    """One invocation. Commands take it by `@click.pass_obj`."""

    def __init__(self, *, tracking_uri: str | None = None, as_json: bool = False) -> None:
        self.tracking_uri = tracking_uri
        self.as_json = as_json
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The client, made at first use: help and mistakes need no server."""
        if self._client is None:
            import runstone

            self._client = runstone.Client(self.tracking_uri)
        return self._client

    def close(self) -> None:
        """Close the client if there is one."""
        if self._client is not None:
            self._client.close()

    def answer(self, value: Any, said: str) -> None:
        """One result: `value` in JSON, the sentence `said` for people."""
        click.echo(json.dumps(value, default=str) if self.as_json else said)

    def table(self, items: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        """A list: the items whole in JSON, chosen columns for people."""
        kept = list(items)
        if self.as_json:
            click.echo(json.dumps(kept, default=str))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading, _ in columns:
            table.add_column(heading)
        for item in kept:
            # As text, not markup: names come from users.
            table.add_row(*(Text(_cell(value(item))) for _, value in columns))
        _print(table)

    def details(self, item: Mapping[str, Any]) -> None:
        """One thing with all its fields."""
        if self.as_json:
            click.echo(json.dumps(item, default=str))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold")
        table.add_column()
        for name, value in item.items():
            if value in (None, "", [], {}):
                continue
            table.add_row(name.replace("_", " "), Text(_cell(value, "\n")))
        _print(table)


def _cell(value: object, separator: str = ", ") -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return separator.join(f"{key}={_cell(each)}" for key, each in sorted(value.items()))
    if isinstance(value, list | tuple):
        return separator.join(_cell(each) for each in value)
    return str(value)


def _print(table: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        # A pipe has no width: whoever reads it wants whole cells.
        console = Console(highlight=False, width=max(80, console.measure(table).maximum))
        widest = Console(highlight=False, width=10_000)
        console = Console(highlight=False, width=widest.measure(table).maximum)
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


def chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """The items in runs of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def pairs(texts: Iterable[str], option: str) -> dict[str, str]:
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
