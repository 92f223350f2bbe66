"""A Job followed to its end: what keeps its pod from starting, what it writes, how it ended."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runstone._projects.kube_api import Away, Cluster, Refused, Watch
from runstone._projects.kube_logs import LogThread

log = logging.getLogger("runstone.projects")

Status = Literal["FINISHED", "FAILED", "KILLED"]

TICK_S = 1.0
"""Between looks at the clock."""

LOGS_S = 30.0
"""So long the end of a log may take after the end of its Job."""

NEVER_STARTS = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
"""What keeps a container from being made, and waiting seldom heals. A pod that has no node yet is
none of them: a full cluster may have room in an hour."""

USUAL = frozenset({"ContainerCreating", "PodInitializing", ""})


@dataclass(frozen=True, slots=True)
class Ended:
    """How a Job ended, and why, in words."""

    status: Status
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a watching thread tells."""

    of: Literal["job", "pods"]
    kind: str
    items: list[dict[str, Any]]


class Following:
    """One Job, from now to its end."""

    def __init__(
        self,
        cluster: Cluster,
        job: str,
        run_id: str,
        *,
        told: Callable[[str], None],
        start_timeout_s: float = 0.0,
    ) -> None:
        self._cluster = cluster
        self._job = job
        self._run_id = run_id
        self._told = told
        self._start_timeout_s = start_timeout_s
        self._events: queue.Queue[_Seen] = queue.Queue()
        self._logs: dict[tuple[str, int], LogThread] = {}
        self._said: set[tuple[str, str]] = set()
        self._last_pod: Mapping[str, Any] = {}
        self._stuck: tuple[float, str] | None = None

    def end(self) -> Ended:
        """Wait for the end. The caller may be interrupted; the Job goes on then."""
        watches = {
            "job": self._cluster.job_watch(self._job),
            "pods": self._cluster.pod_watch(self._run_id),
        }
        threads = [
            threading.Thread(
                target=self._watch, args=(name, watch), name=f"watch of {name}", daemon=True
            )
            for name, watch in watches.items()
        ]
        for thread in threads:
            thread.start()
        try:
            ended = self._until_the_end()
            self._last_lines()
        finally:
            for watch in watches.values():
                watch.close()
            for each in self._logs.values():
                each.close()
        for thread in threads:
            thread.join(TICK_S)
        return ended

    def _watch(self, name: Literal["job", "pods"], watch: Watch) -> None:
        for kind, items in watch.events():
            self._events.put(_Seen(name, kind, items))

    def _until_the_end(self) -> Ended:
        while True:
            try:
                seen = self._events.get(timeout=TICK_S)
            except queue.Empty:
                seen = None
            ended = self._taken(seen) if seen is not None else None
            ended = ended or self._gave_up()
            if ended is not None:
                return ended

    def _taken(self, seen: _Seen) -> Ended | None:
        try:
            return self._take(seen)
        except Exception as error:
            # Whoever waits would end the run, which trains on.
            self._tell_odd(seen.of, error)
            return None

    def _tell_odd(self, what: str, error: Exception) -> None:
        kind = type(error).__name__
        log.warning(
            "what the cluster tells of the %s is odd; the run goes on: %s: %s", what, kind, error
        )

    def _take(self, seen: _Seen) -> Ended | None:
        if seen.kind == "REFUSED":
            self._tell_refused(seen)
            return None
        if seen.of == "pods":
            if seen.kind != "DELETED":
                self._take_pods(seen.items)
            return None
        if seen.kind == "DELETED" or not seen.items:
            return Ended("KILLED", f"the Job {self._job} was deleted")
        return self.judged(seen.items[0])

    def _tell_refused(self, seen: _Seen) -> None:
        key = (seen.of, "REFUSED")
        if key in self._said:
            return
        self._said.add(key)
        if seen.of == "pods":
            lost = "what becomes of the pod, and what it writes, cannot be seen"
        else:
            lost = f"whether the Job {self._job} has ended cannot be seen, and is asked again"
        log.warning(
            "%s: the cluster does not let you: %s; the run goes on", lost, seen.items[0]["message"]
        )

    def judged(self, job: Mapping[str, Any]) -> Ended | None:
        """How a Job ended; None while it goes on."""
        for condition in _status(job).get("conditions") or ():
            if condition.get("status") != "True":
                continue
            if condition.get("type") == "Complete":
                return Ended("FINISHED")
            if condition.get("type") == "Failed":
                return Ended("FAILED", self._why(condition))
        return None

    def _why(self, condition: Mapping[str, Any]) -> str:
        said = [each for each in (condition.get("reason"), condition.get("message")) if each]
        try:
            pods = self._cluster.pods(self._run_id)
        except (Refused, Away):
            pods = []
        pod = max(pods, key=_made, default=self._last_pod)
        return "; ".join(filter(None, [pod_failure(pod), ": ".join(said)]))

    def _take_pods(self, pods: list[dict[str, Any]]) -> None:
        for pod in pods:
            self._last_pod = pod
            self._tell_waiting(pod)
            self._follow_log(pod)

    def _tell_waiting(self, pod: Mapping[str, Any]) -> None:
        reason, message = waiting(pod)
        if reason in NEVER_STARTS:
            since = self._stuck[0] if self._stuck else time.monotonic()
            self._stuck = (since, f"{reason}: {message}" if message else reason)
        else:
            self._stuck = None
        key = (str(_metadata(pod).get("name")), reason)
        if reason in USUAL or key in self._said:
            return
        self._said.add(key)
        log.warning("the pod waits: %s%s", reason, f": {message}" if message else "")

    def _gave_up(self) -> Ended | None:
        if self._stuck is None or not self._start_timeout_s:
            return None
        since, why = self._stuck
        if time.monotonic() - since < self._start_timeout_s:
            return None
        try:
            self._cluster.delete_job(self._job)
        except (Refused, Away) as error:
            log.warning("the Job %s is left in the cluster: %s", self._job, error)
        return Ended(
            "FAILED", f"its container could not be made for {self._start_timeout_s:g} s: {why}"
        )

    def _follow_log(self, pod: Mapping[str, Any]) -> None:
        name = str(_metadata(pod).get("name"))
        state = _container_state(pod)
        if "running" not in state and "terminated" not in state:
            return
        containers = (pod.get("spec") or {}).get("containers") or []
        if not containers:
            return
        # A template may have containers start anew in their pod.
        key = (name, int(_container(pod).get("restartCount") or 0))
        thread = self._logs.get(key)
        if thread is None:
            container = str(containers[0]["name"])
            thread = self._logs[key] = LogThread(self._cluster, name, container, self._told)
            thread.start()
        if "terminated" in state:
            thread.finish()

    def _last_lines(self) -> None:
        """What the pods wrote to their end; a quick Job may have ended before they were seen."""
        try:
            self._take_pods(self._cluster.pods(self._run_id))
        except (Refused, Away) as error:
            log.info("the pods cannot be listed: %s", error)
        except Exception as error:
            self._tell_odd("pods", error)
        deadline = time.monotonic() + LOGS_S
        for thread in self._logs.values():
            thread.finish()
            thread.join(max(0.0, deadline - time.monotonic()))


