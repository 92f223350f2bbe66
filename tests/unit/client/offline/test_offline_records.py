"""Records: read back as written, around what is damaged, and never half of one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from runstone._journal import format as frames
from runstone._offline import layout, records
from runstone._offline.records import Appender
from runstone.exceptions import InvalidArgument


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / layout.RECORDS


def tags(path: Path, start: int = 0, *, final: bool = False) -> list[dict[str, str]]:
    return [each.about["tags"] for each in records.read(path, start, final=final).records]


def write(path: Path, *every: dict[str, str]) -> None:
    appender = Appender(path)
    for each in every:
        appender.append(records.TAGS, {"run_id": "r", "tags": each})
    appender.close()


def test_what_is_written_is_read_with_its_place_and_time(path: Path) -> None:
    assert records.read(path).records == []
    appender = Appender(path)
    first = appender.append(records.TAGS, {"run_id": "r", "tags": {"a": "é\n\0"}})
    second = appender.append(records.RUN, {"run_id": "r"}, durable=False)
    assert records.read(path).records == [first, second]
    assert records.read(path, first.end).records == [second]
    assert (first.start, first.end, second.end) == (0, second.start, path.stat().st_size)
    assert 0 < first.at < second.at
    assert (first.run_id, first.about["tags"]) == ("r", {"a": "é\n\0"})
    appender.close()


def test_the_frames_are_those_of_a_journal(path: Path) -> None:
    write(path, {"a": "1"})
    data = path.read_bytes()
    assert frames.frame_end(data, 0) == len(data)
    assert data[frames.KIND_OFFSET] >= frames.FIRST_OTHER


@pytest.mark.parametrize("kept", [1, 5, 11, 12, 30])
def test_a_call_that_was_killed_is_left_out(path: Path, kept: int) -> None:
    write(path, {"a": "1"})
    whole = path.stat().st_size
    write(path, {"b": "2"})
    os.truncate(path, whole + kept)
    for final in (False, True):
        found = records.read(path, final=final)
        assert [each.about["tags"] for each in found.records] == [{"a": "1"}]
        assert found.damage == []
    assert records.read(path).end == whole


def test_damage_costs_the_record_that_it_hit(path: Path) -> None:
    write(path, {"a": "1"}, {"b": "2"}, {"c": "3"})
    _, second, third = records.read(path).records
    data = bytearray(path.read_bytes())
    data[second.start + 20] ^= 4
    path.write_bytes(data)
    found = records.read(path, final=True)
    assert [each.about["tags"] for each in found.records] == [{"a": "1"}, {"c": "3"}]
    assert found.damage == [(second.start, bytes(data[second.start : second.end]))]
    assert found.end == third.end


def test_a_frame_that_holds_no_record_is_damage(path: Path) -> None:
    path.write_bytes(frames.frame(records.TAGS, b"{") + frames.frame(records.TAGS, b"[]"))
    found = records.read(path)
    assert found.records == []
    assert len(found.damage) == 2


def test_bytes_behind_the_last_record_are_damage_when_nobody_writes(path: Path) -> None:
    write(path, {"a": "1"})
    end = path.stat().st_size
    with path.open("ab") as opened:
        opened.write(b"no frame")
    assert records.read(path).damage == []
    assert records.read(path, final=True).damage == [(end, b"no frame")]


def test_a_full_disk_leaves_no_half_record(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appender = Appender(path)
    appender.append(records.TAGS, {"run_id": "r", "tags": {"a": "1"}})
    before = path.read_bytes()
    real = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:10]))
        with pytest.raises(OSError, match="No space left") as caught:
            appender.append(records.TAGS, {"run_id": "r", "tags": {"b": "2"}})
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    appender.append(records.TAGS, {"run_id": "r", "tags": {"c": "3"}})
    assert tags(path, final=True) == [{"a": "1"}, {"c": "3"}]
    appender.close()


def test_what_is_too_long_for_a_message_is_refused(path: Path) -> None:
    appender = Appender(path)
    with pytest.raises(InvalidArgument, match="one call"):
        appender.append(records.TAGS, {"tags": {"a": "x" * records.LONGEST_BYTES}})
    assert path.stat().st_size == 0
    appender.close()


def test_many_texts_become_several_records() -> None:
    values = {f"key{number}": "x" * 6000 for number in range(1000)}
    groups = records.split(values)
    assert len(groups) == 6
    assert {key: value for group in groups for key, value in group.items()} == values
    assert records.split({}) == []
