"""`runstone doctor`: whether all is well here, and what to do where it is not."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from runstone.cli._format import counted
from runstone.cli._session import Command, Session, on_terminal, terminal_width
from runstone.cli._table import Column, printable

if TYPE_CHECKING:
    from runstone._doctor.model import Found, Report

FAILED = 1

SECONDS = 5.0

START_SECONDS = 60.0
"""With --start: a first start makes three databases."""

VERBOSITY = "GRPC_VERBOSITY"

INDENT = 10
ARROW = "-> "
MIN_WIDTH = 40

STYLES = {
    "ok": ("ok", {"fg": "green"}),
    "warning": ("warning", {"fg": "yellow"}),
    "failure": ("FAILURE", {"fg": "red", "bold": True}),
}

COLUMNS = [
    Column("GROUP", lambda row: row["group"]),
    Column("NAME", lambda row: row["name"]),
    Column("STATUS", lambda row: row["status"]),
    Column("SUMMARY", lambda row: row["summary"]),
    Column("FIX", lambda row: row["fix"]),
]

EXAMPLES = """\b
Examples:
  runstone doctor
  runstone doctor --tracking-uri runstones://tracking.example --strict
  runstone doctor --start --json
"""


@click.command("doctor", cls=Command, epilog=EXAMPLES)
@click.option("--strict", is_flag=True, help="Exit code 1 for warnings too.")
@click.option("--start", is_flag=True, help="Start the embedded suite, to look at it.")
@click.option("--gateway", metavar="URL", help="Look at MLflow's REST API there: http://host:5000.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1, max=600),
    metavar="SECONDS",
    help="For each check; they run side by side. Default: 5, with --start 60.",
)
@click.pass_obj
def command(
    session: Session, strict: bool, start: bool, gateway: str | None, timeout: float | None
) -> int:
    """Look at installation, configuration, server, disks and what waits; say what to do.

    Nothing is changed, and no suite is started without --start. Passwords, tokens and keys are
    shown as ***. Exit code 1 when something does not work.
    """
    from runstone._doctor.model import FAILURE, OK, Asked
    from runstone._doctor.running import examine
    from runstone._doctor.table import CHECKS

    asked = Asked(
        tracking_uri=session.tracking_uri,
        gateway=gateway,
        start=start,
        seconds=timeout or (START_SECONDS if start else SECONDS),
    )
    with _quiet_grpc():
        report = examine(asked, CHECKS)
    if session.as_json:
        session.answer(report.to_dictionary(), "")
    elif on_terminal():
        _show(report)
    else:
        session.table([each.to_dictionary() for each in report.found], COLUMNS)
    bad = report.status == FAILURE or (strict and report.status != OK)
    return FAILED if bad else 0


@contextmanager
def _quiet_grpc() -> Iterator[None]:
    """What gRPC itself writes of a server that is away is told in our words."""
    if VERBOSITY in os.environ:
        yield
        return
    os.environ[VERBOSITY] = "NONE"
    try:
        yield
    finally:
        del os.environ[VERBOSITY]


def _show(report: Report) -> None:
    group = ""
    for each in report.found:
        if each.group != group:
            click.secho(f"{'' if not group else chr(10)}{each.group}", bold=True)
            group = each.group
        _show_line(each)
    click.echo(
        f"\n{counted(report.count('failure'), 'failure')}, "
        f"{counted(report.count('warning'), 'warning')}, {report.count('ok')} ok"
        f" in {report.seconds:.1f} s."
    )


def _show_line(found: Found) -> None:
    line = found.line
    word, style = STYLES[line.status]
    click.echo(f"  {click.style(f'{word:<8}', **style)}", nl=False)  # type: ignore[arg-type]
    click.echo("\n".join(_indented(line.summary, INDENT)).lstrip())
    if line.fix:
        first, *more = _indented(line.fix, INDENT + len(ARROW))
        click.echo("\n".join([f"{'':{INDENT}}{ARROW}{first.lstrip()}", *more]))


def _indented(text: str, indent: int) -> list[str]:
    # Not by rich, as tables are: the doctor must work where it is what is broken.
    return textwrap.wrap(
        printable(text),
        max(terminal_width(), MIN_WIDTH),
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]
