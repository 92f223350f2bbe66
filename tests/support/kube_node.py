"""A node for the cluster of tests: it runs the commands of Jobs as processes of this machine."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.kube_api import FakeCluster


class Node:
    """Runs each Job that is made in the cluster. Use it by ``with``."""

    def __init__(self, cluster: FakeCluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._threads: list[threading.Thread] = []
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        self._cluster.on_job = self._take
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.kill()
        for thread in self._threads:
            thread.join()

    def _take(self, job: dict[str, Any]) -> None:
        thread = threading.Thread(target=self._run, args=(job,))
        self._threads.append(thread)
        thread.start()

    def _run(self, job: dict[str, Any]) -> None:
        pod = self._cluster.make_pod()
        container = job["spec"]["template"]["spec"]["containers"][0]
        # Nothing of this machine is in a container but where its programs are.
        variables = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        variables |= {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        variables |= {each["name"]: _plain(each["value"]) for each in container["env"]}
        process = subprocess.Popen(
            [_plain(word) for word in container["command"]],
            cwd=self._folder,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes.append(process)
        self._cluster.set_running(pod)
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._cluster.write(pod, line.rstrip("\n"))
        code = process.wait()
        if job["metadata"]["name"] in self._cluster.jobs():
            self._cluster.set_ended(pod, code)
            self._cluster.end_job(*(("Failed", "BackoffLimitExceeded") if code else ()))


def _plain(text: str) -> str:
    """As Kubernetes reads a text without variables."""
    assert "$(" not in text.replace("$$", "")
    return text.replace("$$", "$")
