"""The command line of a service's program: ``--help`` alone; the environment tells the rest."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from typing import get_args

from runstone_kit.settings import PREFIX, BaseServiceSettings, is_secret

WIDTH = 79
INDENT = "    "


def answered(
    program: str, settings: type[BaseServiceSettings], arguments: Sequence[str] | None = None
) -> int | None:
    """The exit status if the command line asked for anything; None: serve.

    Args:
        arguments: Those after the program's name; None: this process's own.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        return None
    if arguments[0] in ("-h", "--help"):
        sys.stdout.write(described(program, settings))
        return 0
    sys.stderr.write(
        f"{program}: takes no arguments, and was given {arguments[0]!r}; --help lists the variables"
        " that it reads\n"
    )
    return 2


def described(program: str, settings: type[BaseServiceSettings]) -> str:
    """What ``--help`` prints: each variable, what it is and its default."""
    own = f"{PREFIX}{settings.service.upper()}_"
    lines = [
        f"{program} serves until SIGTERM. Variables of the environment say how.",
        f"RUNSTONE_X may be given as {own}X, for this service alone.",
    ]
    for name, field in settings.model_fields.items():
        if name in settings.unused:
            continue
        prefix = PREFIX if name in BaseServiceSettings.model_fields else own
        variable = prefix + name.upper()
        lines += ["", variable + (f", {variable}_FILE" if is_secret(settings, name) else "")]
        said = [field.description or "one of " + ", ".join(get_args(field.annotation))]
        if field.default not in (None, ""):
            said.append(f"default: {field.default}")
        lines += textwrap.wrap(
            "; ".join(said), WIDTH, initial_indent=INDENT, subsequent_indent=INDENT
        )
    return "\n".join(lines) + "\n"
