"""Fails when a file of the repository names a package registry: `python -m support.addresses`.

Where packages come from is the setting of whoever installs, never of the repository.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from support.binaries import REPOSITORY

# Written in pieces, else this file would be the first to fail.
REGISTRIES = re.compile(
    r"|".join(
        re.escape(".".join(parts))
        for parts in (
            ("pypi", "org"),
            ("files", "pythonhosted", "org"),
            ("registry", "npmjs", "org"),
            ("registry", "yarnpkg", "com"),
            ("proxy", "golang", "org"),
            ("repo", "maven", "apache", "org"),
            ("repo1", "maven", "org"),
            ("crates", "io"),
            ("index", "docker", "io"),
            ("conda", "anaconda", "org"),
            ("cran", "r-project", "org"),
        )
    ),
)
INDEX_OPTION = re.compile(r"--(?:extra-)?index-url|\bindex-url\s*=|GOPROXY\s*=\s*http")
LOCK_FILES = re.compile(
    r"(^|/)(constraints[^/]*\.txt|requirements[^/]*\.txt|[^/]*\.lock|package-lock\.json"
    r"|pnpm-lock\.yaml|go\.sum)$"
)
ADDRESS = re.compile(r"https?://")


def faults_in(name: str, text: str) -> Iterator[str]:
    """One line per address in a file that has no business there."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := REGISTRIES.search(line) or INDEX_OPTION.search(line):
            yield f"{name}:{number}: names a package registry: {found[0]}"
        elif LOCK_FILES.search(name) and ADDRESS.search(line):
            yield f"{name}:{number}: a lock file holds an address"


def committed_files() -> list[str]:
    """The files of the repository, those not yet committed included, ignored ones not."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and Path(REPOSITORY, name).is_file()]


def faults() -> list[str]:
    """Every fault in the repository."""
    found: list[str] = []
    for name in committed_files():
        try:
            text = Path(REPOSITORY, name).read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += faults_in(name, text)
    return found


if __name__ == "__main__":
    sys.exit("\n".join(faults()) or None)
