"""Starts the suite: claims its folder, migrates, serves, tells where, and leaves in good order."""

from __future__ import annotations

import contextlib
import errno
import gc
import ipaddress
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from runstone_kit import logs, memory, tokens, workers
from runstone_kit.server import Running, ServerSpec, serve
from runstone_kit.settings import SettingsError
from runstone_kit.spec import split_address
from runstone_suite import http, idle
from runstone_suite.compose import Composition
from runstone_suite.datadir import DataDir, HeldByAnother, Mode, SuiteError
from runstone_suite.settings import SuiteSettings, leave_servers_out

EXIT_FAILED = 1

PRIVATE_UMASK = 0o077

LOOK_SECONDS = 0.05

LARGEST_LOG_BYTES = 4 * 2**20
"""A background suite starts a new log past this, so that it never fills a home folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line; None means: as the environment says, else the default."""

    data_dir: Path | None = None
    host: str | None = None
    grpc_port: int | None = None
    http_port: int | None = None
    no_http: bool = False
    workers: int | None = None
    metrics_port: int | None = None
    tokens_file: Path | None = None
    idle_timeout: float | None = None
    background: bool = False
    socket: Path | None = None
    as_json: bool = False


def run(options: Options) -> int:
    """Serve until told to stop (SIGTERM, Ctrl-C, idle); returns the process's exit code.

    A background suite on a folder that another process serves has nothing to do: exit code 0.
    """
    if options.background:
        leave_servers_out(os.environ)
    try:
        return _run(options, _settings(options))
    except HeldByAnother as error:
        if options.background:
            return 0
        return _failed(error)
    except (SuiteError, SettingsError) as error:
        return _failed(error)


def _settings(options: Options) -> SuiteSettings:
    given = {
        "data_dir": options.data_dir,
        "workers": options.workers,
        "http_port": None if workers.is_worker() else options.http_port,
        "metrics_port": options.metrics_port,
        "idle_timeout": options.idle_timeout,
        "tokens_file": options.tokens_file,
    }
    settings = SuiteSettings.load(
        **{key: value for key, value in given.items() if value is not None}
    )
    try:
        host, port = split_address(settings.listen)
    except ValueError as error:
        raise SuiteError(f"RUNSTONE_LISTEN: {error}") from None
    if options.host is not None or options.grpc_port is not None:
        host = options.host or host
        port = options.grpc_port if options.grpc_port is not None else port
        settings = settings.model_copy(update={"listen": _address(host, port)})
    if options.no_http or options.background:
        settings = settings.model_copy(update={"http_port": None})
    return settings


def _run(options: Options, settings: SuiteSettings) -> int:
    if settings.tokens_file is not None:
        try:
            tokens.read(settings.tokens_file)
        except tokens.TokensError as error:
            raise SuiteError(str(error)) from None
    composition = Composition.of(settings, settings.data_dir.resolve())
    settings = _for_workers(options, settings, composition)
    if composition.embedded:
        # Databases, artifacts and the socket are the user's alone: there is no password.
        os.umask(PRIVATE_UMASK)
    if not settings.data_dir.exists():
        # A start that fails leaves nothing behind. With a folder, its owner is the better news.
        _check_ports(options, settings)
    with _folder(options, settings, composition) as folder:
        # Later mistakes go to the log: whoever started a background suite has its own life.
        if options.background and folder is not None:
            _detach(folder)
        memory.keep_freed_memory()
        logs.configure("suite", settings.log_level, settings.log_format)
        addresses, place = _addresses(options, settings, folder)
        if not workers.is_worker():
            composition.prepare()
        stop = threading.Event()
        front = http.open_front(settings)

        def started(running: Running) -> None:
            if place is not None:
                # Said once more: not every system's bind heeds the umask.
                place.chmod(0o600)
            front.start(f"unix:{place}" if place is not None else _own(settings, running.ports))
            if workers.is_worker():
                return
            _tell(options, settings, folder, running.ports, place, front.port)
            if folder is not None:
                idle.withdraw_first(folder, stop)
                if options.background:
                    idle.watch(folder, running.activity, settings.idle_timeout, stop)

        if settings.workers > 1 and not workers.is_worker():
            _tell_later(options, settings)
        build = front.before(composition.build)
        # Who may open the socket owns the data: it is in their folder.
        spec = ServerSpec.from_settings(
            "suite", settings, build, addresses=addresses, trust_unix=True
        )
        # All modules are loaded, and stay: no collection need look at them again.
        gc.freeze()
        gc.enable()
        try:
            return serve(spec, stop=stop, on_started=started)
        finally:
            front.stop()
            if place is not None:
                place.unlink(missing_ok=True)


