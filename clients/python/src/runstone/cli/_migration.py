"""What `runstone import` and `runstone export` share: options, and the report for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from runstone.cli._format import counted, size_text

if TYPE_CHECKING:
    from runstone._migrate.tally import Report

INCOMPLETE = 1
"""Exit code when something is not at the target as it is at the source."""

MOST_LINES = 50
"""Of a kind of remarks; --json has all."""

NAMES = {
    "experiments": "experiments",
    "runs": "runs",
    "params": "params",
    "tags": "tags",
    "inputs": "data set inputs",
    "points": "metric points",
    "files": "artifact files",
    "file_bytes": "artifact bytes",
    "models": "registered models",
    "versions": "model versions",
    "aliases": "aliases",
}

experiments = click.option(
    "--experiments",
    multiple=True,
    metavar="NAME",
    help="Only this experiment, and models that came from its runs; may be given many times.",
)
on_conflict = click.option(
    "--on-conflict",
    type=click.Choice(["fail", "merge", "rename"]),
    default="fail",
    show_default=True,
    help="When the target has an experiment or model of the same name that came from elsewhere.",
)
no_artifacts = click.option("--no-artifacts", is_flag=True, help="Leave the files of runs out.")
no_registry = click.option("--no-registry", is_flag=True, help="Leave registered models out.")


def said(report: Report, done: str) -> str:
    """The report: numbers of both sides, and all that differs."""
    source, target = asdict(report.at_source), asdict(report.at_target)
    written = asdict(report.written)
    width = max(map(len, NAMES.values()))
    lines = [f"{done} from {report.source} to {report.target}."]
    lines += [
        f"  {moved.kind} {moved.name} is {moved.target_name}"
        for moved in report.moved
        if moved.name != moved.target_name
    ]
    lines.append(f"  {'':{width}}  {'there':>14}  {'here':>14}  {'new':>14}")
    for name, words in NAMES.items():
        show = size_text if name == "file_bytes" else "{:,}".format
        new = show(written[name]) if name != "tags" or written[name] else "0"
        lines.append(
            f"  {words:{width}}  {show(source[name]):>14}  {show(target[name]):>14}  {new:>14}"
        )
    for heading, remarks in (
        ("Not carried", report.lost),
        ("Different", report.differences),
        ("Note", report.notes),
    ):
        lines += [f"{heading}: {each}" for each in remarks[:MOST_LINES]]
        if len(remarks) > MOST_LINES:
            rest = counted(len(remarks) - MOST_LINES, "more line")
            lines.append(f"{heading}: and {rest} (--json has all).")
    if report.complete:
        lines.append("All of it is there.")
    return "\n".join(lines)
