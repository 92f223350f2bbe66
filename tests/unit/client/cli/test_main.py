"""How failures look, and what every command's help promises."""

import json
import re

import click
import pytest

from runstone.cli import main
from runstone.cli._diff_command import DIFFERENT
from runstone.cli._examples import EXAMPLES
from runstone.cli._main import DECLINED, FAILED, INTERRUPTED, WRONG_USAGE, _show
from runstone.cli._session import Declined, Session
from support.commands import commands, examples, found


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def raise_it(_self: Session, _name: str) -> None:
        raise error

    monkeypatch.setattr(Session, "service", raise_it)


def test_a_defect_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, ValueError("two\nlines"))
    assert main(["experiments", "list"]) == FAILED
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "Error: unexpected ValueError: two lines (runstone --traceback ... shows where)\n"
    )
    assert main(["experiments", "list", "--json"]) == FAILED
    assert json.loads(capsys.readouterr().err)["error"]["kind"] == "ValueError"
    with pytest.raises(ValueError, match="two"):
        main(["--traceback", "experiments", "list"])


@pytest.mark.parametrize(
    ("error", "code", "out", "err"),
    [
        (Declined(), DECLINED, "Nothing deleted.\n", ""),
        (KeyboardInterrupt(), INTERRUPTED, "", "Interrupted.\n"),
        (OSError(28, "No space left on device", "/d/x"), FAILED, "", "No space left on device"),
    ],
)
def test_exit_codes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    out: str,
    err: str,
) -> None:
    fail_with(monkeypatch, error)
    assert main(["experiments", "list"]) == code
    printed = capsys.readouterr()
    assert printed.out == out
    assert err in printed.err
    # A terminal shows ^C; what is said stands below it.
    assert len(printed.err.strip().splitlines()) <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs", "get", "\udcff"], "is not UTF-8"),
        (["gc", "--older-than", "99999999999d"], "more than a hundred years"),
        (["runs", "gte", "x"], "(try 'runstone runs --help')"),
        (["runs", "get"], "(try 'runstone runs get --help')"),
        (["runs", "list", "--limit", "-1"], "--limit"),
        (["experiments", "delete", "1", "--tracking-uri"], "--tracking-uri"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(arguments) == WRONG_USAGE
    err = capsys.readouterr().err
    assert err.startswith("Error: ")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["runs"], ["models", "alias"]])
def test_a_group_alone_shows_its_help(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == WRONG_USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(" ".join(["Usage: runstone", *arguments, "[OPTIONS] COMMAND"]))
    assert "\nCommands:\n" in err


def test_the_help_tells_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = re.findall(r"^ {4}(\d+) {2,}", capsys.readouterr().out, re.MULTILINE)
    known = [0, FAILED, WRONG_USAGE, DECLINED, DIFFERENT, INTERRUPTED]
    assert [int(code) for code in told] == known


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_has_help_and_examples_that_can_be_typed(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*path, "--help"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    command = found(path)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} of {path} has no help"
    shown = examples(out)
    assert shown or isinstance(command, click.Group), f"{path} has no example"
    for words in shown:
        depth = next(
            size for size in range(len(words), 0, -1) if tuple(words[:size]) in set(commands())
        )
        # Reads the options and arguments, and runs nothing.
        called = found(tuple(words[:depth]))
        called.make_context(words[depth - 1], words[depth:])


def test_examples_are_of_commands_that_there_are() -> None:
    assert set(EXAMPLES) <= set(commands())


def test_the_same_option_is_the_same_everywhere() -> None:
    helps: dict[str, set[str | None]] = {}
    for path in commands():
        for parameter in found(path).params:
            if isinstance(parameter, click.Option):
                helps.setdefault(parameter.opts[0], set()).add(parameter.help)
    # Their examples, or what they stay for when they are not given, differ by command.
    own = {"--filter", "--order-by", "--dry-run", "--data-dir"}
    # Words that MLflow's commands have for more than one thing, and so the same here.
    own |= {"--name", "--workers", "-t", "--env-manager", "--grpc-port"}
    # Of a run and of many; of a run and of a webhook; of a page and of a webhook.
    own |= {"--experiment", "--version", "--status", "--url", "-o"}
    assert {name for name, texts in helps.items() if len(texts) > 1} == own


def test_no_error_moves_the_cursor_of_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _show({"message": "there is no folder /x\x1b[31m\x07"}, False)
    assert capsys.readouterr().err == "Error: there is no folder /x\ufffd[31m\ufffd\n"
