"""Journals that a bad disk changes: bits that flip, files that are cut."""

import random
import re
from dataclasses import dataclass
from pathlib import Path

from runstone._journal import folder as folders
from runstone._journal import format as frames

MOST_FLIPS = 8

_ASIDE = re.compile(r"(\d+)-(\d+)\.damaged")


@dataclass(frozen=True)
class Frame:
    """A frame as it was written; `step` of one that holds points."""

    start: int
    end: int
    step: int | None


@dataclass(frozen=True)
class Harm:
    """What was done to one file of a journal.

    `lost`: the steps whose frames are no more what they were. `changed`: where bits flipped in what
    is left, but for the last frame: that looks like one that a kill has cut.
    """

    folder: Path
    file: int
    lost: set[int]
    changed: list[int]

    def told(self) -> bool:
        """Whether every changed byte is kept aside, in a part as it stood in the file."""
        parts = []
        for path in (self.folder / folders.REJECTED).glob("*.damaged"):
            named = _ASIDE.fullmatch(path.name)
            if named and int(named[1]) == self.file:
                parts.append(range(int(named[2]), int(named[2]) + path.stat().st_size))
        return all(any(place in part for part in parts) for place in self.changed)


def harm(folder: Path, chance: random.Random) -> Harm:
    """Flip bits in a file of a journal, or cut it, or both."""
    file = chance.choice(frames.file_numbers(folder))
    path = frames.file_path(folder, file)
    good = path.read_bytes()
    bad = bytearray(good)
    kind = chance.choice(("flip", "flips", "cut", "both"))
    flips = {"flip": 1, "flips": chance.randint(2, MOST_FLIPS), "cut": 0}.get(kind, MOST_FLIPS)
    for _ in range(flips):
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
    if kind in ("cut", "both"):
        del bad[chance.randrange(len(bad)) :]
    path.write_bytes(bad)
    every = written(good)
    last = max((each.start for each in every if each.start < len(bad)), default=0)
    return Harm(
        folder,
        file,
        {
            each.step
            for each in every
            if each.step is not None and bad[each.start : each.end] != good[each.start : each.end]
        },
        [place for place in range(last) if bad[place] != good[place]],
    )


def written(data: bytes) -> list[Frame]:
    """The frames of a file that nothing has happened to."""
    found, place = [], 0
    while (end := frames.frame_end(data, place)) is not None:
        step = None
        if data[place + frames.KIND_OFFSET] == frames.POINTS:
            step = frames.POINTS_HEAD.unpack_from(data, place + frames.HEADER.size)[2]
        found.append(Frame(place, end, step))
        place = end
    return found
