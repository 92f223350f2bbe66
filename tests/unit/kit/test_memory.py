"""Freed memory that is kept for the next allocation."""

import ctypes
import resource
import threading

import pytest

from runstone_kit import memory

CHUNK = 2**20
ROUNDS = 50


def new_pages() -> int:
    """How many pages the system has to give for three chunks that come and go."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(ROUNDS):
        chunks = [bytes([value]) * CHUNK for value in (1, 2, 3)]
        del chunks
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


def test_chunks_that_come_and_go_take_no_new_pages() -> None:
    assert memory.keep_freed_memory()
    found: list[int] = []
    # A thread has memory of its own, which nothing else keeps from being given back.
    thread = threading.Thread(target=lambda: found.append(new_pages()))
    thread.start()
    thread.join()
    pages_of_a_round = 3 * CHUNK // resource.getpagesize()
    assert found[0] < 2 * pages_of_a_round


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_an_operators_own_setting_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert not memory.keep_freed_memory()


def test_a_library_without_the_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    assert not memory.keep_freed_memory()
