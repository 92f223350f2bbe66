"""A training that is killed and started again, and what must be stored of it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

import runstone
from runstone._journal import folder as folders
from runstone._journal import progress
from support.processes import STOP_SECONDS, ended, kill, wait_until
from support.suites import clean_environment
from support.trainer import KEYS, Record, value

ENDLESS = 10**9
DELIVERY_SECONDS = 90.0


class Training:
    """`support.trainer` on one run, through many lives."""

    def __init__(self, folder: Path, uri: str, server: str = "") -> None:
        """`uri` is where the trainer sends to; `server`, where the test looks, if elsewhere."""
        self.folder = folder
        self.uri = uri
        self.journals = folder / "journals"
        self.log = folder / "trainer.log"
        self.client = runstone.Client(server or uri)
        self.run_id = self.client.create_run("0").info.run_id
        self.record = Record(folder / "record")
        self.process: subprocess.Popen[bytes] | None = None
        # Steps that a killed life had begun and not ended: they may be stored or not.
        self.open_steps: set[int] = set()

    def start(self, steps: int = ENDLESS) -> None:
        """A new life; returns when it has logged, or at once when it is to log nothing."""
        command = [sys.executable, "-m", "support.trainer", str(self.journals), self.uri]
        command += [self.run_id, str(self.folder / "record"), str(steps)]
        before = self.record.acknowledged
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=clean_environment(PYTHONPATH=str(Path(__file__).parents[1])),
            )
        if steps:
            self.wait_steps(before + 1)

    def wait_steps(self, step: int, seconds: float = 30.0) -> None:
        """Waits until the trainer has come so far."""

        def there() -> bool:
            assert self.process is not None
            if self.record.acknowledged >= step:
                return True
            ended(self.process, self.log)
            return False

        wait_until(there, seconds, f"step {step}")

    def more(self, steps: int) -> None:
        """Waits for so many steps from now on."""
        self.wait_steps(self.record.acknowledged + steps)

    def kill(self) -> None:
        """SIGKILL for the trainer alone: its sender lives on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)
        self.open_steps |= set(range(self.record.acknowledged, self.record.attempted))

    def wait_end(self) -> None:
        """Waits for a life that logs so many steps."""
        assert self.process is not None
        assert self.process.wait(DELIVERY_SECONDS) == 0, self.log.read_text("utf-8")

    def sender(self) -> int:
        """The process that delivers the journal of the life now, once there is one."""

        def running() -> int:
            assert self.process is not None
            ended(self.process, self.log)
            for folder in folders.journals(self.journals):
                if folder.name.split("-")[1] == str(self.process.pid):
                    pid = progress.read(folder).pid
                    return pid if pid and psutil.pid_exists(pid) else 0
            return 0

        return int(wait_until(running, 30.0, "a sender"))

    def kill_sender(self) -> None:
        """SIGKILL for it; returns when another has taken its place."""
        killed = self.sender()
        os.kill(killed, 9)
        wait_until(lambda: self.sender() != killed, 30.0, "another sender")

    def delivered(self) -> bool:
        """Whether no journal is left."""
        return not folders.journals(self.journals)

    def finish(self) -> None:
        """Ends the life, has everything delivered, and checks what is stored."""
        self.kill()
        # A life that logs nothing looks after what the others left.
        self.start(0)
        self.wait_end()
        wait_until(self.delivered, DELIVERY_SECONDS, "the end of all journals")
        self.check()

    def check(self) -> None:
        """Asserts acknowledged ⊆ stored ⊆ attempted, each point once and as it was logged."""
        attempted = set(range(self.record.attempted))
        counts = {each.key: each.count for each in self.client.list_metric_keys(self.run_id)}
        assert set(counts) == set(KEYS)
        for number, key in enumerate(KEYS):
            history = self.client.get_metric_history(self.run_id, key)
            stored = [point.step for point in history]
            assert attempted - self.open_steps <= set(stored) <= attempted, key
            # The count has exact repetitions too, which a history shows once.
            assert len(stored) == len(set(stored)) == counts[key], key
            assert all(point.value == value(point.step, number) for point in history), key

    def close(self) -> None:
        """End what still runs."""
        if self.process is not None:
            kill(self.process)
        for folder in folders.journals(self.journals):
            pid = progress.read(folder).pid
            if pid and _is_sender(pid, folder):
                psutil.Process(pid).kill()
        self.record.close()


def _is_sender(pid: int, folder: Path) -> bool:
    try:
        return str(folder) in psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return False
