"""The calls of Kubernetes that are needed, as plain data, by its own client.

A watch is taken up where it broke; where the server has forgotten that place (410), everything is
listed again. What is refused and what is only away are told apart: the one needs a person.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from runstone._containers import manifests
from runstone.exceptions import (
    FailedPrecondition,
    InvalidArgument,
    LibraryMissing,
    NotFound,
    PermissionDenied,
    RunstoneException,
    Unauthenticated,
    Unavailable,
)

log = logging.getLogger("runstone.projects")

CONNECT_S = 10.0
CALL_S = 30.0
WATCH_S = 60
"""A watch is asked for anew so often; one that is dead without a word is noticed by it."""

POLL_S = 5.0
"""Between lists, where lists are allowed and watches are not."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 15.0
"""After a connection that broke; doubled each time until one holds."""

HELD_S = 1.0
"""A watch that ended sooner is not asked for anew at once: some proxies end each."""

GONE = 410

_KINDS: dict[int, type[RunstoneException]] = {
    400: InvalidArgument,
    401: Unauthenticated,
    403: PermissionDenied,
    404: NotFound,
    422: InvalidArgument,
}
_AWAY = {408, 429, 500, 502, 503, 504}


class Refused(Exception):
    """The API server answered, and not with what was asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def told(self, what: str) -> RunstoneException:
        """The exception for whoever wanted something."""
        kind = _KINDS.get(self.status, FailedPrecondition)
        return kind(f"the cluster does not {what}: {self.message} (HTTP {self.status})")


class Away(Exception):
    """The API server could not be reached, or is not able to answer now."""

    def told(self, what: str) -> RunstoneException:
        """The exception for whoever wanted something."""
        return Unavailable(f"the cluster does not {what}, for it cannot be reached: {self}")


class Cluster:
    """A namespace of a cluster."""

    def __init__(self, client: Any, namespace: str) -> None:
        import kubernetes.client

        self.namespace = namespace
        self._client = client
        self._batch = kubernetes.client.BatchV1Api(client)
        self._core = kubernetes.client.CoreV1Api(client)

    @property
    def host(self) -> str:
        """Where the API server is; for people."""
        return str(self._client.configuration.host)

    def create_job(self, manifest: Mapping[str, Any]) -> None:
        """Make a Job. Raises Refused, Away."""
        self._call(self._batch.create_namespaced_job, self.namespace, manifest)

    def read_job(self, name: str) -> dict[str, Any] | None:
        """A Job; None when there is none. Raises Refused, Away."""
        try:
            found: dict[str, Any] = self._call(
                self._batch.read_namespaced_job, name, self.namespace
            )
            return found
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def delete_job(self, name: str) -> None:
        """Delete a Job with its pods; one that is gone is fine. Raises Refused, Away."""
        try:
            self._call(
                self._batch.delete_namespaced_job,
                name,
                self.namespace,
                propagation_policy="Background",
            )
        except Refused as error:
            if error.status != 404:
                raise

    def job_watch(self, name: str) -> Watch:
        """What becomes of a Job."""
        return Watch(
            self, self._batch.list_namespaced_job, {"field_selector": f"metadata.name={name}"}
        )

    def pods(self, run_id: str) -> list[dict[str, Any]]:
        """The pods of a run. Raises Refused, Away."""
        answer = self._call(self._core.list_namespaced_pod, self.namespace, **_of(run_id))
        return list(answer.get("items") or ())

    def pod_watch(self, run_id: str) -> Watch:
        """What becomes of the pods of a run."""
        return Watch(self, self._core.list_namespaced_pod, _of(run_id))

    def pod_log(self, pod: str, container: str, since_s: int | None, *, follow: bool) -> Any:
        """What a container wrote so many seconds back from now, or all of it; as a response.

        Each line stands behind its time. Raises Refused, Away.
        """
        options = {} if since_s is None else {"since_seconds": since_s}
        return self._open(
            self._core.read_namespaced_pod_log,
            pod,
            self.namespace,
            container=container,
            follow=follow,
            timestamps=True,
            read_s=WATCH_S if follow else CALL_S,
            **options,
        )

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def _call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        response = self._open(function, *arguments, read_s=CALL_S, **options)
        try:
            return json.loads(_read(response))
        except ValueError:
            raise Away("its answer is no JSON") from None
        finally:
            response.release_conn()

    def _open(
        self, function: Callable[..., Any], *arguments: Any, read_s: float, **options: Any
    ) -> Any:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        try:
            return function(
                *arguments,
                **options,
                _request_timeout=(CONNECT_S, read_s),
                _preload_content=False,
            )
        except ApiException as error:
            said = _message(error.body, error.reason)
            if error.status in _AWAY or not error.status:
                raise Away(said) from error
            raise Refused(error.status, said) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Away(str(error)) from error
        except Exception as error:
            # The client's own, such as a token that its plugin cannot renew just now.
            raise Away(f"{type(error).__name__}: {error}") from error


def _of(run_id: str) -> dict[str, str]:
    return {"label_selector": f"{manifests.RUN_ID}={run_id}"}


def _read(response: Any) -> bytes:
    import urllib3

    try:
        data: bytes = response.data
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Away(str(error)) from error
    return data


def _message(body: Any, reason: Any) -> str:
    """What a Status says; the HTTP reason when there is none."""
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    with suppress(ValueError, TypeError):
        found = json.loads(body)
        if isinstance(found, dict) and found.get("message"):
            return str(found["message"])
    return str(reason or "no reason given")


class Stream:
    """Responses that come piece by piece, one after the other; ended by another thread."""

    def __init__(self) -> None:
        self._closed = threading.Event()
        self._response: Any = None
        self._lock = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether nobody reads any more."""
        return self._closed.is_set()

    def pause(self, seconds: float) -> bool:
        """Wait; whether there is still somebody who reads."""
        return not self._closed.wait(seconds)

    def lines(self, response: Any) -> Iterator[bytes]:
        """The whole lines of a response. Raises Away when it breaks."""
        import urllib3

        with self._lock:
            if self.closed:
                response.close()
                return
            self._response = response
        rest = b""
        try:
            for part in response.stream(amt=None, decode_content=False):
                *whole, rest = (rest + part).split(b"\n")
                yield from whole
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            # The last two: closed by another thread in the middle of a read.
            raise Away(str(error)) from error
        finally:
            with self._lock:
                self._response = None
            response.close()

    def close(self) -> None:
        """End it: whoever waits for the next line gets none."""
        with self._lock:
            self._closed.set()
            response = self._response
            if response is not None:
                # Older versions of urllib3 cannot; then it ends with the server's own patience.
                with suppress(Exception):
                    response.shutdown()


