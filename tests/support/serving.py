"""Models that are served for tests: in a thread, asked over real HTTP."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from runstone._serving.settings import Settings
from runstone._serving.worker import Worker
from support.processes import wait_until

JSON = "application/json"


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


def ask(
    port: int,
    path: str,
    body: Any = None,
    kind: str | None = JSON,
    *,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request over a connection of its own; a body that is no bytes is sent as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    sent = dict(headers or {})
    if body is not None and kind is not None:
        sent["Content-Type"] = kind
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body, sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(), dict(answer.getheaders()))
    finally:
        connection.close()


def predictions(port: int, body: Any, kind: str = JSON) -> Any:
    """The predictions that are answered."""
    answer = ask(port, "/invocations", body, kind)
    assert answer.status == 200, answer
    return answer.json["predictions"]


class Serving:
    """A worker in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._ports: list[int] = []
        self.error: Exception | None = None
        self.worker = Worker(settings, shared=False, told=self._ports.append)
        self.engine = self.worker.engine
        self._thread = threading.Thread(target=self._run, name="serving")

    @property
    def port(self) -> int:
        """Where it answers."""
        return self._ports[0]

    def start(self) -> None:
        """Serve; returns when requests are answered."""
        self._thread.start()
        wait_until(lambda: self._ports or self.error, what="the model to be served")
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End, with grace; returns when it has ended."""
        self.worker.end()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.worker.run()
        except Exception as error:
            self.error = error


@contextmanager
def serving(
    model_uri: object, *, prepare: Callable[[Serving], None] | None = None, **options: Any
) -> Iterator[Serving]:
    """A served model for the length of a ``with``."""
    served = Serving(Settings(str(model_uri), **{"port": 0, "grace_s": 5.0, **options}))
    if prepare is not None:
        prepare(served)
    served.start()
    try:
        yield served
    finally:
        served.stop()


class Held:
    """A function that waits, when it is called, until it is released."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self, *given: Any) -> Any:
        """The answer, once it may be given."""
        self.entered.release()
        assert self.release.wait(30)
        return self._answer(*given)
