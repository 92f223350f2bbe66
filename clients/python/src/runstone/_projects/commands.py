"""From an entry point's command to the words of a process.

The author's text is split into words once, and only then are values put in: whatever a value is, it
stays within its word. A command that needs a shell says ``shell: true``; bash then gets the values
as its arguments, beside the script and never as a part of it.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Iterable, Mapping

from runstone._projects.mlproject import EntryPoint
from runstone.exceptions import ProjectInvalid

_NUMBER = re.compile(r"-(\d+(\.\d*)?|\.\d+|inf|nan)([eE][+-]?\d+)?", re.ASCII | re.IGNORECASE)
_ASSIGNMENT = re.compile(r"\s*[A-Za-z_][A-Za-z0-9_]*\+?=")
_OPTION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)

_NAME = "RUNSTONE_VALUE_"
"""Of the variables in which a script has its values."""

_SYNTAX = {
    **dict.fromkeys("|&;<>()", "{} outside of quotes"),
    **dict.fromkeys("*?", "the pattern {} outside of quotes"),
    "$": "{}, which only a shell replaces",
    "`": "{}, which only a shell runs",
    "\n": "a second line",
}
"""Characters that a shell reads in its own way, and how an error calls them."""


def check(command: str, names: Iterable[str], where: str, *, shell: bool) -> None:
    """Refuse a command that could not be run, whatever its parameters are.

    Raises:
        ProjectInvalid: it has a ``{name}`` that is not declared, needs a shell and does not say so,
            or has a quote without its end.
    """
    known = set(names)
    if shell:
        _script(command, known, where)
    else:
        _words(command, known, where)


def words(entry: EntryPoint, values: Mapping[str, str]) -> tuple[str, ...]:
    """The words of an entry point's process.

    Args:
        values: Of all its parameters, and of others, which become ``--name value``.

    Raises:
        ProjectInvalid: a value would be taken for an option, or cannot be part of a command.
    """
    where = f"entry point {entry.name!r}"
    for name, value in values.items():
        if name not in entry.parameters and not _OPTION.fullmatch(name):
            raise ProjectInvalid(
                f"parameter {name!r} cannot become an option --{name}: a name has letters, digits,"
                " '_', '.' and '-', and does not begin with '-'"
            )
        _check_text(name, value)
    others = {name: value for name, value in values.items() if name not in entry.parameters}
    if entry.shell:
        return _in_shell(entry, values, others, where)
    found: list[str] = []
    for word in _words(entry.command, set(entry.parameters), where):
        filled = _filled(word, values)
        _check_dash(entry, word, filled, found[-1] if found else "")
        found.append(filled)
    for name, value in others.items():
        found += [f"--{name}={value}"] if _like_option(value) else [f"--{name}", value]
    return tuple(found)


def _check_text(name: str, value: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ProjectInvalid(f"the value of parameter {name!r} is not UTF-8") from None
    if "\0" in value:
        raise ProjectInvalid(
            f"the value of parameter {name!r} has a NUL, which no command can have"
        )


def _words(command: str, known: set[str], where: str) -> list[str]:
    """The author's words, with ``{name}`` still in them."""
    text = command.strip().replace("\\\n", " ")
    found = _shell_syntax(text)
    if found is not None:
        raise ProjectInvalid(
            f"{where} has {found}: say 'shell: true' beside the command to have bash run it, or"
            f" quote it. It is {command.strip()!r:.200}"
        )
    try:
        split = shlex.split(text)
    except ValueError as error:
        raise ProjectInvalid(f"{where} cannot be split into words: {error}") from None
    for word in split:
        for name in _names(word, where):
            _check_known(name, known, where)
    if _names(split[0], where):
        raise ProjectInvalid(
            f"{where} begins with a parameter, and no value may choose the program"
        )
    return split


def _shell_syntax(text: str) -> str | None:
    """What of a text only a shell understands; None when there is nothing."""
    if _ASSIGNMENT.match(text):
        return "an assignment before its program"
    quote, at_start, skip = "", True, False
    for char in text:
        if skip:
            skip = False
        elif char == "\\" and quote != "'":
            skip = True
        elif quote:
            if char == quote:
                quote = ""
            elif quote == '"' and char in "$`":
                return _SYNTAX[char].format(char)
        elif char in "'\"":
            quote = char
        elif char in _SYNTAX:
            return _SYNTAX[char].format(repr(char))
        elif at_start and char in "~#":
            return f"a word that begins with {char!r}"
        at_start = not quote and char.isspace()
    return None


