"""The way from the client's command line to the server's code, which need not be installed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

SERVER_PREFIX = "runstone_"


@contextmanager
def suite_module(name: str) -> Iterator[Any]:
    """The module runstone_suite.<name>; inside, its errors become messages for the user.

    Raises ClickException when the server is not installed.
    """
    try:
        # By name: the client distribution must work, and be checked, without the server's.
        module = importlib.import_module(f"{SERVER_PREFIX}suite.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(SERVER_PREFIX):
            raise
        raise click.ClickException(
            "this needs the server, which is not installed: pip install runstone-server"
        ) from None
    try:
        yield module
    except Exception as error:
        if type(error).__module__.startswith(SERVER_PREFIX):
            raise click.ClickException(str(error)) from error
        raise
