"""Chains: in which order their steps are run, what they are given, and what is refused before."""

from __future__ import annotations

from pathlib import Path

import pytest

from runstone._projects import mlproject, steps
from runstone._projects.mlproject import EntryPoint
from runstone.exceptions import ProjectInvalid

PARTS = """
entry_points:
  load: {command: python load.py}
  etl:
    parameters: {raw: uri, rows: {type: int, default: 10}}
    command: python etl.py {raw} {rows}
  train:
    parameters: {size: int}
    command: python train.py {size}
  main:
    parameters: {rows: {type: int, default: 5}}
    steps:
"""


def chain(folder: Path, text: str, parts: str = PARTS) -> EntryPoint:
    (folder / "MLproject").write_text(
        parts + "".join(f"      {each}\n" for each in text.split("\n"))
    )
    return mlproject.load(folder).entry_point("main")


def test_steps_are_run_as_they_are_written(tmp_path: Path) -> None:
    found = chain(
        tmp_path,
        "- load\n"
        '- {run: etl, parameters: {raw: "runs:/{steps.load.run_id}/raw", rows: "{rows}0"}}\n'
        "- {run: train, name: small, parameters: {size: 1}}\n"
        "- {run: train, name: large, needs: [etl], parameters: {size: 9}}",
    ).steps
    assert [(each.name, each.entry_point, each.needs) for each in found] == [
        ("load", "load", ()),
        ("etl", "etl", ("load",)),
        ("small", "train", ("etl",)),
        ("large", "train", ("etl",)),
    ]
    filled = steps.filled(found[1], {"rows": "5"}, {"load": "f00"})
    assert filled == {"raw": "runs:/f00/raw", "rows": "50"}


def test_what_is_needed_comes_before(tmp_path: Path) -> None:
    found = chain(
        tmp_path,
        "- {run: train, needs: [etl], parameters: {size: 1}}\n"
        '- {run: etl, parameters: {raw: "x:{steps.load.run_id}"}}\n'
        "- {run: load, needs: []}",
    ).steps
    assert [each.name for each in found] == ["load", "etl", "train"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "must be a list of 1 to 100 entry points"),
        ("load", "must be a list"),
        ("- {entry: load}", "must be an entry point's name, or a mapping whose 'run' is one"),
        ("- {run: load, need: [a]}", r"need is no key .*did you mean needs\?"),
        ("- {run: load, name: a b}", "name must have letters"),
        ("- {run: load, needs: etl}", "needs must be a list"),
        ("- {run: load, needs: [etl]}", r"needs 'etl', which is no step \(load\)"),
        ("- load\n- load", "two steps are called 'load'"),
        ("- laod", r"step 'laod': there is no entry point .*did you mean load\?"),
        ("- etl", "gives no raw, which it needs"),
        ("- {run: load, parameters: [a]}", "parameters must be a mapping"),
        ("- {run: load, parameters: {a: '{row}'}}", r"uses \{row\}, which is neither"),
        ("- {run: load, parameters: {a: '{rows!r}'}}", "braces hold a name and nothing else"),
        ("- {run: load, parameters: {a: '{'}}", "is written twice"),
        ("- {run: load, parameters: {a: '{steps.load.run_id}'}}", "in a circle: load needs load"),
        (
            "- {run: load, needs: [train]}\n- {run: train, needs: [load], parameters: {size: 1}}",
            "in a circle: load needs train, train needs load",
        ),
        ("- main", "run one another in a circle: main -> main"),
    ],
)
def test_what_cannot_be_run_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ProjectInvalid, match=said):
        chain(tmp_path, text)


def test_a_circle_of_chains(tmp_path: Path) -> None:
    circle = """
entry_points:
  a: {steps: [b]}
  b: {steps: [main]}
  main:
    steps:
"""
    with pytest.raises(ProjectInvalid, match=r"in a circle: (\w+ -> ){3}\w+$"):
        chain(tmp_path, "- a", circle)
