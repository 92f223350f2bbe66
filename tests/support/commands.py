"""Every command of `runstone`: found in its tree, called, and the examples that its help gives."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import click
import pytest

from runstone.cli import cli, main

EXAMPLE = re.compile(r"^ +runstone (.*)$", re.MULTILINE)
AFTER = re.compile(r" (\||>>?|<|&&) [a-z~].*$")
"""What a shell does with a command's input and output, and after it."""


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command and group."""
    for name in group.list_commands(click.Context(group)):
        yield (*path, name)
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def found(path: tuple[str, ...]) -> click.Command:
    """The command of a path."""
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), name)
        assert inner is not None
        command = inner
    return command


def leaves() -> list[tuple[str, ...]]:
    """The path of every command that is no group."""
    return [path for path in commands() if not isinstance(found(path), click.Group)]


def examples(help_text: str) -> list[list[str]]:
    """The command lines that a help shows, without the program's name and the shell's part."""
    return [shlex.split(AFTER.sub("", example)) for example in EXAMPLE.findall(help_text)]


def own_example(path: tuple[str, ...]) -> list[str]:
    """A command's first example of itself."""
    context = click.Context(cli)
    for depth in range(1, len(path) + 1):
        context = click.Context(found(path[:depth]), info_name=path[depth - 1], parent=context)
    shown = examples(context.get_help())
    return next(words for words in shown if tuple(words[: len(path)]) == path)


class Caller:
    """Calls commands in this process and notes which."""

    def __init__(self, uri: str, capture: pytest.CaptureFixture[str]) -> None:
        self.uri = uri
        self.capture = capture
        self.called: set[str] = set()

    def raw(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self.called.add(command_of(arguments))
        self.capture.readouterr()
        code = main(["--tracking-uri", self.uri, *arguments])
        out, err = self.capture.readouterr()
        return code, out, err

    def said(self, *arguments: str) -> str:
        """What a command that succeeds says to people."""
        code, out, err = self.raw(*arguments)
        assert (code, err) == (0, "")
        with pytest.raises(ValueError):
            json.loads(out)
        return out

    def told(self, *arguments: str) -> Any:
        """What a command that succeeds answers with --json."""
        code, out, err = self.raw(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)


def command_of(arguments: tuple[str, ...]) -> str:
    """The command that a command line calls: "models alias set"."""
    names = []
    found: click.Command | None = cli
    for argument in arguments:
        if not isinstance(found, click.Group):
            break
        found = found.get_command(click.Context(found), argument)
        names.append(argument)
    return " ".join(names)
