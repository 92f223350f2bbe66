"""What log_metrics leaves in the journal: every point, whatever disk, threads and clock do."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from runstone import _settings
from runstone._journal import folder, progress, rules
from runstone._journal import format as frames
from runstone._journal.progress import ProgressWriter
from runstone._journal.reader import Points, Reader
from runstone._journal.writer import MAX_KNOWN, Journal
from runstone.exceptions import InvalidArgument, InvalidField

Make = Callable[..., Journal]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Journal] = []

    def one(**how: object) -> Journal:
        made.append(Journal(tmp_path, "runstone://host:5051", **how))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for each in made:
        each.close()


def read(where: Path) -> list[Points]:
    stretches = list(Reader(where, final=True))
    assert not any(each.damage for each in stretches)
    return [each for part in stretches for each in part.records if isinstance(each, Points)]


def test_what_was_logged_is_there_on_return(make: Make) -> None:
    journal = make()
    journal.log("run-a", 2, {"loss": 0.5, "größe": 3}, -7, 1000)
    journal.log("run-b", None, {"loss": math.inf}, 2**63 - 1, 0)
    first, second = read(journal.folder)
    assert (first.run_id, first.rank, first.keys) == ("run-a", 2, ("loss", "größe"))
    assert (first.step, first.timestamp_ms, list(first.values)) == (-7, 1000, [0.5, 3.0])
    assert (second.run_id, second.rank, second.step) == ("run-b", None, 2**63 - 1)
    assert list(second.values) == [math.inf]
    assert journal.points == 3


class Scalar:
    """Like a scalar of numpy or torch."""

    def __init__(self, value: object) -> None:
        self.value = value

    def item(self) -> object:
        if isinstance(self.value, list):
            raise ValueError("only one element")
        return self.value


def test_every_real_number_is_taken(make: Make) -> None:
    journal = make()
    given = [1, 2.5, Scalar(3.5), Scalar(4), Decimal("5.5"), 10**400, -(10**400)]
    journal.log("r", None, {f"k{place}": value for place, value in enumerate(given)}, 0, 0)
    (point,) = read(journal.folder)
    assert list(point.values) == [1.0, 2.5, 3.5, 4.0, 5.5, math.inf, -math.inf]
    for value in (10**400, 2**1024, 10**300):
        journal.log("r", None, {"alone": value}, 0, 0)
    assert [point.values[0] for point in read(journal.folder)[1:]] == [math.inf, math.inf, 1e300]


@pytest.mark.parametrize("bad", [True, False, "1.0", None, 1j, [1.0], Scalar([1, 2]), Scalar(True)])
def test_what_is_no_number_is_refused_by_name_and_nothing_is_written(
    make: Make, bad: object
) -> None:
    journal = make()
    with pytest.raises(InvalidField, match=r"metrics\['acc'\] must be"):
        journal.log("r", None, {"loss": 1.0, "acc": bad}, 0, 0)
    assert read(journal.folder) == []
    assert journal.size == journal.points == 0


@pytest.mark.parametrize("key", ["", "a" * 251, "a?b", "a//b", "/a", "../a", ".", "a/", "a\tb", 7])
def test_a_bad_key_is_refused_by_name(make: Make, key: str) -> None:
    with pytest.raises(InvalidField, match=r"metrics\["):
        make().log("r", None, {"loss": 1.0, key: 2.0}, 0, 0)


def test_the_next_file_begins_by_size_and_says_everything_anew(make: Make) -> None:
    journal = make(file_bytes=4096)
    for step in range(500):
        journal.log(f"run-{step % 3}", None, {"a": float(step), f"k{step % 5}": 1.0}, step, 0)
    numbers = frames.file_numbers(journal.folder)
    assert len(numbers) > 3
    sizes = [frames.file_path(journal.folder, each).stat().st_size for each in numbers]
    assert sum(sizes) == journal.size
    assert all(4096 <= size < 3 * 4096 for size in sizes[:-1])
    # Each file by itself: the ones before it are deleted when they are delivered.
    for number in numbers[:-1]:
        frames.file_path(journal.folder, number).unlink()
    points = read(journal.folder)
    assert points[-1].step == 499
    assert [each.step for each in points] == list(range(points[0].step, 500))
    assert all(each.run_id == f"run-{each.step % 3}" for each in points)


def test_damage_to_a_declaration_costs_no_more_than_a_stretch(make: Make) -> None:
    journal = make(file_bytes=2**14)
    for step in range(200):
        journal.log("run", None, {"a": 1.0}, step, 0)
    path = frames.file_path(journal.folder, 1)
    good = path.read_bytes()
    data = bytearray(good)
    data[frames.HEADER.size] ^= 1
    path.write_bytes(data)
    # Each of them is there twice.
    assert logged(journal) == list(range(200))
    copy = good.index(good[: frames.HEADER.size], 1)
    data[copy + frames.HEADER.size] ^= 1
    path.write_bytes(data)
    stretches = list(Reader(journal.folder, final=True))
    steps = logged(journal)
    assert steps
    assert steps == list(range(steps[0], 200))
    assert any(part.damage for part in stretches)


def logged(journal: Journal) -> list[int]:
    """The steps that can be read."""
    stretches = list(Reader(journal.folder, final=True))
    return [each.step for part in stretches for each in part.records if isinstance(each, Points)]


def test_keys_that_are_made_up_anew_do_not_fill_the_memory(make: Make) -> None:
    journal = make()
    for step in range(MAX_KNOWN + 10):
        journal.log("run", None, {f"key {step}": float(step)}, step, 0)
    assert len(journal._sets) < MAX_KNOWN
    points = read(journal.folder)
    assert [each.keys for each in points] == [(f"key {step}",) for step in range(MAX_KNOWN + 10)]


def test_many_threads_lose_and_mix_nothing(make: Make) -> None:
    journal = make(file_bytes=2**14)
    begin = threading.Barrier(8)

    def work(number: int) -> None:
        begin.wait()
        for step in range(300):
            journal.log(f"run-{number}", number, {"a": step + 0.5, "b": float(number)}, step, step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    points = read(journal.folder)
    assert Counter(each.run_id for each in points) == {f"run-{n}": 300 for n in range(8)}
    for number in range(8):
        mine = [each for each in points if each.run_id == f"run-{number}"]
        assert [each.step for each in mine] == list(range(300))
        assert all(list(p.values) == [p.step + 0.5, number] and p.rank == number for p in mine)


def test_a_signal_handler_may_log_in_the_middle_of_a_call(make: Make) -> None:
    """Wherever it comes, as when the next file is begun."""
    journal = make(file_bytes=8192)
    caught: list[int] = []
    numbers = itertools.count()

    def handler(*_: object) -> None:
        # Another signal may come in the middle of this one's handler, too.
        caught.append(number := next(numbers))
        journal.log(f"signal-{number % 5}", None, {"a": 1.0}, number, 0)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
    try:
        step = 0
        while len(caught) < 200:
            journal.log(f"loop-{step % 3}", None, {"a": 1.0, f"b{step % 7}": 2.0}, step, 0)
            step += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    points = read(journal.folder)
    loop = [each for each in points if each.run_id.startswith("loop")]
    assert [each.step for each in loop] == list(range(step))
    assert all(each.run_id == f"loop-{each.step % 3}" for each in loop)
    assert all(each.keys == ("a", f"b{each.step % 7}") for each in loop)
    signals = [each for each in points if each.run_id.startswith("signal")]
    assert sorted(each.step for each in signals) == sorted(caught)
    assert all(each.run_id == f"signal-{each.step % 5}" for each in signals)


def test_a_clock_that_goes_back_changes_no_order(make: Make) -> None:
    journal = make()
    times = [2000, 3000, 100, 2500, 0]
    for step, when in enumerate(times):
        journal.log("run", None, {"a": 1.0}, step, when)
    assert [(each.step, each.timestamp_ms) for each in read(journal.folder)] == list(
        enumerate(times)
    )


def test_drop_leaves_a_receipt_and_says_so(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    journal = make(max_bytes=2000, drops=True)
    for step in range(100):
        journal.log("run", None, {"a": 1.0, "b": 2.0}, step, 1000 + step)
    kept = read(journal.folder)
    assert 0 < len(kept) < 100
    receipt = progress.dropped(journal.folder)
    assert receipt == journal.dropped
    assert receipt.points == 2 * (100 - len(kept))
    assert (receipt.first_ms, receipt.last_ms) == (1000 + len(kept), 1099)
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert "metrics are dropped" in caplog.text
    assert journal.points == 2 * len(kept)


def test_room_that_the_sender_makes_is_used(make: Make) -> None:
    journal = make(max_bytes=2000, drops=True)
    for step in range(100):
        journal.log("run", None, {"a": 1.0}, step, 0)
    assert journal.dropped.points
    before = journal.dropped.points
    sender = ProgressWriter(journal.folder)
    sender.at(1, journal.size)
    sender.close()
    assert journal.delivered == journal.size
    journal.log("run", None, {"a": 1.0}, 100, 0)
    assert journal.dropped.points == before
    assert read(journal.folder)[-1].step == 100


def test_block_waits_for_room_and_wakes_the_sender(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    woken = threading.Event()
    journal = make(max_bytes=2000, wake=woken.set)

    def work() -> None:
        for step in range(100):
            journal.log("run", None, {"a": 1.0}, step, 0)

    thread = threading.Thread(target=work)
    thread.start()
    sender = ProgressWriter(journal.folder)
    try:
        assert woken.wait(30)
        assert thread.is_alive()
        assert "logging waits" in caplog.text
        while thread.is_alive():
            sender.at(1, journal.size)
            thread.join(0.01)
    finally:
        sender.close()
        thread.join()
    assert [each.step for each in read(journal.folder)] == list(range(100))
    assert journal.dropped.points == 0


def test_what_is_delivered_counts_over_files(make: Make) -> None:
    journal = make(file_bytes=1024)
    for step in range(100):
        journal.log("run", None, {"a": 1.0}, step, 0)
    numbers = frames.file_numbers(journal.folder)
    sizes = [frames.file_path(journal.folder, each).stat().st_size for each in numbers]
    sender = ProgressWriter(journal.folder)
    sender.at(2, 10)
    assert journal.delivered == sizes[0] + 10
    sender.at(numbers[-1] + 1, 0)
    assert journal.delivered == journal.size
    sender.close()


FULL = """
import json, resource, signal, sys
from pathlib import Path
from runstone._journal.writer import Journal

limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
journal = Journal(Path(sys.argv[1]), "runstone://host", drops=True)
for step in range(200):
    if step == 150:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, -1))
    journal.log("run", None, {"a": 1.0, "b": 2.0}, step, step)
print(json.dumps([str(journal.folder), journal.dropped.points]))
"""


@pytest.mark.parametrize("limit", [4095, 4096, 4100, 4141])
def test_a_disk_that_is_full_costs_the_points_that_find_no_room_and_no_others(
    tmp_path: Path, limit: int
) -> None:
    """Whether the last frame fits, fits in part, or not at all."""
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(limit)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    where, dropped = json.loads(said.stdout)
    steps = [each.step for each in read(Path(where))]
    kept = steps.index(150)
    assert steps == [*range(kept), *range(150, 200)]
    assert progress.dropped(Path(where)) == progress.Dropped(dropped, kept, 149)
    assert dropped == 2 * (150 - kept)
    assert b"metrics are dropped" in said.stderr


def test_a_full_disk_gets_back_the_room_of_what_is_delivered(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a call waits for ever for a file that only the next call would end."""
    journal = make(drops=True)
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if os.fstat(descriptor).st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    journal.log("run", None, {"a": 1.0}, 0, 0)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        journal.log("run", None, {"a": 1.0}, 1, 0)
        assert frames.file_numbers(journal.folder) == [1]
        sender = ProgressWriter(journal.folder)
        sender.at(1, journal.size)
        sender.close()
        journal.log("run", None, {"a": 1.0}, 2, 0)
        journal.log("run", None, {"a": 1.0}, 3, 0)
    journal.log("run", None, {"a": 1.0}, 4, 0)
    assert frames.file_numbers(journal.folder) == [1, 2]
    assert logged(journal) == [0, 3, 4]
    assert journal.dropped.points == 2


