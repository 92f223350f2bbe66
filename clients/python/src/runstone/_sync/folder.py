"""A whole folder: runs, then points, then the rest, so that a run ends with all that it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from runstone._journal import folder as folders
from runstone._journal import progress
from runstone._offline import layout, records
from runstone._sync import points
from runstone._sync.part import Part
from runstone._sync.points import UnknownRun
from runstone._sync.replay import Replay
from runstone._sync.report import Report
from runstone._sync.runs import MARK, Runs
from runstone._sync.server import SyncClient
from runstone._sync.state import State
from runstone._transfer.progress import Progress, bar
from runstone.exceptions import DeadlineExceeded, InvalidArgument, NotFound, Unavailable

ASKED = 5
"""Runs that a server must know one of, to be the one that was delivered to before."""

BAR_BYTES = 1_000_000


def check(folder: Path) -> None:
    """Raise InvalidArgument, with what may be meant, unless it is a folder of offline mode."""
    if not folder.is_dir():
        raise InvalidArgument(f"there is no folder {folder}")
    if layout.is_offline(folder) or layout.parts(folder):
        return
    if layout.is_offline(folder.parent):
        raise InvalidArgument(
            f"{folder} is a part of a folder of offline mode: sync {folder.parent}"
        )
    raise InvalidArgument(f"{folder} is no folder of offline mode: there is no {layout.MARK} in it")


def sync(folder: Path, client: SyncClient, *, again: bool = False, clean: bool = False) -> Report:
    """Deliver what is in a folder.

    Args:
        folder: Of offline mode; processes may be writing to it.
        client: Of the server.
        again: Forget what was delivered before: all of it goes there anew.
        clean: Remove what is delivered whole, of processes that are gone.

    Returns:
        What was delivered, what was refused and what waits.

    Raises:
        InvalidArgument: it is no such folder, or was delivered to another server.
        RunstoneException: another sync is at work, or the server does not answer; what was
            delivered by then is noted.
    """
    check(folder)
    state = State(folder)
    try:
        if again:
            state.again()
        _aim(state, client)
        report = Report(str(folder), client.tracking_uri)
        runs = Runs(client, state, report)
        with _held(folder, state) as parts:
            with bar("syncing", _size(parts), least=BAR_BYTES) as shown:
                _deliver(parts, runs, client.tracking_uri, report, shown)
                Replay(client, state, runs, report, shown).apply(parts)
            runs.tell()
            for part in parts:
                _tell(part, report)
                if clean and _is_done(part):
                    report.removed += folders.remove_if_done(part.path)
        return report
    except (Unavailable, DeadlineExceeded) as error:
        error.message += "; what was delivered by then is noted: sync again"
        error.args = (error.message,)
        raise
    finally:
        state.close()


def _aim(state: State, client: SyncClient) -> None:
    """Make sure that it is the server that was delivered to before: others know other runs."""
    made = list(state.runs.items())[-ASKED:]
    if made and not any(_has(client, *each) for each in made):
        here = client.tracking_uri
        before = "here" if state.target == here else f"to {state.target}"
        raise InvalidArgument(
            f"this folder was delivered {before} before, and {here} has none of its runs: name"
            " the server that has them, or deliver all of it anew with --again"
        )
    if state.target != client.tracking_uri:
        state.aim(client.tracking_uri)


def _has(client: SyncClient, run_id: str, server_run_id: str) -> bool:
    try:
        return client.get_run(server_run_id).data.tags.get(MARK) == run_id
    except NotFound:
        return False


@contextmanager
def _held(folder: Path, state: State) -> Iterator[list[Part]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(Part(path, state.done(path.name))) for path in layout.parts(folder)
        ]


def _size(parts: list[Part]) -> int:
    size = sum(folders.undelivered(part.path) for part in parts)
    return size + sum(
        int(each.about.get("size", 0))
        for part in parts
        for each in part.new
        if each.kind == records.FILE
    )


def _deliver(
    parts: list[Part], runs: Runs, tracking_uri: str, report: Report, shown: Progress
) -> None:
    """Runs and points. The records were read before: of them none is later than its points."""
    for part in parts:
        runs.learn(part.records)
    for part in parts:
        for each in part.new:
            if each.run_id:
                _look_for(runs, report, each.run_id)
    runs.make()
    for part in parts:
        if not part.free:
            part.stopped = "another process delivers it"
        before = progress.read(part.path).points_delivered
        try:
            while not part.stopped:
                try:
                    points.deliver(part, runs, tracking_uri, shown)
                    break
                except UnknownRun as unknown:
                    _look_for(runs, report, unknown.run_id)
                    runs.make()
        except OSError as error:
            part.stopped = str(error)
        report.points += progress.read(part.path).points_delivered - before


def _look_for(runs: Runs, report: Report, run_id: str) -> None:
    """A run was begun since the records were read, perhaps by a process that is new; or what says
    so is damaged.
    """
    if not runs.knows(run_id):
        for path in layout.parts(Path(report.folder)):
            runs.learn(records.read(path / layout.RECORDS).records)
    if not runs.knows(run_id):
        runs.recover(run_id)


def _tell(part: Part, report: Report) -> None:
    part.tell_rejected(report)
    report.dropped_points += progress.dropped(part.path).points
    report.live_processes += not part.over
    if part.stopped:
        report.waiting.append(f"the rest of {part.path}: {part.stopped}")


def _is_done(part: Part) -> bool:
    return part.over and not part.stopped and not part.new
