"""`runstone runs diff`: in what two runs differ."""

from __future__ import annotations

from typing import Any

import click

from runstone.cli._format import counted, number
from runstone.cli._plain import number as plain_number
from runstone.cli._runids import whole_run_id
from runstone.cli._runtable import short_ids
from runstone.cli._session import Command, Session
from runstone.cli._table import Column

DIFFERENT = 4
"""The exit code when runs differ; 1 to 3 mean something else everywhere."""

SHOWN_DIGITS = 12
"""Of a digest; more tell people nothing more."""

DIGESTS = frozenset({"artifact", "model"})

tolerance_option = click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="How far metrics may be apart, as a part of the greater one.",
)


@click.command(
    "diff",
    cls=Command,
    epilog="""\b
Examples:
  runstone runs diff 3f2a9c41 77b0e5d2
  runstone runs diff 3f2a9c41 77b0e5d2 --tolerance 1e-6

\b
Exit codes: 0 when nothing differs, 4 when something does; 1, 2 as everywhere.
""",
)
@click.argument("run_a", metavar="A")
@click.argument("run_b", metavar="B")
@tolerance_option
@click.pass_obj
def diff(session: Session, run_a: str, run_b: str, tolerance: float) -> None:
    """Show in what two runs differ.

    Compared are source (commit, uncommitted changes, entry point), environment, params, tags of the
    user, data sets, status, latest metrics, files by digest, and models by their files.
    """
    a, b = whole_run_id(session, run_a), whole_run_id(session, run_b)
    found = session.client.diff_runs(a, b, tolerance)
    show(session, found)
    if not found.same:
        click.get_current_context().exit(DIFFERENT)


def show(session: Session, found: Any) -> None:
    """The differences as a table, or all of it in JSON."""
    if session.as_json:
        facts = found.to_dictionary()
        for each in facts["differences"]:
            # NaN and infinities as all commands write them.
            each |= {side: _json(each[side]) for side in "ab"}
        session.answer({**facts, "same": found.same}, "")
        return
    ids = short_ids([found.run_id_a, found.run_id_b])
    rows = [
        {"kind": each.kind, "key": each.key, "a": each.a, "b": each.b} for each in found.differences
    ]
    columns = [
        Column("WHAT", lambda row: row["kind"]),
        Column("KEY", lambda row: row["key"], text=True),
        _side("a", ids[found.run_id_a]),
        _side("b", ids[found.run_id_b]),
    ]
    session.table(rows, columns, none="Nothing differs.")
    if rows:
        total = sum(found.compared.values())
        session.note(f"{counted(len(rows), 'difference')} in {counted(total, 'thing')} compared.")


def _json(value: object) -> object:
    return plain_number(value) if isinstance(value, float) else value


def _side(which: str, run_id: str) -> Column:
    return Column(
        run_id,
        lambda row: row[which],
        lambda row: _shown(row["kind"], row[which]),
        text=True,
        name=which,
    )


def _shown(kind: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return number(value)
    text = " ".join(str(value).split())
    return text[:SHOWN_DIGITS] if kind in DIGESTS or _is_digest(text) else text


def _is_digest(text: str) -> bool:
    return len(text) in {40, 64} and all(each in "0123456789abcdef" for each in text)