def test_a_forked_child_leaves_the_journal_to_its_parent(make: Make) -> None:
    journal = make()
    journal.log("run", None, {"a": 1.0}, 0, 0)
    pid = os.fork()
    if pid == 0:
        journal.forget()
        held = folder.take(journal.folder / folder.OWNER_LOCK)
        try:
            journal.log("run", None, {"a": 1.0}, 1, 0)
        except OSError:
            os._exit(0 if held is None else 2)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    journal.log("run", None, {"a": 1.0}, 2, 0)
    assert [each.step for each in read(journal.folder)] == [0, 2]


KILLED = """
import sys
from pathlib import Path
from runstone._journal.writer import Journal

journal = Journal(Path(sys.argv[1]), "runstone://host", file_bytes=2**16)
step = 0
while True:
    journal.log("run", None, {"a": float(step), "b": 0.5}, step, step)
    print(step, flush=True)
    step += 1
"""


def test_what_log_returned_from_survives_sigkill(tmp_path: Path) -> None:
    for _ in range(int(os.environ.get("RUNSTONE_TEST_KILLS", "1")) * 3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        said = 0
        while said < 1000:
            said = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().split(b"\n")[:-1]
        process.wait()
        process.stdout.close()
        logged = int(rest[-1]) if rest else said
        (where,) = folder.journals(tmp_path)
        steps = [
            each.step
            for part in Reader(where, final=True)
            for each in part.records
            if isinstance(each, Points)
        ]
        assert steps[: logged + 1] == list(range(logged + 1))
        assert len(steps) <= logged + 2  # one that was written and not said
        lock = folder.take(where / folder.OWNER_LOCK)
        assert lock is not None
        os.close(lock)
        for each in where.iterdir():
            each.unlink()
        where.rmdir()


def test_a_closed_journal_takes_nothing(make: Make) -> None:
    journal = make()
    journal.close()
    with pytest.raises(OSError, match="closed"):
        journal.log("run", None, {"a": 1.0}, 0, 0)


def test_the_rank_is_the_launcher_s_when_there_are_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for place, size in rules.LAUNCHERS:
        monkeypatch.delenv(place, raising=False)
        monkeypatch.delenv(size, raising=False)
    assert rules.rank() is None
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert rules.rank() is None
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert rules.rank() == 0
    monkeypatch.setenv("RANK", "3")
    assert rules.rank() == 0  # without a world it says nothing
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert rules.rank() == 3
    monkeypatch.setenv("RANK", "three")
    assert rules.rank() == 0


def test_settings_that_make_no_sense_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rules.max_bytes() == rules.DEFAULT_MAX_BYTES
    assert not rules.drops()
    monkeypatch.setenv(_settings.JOURNAL_MAX_BYTES, "0")
    monkeypatch.setenv(_settings.JOURNAL_POLICY, "forget")
    with pytest.raises(InvalidArgument, match=_settings.JOURNAL_MAX_BYTES):
        rules.max_bytes()
    with pytest.raises(InvalidArgument, match="block or drop"):
        rules.drops()


def test_a_time_before_1970_is_refused_but_not_a_clock_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InvalidField, match="must not be negative, as -5 is"):
        rules.timestamp_ms(-5)
    monkeypatch.setattr("time.time_ns", lambda: -1_000_000_000)
    assert rules.timestamp_ms(None) == 0


def test_open_files_are_few(make: Make) -> None:
    journal = make(file_bytes=512)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for step in range(200):
        journal.log("run", None, {"a": 1.0}, step, 0)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
