"""What a model needs to be loaded elsewhere: requirements.txt, conda.yaml, python_env.yaml.

MLflow loads a model anew in a process of its own to see what it imports, which takes seconds. Here
a flavor says which distributions its files need, and the pickles among them are read (never run)
for the modules that they name. What is installed in this process gives the versions.
"""

from __future__ import annotations

import functools
import importlib.metadata
import pickletools
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from runstone._values import invalid
from runstone._version import __version__

REQUIREMENTS = "requirements.txt"
CONSTRAINTS = "constraints.txt"
CONDA = "conda.yaml"
PYTHON = "python_env.yaml"

FILES: dict[str, str] = {"conda": CONDA, "virtualenv": PYTHON}
"""What ``python_function`` says of its environments."""

_OURS = re.compile(r"runstone(\W|$)")


@dataclass(frozen=True, slots=True)
class Environment:
    """What stands in the files; ``requirements`` as pip reads them, one a line."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    conda: Mapping[str, Any] | None = None

    def write(self, folder: Path) -> None:
        """Write the files into a model's folder."""
        import yaml

        lines = list(self.requirements)
        if self.constraints:
            lines.append(f"-c {CONSTRAINTS}")
            (folder / CONSTRAINTS).write_text("\n".join(self.constraints) + "\n", "utf-8")
        (folder / REQUIREMENTS).write_text("\n".join(lines) + "\n", "utf-8")
        conda = self.conda or {
            "name": "runstone-env",
            "channels": ["conda-forge"],
            "dependencies": [
                f"python={platform.python_version()}",
                "pip",
                {"pip": lines},
            ],
        }
        python = {
            "python": platform.python_version(),
            "build_dependencies": [f"pip=={pip}"] if (pip := version("pip")) else ["pip"],
            "dependencies": [f"-r {REQUIREMENTS}"],
        }
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        for name, content in ((CONDA, conda), (PYTHON, python)):
            (folder / name).write_text(yaml.dump(content, Dumper=dumper, sort_keys=False), "utf-8")


def captured(
    distributions: Iterable[str],
    *,
    conda_env: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
) -> Environment:
    """The environment of a model that needs these distributions, or the one that the user names.

    Args:
        distributions: Their names, installed here; their versions are those of here.
        conda_env: A dict, or the path of a YAML file: instead of all else.
        pip_requirements: Lines of a requirements file, or its path: instead of ``distributions``.
        extra_pip_requirements: Likewise, besides them.

    Raises:
        InvalidField: one is not of that kind, or two exclude each other.
    """
    if conda_env is not None:
        if pip_requirements is not None or extra_pip_requirements is not None:
            raise invalid("conda_env", "cannot stand beside pip_requirements; give one of them")
        conda = _conda(conda_env)
        return Environment(tuple(_pip_lines(conda)), conda=conda)
    if pip_requirements is not None and extra_pip_requirements is not None:
        raise invalid(
            "extra_pip_requirements", "goes with what is found by itself, not with pip_requirements"
        )
    constraints: list[str] = []
    if pip_requirements is not None:
        lines = _lines("pip_requirements", pip_requirements, constraints)
    else:
        extra = _lines("extra_pip_requirements", extra_pip_requirements or (), constraints)
        given = {_name(line) for line in extra}
        lines = [line for line in pinned(distributions) if _name(line) not in given] + extra
    if not any(_OURS.match(line) for line in lines):
        lines.insert(0, f"runstone=={__version__}")
    return Environment(tuple(dict.fromkeys(lines)), tuple(dict.fromkeys(constraints)))


def pinned(distributions: Iterable[str]) -> list[str]:
    """``name==version`` of those that are installed here, ordered by name."""
    found = {_normal(name): (name, version(name)) for name in distributions}
    return [
        # What follows a + names a build of somebody, which an index does not have.
        f"{name}=={number.split('+')[0]}"
        for _, (name, number) in sorted(found.items())
        if number
    ]