def _for_workers(
    options: Options, settings: SuiteSettings, composition: Composition
) -> SuiteSettings:
    """The settings with a port that several workers can share. Raises SuiteError."""
    if settings.workers == 1 or workers.is_worker():
        return settings
    if composition.embedded:
        raise SuiteError(
            "SQLite takes one process: --workers needs PostgreSQL; set RUNSTONE_DATABASE_URL"
            " and RUNSTONE_OBJECTS_URL"
        )
    if options.socket is not None:
        raise SuiteError("several workers share a TCP port, not a socket; leave --workers out")
    host, port = split_address(settings.listen)
    # The workers are told a number: with 0 each would be somewhere else.
    told: dict[str, Any] = {"listen": _address(host, _free_port(host, port))}
    if settings.http_port is not None:
        told["http_port"] = _free_port(host, settings.http_port, "--http-port")
        # The command line of the workers is this one's.
        os.environ["RUNSTONE_SUITE_HTTP_PORT"] = str(told["http_port"])
    return settings.model_copy(update=told)


def _check_ports(options: Options, settings: SuiteSettings) -> None:
    if options.background or workers.is_worker():
        return
    host, port = split_address(settings.listen)
    _free_port(host, port)
    if settings.http_port is not None:
        _free_port(host, settings.http_port, "--http-port")
    if settings.metrics_port is not None:
        _free_port(host, settings.metrics_port, "--metrics-port")


@contextlib.contextmanager
def _folder(
    options: Options, settings: SuiteSettings, composition: Composition
) -> Iterator[DataDir | None]:
    if not composition.embedded:
        yield None
        return
    mode: Mode = "background" if options.background else "foreground"
    folder = DataDir(settings.data_dir, mode=mode, version=version("runstone-server"))
    folder.claim()
    try:
        yield folder
    finally:
        folder.release()


def _addresses(
    options: Options, settings: SuiteSettings, folder: DataDir | None
) -> tuple[Sequence[str], Path | None]:
    """What to listen on, and the path of the unix socket among it."""
    path = options.socket or (folder.socket_path() if folder is not None else None)
    if settings.workers > 1:
        path = None
    addresses: list[str] = []
    if not options.background:
        _check_ports(options, settings)
        addresses.append(settings.listen)
    if path is not None:
        path.unlink(missing_ok=True)
        addresses.append(f"unix:{path}")
    return addresses, path


def _free_port(host: str, port: int, option: str = "--grpc-port") -> int:
    """The port, or a free one for 0. Raises SuiteError when it cannot be had."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            return int(probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SuiteError(
                f"port {port} on {host} is in use; choose another with {option} (0: any)"
            ) from error
        raise SuiteError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


def _own(settings: SuiteSettings, ports: Sequence[int]) -> str:
    """Where a process calls itself over TCP."""
    host = split_address(settings.listen)[0]
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == 4 else "::1"
    return _address(host, ports[0])


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tell_later(options: Options, settings: SuiteSettings) -> None:
    """Tell where the workers serve once one of them does."""
    host, port = split_address(settings.listen)

    def wait() -> None:
        while True:
            try:
                socket.create_connection((host, port), timeout=1.0).close()
            except OSError:
                time.sleep(LOOK_SECONDS)
            else:
                return _tell(options, settings, None, [port], None, settings.http_port)

    threading.Thread(target=wait, name="tell", daemon=True).start()


def _tell(
    options: Options,
    settings: SuiteSettings,
    folder: DataDir | None,
    ports: Sequence[int],
    place: Path | None,
    http_port: int | None,
) -> None:
    host = split_address(settings.listen)[0]
    tcp = _address(host, ports[0]) if ports else ""
    web = None
    if http_port is not None:
        web = f"http://{_address(http.name_for_clients(host), http_port)}"
    if folder is not None and place is not None:
        folder.publish(address=f"unix:{place}", tcp=tcp, http=web or "")
    if options.background:
        return
    uri = f"runstone://{_address(http.name_for_clients(host), ports[0])}"
    facts: dict[str, Any] = {
        "address": tcp,
        "uri": uri,
        "http": web,
        "socket": str(place) if place else None,
        "data_dir": str(folder.path) if folder else None,
        "pid": os.getpid(),
    }
    if options.as_json:
        _say(json.dumps(facts))
        return
    kept = "PostgreSQL, artifacts in an object store"
    if folder is not None:
        kept = "SQLite, artifacts in a folder"
    lines = [f"Runstone serves on {tcp} ({kept})."]
    if folder is not None:
        lines.append(f"  data folder   {folder.path}")
    lines += [
        "  next          in another terminal:",
        f"                export RUNSTONE_TRACKING_URI={uri}",
        "                runstone experiments list",
    ]
    if web is not None:
        lines.append(f"  with MLflow   export MLFLOW_TRACKING_URI={web}")
    lines += [
        "  stop          Ctrl-C",
    ]
    _say("\n".join(lines))


def _detach(folder: DataDir) -> None:
    """A life of its own: no terminal, no signals of the starter's terminal, a log in the folder."""
    with contextlib.suppress(PermissionError):
        os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log = folder.path / "suite.log"
    try:
        if log.exists() and log.stat().st_size > LARGEST_LOG_BYTES:
            log.replace(log.with_name("suite.log.1"))
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SuiteError(f"{log} cannot be written: {error.strerror}") from error
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)


def _failed(error: Exception) -> int:
    sys.stderr.write(f"Error: {error}\n")
    return workers.EXIT_CANNOT_START if workers.is_worker() else EXIT_FAILED


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
