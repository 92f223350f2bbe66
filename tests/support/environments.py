"""Environments of other people's packages, each installed once into the cache folder.

None of them shares a package with `.venv`: what a peer or a foreign client needs is its own.
"""

import hashlib
import sys
import venv
from pathlib import Path
from typing import NamedTuple

from support.binaries import cache_folder, locked, run_visibly
from support.suites import clean_environment

LOCKS = Path(__file__).parent / "environments"


class Environment(NamedTuple):
    """Packages that belong together; what they need in turn is pinned by the lock, if one is named.

    Locks are files of `environments/`: versions only, used as `pip install -c`.
    """

    name: str
    requirements: tuple[str, ...]
    lock: str = ""

    @property
    def folder(self) -> Path:
        """Where it is or will be: other requirements or pins get another folder."""
        digest = hashlib.sha256("\n".join(self.requirements).encode())
        if self.lock:
            digest.update((LOCKS / self.lock).read_bytes())
        digest.update(sys.version.encode())
        return cache_folder() / "environments" / f"{self.name}-{digest.hexdigest()[:8]}"

    @property
    def python(self) -> Path:
        """Its interpreter, installed now if need be. Raises Unobtainable."""
        return programs(self) / "python"


def programs(environment: Environment) -> Path:
    """The folder of an environment's commands, installed once. Raises Unobtainable.

    Safe to call from many processes at once.
    """
    folder = environment.folder
    # Written last: an installation that was interrupted is begun anew.
    done = folder / "installed"
    if not done.exists():
        with locked(f"environment-{environment.name}"):
            if not done.exists():
                _install(environment, folder)
                done.touch()
    return folder / "bin"


def _install(environment: Environment, folder: Path) -> None:
    # The pip that runs this installs, so that none is copied into each environment; modules are
    # compiled when they are imported, which is a tenth of them.
    venv.create(folder, clear=True)
    into = ("-m", "pip", "--disable-pip-version-check", "--python", str(folder / "bin" / "python"))
    pins = ("-c", str(LOCKS / environment.lock)) if environment.lock else ()
    run_visibly(
        [sys.executable, *into, "install", "--no-compile", *pins, *environment.requirements],
        f"installing {environment.name} ({', '.join(environment.requirements)}) from PyPI",
        clean_environment(),
    )
