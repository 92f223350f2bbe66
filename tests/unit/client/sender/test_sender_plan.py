"""The plan survives what may happen to a process and to its last write."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from runstone._journal import folder as folders
from runstone._sender import plan as plans
from runstone._sender.plan import Plan, PlanDamaged, Stretch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plan"


def reopened(path: Path) -> Plan:
    plan = Plan(path, "another")
    plan.close()
    return plan


def begun(path: Path) -> Plan:
    plan = Plan(path, "writer")
    plan.begin(Stretch(1, 40, 90, {"a": 1, "b": 1}))
    plan.finish({"a": 2, "b": 1})
    plan.begin(Stretch(1, 90, 200, {"a": 3}))
    return plan


def test_an_unfinished_stretch_is_found_with_its_numbers(path: Path) -> None:
    begun(path).close()
    plan = reopened(path)
    assert plan.writer_id == "writer"
    assert plan.stretch == Stretch(1, 90, 200, {"a": 3})
    assert not plan.done
    assert plan.next == {"a": 3, "b": 2}


def test_a_finished_stretch_counts_its_calls(path: Path) -> None:
    plan = begun(path)
    plan.finish({"a": 4})
    plan.close()
    again = reopened(path)
    assert again.done
    assert again.next == {"a": 7, "b": 2}


def test_the_number_that_the_server_expects_is_kept(path: Path) -> None:
    plan = begun(path)
    plan.renumber("a", 2)
    plan.close()
    again = reopened(path)
    assert again.next["a"] == 2
    assert not again.done


def test_a_torn_last_line_was_never_sent(path: Path) -> None:
    begun(path).close()
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        plan = Plan(path, "writer")
        assert plan.stretch == Stretch(1, 40, 90, {"a": 1, "b": 1})
        assert plan.done
        # What is planned next is found again: it is not glued to the torn line.
        plan.begin(Stretch(1, 90, 150, {"a": 3}))
        plan.close()
        assert reopened(path).stretch == Stretch(1, 90, 150, {"a": 3})


def test_damage_in_the_middle_is_told(path: Path) -> None:
    begun(path).close()
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    with pytest.raises(PlanDamaged):
        Plan(path, "writer")
    # A writer that has not written yet: its numbers cannot have been used.
    plan = Plan.restarted(path, "new writer")
    plan.close()
    again = reopened(path)
    assert (again.writer_id, again.next, again.stretch) == ("new writer", {}, None)
    assert path.with_name("plan.damaged").read_bytes() == data


def test_a_long_plan_is_written_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "MAX_BYTES", 2000)
    plan = Plan(path, "writer")
    for number in range(200):
        plan.begin(Stretch(1, number, number + 1, {"a": number + 1}))
        plan.finish({"a": 1})
        assert path.stat().st_size < 2200
    plan.close()
    again = reopened(path)
    assert (again.writer_id, again.next, again.done) == ("writer", {"a": 201}, True)
    assert again.stretch == Stretch(1, 199, 200, {"a": 200})
    assert set(path.parent.iterdir()) == {path, path.with_name(folders.RESERVE)}


def test_a_full_disk_gives_up_the_reserve_for_a_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing is delivered, and nothing makes room."""
    reserve = path.with_name(folders.RESERVE)
    folders.keep_reserve(path.parent)
    plan = begun(path)
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if reserve.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        plan.finish({"a": 1})
        # There is room again.
        assert reserve.stat().st_size == folders.RESERVE_BYTES
        reserve.unlink()
        plan.begin(Stretch(1, 200, 210, {"a": 4}))
    plan.close()
    assert reopened(path).stretch == Stretch(1, 200, 210, {"a": 4})


def test_a_write_that_fails_leaves_no_half_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = begun(path)
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[:10])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="space"):
        plan.begin(Stretch(2, 0, 10, {"a": 4}))
    monkeypatch.setattr(os, "write", write)
    plan.begin(Stretch(2, 0, 20, {"a": 4}))
    plan.close()
    assert reopened(path).stretch == Stretch(2, 0, 20, {"a": 4})
