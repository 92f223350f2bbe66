"""A small Kubernetes API server for tests: Jobs, pods, watches and logs, over real HTTP.

It answers as the real one does: resource versions, bookmarks, 409 for a name that is taken, 410 for
a version that is forgotten, Status documents, chunked streams. Nothing runs in it: a test says what
becomes of a pod, or a `Node` (kube_node.py) runs the commands.
"""

import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import yaml

from support.kube_schemas import checked_manifest

JOBS = re.compile(r"/apis/batch/v1/namespaces/([^/]+)/jobs(?:/([^/]+))?")
PODS = re.compile(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+)(/log)?)?")

REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "AlreadyExists",
    410: "Expired",
    422: "Invalid",
}


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Problem(Exception):
    """An answer that is none of success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def document(self) -> dict[str, Any]:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": REASONS.get(self.status, "Unknown"),
            "code": self.status,
        }


class FakeCluster:
    """The cluster, and what tests do to it. Use it by ``with``."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.items: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.logs: dict[str, list[str]] = {}
        self.ended_logs: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        self.problems: list[int] = []
        self.refused: dict[tuple[str, str], tuple[int, str]] = {}
        self.lost_answers = 0
        self.odd_events: list[Any] = []
        self.epoch = 0
        self.streams = 0
        self.bodies: list[dict[str, Any]] = []
        self.deletions: list[str] = []
        self.on_job: Callable[[dict[str, Any]], None] | None = None
        self._versions = itertools.count(1)
        self._version = 0
        self._history: list[tuple[int, str, str, dict[str, Any]]] = []
        self._forgotten = 0
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def kubeconfig(self, folder: Path, namespace: str = "training") -> Path:
        """A kubeconfig with the contexts `test` (the current one) and `other`."""
        path = folder / "kubeconfig"
        contexts = [
            {"name": name, "context": {"cluster": "fake", "user": "me", "namespace": place}}
            for name, place in (("test", namespace), ("other", "elsewhere"))
        ]
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {"token": "token-of-tests"}}],
            "contexts": contexts,
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut_streams()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # --- What becomes of things -----------------------------------------------------------------

    def put(self, kind: str, item: dict[str, Any], change: str = "MODIFIED") -> None:
        with self.changed:
            self._version = next(self._versions)
            item["metadata"]["resourceVersion"] = str(self._version)
            key = (kind, item["metadata"]["namespace"], item["metadata"]["name"])
            copied = json.loads(json.dumps(item))
            if change == "DELETED":
                self.items.pop(key, None)
            else:
                self.items[key] = copied
            self._history.append((self._version, kind, change, copied))
            self.changed.notify_all()

    def job(self) -> dict[str, Any]:
        """The last Job that was made."""
        found = [item for (kind, _, _), item in self.items.items() if kind == "jobs"]
        return json.loads(json.dumps(found[-1]))  # type: ignore[no-any-return]

    def jobs(self) -> list[str]:
        return [name for kind, _, name in self.items if kind == "jobs"]

    def pod(self, name: str) -> dict[str, Any]:
        (found,) = [each for key, each in self.items.items() if key[0] == "pods" and key[2] == name]
        return json.loads(json.dumps(found))  # type: ignore[no-any-return]

    def make_pod(self, suffix: str = "a1b2c") -> str:
        """The pod of the last Job, pending, as the Job's controller makes it."""
        job = self.job()
        template = job["spec"]["template"]
        name = f"{job['metadata']['name']}-{suffix}"
        labels = {**(template["metadata"].get("labels") or {}), "job-name": job["metadata"]["name"]}
        self.put(
            "pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": job["metadata"]["namespace"],
                    "labels": labels,
                    "creationTimestamp": now(),
                },
                "spec": template["spec"],
                "status": {"phase": "Pending"},
            },
            "ADDED",
        )
        return name

    def set_waiting(self, pod: str, reason: str, message: str = "") -> None:
        self._set_state(pod, "Pending", {"waiting": {"reason": reason, "message": message}})

    def set_unschedulable(self, pod: str, message: str) -> None:
        found = self.pod(pod)
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        found["status"]["conditions"] = [{**condition, "message": message}]
        self.put("pods", found)

    def set_running(self, pod: str) -> None:
        self.logs.setdefault(pod, [])
        self._set_state(pod, "Running", {"running": {"startedAt": now()}})

    def write(self, pod: str, text: str, stamp: str | None = None) -> None:
        """A line of the container's output."""
        with self.changed:
            fine = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"
            self.logs.setdefault(pod, []).append(f"{stamp or fine} {text}\n")
            self.changed.notify_all()

    def set_ended(self, pod: str, code: int, reason: str = "", message: str = "") -> None:
        with self.changed:
            self.ended_logs.add(pod)
            self.changed.notify_all()
        ended = {"exitCode": code, "reason": reason or ("Completed" if not code else "Error")}
        ended |= {"message": message} if message else {}
        self._set_state(pod, "Failed" if code else "Succeeded", {"terminated": ended})

    def _set_state(self, pod: str, phase: str, state: dict[str, Any]) -> None:
        found = self.pod(pod)
        name = found["spec"]["containers"][0]["name"]
        container = {"name": name, "restartCount": 0, "state": state}
        found["status"] = {"phase": phase, "containerStatuses": [container]}
        self.put("pods", found)

    def end_job(self, kind: str = "Complete", reason: str = "", message: str = "") -> None:
        job = self.job()
        condition = {"type": kind, "status": "True", "reason": reason, "message": message}
        job["status"] = {"conditions": [condition]}
        self.put("jobs", job)

    def run_to_end(self, code: int = 0, lines: tuple[str, ...] = ()) -> None:
        """Make the pod, let it write and end, and the Job with it."""
        pod = self.make_pod()
        self.set_running(pod)
        for line in lines:
            self.write(pod, line)
        self.set_ended(pod, code)
        self.end_job(*(("Failed", "BackoffLimitExceeded") if code else ("Complete",)))

    def delete_job(self, name: str) -> None:
        with self.changed:
            for key, item in list(self.items.items()):
                owner = item["metadata"].get("labels", {}).get("job-name")
                if key[2] == name or owner == name:
                    self.put(key[0], json.loads(json.dumps(item)), "DELETED")

    # --- Faults ---------------------------------------------------------------------------------

    def refuse(self, verb: str, what: str, status: int, message: str = "no") -> None:
        """Answer so to get, list, watch, create, delete of jobs, pods or logs, from now on."""
        self.refused[verb, what] = (status, message)

    def allow(self) -> None:
        self.refused.clear()

    def forget(self) -> None:
        """Versions until now are too old to watch from, as after a compaction."""
        with self.changed:
            self._forgotten = self._version + 1
            self._version = next(self._versions)
            self.changed.notify_all()

    def cut_streams(self) -> None:
        """Break every watch and every log in the middle."""
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()

    def answered(self, status: int) -> int:
        """How often that was the answer."""
        return self.problems.count(status)

    # --- Answers --------------------------------------------------------------------------------

    def listed(self, kind: str, namespace: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        return [
            item
            for (its, place, _), item in self.items.items()
            if its == kind and place == namespace and selected(item, query)
        ]

    def list_document(self, kind: str, namespace: str, query: Mapping[str, str]) -> dict[str, Any]:
        with self.changed:
            return {
                "kind": "List",
                "apiVersion": "v1",
                "metadata": {"resourceVersion": str(self._version)},
                "items": self.listed(kind, namespace, query),
            }

    def events_after(
        self, version: int, kind: str, namespace: str, query: Mapping[str, str]
    ) -> list[tuple[int, dict[str, Any]]]:
        """What changed since. Raises Problem 410 for a version that is forgotten."""
        if version < self._forgotten:
            raise Problem(410, f"too old resource version: {version} ({self._version})")
        return [
            (number, {"type": change, "object": item})
            for number, its, change, item in self._history
            if number > version
            and its == kind
            and item["metadata"]["namespace"] == namespace
            and selected(item, query)
        ]


def selected(item: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """Whether an item is what fieldSelector and labelSelector ask for."""
    labels = item["metadata"].get("labels") or {}
    for text in filter(None, query.get("labelSelector", "").split(",")):
        key, _, value = text.partition("=")
        if labels.get(key) != value:
            return False
    for text in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, value = text.partition("=")
        assert key == "metadata.name", key
        if item["metadata"]["name"] != value:
            return False
    return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_DELETE(self) -> None:
        self._handle("DELETE")

    def _handle(self, method: str) -> None:
        cluster = self.server.cluster
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        cluster.requests.append((method, self.path))
        try:
            if self.headers.get("Authorization") != "Bearer token-of-tests":
                raise Problem(401, "Unauthorized")
            self._route(method, parts.path, query, body)
        except Problem as problem:
            cluster.problems.append(problem.status)
            self._answer(problem.document(), problem.status)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _route(self, method: str, path: str, query: dict[str, str], body: Any) -> None:
        cluster = self.server.cluster
        job, pod = JOBS.fullmatch(path), PODS.fullmatch(path)
        if job is not None:
            kind, namespace, name = "jobs", job[1], job[2]
        elif pod is not None:
            kind, namespace, name = "logs" if pod[3] else "pods", pod[1], pod[2]
        else:
            raise Problem(404, "the server could not find the requested resource")
        verb = {"POST": "create", "DELETE": "delete"}.get(method) or (
            "get" if name else "watch" if query.get("watch", "").lower() == "true" else "list"
        )
        if (verb, kind) in cluster.refused:
            status, message = cluster.refused[verb, kind]
            raise Problem(status, message)
        if verb == "watch":
            with self._counted():
                self._watch(kind, namespace, query)
        elif verb == "list":
            self._answer(cluster.list_document(kind, namespace, query))
        elif verb == "create":
            self._create(namespace, body)
        elif kind == "logs":
            with self._counted():
                self._log(namespace, name, query)
        else:
            found = cluster.items.get((kind, namespace, name))
            if found is None:
                raise Problem(404, f'{kind}.batch "{name}" not found')
            if verb == "delete":
                cluster.deletions.append(f"{name} {query.get('propagationPolicy')}")
                cluster.delete_job(name)
            self._answer(found)

    def _create(self, namespace: str, body: dict[str, Any]) -> None:
        cluster = self.server.cluster
        cluster.bodies.append(body)
        checked_manifest(body)
        with cluster.changed:
            if ("jobs", namespace, body["metadata"]["name"]) in cluster.items:
                raise Problem(409, f'jobs.batch "{body["metadata"]["name"]}" already exists')
            body["metadata"] |= {"namespace": namespace, "creationTimestamp": now()}
            cluster.put("jobs", body, "ADDED")
        if cluster.on_job is not None:
            cluster.on_job(body)
        if cluster.lost_answers:
            cluster.lost_answers -= 1
            self.close_connection = True
            return
        self._answer(body, 201)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        cluster = self.server.cluster
        with cluster.changed:
            cluster.streams += 1
        try:
            yield
        finally:
            with cluster.changed:
                cluster.streams -= 1

    def _answer(self, document: Any, status: int = 200) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _watch(self, kind: str, namespace: str, query: dict[str, str]) -> None:
        cluster = self.server.cluster
        version = int(query.get("resourceVersion") or 0)
        until = time.monotonic() + float(query.get("timeoutSeconds") or 60)
        epoch, begun = cluster.epoch, False
        while True:
            with cluster.changed:
                try:
                    events = cluster.events_after(version, kind, namespace, query)
                except Problem as problem:
                    if not begun:
                        raise
                    cluster.problems.append(problem.status)
                    events = [(version, {"type": "ERROR", "object": problem.document()})]
                    until = 0
                if not begun:
                    self._begin("application/json")
                    begun = True
                    if cluster.odd_events:
                        self._chunk(json.dumps(cluster.odd_events.pop(0)).encode() + b"\n")
                if not events and cluster.epoch == epoch and time.monotonic() < until:
                    cluster.changed.wait(until - time.monotonic())
                    continue
            for version, event in events:  # noqa: B007
                self._chunk(json.dumps(event).encode() + b"\n")
            if cluster.epoch != epoch:
                # In the middle of an event.
                self._chunk(b'{"type": "MODIF')
                self._break()
                return
            if time.monotonic() >= until:
                self._chunk(b"")
                return

    def _log(self, namespace: str, name: str, query: dict[str, str]) -> None:
        cluster = self.server.cluster
        if ("pods", namespace, name) not in cluster.items:
            raise Problem(404, f'pods "{name}" not found')
        if name not in cluster.logs:
            raise Problem(400, "container is waiting to start: ContainerCreating")
        assert query["timestamps"].lower() == "true"
        epoch = cluster.epoch
        self._begin("text/plain")
        sent = 0
        while True:
            with cluster.changed:
                lines = cluster.logs[name][sent:]
                gone = ("pods", namespace, name) not in cluster.items
                over = gone or name in cluster.ended_logs or query["follow"].lower() != "true"
                if not lines and not over and cluster.epoch == epoch:
                    cluster.changed.wait()
                    continue
            if cluster.epoch != epoch:
                # In the middle of a line.
                self._chunk("".join(lines).encode()[:-3])
                self._break()
                return
            if lines:
                self._chunk("".join(lines).encode())
            sent += len(lines)
            if over and not lines:
                self._chunk(b"")
                return

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def _chunk(self, data: bytes) -> None:
        if not data:
            self.wfile.write(b"0\r\n\r\n")
            return
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _break(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
