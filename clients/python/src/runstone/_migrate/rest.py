"""One MLflow tracking server: calls, retries, pages, bytes. Only the standard library is used."""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from runstone._migrate.model import SourceUnreadable

USERNAME = "MLFLOW_TRACKING_USERNAME"
PASSWORD = "MLFLOW_TRACKING_PASSWORD"  # noqa: S105
TOKEN = "MLFLOW_TRACKING_TOKEN"  # noqa: S105
INSECURE = "MLFLOW_TRACKING_INSECURE_TLS"
CERTIFICATE = "MLFLOW_TRACKING_SERVER_CERT_PATH"
"""What MLflow's own client reads, and means, by them."""

PATIENCE_SECONDS = 60.0
"""How long a server that is away, or has too much to do, is waited for."""

REACH_SECONDS = 3.0
"""The same for one that never answered: more often than away it is another address."""

BROKEN_ATTEMPTS = 3
"""Of a call that is answered 500: it may pass, but is more often the same answer again."""

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0

TIMEOUT_SECONDS = 120.0
"""For an answer to begin: MLflow sorts whole experiments for a page of runs."""

PASSING = frozenset({408, 429, 502, 503, 504})

CHUNK_BYTES = 2**20

SHOWN = 300
"""Characters of an answer in a message."""