def _names(text: str, where: str) -> list[str]:
    """The ``{name}`` of a text. Raises ProjectInvalid: a brace is none, or the name is more."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ProjectInvalid(
            f"{where}: {text!r:.100}: {error}; a brace that is meant as such is written twice"
        ) from None
    for _, name, form, conversion in parts:
        if name is not None and (form or conversion or not name):
            raise ProjectInvalid(
                f"{where}: {text!r:.100}: braces hold the name of a parameter and nothing else;"
                " a brace that is meant as such is written twice"
            )
    return [name for _, name, _, _ in parts if name]


def _check_known(name: str, known: set[str], where: str) -> None:
    if name not in known:
        raise ProjectInvalid(
            f"{where} uses {{{name}}}, which is not among its parameters"
            f" ({', '.join(sorted(known)) or 'there are none'})"
        )


def _filled(text: str, values: Mapping[str, str]) -> str:
    return "".join(
        literal + ("" if name is None else values[name])
        for literal, name, _, _ in string.Formatter().parse(text)
    )


def _check_dash(entry: EntryPoint, word: str, filled: str, before: str) -> None:
    """A value must not become an option: neither by its place nor after another option."""
    if not filled.startswith("-") or word.startswith("-"):
        return
    parameter = entry.parameters[_names(word, "")[0]]
    if parameter.allow_leading_dash:
        return
    number = _NUMBER.fullmatch(filled) is not None
    if number and (parameter.type in {"float", "int"} or before.startswith("-")):
        return
    raise ProjectInvalid(
        f"the value {filled!r:.80} of parameter {parameter.name!r} would be an option of"
        f" {entry.name!r}: have the command say --{parameter.name}={{{parameter.name}}}, or declare"
        " the parameter with allow_leading_dash: true"
    )


def _like_option(value: str) -> bool:
    """Whether a program would take it for an option of its own, in a word of its own."""
    return value.startswith("-") and not _NUMBER.fullmatch(value)


def _in_shell(
    entry: EntryPoint, values: Mapping[str, str], others: Mapping[str, str], where: str
) -> tuple[str, ...]:
    script, names, alone = _script(entry.command, set(entry.parameters), where)
    for name, before in alone:
        _check_dash(entry, f"{{{name}}}", values[name], before)
    given = [values[name] for name in names]
    for name, value in others.items():
        given.append(value)
        joint = "=" if _like_option(value) else " "
        script += f' --{name}{joint}"{_variable(len(given))}"'
    # By names of their own: within a function of the script, ${1} is another one.
    taken = " ".join(f"{_NAME}{number}=${{{number}}}" for number in range(1, len(given) + 1))
    before = f"{taken}; set --; " if given else ""
    return ("bash", "-c", before + script, "runstone", *given)


def _variable(number: int) -> str:
    return f"${{{_NAME}{number}}}"


def _script(
    command: str, known: set[str], where: str
) -> tuple[str, list[str], list[tuple[str, str]]]:
    """A script in which variables, 1 …, stand for the parameters whose names come second.

    The third are those that stand as words of their own, each with the word before it.

    A value is in quotes wherever the scan below is right about them; where it is not, as behind an
    apostrophe in a comment, it is split into words at worst, and still never read as a script.
    """
    text = command.strip()
    out: list[str] = []
    names: list[str] = []
    alone: list[tuple[str, str]] = []
    quotes = [""]
    place = 0
    while place < len(text):
        char, pair = text[place], text[place : place + 2]
        step = 1
        if pair in ("{{", "}}"):
            out.append(char)
            step = 2
        elif char == "{":
            name = text[place + 1 : max(text.find("}", place), place + 1)]
            _check_name(text, place, name, quotes, where)
            _check_known(name, known, where)
            if name not in names:
                names.append(name)
            inside = _variable(names.index(name) + 1)
            before = text[:place].rstrip("\"'")
            if not before or before[-1].isspace():
                alone.append((name, (before.split() or [""])[-1]))
            out.append(inside if quotes[-1] == '"' else f'"{inside}"')
            step = len(name) + 2
        elif char == "}":
            raise ProjectInvalid(f"{where}: a brace that is meant as such is written twice: '}}}}'")
        elif char == "\\" and quotes[-1] != "'":
            out.append(pair)
            step = 2
        else:
            step = _follow(quotes, char, pair)
            out.append(text[place : place + step])
        place += step
    return "".join(out), names, alone


def _check_name(text: str, place: int, name: str, quotes: list[str], where: str) -> None:
    if not name or text.find("}", place) < 0 or not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ProjectInvalid(
            f"{where}: braces hold the name of a parameter and nothing else; a brace that is meant"
            " as such is written twice, as in ${{HOME}}"
        )
    if quotes[-1] in {"'", "`"} or re.search(r"(?<!<)<<(?!<)", text[:place]):
        raise ProjectInvalid(
            f"{where}: {{{name}}} stands in single quotes, backticks or behind <<, where a shell"
            " cannot be given it safely: put it in double quotes or $(...)"
        )


def _follow(quotes: list[str], char: str, pair: str) -> int:
    """Keep account of the quotes that are open; how many characters were read."""
    now = quotes[-1]
    if now == "'":
        if char == "'":
            quotes.pop()
    elif pair == "$(":
        quotes.append("(")
        return 2
    elif char == '"':
        quotes.pop() if now == '"' else quotes.append('"')
    elif char == "`":
        quotes.pop() if now == "`" else quotes.append("`")
    elif now != '"' and char == "'":
        quotes.append("'")
    elif now != '"' and char == "(":
        quotes.append("(")
    elif now == "(" and char == ")":
        quotes.pop()
    return 1
