"""NAME and VERSION on the command line: of registered models."""

from __future__ import annotations

import click

from runstone.cli import _complete

model_argument = click.argument("name", shell_complete=_complete.model)
optional_model_argument = click.argument("name", required=False, shell_complete=_complete.model)

version_argument = click.argument("version", shell_complete=_complete.version)
optional_version_argument = click.argument(
    "version", required=False, shell_complete=_complete.version
)
