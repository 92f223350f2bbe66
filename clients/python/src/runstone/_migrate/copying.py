"""A whole import: experiments, then runs, then models, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial

from runstone._migrate.experiments import FAIL, Experiments, Planned
from runstone._migrate.model import Source, SourceRun, SourceUnreadable
from runstone._migrate.place import Migration, Place, RunIds
from runstone._migrate.progress import Watcher
from runstone._migrate.registry import Models
from runstone._migrate.run import RunCopy
from runstone._migrate.tally import Report, Tally
from runstone._migrate.target import TargetClient

THREADS = 8
"""Runs that are copied at once. Most of the time is spent waiting for the two servers."""

AHEAD = 4
"""Runs for each thread that were read and wait for their turn: what bounds memory."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an import is to do."""

    experiments: tuple[str, ...] = ()
    on_conflict: str = FAIL
    files: bool = True
    registry: bool = True
    threads: int = THREADS


@dataclass(slots=True)
class Preview:
    """What an import would do: experiments by name, with the name there, and runs of each."""

    source: str
    target: str
    experiments: list[dict[str, object]] = field(default_factory=list)
    models: list[dict[str, object]] = field(default_factory=list)


def preview(source: Source, client: TargetClient, options: Options) -> Preview:
    """What ``bring_over`` would do; nothing is changed.

    Raises:
        InvalidArgument, SourceUnreadable
    """
    tally = Tally(source.where, client.tracking_uri)
    plan = Experiments(source, client, tally, options.on_conflict, options.experiments).plan()
    runs = RunIds(client, source, tally)
    runs.learn({each.source.experiment_id: _place(client, each) for each in plan if each.there})
    found = Preview(source.where, client.tracking_uri)
    chosen: set[str] = set()
    for each in plan:
        ids = {run.run_id for run in source.runs(each.source.experiment_id)}
        chosen |= ids
        found.experiments.append(
            {
                "name": each.source.name,
                "target_name": each.name,
                "new": each.there is None,
                "runs": len(ids),
                "new_runs": sum(not runs.get(run_id) for run_id in ids),
            }
        )
    if options.registry:
        models = Models(source, client, tally, options.on_conflict)
        for planned in models.plan():
            if options.experiments and not planned.is_of(chosen):
                continue
            found.models.append(
                {
                    "name": planned.source.name,
                    "target_name": planned.name,
                    "new": planned.there is None,
                    "versions": len(planned.versions),
                }
            )
    return found


def _place(client: TargetClient, planned: Planned) -> Place:
    assert planned.there is not None
    return Place(client, planned.there.experiment_id, active=True, deletes=False)


def bring_over(source: Source, client: TargetClient, options: Options, watcher: Watcher) -> Report:
    """Import all that is wanted.

    May be killed anywhere and called again: it goes on, and ends with the same.

    Raises:
        InvalidArgument: a name is taken; nothing was changed.
        SourceUnreadable, RunstoneException: a side does not answer; what is there by then stays.
    """
    tally = Tally(source.where, client.tracking_uri)
    experiments = Experiments(source, client, tally, options.on_conflict, options.experiments)
    plan = experiments.plan()
    models = Models(source, client, tally, options.on_conflict)
    # A name that is taken is told before anything is made.
    chosen_models = models.plan() if options.registry else []
    made = [(each, place) for each in plan if (place := experiments.make(each)) is not None]
    places = {each.source.experiment_id: place for each, place in made}
    runs = RunIds(client, source, tally)
    runs.learn(places)
    migration = Migration(source, client, tally, runs, options.files)
    chosen: set[str] = set()

    def copy(place: Place, run: SourceRun) -> None:
        try:
            RunCopy(migration, place, run).copy()
        except SourceUnreadable as error:
            if error.away:
                raise
            tally.lose(f"run {run.run_id}: {error.message}")
        watcher.done(f"run {run.run_id}")

    for each, place in made:
        of_it = _once(source.runs(each.source.experiment_id), chosen)
        at_once(options.threads, (partial(copy, place, run) for run in of_it))
    for planned in chosen_models:
        if not options.experiments or planned.is_of(chosen):
            models.make(planned, migration)
            watcher.done(f"model {planned.name}")
    # Files of deleted runs may be those of a version: only now.
    for _, place in made:
        place.close()
    return _told(tally)


def _once(runs: Iterable[SourceRun], seen: set[str]) -> Iterator[SourceRun]:
    """Runs without those that a page repeats."""
    for run in runs:
        if run.run_id not in seen:
            seen.add(run.run_id)
            yield run


def at_once(threads: int, tasks: Iterable[Callable[[], None]]) -> None:
    """Do tasks on so many threads, reading only so far ahead; the first failure ends it."""
    with ThreadPoolExecutor(threads, thread_name_prefix="import") as workers:
        under_way: set[Future[None]] = set()
        try:
            for task in tasks:
                under_way.add(workers.submit(task))
                if len(under_way) >= threads * AHEAD:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for each in done:
                        each.result()
            for each in under_way:
                each.result()
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise


def _told(tally: Tally) -> Report:
    """The report; a number that differs though nothing was told of it is told now."""
    report = tally.report
    if report.complete and (names := report.at_source.differing(report.at_target)):
        for name in names:
            here, there = getattr(report.at_target, name), getattr(report.at_source, name)
            tally.differ(f"{name}: {there} at the source, {here} at the target")
    return report
