"""Which of a user's Python files a model needs: found by reading what imports what.

Only files below the working folder are looked at: what is installed is no code of the user's.
"""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

NO_CODE_OF_USERS = {"runstone", "mlflow", "__main__", ""}


def needed(modules: Iterable[str], scripts: Iterable[Path] = ()) -> dict[Path, Path]:
    """The files that modules and scripts import, and what those import in turn.

    Returns:
        The path of each from where it is imported, such as ``package/module.py``, to the file.
        Scripts themselves are not among them.
    """
    roots = _roots()
    waiting = list(modules)
    for script in scripts:
        waiting += _imported(script, "__main__")
    found: dict[Path, Path] = {}
    seen: set[str] = set()
    while waiting:
        parts = waiting.pop().split(".")
        # A package is run before what is in it.
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            if name in seen:
                continue
            seen.add(name)
            root = _root_of(name, roots)
            path = None if root is None else _file_of(name, root)
            if root is not None and path is not None:
                found[path.relative_to(root)] = path
                package = name if path.name == "__init__.py" else name.rpartition(".")[0]
                waiting += _imported(path, package)
    return dict(sorted(found.items()))


def copied(files: dict[Path, Path], folder: Path) -> list[Path]:
    """Copy them into an empty folder; what stands at its top then, for ``code_paths``."""
    for path, file in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
    return sorted(folder.iterdir())


def _roots() -> list[Path]:
    """Folders that imports start from: the working folder, and those below it on ``sys.path``."""
    here = Path.cwd()
    found = [here]
    for each in map(Path, sys.path):
        root = each.absolute()
        # An environment may stand in the working folder.
        if root.is_relative_to(here) and not {"site-packages", "lib"} & set(root.parts):
            found.append(root)
    return list(dict.fromkeys(found))


def _root_of(name: str, roots: list[Path]) -> Path | None:
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in NO_CODE_OF_USERS:
        return None
    file = getattr(sys.modules.get(top), "__file__", None)
    if file is not None:
        # What this process imported by the name, whatever else has it.
        at = Path(file).absolute()
        at = at.parent.parent if at.name == "__init__.py" else at.parent
        return at if at in roots else None
    return next((root for root in roots if _is_module(root / top)), None)


def _is_module(path: Path) -> bool:
    if path.with_name(f"{path.name}.py").is_file() or (path / "__init__.py").is_file():
        return True
    return path.is_dir() and any(path.rglob("*.py"))  # a package without a file of its own


def _file_of(name: str, root: Path) -> Path | None:
    path = root.joinpath(*name.split("."))
    found = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((each for each in found if each.is_file()), None)


def _imported(file: Path, package: str) -> Iterator[str]:
    """The names that a file may import as modules: of ``from a import b`` both a and a.b."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                above = parts[: len(parts) - (node.level - 1)]
                base = ".".join([*above, base]).strip(".")
            yield base
            yield from (f"{base}.{each.name}" for each in node.names if each.name != "*")
