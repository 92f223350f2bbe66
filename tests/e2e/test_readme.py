"""What the pages tell people to type works as written, in its order."""

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.binaries import REPOSITORY
from support.lessons import environment
from support.suites import end_suite, without_patience

BLOCK = re.compile(
    r"(?:^ *<!-- not run(?: here)?: (?P<reason>.+?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PROGRAMS = {"python": [sys.executable, "-W", "error", "-c"], "sh": ["sh", "-eu", "-c"]}
"""What is typed, by the language of a block. Others (yaml) are files."""

PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for pattern in ("*.md", "*/README.md", "*/*/README.md")
    for path in REPOSITORY.glob(pattern)
)


class Block(NamedTuple):
    """Something to type; with the reason where a test cannot."""

    language: str
    body: str
    reason: str | None


def blocks(page: str) -> list[Block]:
    text = (REPOSITORY / page).read_text("utf-8")
    return [
        Block(each["language"], textwrap.dedent(each["body"]), each["reason"])
        for each in BLOCK.finditer(text)
        if each["language"] in PROGRAMS
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Empty, as a newcomer's."""
    yield tmp_path
    end_suite(tmp_path / "runstone-data")


def typed(block: Block, folder: Path) -> str:
    """What it prints; it must end well, and complain of nothing."""
    ended = subprocess.run(
        [*PROGRAMS[block.language], block.body],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert without_patience(ended.stderr) == ""
    return ended.stdout


RUN = [page for page in PAGES if any(block.reason is None for block in blocks(page))]


@pytest.mark.parametrize("page", RUN)
def test_what_a_page_tells_to_type_works(page: str, folder: Path) -> None:
    said = [typed(block, folder) for block in blocks(page) if block.reason is None]
    if page == "README.md":
        assert said[0].startswith("halving {")
        assert "'factor': '0.5'" in said[0]
        assert "{'value': 9.5" in said[0]
        assert "first steps" in said[1]
        assert "halving" in said[1]
    if page == "clients/python/README.md":
        assert said[0] == "{'loss': 0.01}\n"
        assert "{'layers': [64, 32]}" in said[2]
        assert "[0 0 1 1]" in said[3]
        assert said[4] == "1.0 {}\n"


def test_the_pages_of_users_are_run() -> None:
    assert {"README.md", "clients/python/README.md"} <= set(RUN)
    first = next(block for block in blocks("README.md") if block.language == "python")
    assert len(first.body.splitlines()) <= 15


def anchors(page: Path) -> set[str]:
    """What links to a page's headings end with, as GitHub makes it."""
    headings = HEADING.findall(page.read_text("utf-8"))
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    here = REPOSITORY / page
    for link, anchor in LINK.findall(here.read_text("utf-8")):
        there = here.parent / link if link else here
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), f"{link}#{anchor}"


def test_every_make_target_exists() -> None:
    helped = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for target in re.findall(r"make (\w+)", "".join(block.body for block in blocks("README.md"))):
        assert f"make {target} " in helped
