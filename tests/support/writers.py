"""Clients that write without pause, remember what was acknowledged, and check it afterwards.

Each writer is a thread with its own run or model. It knows nothing of kills: it calls, and what a
call returned from is acknowledged. A call that raises is a failure of the test, because clients
resume by themselves.
"""

import hashlib
import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import runstone
from support.processes import NotReady, wait_until

SERIES = 3
MOST_POINTS = 40
# Past what one message takes, so that the file goes by stream.
LARGE_BYTES = 5 * 2**20
LARGE_EVERY = 8
RESUME_SECONDS = 30.0
STAGES = ("Staging", "Production", "Archived", "None")


def repeated(call: Callable[[], object]) -> None:
    """A call that the client does not repeat by itself, because it may carry an etag.

    Here it carries none, so that the same call again changes nothing more.
    """
    end = time.monotonic() + RESUME_SECONDS
    while True:
        try:
            call()
        except runstone.exceptions.Unavailable:
            if time.monotonic() > end:
                raise
        else:
            return


RESUMED_SECONDS = 30.0
"""Clients are promised to be back within 10 s; the cores of a test may be busy with other ones."""


class Writer(threading.Thread):
    """Calls `step` until told to stop, and counts what was acknowledged."""

    def __init__(self, uri: str, seed: str) -> None:
        super().__init__(name=type(self).__name__, daemon=True)
        self.client = runstone.Client(uri)
        self.random = random.Random(seed)
        self.acknowledged = 0
        self.last = 0.0
        self.longest = 0.0
        self.failure = ""
        self._stop_asked = threading.Event()

    def step(self) -> None:
        """One call, or a few; returns when acknowledged."""
        raise AssertionError("a writer has a step of its own")

    def check(self) -> None:
        """Asserts that everything acknowledged is there exactly once."""
        raise AssertionError("a writer has a check of its own")

    def run(self) -> None:
        """The thread's work."""
        while not self._stop_asked.is_set():
            began = time.monotonic()
            try:
                self.step()
            except Exception:
                self.failure = traceback.format_exc()
                return
            self.last = time.monotonic()
            self.longest = max(self.longest, self.last - began)
            self.acknowledged += 1

    def finish(self, seconds: float) -> None:
        """Let the last call end."""
        self._stop_asked.set()
        self.join(seconds)
        assert not self.is_alive(), f"{self.name} still waits for its call after {seconds} s"
        assert not self.failure, f"{self.name} failed:\n{self.failure}"


class MetricWriter(Writer):
    """Appends points; every step of a series once."""

    def __init__(self, uri: str, seed: str) -> None:
        super().__init__(uri, seed)
        self.run_id = self.client.create_run("0").info.run_id
        self.values: dict[str, list[float]] = {f"loss/{n}": [] for n in range(SERIES)}

    def step(self) -> None:
        batch = {}
        for key, known in self.values.items():
            new = [self.random.random() for _ in range(self.random.randint(1, MOST_POINTS))]
            steps = range(len(known), len(known) + len(new))
            batch[key] = (list(steps), [1_700_000_000_000 + step for step in steps], new)
        self.client.append_metrics(self.run_id, batch)
        for key, (_, _, new) in batch.items():
            self.values[key] += new

    def check(self) -> None:
        counts = {each.key: each.count for each in self.client.list_metric_keys(self.run_id)}
        assert counts == {key: len(values) for key, values in self.values.items()}
        for key, values in self.values.items():
            stored = self.client.get_metric_history(self.run_id, key)
            assert [(point.step, point.value) for point in stored] == list(enumerate(values))


class ParamWriter(Writer):
    """Sets parameters and a tag, in one batch."""

    def __init__(self, uri: str, seed: str) -> None:
        super().__init__(uri, seed)
        self.run_id = self.client.create_run("0").info.run_id
        self.params: dict[str, str] = {}

    def step(self) -> None:
        number = len(self.params)
        new = {f"p{number}": str(self.random.random())}
        self.client.log_batch(self.run_id, params=new, tags={"last": str(number)})
        self.params |= new

    def check(self) -> None:
        data = self.client.get_run(self.run_id).data
        assert data.params == self.params
        assert data.tags["last"] == str(len(self.params) - 1)


class RunWriter(Writer):
    """Creates runs and ends them."""

    def __init__(self, uri: str, seed: str) -> None:
        super().__init__(uri, seed)
        self.experiment_id = self.client.create_experiment(f"runs {seed}")
        self.run_ids: list[str] = []

    def step(self) -> None:
        run_id = self.client.create_run(self.experiment_id).info.run_id
        self.client.set_terminated(run_id)
        self.run_ids.append(run_id)

    def check(self) -> None:
        stored: list[str] = []
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], page_token=token)
            assert {run.info.status for run in page} <= {"FINISHED"}
            stored += [run.info.run_id for run in page]
            token = page.token
            if not token:
                break
        assert Counter(stored) == Counter(self.run_ids)


