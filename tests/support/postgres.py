"""A real PostgreSQL for tests, on a free loopback port, with a folder of its own."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from support.binaries import Unobtainable, postgres_programs
from support.processes import (
    START_SECONDS,
    begin,
    ended,
    free_port,
    kill,
    stop,
    wait_until,
)

SUPERUSER = "runstone"

# Sorts "a" before "B", as most people's databases do: a column that needs COLLATE "C" and lacks
# it is then noticed.
ICU = ("--locale=C", "--locale-provider=icu", "--icu-locale=en-US")
WITHOUT_ICU = ("--locale=C.UTF-8",)

# Durability (fsync, synchronous_commit, full_page_writes) keeps its default: it is under test.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "log_min_messages": "warning",
    # Templates are small, and a checkpoint at every copy costs an fsync of everything.
    "max_wal_size": "2GB",
    "autovacuum_naptime": "10s",
}


# Given up by a program that then becomes the server: subprocess's own `user=` needs a real fork,
# in which the handlers of a gRPC that is at work in this process crash the child.
GIVE_UP_ROOT = """
import os, sys
user, group, *command = sys.argv[1:]
os.setgroups([])
os.setgid(int(group))
os.setuid(int(user))
os.execv(command[0], command)
"""


class Identity(NamedTuple):
    """Who the server runs as."""

    user: int
    group: int

    def command(self, command: Sequence[str]) -> list[str]:
        """`command`, run as this user."""
        identity = [str(self.user), str(self.group)]
        return [sys.executable, "-IS", "-c", GIVE_UP_ROOT, *identity, *command]


def unprivileged() -> Identity | None:
    """Whom PostgreSQL, which refuses to run as root, runs as; None where nobody is root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return Identity(user.pw_uid, user.pw_gid)
    raise Unobtainable("PostgreSQL does not run as root, and there is no user postgres or nobody")


class PostgresServer:
    """One PostgreSQL server. `start` it, `kill` it under a test, `start` it again, `close` it.

    The port and the data stay the same across restarts.
    """

    def __init__(self, programs: Path | None = None) -> None:
        self.programs = programs or postgres_programs()
        self.identity = unprivileged()
        self.folder = Path(tempfile.mkdtemp(prefix="runstone-postgres-"))
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.password = secrets.token_hex(16)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        if self.identity:
            os.chown(self.folder, *self.identity)
        self._initialize()

    def _initialize(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password, "utf-8")
        if self.identity:
            os.chown(password_file, *self.identity)
        finished = self._initdb(password_file, *ICU)
        if finished.returncode != 0:
            print("initdb: no ICU here, so C.UTF-8 is the locale:", finished.stderr.strip())
            shutil.rmtree(self.data, ignore_errors=True)
            finished = self._initdb(password_file, *WITHOUT_ICU)
        password_file.unlink()
        if finished.returncode != 0:
            raise Unobtainable(f"initdb failed: {finished.stderr.strip()}")

    def _initdb(self, password_file: Path, *locale: str) -> subprocess.CompletedProcess[str]:
        # --no-sync is about the making of the cluster only; the server itself syncs.
        return subprocess.run(
            self._command(
                *("initdb", "--pgdata", str(self.data), "--no-sync"),
                *("--username", SUPERUSER, "--pwfile", str(password_file)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", *locale),
            ),
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
        )

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [str(self.programs / program), *arguments]
        return self.identity.command(command) if self.identity else command

    def start(self) -> None:
        """Starts the server, or starts it again after `stop` or `kill`; returns when it answers."""
        begin(self._start_once, self._move)

    def _move(self) -> None:
        # Who has a URL of it finds it there again.
        if self._databases == 0:
            self.port = free_port()

    def _start_once(self) -> None:
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                self._command("postgres", "-D", str(self.data), "-p", str(self.port), *settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
            )
        self.process = process

        def answers() -> bool:
            ended(process, self.log)
            try:
                self._connect("postgres").close()
            except psycopg.OperationalError:
                return False
            return True

        wait_until(answers, START_SECONDS, "PostgreSQL answering")

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self.process is not None
        return self.process.pid

    def stop(self) -> None:
        """Ends the server in good order; open connections are broken, commits are kept."""
        if self.process is not None:
            stop(self.process, signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL for the server and all its backends at once, as a crash of the machine does."""
        if self.process is not None:
            kill(self.process)

    def stop_at_once(self) -> None:
        """As `pg_ctl stop -m immediate`: nothing is written any more, and recovery follows."""
        if self.process is not None:
            stop(self.process, signal.SIGQUIT)

    def restart(self) -> None:
        """A crash and a new start, recovery included."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Ends the server and removes its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """What a service takes as RUNSTONE_DATABASE_URL."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str = "template1") -> str:
        """Makes a database, empty or a copy of `template` (~50 ms), and returns its name.

        Nobody may be connected to the template meanwhile.
        """
        self._databases += 1
        name = f"test_{self._databases}"
        self._administer(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return name

    def drop_database(self, name: str) -> None:
        """Removes a database; whoever is still connected to it is thrown out."""
        self._administer(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    @contextlib.contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """The URL of a database that exists for the length of a `with`."""
        name = self.create_database(template)
        try:
            yield self.url(name)
        finally:
            self.drop_database(name)

    def _administer(self, statement: sql.Composed) -> None:
        with contextlib.closing(self._connect("postgres")) as connection:
            connection.execute(statement)

    def _connect(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=5)