def waiting(pod: Mapping[str, Any]) -> tuple[str, str]:
    """Why a pod does not run yet, as reason and message; empty ones when it does."""
    status = _status(pod)
    if status.get("phase") != "Pending":
        return "", ""
    for each in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        found = (each.get("state") or {}).get("waiting") or {}
        if found.get("reason") not in USUAL | {None}:
            return str(found["reason"]), str(found.get("message") or "")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("reason") or "Unscheduled"), str(
                condition.get("message") or ""
            )
    return "", ""


def pod_failure(pod: Mapping[str, Any]) -> str:
    """Why a pod failed, in words; empty when that is not known."""
    status = _status(pod)
    if status.get("reason"):  # evicted, or of a node that was lost
        return ": ".join(str(status[each]) for each in ("reason", "message") if status.get(each))
    ended = _container_state(pod).get("terminated") or {}
    if not ended.get("exitCode"):
        return ""
    said = f"exit code {ended['exitCode']}"
    if ended.get("reason") == "OOMKilled":
        return f"{said}: OOMKilled, it took more memory than its limit"
    extra = [ended.get("reason"), ended.get("message")]
    more = ": ".join(str(each).strip() for each in extra if each and each != "Error")
    return f"{said}: {more}" if more else said


def _container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status of the first container, which is the project's."""
    containers = (pod.get("spec") or {}).get("containers") or [{}]
    for each in _status(pod).get("containerStatuses") or ():
        if each.get("name") == containers[0].get("name"):
            found: Mapping[str, Any] = each
            return found
    return {}


def _container_state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _container(pod).get("state") or {}
    return found


def _made(pod: Mapping[str, Any]) -> str:
    return str(_metadata(pod).get("creationTimestamp") or "")


def _status(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = item.get("status") or {}
    return found


def _metadata(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = item.get("metadata") or {}
    return found