class ArtifactWriter(Writer):
    """Sends files: small ones in one message, every eighth by stream."""

    def __init__(self, uri: str, seed: str, folder: Path) -> None:
        super().__init__(uri, seed)
        self.folder = folder
        self.run_id = self.client.create_run("0").info.run_id
        self.digests: dict[str, str] = {}

    def step(self) -> None:
        number = len(self.digests)
        size = LARGE_BYTES if number % LARGE_EVERY == LARGE_EVERY - 1 else 1000
        content = self.random.randbytes(size)
        local = self.folder / f"{number}.bin"
        local.write_bytes(content)
        self.client.log_artifact(self.run_id, str(local), "sent")
        local.unlink()
        self.digests[f"sent/{number}.bin"] = hashlib.sha256(content).hexdigest()

    def check(self) -> None:
        to = self.folder / "back"
        to.mkdir()
        self.client.download_artifacts(self.run_id, dst_path=to)
        stored = {
            str(path.relative_to(to)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in to.rglob("*")
            if path.is_file()
        }
        assert stored == self.digests


class RegistryWriter(Writer):
    """Makes versions of a model from a run's file, and moves them from stage to stage."""

    def __init__(self, uri: str, seed: str, folder: Path) -> None:
        super().__init__(uri, seed)
        self.model = f"model {seed}"
        self.run_id = self.client.create_run("0").info.run_id
        local = folder / "weights.bin"
        local.write_bytes(b"weights")
        self.client.log_artifact(self.run_id, str(local), "model")
        self.client.create_registered_model(self.model)
        self.stages: list[str] = []
        self.transitions = 0

    def step(self) -> None:
        version = int(
            self.client.create_model_version(self.model, f"runs:/{self.run_id}/model").version
        )
        # Numbers follow each other only if no creation was applied twice.
        assert version == len(self.stages) + 1
        stage = STAGES[version % len(STAGES)]
        repeated(lambda: self.client.transition_model_version_stage(self.model, version, stage))
        self.transitions += stage != "None"
        self.stages.append(stage)

    def check(self) -> None:
        stored: dict[int, str] = {}
        token = None
        while True:
            page = self.client.search_model_versions(f"name = '{self.model}'", page_token=token)
            stored |= {int(each.version): each.current_stage for each in page}
            token = page.token
            if not token:
                break
        assert stored == dict(enumerate(self.stages, start=1))
        actions = Counter(self._audit())
        assert actions["CreateModelVersion"] == len(self.stages)
        assert actions["TransitionModelVersionStage"] == self.transitions

    def _audit(self) -> list[str]:
        actions: list[str] = []
        token = None
        while True:
            page = self.client.list_audit_events(self.model, page_token=token)
            actions += [event.action for event in page]
            token = page.token
            if not token:
                return actions


class Load:
    """Writers of every kind against one suite."""

    def __init__(self, uri: str, seed: str, folder: Path) -> None:
        for name in ("files", "models"):
            (folder / name).mkdir()
        self.writers: Sequence[Writer] = (
            MetricWriter(uri, f"{seed} metrics"),
            MetricWriter(uri, f"{seed} more metrics"),
            ParamWriter(uri, f"{seed} params"),
            RunWriter(uri, f"{seed} runs"),
            ArtifactWriter(uri, f"{seed} artifacts", folder / "files"),
            RegistryWriter(uri, f"{seed} registry", folder / "models"),
        )
        self.random = random.Random(seed)

    def start(self) -> None:
        """Start writing."""
        for writer in self.writers:
            writer.start()

    def fault(self, break_it: Callable[[], None], mend_it: Callable[[], None]) -> None:
        """Break something at a random moment of the writing, mend it, and see all resume.

        `mend_it` returns when what was broken serves again.
        """
        wanted = self._acknowledged() + self.random.randint(5, 40)
        wait_until(lambda: self._acknowledged() >= wanted, 30.0, "writing going on")
        break_it()
        mend_it()
        back = time.monotonic()
        self._wait_resumed(back, RESUMED_SECONDS)

    def finish(self) -> None:
        """Stop writing and check all of it."""
        for writer in self.writers:
            writer.finish(30.0)
        for writer in self.writers:
            writer.check()

    def _acknowledged(self) -> int:
        return sum(writer.acknowledged for writer in self._living())

    def _wait_resumed(self, since: float, seconds: float) -> None:
        def waiting() -> list[str]:
            return [writer.name for writer in self._living() if writer.last <= since]

        try:
            wait_until(lambda: not waiting(), seconds, "every client resuming")
        except NotReady as error:
            error.add_note(f"still waiting: {', '.join(waiting())}")
            raise

    def _living(self) -> Sequence[Writer]:
        for writer in self.writers:
            # Not an AssertionError, which would count as "not yet".
            if writer.failure:
                raise RuntimeError(f"{writer.name} failed:\n{writer.failure}")
        return self.writers
