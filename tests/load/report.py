"""The one form in which every benchmark reports.

A benchmark is a module `bench_<what>.py` here that offers `run() -> list[Row]` and, as `__main__`,
prints them: `print_table(run())`. `make bench` runs them all and prints one table.
Nothing here is an assertion: a machine that is slower misses a reach, the run goes on.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    what: what was measured, such as "search 20,000 runs, p50".
    figure: the number with its unit, such as "41 ms".
    reach: what it should be, such as "<= 60 ms"; empty for a line that others are compared with.
    met: whether it is; None where nothing is to be reached.
    detail: what it was compared with in the same run, such as "1.8x of COPY (0.55 M/s)".
    """

    what: str
    figure: str
    reach: str = ""
    met: bool | None = None
    detail: str = ""


def p50(samples: Sequence[float]) -> float:
    """The median."""
    return statistics.median(samples)


def p99(samples: Sequence[float]) -> float:
    """The 99th percentile: the value that one sample in a hundred exceeds."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def milliseconds(seconds: float) -> str:
    """Seconds as text in milliseconds, with a decimal below 100."""
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"


def megabytes(count: float) -> str:
    """Bytes as text in MB (10**6)."""
    return f"{count / 1e6:,.0f} MB"


def print_table(rows: Iterable[Row]) -> None:
    """Prints the rows as a table; as one JSON document when the command line has --json."""
    kept = list(rows)
    if "--json" in sys.argv:
        print(json.dumps([asdict(row) for row in kept]))
        return
    table = Table(title="Runstone benchmarks", title_justify="left")
    for column in ("what", "figure", "reach", "", "beside it"):
        table.add_column(column, justify="right" if column == "figure" else "left")
    marks = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}
    for row in kept:
        table.add_row(row.what, row.figure, row.reach, marks[row.met], row.detail)
    # Piped into a file there is no terminal width; narrower than this the words break.
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(table)
