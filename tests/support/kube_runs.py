"""Runs of projects as Jobs of the cluster of tests."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from runstone._entities.tracking import Run, RunInfo
from runstone._projects.kubernetes import KubernetesBackend, KubernetesRun
from runstone._projects.launch import Launch, Source
from runstone._projects.mlproject import DockerEnv, Project

RUN_ID = "0123456789abcdef0123456789abcdef"
JOB = "my-training-0123456789ab"
SUITE = "runstone://suite.lab:5051"


class Tags:
    """Takes the tags of the run."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.status = "RUNNING"

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        assert run_id == RUN_ID
        self.tags[key] = value

    def get_run(self, run_id: str) -> Run:
        return Run(RunInfo(run_id, "0", "x", self.status))

    def set_terminated(self, run_id: str, status: str) -> None:
        self.tags["status"] = status


def launch(
    config: Mapping[str, Any] | None = None,
    *,
    argv: tuple[str, ...] = ("python", "train.py", "--alpha", "0.5"),
    variables: Mapping[str, str] | None = None,
    image: str | None = "lab/train:1",
    **more: Any,
) -> Launch:
    folder = Path("/nowhere")
    environment = DockerEnv(image) if image else None
    return Launch(
        run_id=RUN_ID,
        experiment_id="0",
        project=Project(folder, "My Training", environment),
        source=Source("/nowhere", "folder", folder, folder),
        entry_point="main",
        parameters={"alpha": "0.5"},
        argv=argv,
        environment={
            "RUNSTONE_RUN_ID": RUN_ID, "RUNSTONE_TRACKING_URI": SUITE, **(variables or {}),
        },
        backend="kubernetes",
        backend_config=config or {},
        **more,
    )  # fmt: skip


def submit(config: Mapping[str, Any] | None = None, **more: Any) -> KubernetesRun:
    return KubernetesBackend().submit(launch(config, **more))


class Waiting:
    """A run that is waited for in another thread."""

    def __init__(self, run: KubernetesRun) -> None:
        self._run = run
        self._answers: list[bool] = []
        # One that hangs must not hide why.
        self._thread = threading.Thread(target=self._wait, daemon=True)

    def _wait(self) -> None:
        self._answers.append(self._run.wait())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What waits is looked at by ``result``."""

    def result(self) -> bool:
        """What ``wait`` gave."""
        self._thread.join(30)
        (answer,) = self._answers
        return answer


class Closing:
    """Lets the connections of a run go that nobody waits for."""

    def __init__(self, run: KubernetesRun) -> None:
        self.run = run

    def __enter__(self) -> KubernetesRun:
        return self.run

    def __exit__(self, *_: object) -> None:
        self.run._cluster.close()
