"""Packed columns: every bit back, small where it matters, damage noticed."""

import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstone_tracking.chunk_columns import pack, unpack
from runstone_tracking.segment import SegmentCorrupt

int64s = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
doubles = st.one_of(st.floats(), st.floats(width=32), st.sampled_from([-0.0, 0.0]))


@given(st.lists(st.tuples(int64s, doubles), min_size=1, max_size=50))
def test_round_trip(rows: list[tuple[int, float]]) -> None:
    integers = np.array([row[0] for row in rows], np.int64)
    values = np.array([row[1] for row in rows], np.float64)
    found = unpack(pack([integers, values, integers]))
    assert [column.dtype for column in found] == [np.int64, np.float64, np.int64]
    assert found[0].tolist() == found[2].tolist() == integers.tolist()
    assert found[1].tobytes() == values.tobytes()


@pytest.mark.parametrize("seed", range(20))
def test_bits_of_any_double(seed: int) -> None:
    """Signalling NaN, payloads and subnormals, alone and among float32 values."""
    chosen = random.Random(seed)
    odd = [
        struct.unpack("<d", chosen.randbytes(8))[0],
        struct.unpack("<d", bytes.fromhex("efbeadde0000f47f"))[0],
        struct.unpack("<d", bytes.fromhex("010000000000f0ff"))[0],
        struct.unpack("<f", chosen.randbytes(4))[0],
        5e-324,
    ]
    values = np.linspace(0, 1, 300).astype(np.float32).astype(np.float64)
    for value in odd:
        values[chosen.randrange(300)] = value
    assert unpack(pack([values]))[0].tobytes() == values.tobytes()


@pytest.mark.parametrize("spread", [1, 2**8, 2**16, 2**32, 2**62])
def test_widths(spread: int) -> None:
    """The differences just below, at and above what a width holds."""
    for end in (spread - 1, spread, spread + 1):
        column = np.array([5, 5, 5 + end, 5 + end], np.int64)
        assert unpack(pack([column]))[0].tolist() == column.tolist()


def test_sizes() -> None:
    chosen = np.random.default_rng(7)
    count = 65_536
    noise = chosen.normal(0, 0.02, count)
    losses = (2 * np.exp(-np.arange(count) / 20_000) + 0.1 + noise).astype(np.float32)
    assert len(pack([np.arange(count)])) < 100
    assert len(pack([losses.astype(np.float64)])) < 2.8 * count
    assert len(pack([chosen.random(count)])) < 7 * count


def test_damage_is_noticed() -> None:
    data = pack([np.arange(9) ** 2, np.full(9, 0.1)])
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x40
        with pytest.raises(SegmentCorrupt):
            unpack(bytes(damaged))
    for end in range(len(data)):
        with pytest.raises(SegmentCorrupt):
            unpack(data[:end])
