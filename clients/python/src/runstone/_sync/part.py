"""What one process logged: its records, and what of them is new."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from runstone._journal import folder as folders
from runstone._journal.folder import REJECTED, Meta
from runstone._offline import layout, records
from runstone._offline.records import Record
from runstone._sync.report import Report

SHOWN = 100
"""Characters of a refusal's text; all of it is in the file."""


class Part:
    """One of the folder's, held while it is delivered.

    Args:
        path: Where it is.
        done: Up to where its records were applied.
    """

    def __init__(self, path: Path, done: int) -> None:
        self.path = path
        self.done = done
        # Asked first: of a process that is gone everything is written by now.
        self._owner = folders.take(path / folders.OWNER_LOCK)
        self._sender = folders.take(path / folders.SENDER_LOCK)
        self.records: list[Record] = []
        self.end = done
        self.stopped = ""
        """Why the rest of its records waits."""
        self.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._owner, self._sender):
            if each is not None:
                os.close(each)

    @property
    def name(self) -> str:
        """Names it within the folder."""
        return self.path.name

    @property
    def over(self) -> bool:
        """Whether its process is gone."""
        return self._owner is not None

    @property
    def free(self) -> bool:
        """Whether nobody else delivers it."""
        return self._sender is not None

    @property
    def new(self) -> list[Record]:
        """The records that were not applied yet."""
        return [each for each in self.records if each.end > self.done]

    def refresh(self) -> None:
        """Read its records, and put aside what is none."""
        found = records.read(self.path / layout.RECORDS, final=self.over)
        self.records, self.end = found.records, found.end
        for start, damaged in found.damage:
            self._keep(f"records-{start:08d}.damaged", damaged)

    def repair(self) -> None:
        """Have a meta.json: without one nobody could name the writer of its points.

        The name is made of the part's, so that every sync gives the same one.
        """
        try:
            Meta.read(self.path)
        except (OSError, ValueError):
            now = self.path.stat().st_mtime_ns // 1_000_000
            meta = Meta(f"offline-{self.name}"[:64], layout.ORIGIN, "", 0, "", now)
            new = self.path / f"{folders.META}.new"
            new.write_text(json.dumps(asdict(meta), indent=1), "utf-8")
            new.replace(self.path / folders.META)

    def refuse(self, record: Record, code: str, reason: str, message: str) -> None:
        """Keep a record that will never be applied, with the reason."""
        said = {"record": record.about, "code": code, "reason": reason, "message": message}
        self._keep(f"record-{record.start:08d}.json", json.dumps(said, indent=1).encode())

    def _keep(self, name: str, data: bytes) -> None:
        path = self.path / REJECTED / name
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_bytes(data)
            new.replace(path)

    def tell_rejected(self, report: Report) -> None:
        """Put what is kept aside, by this sync and earlier ones, into a report."""
        folder = self.path / REJECTED
        if not folder.exists():
            return
        for path in sorted(folder.iterdir()):
            if path.suffix == ".damaged":
                report.damaged.append(f"{path.stat().st_size} bytes that cannot be read: {path}")
            elif path.suffix == ".json":
                try:
                    said = json.loads(path.read_text("utf-8"))
                    report.refused.append(f"{_what(said)}: {said['message']} ({path})")
                except (ValueError, KeyError):
                    report.refused.append(str(path))


def _what(said: Mapping[str, Any]) -> str:
    if "record" not in said:
        return f"{said.get('points', '?')} points of run {said.get('run_id', '?')}"
    about = said["record"]
    names = [
        f"{kind} {', '.join(about[kind])}" for kind in ("params", "tags", "keys") if about.get(kind)
    ]
    what = names[0] if names else f"file {about['path']}" if "path" in about else "a change"
    whose = f"run {about['run_id']}" if "run_id" in about else f"experiment {about.get('name', '')}"
    return f"{what[:SHOWN]} of {whose}"