@functools.cache
def version(distribution: str) -> str | None:
    """The version that is installed here; None when there is none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


_NAMED = {"sklearn": "scikit-learn", "PIL": "pillow", "yaml": "PyYAML"}
"""Modules whose distribution has another name. To look for one in all that is installed takes some
tenths of a second, so it is done for those alone that neither have their own name nor stand here.
"""


@functools.cache
def _providers() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def distributions_of(modules: Iterable[str]) -> set[str]:
    """The distributions that provide these modules, as far as they are installed ones."""
    tops = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    tops -= {"__main__", "runstone", ""}
    named = {top: _NAMED.get(top, top) for top in tops}
    found = {name for name in named.values() if version(name)}
    others = [top for top, name in named.items() if name not in found]
    return found | {each for top in others for each in _providers().get(top, [])[:1]}


def modules_of_pickle(path: Path) -> set[str]:
    """The modules that a pickle names, read without running it; those before what is none."""
    try:
        with path.open("rb") as file:
            return modules_of_pickled(file)
    except OSError:
        return set()


def modules_of_pickled(file: IO[bytes]) -> set[str]:
    """As ``modules_of_pickle``, of an open file."""
    return set(_until_broken(file))


def _until_broken(file: Any) -> Iterator[str]:
    try:
        yield from _named(file)
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError):
        return  # arrays stand between the pickle's parts in a file of joblib


def _named(file: Any) -> Iterator[str]:
    texts: list[str] = []  # the last two texts before a STACK_GLOBAL are module and name
    memo: dict[int, str] = {}
    for operation, argument, _ in pickletools.genops(file):
        name = operation.name
        if name == "GLOBAL" and isinstance(argument, str):
            yield argument.split(" ")[0]
        elif name == "STACK_GLOBAL" and len(texts) > 1:
            yield texts[-2]
        elif isinstance(argument, str) and "UNICODE" in name:
            texts.append(argument)
        elif name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else ""
        elif name in {"BINGET", "LONG_BINGET"} and isinstance(argument, int):
            texts.append(memo.get(argument, ""))


def mismatches(folder: Path) -> list[str]:
    """What a model's requirements.txt pins and is not installed here so: "numpy 1.0, here 2.0"."""
    try:
        text = (folder / REQUIREMENTS).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    found: list[str] = []
    for line in text.splitlines():
        name, pins, wanted = line.partition("==")
        pinned_here = re.fullmatch(r"[A-Za-z0-9._-]+", name.strip())
        if not pins or not pinned_here or _OURS.match(name):
            continue
        wanted = wanted.partition(";")[0].strip()
        here = version(name.strip())
        if here is None or here.split("+")[0] != wanted:
            found.append(f"{name.strip()} {wanted}, here {here or 'not installed'}")
    return found


def _lines(field: str, given: Any, constraints: list[str]) -> list[str]:
    if isinstance(given, str):
        return _file_lines(field, Path(given), constraints)
    if not isinstance(given, Sequence) or not all(isinstance(line, str) for line in given):
        raise invalid(
            field, f"must be a list of texts or a file's path, not {type(given).__name__}"
        )
    lines: list[str] = []
    for line in given:
        lines += _line(field, line, Path(), constraints)
    return lines


def _file_lines(field: str, path: Path, constraints: list[str]) -> list[str]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(field, f"names a file that cannot be read: {error}") from error
    joined = text.replace("\\\n", " ").splitlines()
    return [each for line in joined for each in _line(field, line, path.parent, constraints)]


def _line(field: str, line: str, base: Path, constraints: list[str]) -> list[str]:
    """One line of a requirements file, those of the files that it names included."""
    line = re.sub(r"(^|\s)#.*$", "", line).strip()
    if not line:
        return []
    for option in ("-r", "--requirement", "-c", "--constraint"):
        if line.startswith((f"{option} ", f"{option}=")):
            name = line[len(option) + 1 :].strip()
            found = _file_lines(field, base / name, constraints)
            if option in {"-r", "--requirement"}:
                return found
            constraints += found
            return []
    return [line]


def _conda(given: Any) -> dict[str, Any]:
    import yaml

    if isinstance(given, str | Path):
        try:
            given = yaml.safe_load(Path(given).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise invalid("conda_env", f"names a file that cannot be read: {error}") from error
    if not isinstance(given, Mapping) or not isinstance(given.get("dependencies"), list):
        raise invalid("conda_env", "must have a list of dependencies, as a conda.yaml has")
    return dict(given)


def _pip_lines(conda: Mapping[str, Any]) -> list[str]:
    nested = [
        each["pip"] for each in conda["dependencies"] if isinstance(each, Mapping) and "pip" in each
    ]
    return [str(line) for lines in nested for line in lines or []]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _name(line: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", line)
    return _normal(found[0]) if found else line
