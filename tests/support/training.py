"""A training that is killed and started again, and what must be stored of it."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

import runstone
from runstone._journal import folder as folders
from runstone._journal import progress
from support.processes import STOP_SECONDS, ended, kill, wait_until
from support.suites import clean_environment
from support.trainer import KEYS, Record, value

ENDLESS = 10**9

PAUSE_SECONDS = 0.0005
"""Between steps: at most 20,000 points a second."""

DELIVERY_SECONDS = 90.0

STUCK_LOOKS = 10
"""A call that takes so many looks of `wait_until` has no room."""


@dataclass(frozen=True)
class Outcome:
    """What became of the points of a training. `points`: all that were begun.

    `lost`: acknowledged, and neither stored nor on a receipt. `twice`: stored more often than once,
    or with a value that nobody logged. `strange`: stored, and never logged.
    """

    points: int
    lost: int
    twice: int
    strange: int

    @property
    def good(self) -> bool:
        """Whether acknowledged ⊆ stored ⊆ attempted, each point once and as it was logged."""
        return not (self.lost or self.twice or self.strange)


SENDER_S = 90.0
"""For a new sender: one that died again and again without delivering is started after a pause."""


class Training:
    """`support.trainer` on one run, through many lives."""

    def __init__(
        self,
        folder: Path,
        uri: str,
        server: str = "",
        journals: Path | None = None,
        **settings: str,
    ) -> None:
        """`uri` is where the trainer sends to; `server`, where the test looks, if elsewhere.

        `settings`: variables of the trainer's and its sender's environment.
        """
        self.folder = folder
        self.journals = journals or folder / "journals"
        self.settings = {
            "RUNSTONE_TRACKING_URI": uri,
            "RUNSTONE_JOURNAL_DIR": str(self.journals),
            "PYTHONPATH": os.pathsep.join(import_path()),
            **settings,
        }
        self.log = folder / "trainer.log"
        self.client = runstone.Client(server or uri)
        self.run_id = self.client.create_run("0").info.run_id
        self.record = Record(folder / "record")
        self.process: subprocess.Popen[bytes] | None = None
        # Steps that a killed life had begun and not ended: they may be stored or not.
        self.open_steps: set[int] = set()
        # Steps that the test has damaged on the disk, or that had no room: so may these.
        self.spared: set[int] = set()

    def start(
        self, steps: int = ENDLESS, pause: float = PAUSE_SECONDS, sender: bool = True
    ) -> None:
        """A new life; returns when it has logged, or at once when it is to log nothing."""
        command = [sys.executable, "-m", "support.trainer", self.run_id]
        command += [str(self.folder / "record"), str(steps), str(pause)]
        command.append("yes" if sender else "no")
        before = self.record.acknowledged
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=clean_environment(**self.settings),
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

    @property
    def pid(self) -> int:
        """The process of the life now."""
        assert self.process is not None
        return self.process.pid

    def wait_stuck(self) -> None:
        """Waits until a call of the trainer does not return."""
        seen: list[int] = []

        def stuck() -> bool:
            assert self.process is not None
            ended(self.process, self.log)
            seen.append(self.record.acknowledged)
            waiting = self.record.attempted > seen[-1]
            return waiting and seen[-STUCK_LOOKS:] == [seen[-1]] * STUCK_LOOKS

        wait_until(stuck, 30.0, "a call that waits")

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

        return int(wait_until(running, SENDER_S, "a sender"))

    def kill_sender(self) -> None:
        """SIGKILL for it; returns when another has taken its place."""
        killed = self.sender()
        os.kill(killed, 9)
        wait_until(lambda: self.sender() != killed, SENDER_S, "another sender")

    def delivered(self) -> bool:
        """Whether no journal is left."""
        return not folders.journals(self.journals)

    def settled(self) -> bool:
        """Whether nothing waits for delivery; what is kept aside and receipts may be there."""
        try:
            return not any(map(folders.undelivered, folders.journals(self.journals)))
        except FileNotFoundError:
            return False  # one was removed while it was looked at

    def dropped(self) -> int:
        """Points that found no room, by the receipts that are there."""
        return sum(progress.dropped(each).points for each in folders.journals(self.journals))

    def deliver(self, delivered: Callable[[], bool] | None = None) -> None:
        """Ends the life, and has everything delivered."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        # A life that logs nothing looks after what the others left.
        self.start(0)
        self.wait_end()
        wait_until(delivered or self.delivered, DELIVERY_SECONDS, "the end of all journals")

    def count(self) -> "Outcome":
        """What became of the points."""
        attempted = set(range(self.record.attempted))
        counts = {each.key: each.count for each in self.client.list_metric_keys(self.run_id)}
        lost = twice = strange = 0
        for number, key in enumerate(KEYS):
            history = self.client.get_metric_columns(self.run_id, key)
            points = zip(history.steps, history.values, strict=True)
            stored = {step for step, stands in points if stands == value(step, number)}
            lost += len(attempted - self.open_steps - self.spared - stored)
            # The count has exact repetitions too, which a history shows once.
            twice += max(counts.get(key, 0), len(history.steps)) - len(stored)
            strange += len(stored - attempted)
        lost -= self.dropped()
        return Outcome(len(attempted) * len(KEYS), lost, twice, strange)

    def close(self) -> None:
        """End what still runs."""
        if self.process is not None:
            kill(self.process)
        for folder in folders.journals(self.journals):
            pid = progress.read(folder).pid
            if pid and _is_sender(pid, folder):
                psutil.Process(pid).kill()
        self.record.close()


def import_path() -> list[str]:
    """Where a process that tests start finds `support`, and what this one was told."""
    told = os.environ.get("PYTHONPATH")
    return [str(Path(__file__).parents[1]), *(told.split(os.pathsep) if told else [])]


def _is_sender(pid: int, folder: Path) -> bool:
    try:
        return str(folder) in psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return False
