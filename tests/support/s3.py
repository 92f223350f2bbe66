"""A real S3 server for tests (MinIO, or versitygw by RUNSTONE_TEST_S3), on a free port."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from minio import Minio
from minio.error import MinioException
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from support.binaries import MINIO, GoServer, chosen_s3, s3_program
from support.processes import (
    START_SECONDS,
    begin,
    ended,
    free_port,
    kill,
    stop,
    wait_until,
)

REGION = "us-east-1"


class S3Server:
    """One S3 server with a folder of its own. `start`, `kill`, `start` again, `close`.

    The port and the objects stay the same across restarts.
    """

    def __init__(self, server: GoServer | None = None) -> None:
        self.server = server or chosen_s3()
        self.program = s3_program(self.server)
        self.folder = Path(tempfile.mkdtemp(prefix=f"runstone-{self.server.name}-"))
        self.data = self.folder / "data"
        self.data.mkdir()
        self.log = self.folder / "server.log"
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_hex(16)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._buckets = 0
        self._pool = PoolManager(timeout=Timeout(30.0), retries=Retry(0))

    @property
    def endpoint(self) -> str:
        """host:port, as the minio client takes it."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self.process is not None
        return self.process.pid

    def client(self) -> Minio:
        """A client with the server's own key, for looking behind the service's back."""
        return Minio(
            self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
            region=REGION,
            http_client=self._pool,
        )

    def start(self) -> None:
        """Starts the server, or starts it again after `stop` or `kill`; returns when it answers."""
        begin(self._start_once, self._move)

    def _move(self) -> None:
        # Who has a URL of it finds it there again.
        if self._buckets == 0:
            self.port = free_port()

    def _start_once(self) -> None:
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                self._command(),
                env={**os.environ, **self._environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
            )
        self.process = process
        client = self.client()

        def answers() -> bool:
            ended(process, self.log)
            try:
                client.list_buckets()
            except (HTTPError, MinioException):
                # Nobody listens yet, or MinIO answers "not initialized, try again".
                return False
            return True

        wait_until(answers, START_SECONDS, f"{self.server.name} answering")

    def _command(self) -> list[str]:
        if self.server.name == MINIO.name:
            address = ("--address", self.endpoint, "--console-address", "127.0.0.1:0")
            return [str(self.program), "server", "--quiet", *address, str(self.data)]
        return [str(self.program), "--port", self.endpoint, "posix", str(self.data)]

    def _environment(self) -> dict[str, str]:
        if self.server.name == MINIO.name:
            return {
                "MINIO_ROOT_USER": self.access_key,
                "MINIO_ROOT_PASSWORD": self.secret_key,
                "MINIO_BROWSER": "off",
                "MINIO_UPDATE": "off",
            }
        return {
            "ROOT_ACCESS_KEY": self.access_key,
            "ROOT_SECRET_KEY": self.secret_key,
            "VGW_REGION": REGION,
        }

    def stop(self) -> None:
        """Ends the server in good order."""
        if self.process is not None:
            stop(self.process, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as a crash of the machine does."""
        if self.process is not None:
            kill(self.process)

    def restart(self) -> None:
        """A crash and a new start."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Ends the server and removes its folder."""
        self.stop()
        self._pool.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_bucket(self) -> str:
        """Makes an empty bucket and returns its name."""
        self._buckets += 1
        name = f"test-{self._buckets}"
        self.client().make_bucket(name)
        return name

    def url(self, bucket: str) -> str:
        """What a service takes as RUNSTONE_OBJECTS_URL."""
        return f"s3+http://{self.access_key}:{self.secret_key}@{self.endpoint}/{bucket}"
