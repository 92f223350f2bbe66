"""The command line: `runstone`. Each group is a module here, imported when it is used."""

from __future__ import annotations

from runstone.cli._main import cli, main

__all__ = ["cli", "main"]
