"""Commands become words, and no value of a parameter becomes anything else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runstone._projects import commands, parameters
from runstone._projects.mlproject import EntryPoint, Parameter
from runstone.exceptions import ProjectInvalid

HOSTILE = [
    "; touch canary",
    "$(touch canary)",
    "`touch canary`",
    "| touch canary",
    "&& touch canary",
    "\ntouch canary\n",
    "' ; touch canary ; '",
    '" ; touch canary ; "',
    "'\"'; touch canary #",
    "\\'; touch canary #",
    "> canary",
    "${IFS}touch${IFS}canary",
    "a b\tc",
    "*",
    "~",
    "{other}",
    "",
    "grüße 漢字 \U0001f5ff",
]
"""Each must arrive as it is."""


def entry(command: str, shell: bool = False, **types: str) -> EntryPoint:
    declared = {name: Parameter(name, kind) for name, kind in types.items()}
    commands.check(command, declared, "here", shell=shell)
    return EntryPoint("main", command, declared, shell)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_stays_in_its_word(value: str) -> None:
    made = entry("program --a {a} --b={a} 'say: {a}!'", a="string")
    assert commands.words(made, {"a": value}) == (
        *("program", "--a", value, f"--b={value}", f"say: {value}!"),
    )
    assert commands.words(entry("program"), {"x": value}) == ("program", "--x", value)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_shell_gets_a_value_and_does_not_read_it(value: str, tmp_path: Path) -> None:
    script = """
    show() {{ for each in "$@"; do printf '[%s]' "$each"; done; }}
    own() {{ printf '<%s>' {a} "$1"; }}
    own x; printf '%s' $#
    show {a} "b {a} c" $(show {a} | wc -l >/dev/null) "$(show {a})" && show 'end'
    """
    made = entry(script, shell=True, a="string")
    argv = commands.words(made, {"a": value, "more": "x; touch canary"})
    assert value not in argv[2] or value in {"", "*", "~", "a b\tc"}
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, check=True)
    shown = done.stdout.decode()
    inner = f"[{value}]".rstrip("\n")
    assert shown == f"<{value}><x>0[{value}][b {value} c][{inner}][end][--more][x; touch canary]"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("a | b", r"'\|' outside of quotes"),
        ("a && b", "'&' outside of quotes"),
        ("a ; b", "';' outside of quotes"),
        ("a > b", "'>' outside of quotes"),
        ("(a)", r"'\(' outside of quotes"),
        ("a $HOME", r"'\$', which only a shell replaces"),
        ('a "$HOME"', r"\$, which only a shell replaces"),
        ("a `b`", "'`', which only a shell runs"),
        ("a\nb", "a second line"),
        ("a *.py", r"the pattern '\*'"),
        ("a ~/b", "a word that begins with '~'"),
        ("a # b", "a word that begins with '#'"),
        ("A=1 b", "an assignment before its program"),
    ],
)
def test_a_command_for_a_shell_says_so(command: str, said: str) -> None:
    with pytest.raises(ProjectInvalid, match=f"has {said}.*say 'shell: true'"):
        entry(command)
    assert commands.words(entry(command, shell=True), {})[:2] == ("bash", "-c")


@pytest.mark.parametrize(
    "command",
    ["a 'x | $y'", 'a "x | y; *"', r"a \$x \| \*", "a x~y x#y", "a [1,2]", "a {{b}}", "a\\\n  b"],
)
def test_what_is_quoted_needs_no_shell(command: str) -> None:
    assert commands.words(entry(command), {})[0] == "a"


@pytest.mark.parametrize(
    ("command", "shell", "said"),
    [
        ("a {b", False, "written twice"),
        ("a }", False, "written twice"),
        ("a {b.c}", False, r"uses \{b\.c\}, which is not among"),
        ("a {b!r}", False, "braces hold the name of a parameter and nothing else"),
        ("a {b:9}", False, "braces hold the name of a parameter and nothing else"),
        ("a {}", False, "braces hold the name of a parameter and nothing else"),
        ("{b}", False, "no value may choose the program"),
        ("a {c}", True, r"uses \{c\}, which is not among"),
        ("a '{b}'", True, "in single quotes, backticks or behind <<"),
        ("a `x {b}`", True, "in single quotes, backticks or behind <<"),
        ("cat <<E\n{b}\nE", True, "in single quotes, backticks or behind <<"),
        ("a ${HOME}", True, r"uses \{HOME\}|written twice"),
        ("a }", True, "written twice"),
        ("a {b", True, "written twice"),
    ],
)
def test_braces_that_are_no_parameter(command: str, shell: bool, said: str) -> None:
    with pytest.raises(ProjectInvalid, match=said):
        entry(command, shell, b="string")


@pytest.mark.parametrize(
    ("command", "kind", "value", "taken"),
    [
        ("p {a}", "string", "-rf", False),
        ("p {a}", "string", "--help", False),
        ("p {a}", "string", "-1", False),
        ("p {a}.csv", "string", "-x", False),
        ("p --a {a}", "string", "--help", False),
        ("p --a {a}", "string", "-", False),
        ("p --a {a}", "string", "-0.5", True),
        ("p --a {a}", "string", "-1e-3", True),
        ("p {a}", "float", "-0.5", True),
        ("p {a}", "int", "-3", True),
        ("p --a={a}", "string", "--help", True),
        ("p x{a}", "string", "-rf", True),
    ],
)
@pytest.mark.parametrize("shell", [False, True])
def test_a_value_does_not_become_an_option(
    command: str, kind: str, value: str, taken: bool, shell: bool
) -> None:
    made = entry(command, shell, a=kind)
    if taken:
        assert value in " ".join(commands.words(made, {"a": value}))
        return
    with pytest.raises(ProjectInvalid, match=r"would be an option of 'main'.*--a={a}"):
        commands.words(made, {"a": value})
    allowed = {"a": Parameter("a", kind, allow_leading_dash=True)}
    again = EntryPoint("main", command, allowed, shell)
    assert value in " ".join(commands.words(again, {"a": value}))


def test_parameters_that_are_not_declared() -> None:
    made = entry("p {a}", a="string")
    values = {"a": "1", "x": "2", "y": "-3", "z": "--help"}
    assert commands.words(made, values) == ("p", "1", "--x", "2", "--y", "-3", "--z=--help")
    for name in ("-x", "--x", "a b", "a=b", "", "a;b", "ä"):
        with pytest.raises(ProjectInvalid, match="cannot become an option"):
            commands.words(made, {"a": "1", name: "2"})


@pytest.mark.parametrize("value", ["a\0b", "\udc80"])
def test_values_that_no_command_can_have(value: str) -> None:
    for values in ({"a": value}, {"a": "1", "b": value}):
        with pytest.raises(ProjectInvalid, match=r"NUL|not UTF-8"):
            commands.words(entry("p {a}", a="string"), values)


def test_defaults_and_what_is_missing() -> None:
    declared = {
        "a": Parameter("a", "float"),
        "b": Parameter("b", "int", "3"),
        "c": Parameter("c", "bool", "True"),
    }
    made = EntryPoint("main", "p", declared)
    given = {"x": Path("y"), "a": 0.5}
    assert parameters.complete(made, given) == {"a": "0.5", "b": "3", "c": "True", "x": "y"}
    with pytest.raises(ProjectInvalid, match=r"'main' needs a: give -P a=\.\.\."):
        parameters.complete(made, None)
    for name, value, wanted in [
        ("a", "x", "a number"),
        ("b", "1.5", "a whole number"),
        ("c", "maybe", "true or false"),
        ("x", None, "a text, a number or a path, not None"),
        ("x", [1], "a text, a number or a path, not list"),
    ]:
        with pytest.raises(ProjectInvalid, match=f"'{name}' must be {wanted}"):
            parameters.complete(made, {"a": 1, name: value})
    assert parameters.misspelled(made, {"aa": 1, "bb": 2, "far": 3}) == {}
    near = EntryPoint("main", "p", {"alpha": Parameter("alpha", "float", "1")})
    assert parameters.misspelled(near, {"alhpa": 1}) == {"alhpa": "alpha"}


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, here = tmp_path / "project", tmp_path / "here"
    project.mkdir(), here.mkdir()
    (project / "default.csv").touch(), (here / "-given.csv").touch()
    monkeypatch.chdir(here)
    made = EntryPoint(
        "main", "p", {"a": Parameter("a", "path"), "b": Parameter("b", "path", "default.csv")}
    )

    def brought(value: str) -> dict[str, str]:
        given = {"a": value}
        complete = parameters.complete(made, given)
        return parameters.on_this_machine(
            made, complete, given, project, tmp_path / "down", Path.cwd()
        )

    wanted = {"a": str(here / "-given.csv"), "b": str(project / "default.csv")}
    assert brought("-given.csv") == wanted
    assert brought((here / "-given.csv").as_uri()) == wanted
    for value, said in [
        ("default.csv", "no file or folder"),
        ("s3://bucket/x", "of type uri"),
        ("file://elsewhere/x", "names another machine"),
    ]:
        with pytest.raises(ProjectInvalid, match=said):
            brought(value)