class RestError(SourceUnreadable):
    """The server refused a call.

    Attributes:
        status: Of HTTP; 0 when there was no answer.
        error_code: MLflow's, such as RESOURCE_DOES_NOT_EXIST.
    """

    def __init__(self, message: str, status: int, error_code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.mlflow_code = error_code
        self.away = status in (0, 401, *PASSING)


class _Passing(Exception):
    """May be answered otherwise a moment later."""

    def __init__(self, message: str, *, status: int = 0, after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.after = after


class Rest:
    """A server's calls. Each thread has a connection of its own, which stays open.

    Args:
        url: http(s)://[user:password@]host[:port][/prefix]
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SourceUnreadable(f"{url!r} is no URL of a tracking server")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        port = f":{parts.port}" if parts.port else ""
        self.where = f"{parts.scheme}://{parts.hostname}{port}{self._prefix}"
        self._headers = {"User-Agent": "runstone", **_authorization(parts.username, parts.password)}
        self._tls = _tls() if self._secure else None
        self._own = threading.local()
        self._answered = False
        self._lock = threading.Lock()
        self._opened: list[http.client.HTTPConnection] = []

    def get(self, call: str, **parameters: Any) -> Any:
        """A call of the REST API that reads, such as "runs/get"."""
        given = {name: value for name, value in parameters.items() if value not in (None, "")}
        return self.json("GET", f"/api/2.0/mlflow/{call}?{urlencode(given, doseq=True)}")

    def post(self, call: str, body: Mapping[str, Any]) -> Any:
        """A call of the REST API with a body. It is repeated when no answer comes."""
        return self.json("POST", f"/api/2.0/mlflow/{call}", json.dumps(body).encode())

    def create(self, call: str, body: Mapping[str, Any]) -> Any:
        """A call that must not be done twice: when no answer comes, nobody knows what was done.

        On a connection of its own: one that waited may have been closed by the server.
        """
        self._connection().close()
        path = f"/api/2.0/mlflow/{call}"
        try:
            return json.loads(self._whole("POST", path, json.dumps(body).encode()) or b"{}")
        except _Passing as error:
            raise RestError(f"POST {self.where}{path}: {error}", error.status) from None

    def json(self, method: str, path: str, body: bytes | None = None) -> Any:
        """The answer of any call, read as JSON."""
        said = self._attempts(method, path, lambda: self._whole(method, path, body))
        try:
            return json.loads(said or b"{}")
        except ValueError:
            raise RestError(
                f"{self.where}{path.partition('?')[0]} answered what is no JSON: is it a tracking"
                " server of MLflow?",
                200,
            ) from None

    def pages(
        self, method: str, call: str, field: str, parameters: Mapping[str, Any]
    ) -> Iterator[Any]:
        """The entries of all pages of a list call."""
        token = ""
        while True:
            given = {**parameters, **({"page_token": token} if token else {})}
            answer = self.get(call, **given) if method == "GET" else self.post(call, given)
            yield from answer.get(field, ())
            before, token = token, answer.get("next_page_token", "")
            if not token:
                return
            if token == before:
                raise RestError(f"{self.where} answered {call} with the same page again", 200)

    def fetch(self, path: str, target: Path) -> None:
        """The bytes that a path answers with, into a file; memory does not grow with them."""

        def attempt() -> None:
            with self._answer("GET", path, None) as answer, target.open("wb") as file:
                size = 0
                while data := answer.read(CHUNK_BYTES):
                    file.write(data)
                    size += len(data)
                said = answer.getheader("Content-Length")
                if said is not None and int(said) != size:
                    raise _Passing(f"{size} of {said} bytes came")

        self._attempts("GET", path, attempt)

    def put(self, path: str, source: Path) -> None:
        """Send a file's bytes by HTTP PUT."""

        def attempt() -> None:
            with source.open("rb") as file:
                size = source.stat().st_size
                headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
                with self._answer("PUT", path, file, headers) as answer:
                    answer.read()

        self._attempts("PUT", path, attempt)

    def _whole(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        with self._answer(method, path, body, headers) as answer:
            return answer.read()

    @contextmanager
    def _answer(
        self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer that is a success. Raises RestError, _Passing."""
        connection = self._connection()
        try:
            connection.request(
                method, self._prefix + path, body, {**self._headers, **(headers or {})}
            )
            answer = connection.getresponse()
            if answer.status >= 300:
                self._refused(path, answer, answer.read())
            yield answer
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _Passing(str(error) or type(error).__name__) from None
        except BaseException:
            # What is left of the answer would be read as the next one's.
            connection.close()
            raise

    def _refused(self, path: str, answer: http.client.HTTPResponse, said: bytes) -> None:
        text, code = said.decode("utf-8", "replace").strip(), ""
        try:
            told = json.loads(said)
            text, code = str(told.get("message", text)), str(told.get("error_code", ""))
        except (ValueError, AttributeError):
            pass
        message = f"{self.where}{path.partition('?')[0]} answered {answer.status}: {text[:SHOWN]}"
        if answer.status in (401, 403):
            message += f" ({USERNAME} and {PASSWORD}, or {TOKEN}, say who you are)"
        if answer.status in PASSING or answer.status >= 500:
            raise _Passing(message, status=answer.status, after=_seconds(answer))
        raise RestError(message, answer.status, code)

    def _attempts(self, method: str, path: str, attempt: Any) -> Any:
        began = time.monotonic()
        pause, broken = FIRST_PAUSE_SECONDS, 0
        while True:
            try:
                answer = attempt()
            except _Passing as error:
                self._answered |= error.status != 0
                end = began + (PATIENCE_SECONDS if self._answered else REACH_SECONDS)
                broken += error.status >= 500 and error.status not in PASSING
                if time.monotonic() + pause > end or broken == BROKEN_ATTEMPTS:
                    raise RestError(
                        f"{method} {self.where}{path.partition('?')[0]}: {error}", error.status
                    ) from None
                time.sleep(max(pause * random.uniform(0.5, 1.0), error.after or 0.0))  # noqa: S311
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                self._answered = True
                return answer

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if found is None:
            if self._tls is not None:
                found = http.client.HTTPSConnection(
                    self._host, self._port, timeout=TIMEOUT_SECONDS, context=self._tls
                )
            else:
                found = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
            self._own.connection = found
            with self._lock:
                self._opened.append(found)
        return found

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for each in self._opened:
                each.close()


def _authorization(username: str | None, password: str | None) -> dict[str, str]:
    username = username or os.environ.get(USERNAME)
    password = password or os.environ.get(PASSWORD)
    if username and password:
        said = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
        return {"Authorization": f"Basic {said}"}
    token = os.environ.get(TOKEN)
    return {"Authorization": f"Bearer {token}"} if token else {}


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=os.environ.get(CERTIFICATE))
    if os.environ.get(INSECURE, "").lower() in ("1", "true"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _seconds(answer: http.client.HTTPResponse) -> float | None:
    """What Retry-After says, when it is a number of seconds; at most what is waited for in all."""
    said = answer.getheader("Retry-After", "")
    return min(float(said), PATIENCE_SECONDS) if said.isascii() and said.isdigit() else None


def quoted(path: str) -> str:
    """A path of files as a part of a URL."""
    return quote(path, safe="/")