class Watch(Stream):
    """A list, and what changes in it."""

    def __init__(
        self, cluster: Cluster, listing: Callable[..., Any], selector: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._cluster = cluster
        self._list = listing
        self._selector = selector

    def events(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """`LIST` with all that there is, `CHANGED` or `DELETED` with one, until it is closed.

        `REFUSED`, with a message, when the server does not allow it. It is asked again: a token
        that has expired overnight may be renewed in the morning.
        """
        version: str | None = None
        pause = FIRST_PAUSE_S
        while not self.closed:
            try:
                if version is None:
                    version, items = self._listed()
                    yield "LIST", items
                begun = time.monotonic()
                for kind, item in self._changes(version or ""):
                    pause = FIRST_PAUSE_S
                    version = item["metadata"].get("resourceVersion", version)
                    if kind != "BOOKMARK":
                        yield ("DELETED" if kind == "DELETED" else "CHANGED"), [item]
                if time.monotonic() - begun >= HELD_S:
                    pause = FIRST_PAUSE_S
                else:
                    self.pause(pause)
                    pause = min(pause * 2, LONGEST_PAUSE_S)
            except Refused as error:
                if error.status == GONE:
                    version = None
                elif version is not None and error.status in {403, 405}:
                    version = None
                    self.pause(POLL_S)
                else:
                    version = None
                    yield "REFUSED", [{"message": error.message}]
                    self.pause(LONGEST_PAUSE_S)
            except Away as error:
                if not self.closed:
                    log.info("watching again in %.1f s: %s", pause, error)
                self.pause(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            except Exception as error:
                # Whoever waits would wait for ever, if this ended without a word.
                kind = type(error).__name__
                log.warning(
                    "an answer of the cluster is odd, it is asked again: %s: %s", kind, error
                )
                version = None
                self.pause(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)

    def _listed(self) -> tuple[str, list[dict[str, Any]]]:
        found = self._cluster._call(  # noqa: SLF001
            self._list, self._cluster.namespace, **self._selector
        )
        items = list(found.get("items") or ())
        for each in items:
            _check_item(each)
        return found["metadata"].get("resourceVersion", ""), items

    def _changes(self, version: str) -> Iterator[tuple[str, dict[str, Any]]]:
        response = self._cluster._open(  # noqa: SLF001
            self._list,
            self._cluster.namespace,
            **self._selector,
            watch=True,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=WATCH_S,
            read_s=WATCH_S + CALL_S,
        )
        for line in self.lines(response):
            try:
                event = json.loads(line)
                kind, item = event["type"], event["object"]
            except (ValueError, KeyError, TypeError) as error:
                raise Away(f"a line of a watch is none: {error}") from error
            if kind == "ERROR" and isinstance(item, dict):
                said = _message(json.dumps(item), None)
                raise Refused(GONE, said) if item.get("code") == GONE else Away(said)
            _check_item(item)
            yield kind, item


def _check_item(item: Any) -> None:
    """Raises ValueError: it is no object of Kubernetes."""
    if not isinstance(item, dict) or not isinstance(item.get("metadata"), dict):
        raise ValueError(f"{item!r:.100} has no metadata")


def connect(context: str, namespace: str) -> Cluster:
    """A namespace of the cluster that a kubeconfig's context says, or that this pod is in.

    Args:
        context: The current one when empty.
        namespace: That of the context, or of this pod, when empty.

    Raises:
        LibraryMissing: the client of Kubernetes is not installed.
        FailedPrecondition: there is no such context, or no cluster is known.
    """
    try:
        import kubernetes.client
        import kubernetes.config
    except ImportError:
        raise LibraryMissing(
            "the kubernetes backend needs `pip install 'runstone[kubernetes]'`"
        ) from None
    config: Any = kubernetes.config  # it has no types
    configuration = kubernetes.client.Configuration()
    try:
        contexts, current = config.list_kube_config_contexts()
    except (config.ConfigException, OSError) as error:
        if context:
            raise FailedPrecondition(
                f"there is no context {context!r}: no kubeconfig can be read: {error}"
            ) from error
        return _inside(configuration, namespace, error)
    chosen = next((each for each in contexts if each["name"] == context), None)
    if context and chosen is None:
        names = ", ".join(sorted(each["name"] for each in contexts)) or "none"
        raise FailedPrecondition(f"the kubeconfig has no context {context!r}; it has {names}")
    try:
        config.load_kube_config(context=context or None, client_configuration=configuration)
    except (config.ConfigException, OSError, ValueError) as error:
        raise FailedPrecondition(f"the kubeconfig cannot be used: {error}") from error
    said = ((chosen or current or {}).get("context") or {}).get("namespace")
    client = kubernetes.client.ApiClient(configuration)
    return Cluster(client, namespace or said or "default")


def _inside(configuration: Any, namespace: str, missing: Exception) -> Cluster:
    from pathlib import Path

    import kubernetes.client
    import kubernetes.config

    config: Any = kubernetes.config
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        raise FailedPrecondition(
            f"no cluster is known: {missing}; set KUBECONFIG, or run inside of a cluster"
        ) from None
    own = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    if not namespace and own.is_file():
        namespace = own.read_text("utf-8").strip()
    return Cluster(kubernetes.client.ApiClient(configuration), namespace or "default")
