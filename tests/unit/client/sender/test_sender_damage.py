"""Bits that flip and files that are cut: everything else is delivered, and nothing twice."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from runstone._journal import folder as folders
from runstone._journal import progress
from runstone._sender import delivery as deliveries
from runstone._sender.delivery import Delivery
from runstone.tracking.v1 import metric_pb2
from support.journals import Journal

ROWS = 12
FLIPS = 350
CUTS = 150


class Recorder:
    """A server that takes everything."""

    def __init__(self) -> None:
        self.steps: Counter[int] = Counter()

    def append(self, request: bytes) -> bool:
        batch = metric_pb2.AppendMetricsRequest.FromString(request)
        for series in batch.series:
            assert (batch.run_id, series.key) == ("run", "loss")
            self.steps.update(series.steps)
            assert [step / 2 for step in series.steps] == list(series.values)
        return True

    def close(self) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(deliveries, "Server", lambda uri, user, ambient: recorder)
    return recorder


def written(root: Path) -> tuple[Journal, list[int]]:
    """A journal, and where each of its rows ends."""
    ends = []
    with Journal(root, "runstone://127.0.0.1:1", redeclare=True) as journal:
        for step in range(ROWS):
            journal.log("run", {"loss": step / 2}, step)
            ends.append(journal.path.stat().st_size)
    return journal, ends


def deliver(folder: Path, server: Recorder) -> Counter[int]:
    server.steps.clear()
    delivery = Delivery(folder)
    delivery.finished()
    while delivery.step():
        pass
    delivery.close()
    assert folders.undelivered(folder) == 0
    return server.steps


def test_a_flipped_bit_costs_one_row_and_is_told(tmp_path: Path, server: Recorder) -> None:
    chance = random.Random(20261121)
    for number in range(FLIPS):
        journal, _ = written(tmp_path / str(number))
        data = bytearray(journal.path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        journal.path.write_bytes(data)
        steps = deliver(journal.folder, server)
        assert set(steps.values()) == {1}
        assert set(steps) <= set(range(ROWS))
        assert len(steps) >= ROWS - 1
        assert progress.read(journal.folder).bytes_damaged > 0
        assert not folders.remove_if_done(journal.folder)


def test_a_cut_file_is_delivered_up_to_the_cut(tmp_path: Path, server: Recorder) -> None:
    chance = random.Random(20261121)
    for number in range(CUTS):
        journal, ends = written(tmp_path / str(number))
        cut = chance.randrange(ends[-1])
        with journal.path.open("r+b") as file:
            file.truncate(cut)
        whole = sum(end <= cut for end in ends)
        assert deliver(journal.folder, server) == Counter(range(whole))
