"""A training process that does nothing but log, and leaves behind how far it came.

`python -m support.trainer RUN RECORD STEPS PAUSE SENDER` logs `KEYS` at each step until it is
killed, or so many steps, with so many seconds between them. RECORD is a file that outlives SIGKILL:
see `Record`. SENDER: `yes` has one from the first point on, `no` has none at all. Where to, and
where the journals are, is in the environment, as for any training.
"""

import math
import mmap
import struct
import sys
import time
from pathlib import Path

import runstone
from runstone._fluent import _state
from runstone._journal import outlet

KEYS = tuple(f"metric/{number}" for number in range(10))

ENDLESS_SECONDS = 3600.0

CLASSES = 400
PER_OCTAVE = 12
"""Latencies are counted in classes of a twelfth of an octave, from 100 ns on."""

LEAST_SECONDS = 1e-7

_LAYOUT = struct.Struct(f"<QQ{CLASSES}Q")
_NUMBER = struct.Struct("<Q")


class Record:
    """Steps attempted and acknowledged, and how long the calls took, in the pages of a file."""

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as file:
            file.truncate(_LAYOUT.size)
            self._map = mmap.mmap(file.fileno(), _LAYOUT.size)

    def close(self) -> None:
        """Let the file go."""
        self._map.close()

    @property
    def attempted(self) -> int:
        """Steps that were begun, in all lives."""
        return self._number(0)

    @property
    def acknowledged(self) -> int:
        """The step after the last whose call returned."""
        return self._number(1)

    def begin(self, step: int) -> None:
        """A step's call is made now."""
        _NUMBER.pack_into(self._map, 0, step + 1)

    def end(self, step: int, seconds: float) -> None:
        """It has returned."""
        _NUMBER.pack_into(self._map, 8, step + 1)
        kind = int(math.log2(max(seconds, LEAST_SECONDS) / LEAST_SECONDS) * PER_OCTAVE)
        place = 2 + min(kind, CLASSES - 1)
        _NUMBER.pack_into(self._map, 8 * place, self._number(place) + 1)

    def latency(self, share: float) -> float:
        """Seconds that so large a share of the calls did not exceed."""
        counts = [self._number(2 + kind) for kind in range(CLASSES)]
        left = share * sum(counts)
        for kind, count in enumerate(counts):
            left -= count
            if count and left <= 0:
                return float(LEAST_SECONDS * 2 ** ((kind + 1) / PER_OCTAVE))
        return 0.0

    def _number(self, place: int) -> int:
        number: int = _NUMBER.unpack_from(self._map, 8 * place)[0]
        return number


def value(step: int, number: int) -> float:
    """What is logged under the key with a number."""
    return step + number / 16


def main(run_id: str, record_path: str, steps: str, pause: str, sender: str) -> None:
    """Log from where the life before ended."""
    record = Record(Path(record_path))
    begin = record.attempted
    client = _state.client()
    destination = outlet.outlet(client.tracking_uri, client.user)
    if sender == "yes":
        destination.start_sender()
    else:
        # Killed before there was one, however slow the machine is.
        outlet.START_SECONDS = ENDLESS_SECONDS
    if int(steps):
        runstone.start_run(run_id=run_id)
    for step in range(begin, begin + int(steps)):
        metrics = {key: value(step, number) for number, key in enumerate(KEYS)}
        record.begin(step)
        began = time.perf_counter()
        runstone.log_metrics(metrics, step=step)
        record.end(step, time.perf_counter() - began)
        time.sleep(float(pause))


if __name__ == "__main__":
    main(*sys.argv[1:])
