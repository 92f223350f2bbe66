"""Which experiment of the source becomes which of the target."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from runstone._entities.tracking import Experiment, LifecycleStage, ViewType
from runstone._migrate import marks
from runstone._migrate.model import Source, SourceExperiment
from runstone._migrate.place import Place
from runstone._migrate.tally import Counts, Moved, Tally
from runstone._migrate.target import TargetClient
from runstone._sender.server import is_refusal
from runstone._values import MAX_EXPERIMENT_TAG_VALUE
from runstone.exceptions import (
    ExperimentNameTaken,
    InvalidArgument,
    NotFound,
    RunstoneException,
)

FAIL, MERGE, RENAME = "fail", "merge", "rename"
CONFLICTS = (FAIL, MERGE, RENAME)
"""What becomes of a name that stands at the target for something else."""

DEFAULT = "Default"
"""Every server has it, and it cannot be deleted or renamed here: the one goes to the other."""

DEFAULT_ID = "0"

TAGS_AT_ONCE = 100
"""Of an experiment, in one call."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An experiment, what it is to be at the target, and whether it stands there."""

    source: SourceExperiment
    name: str
    there: Experiment | None
    known: bool
    """An import before has made it, or joined it."""


class Experiments:
    """Those of an import.

    Args:
        source: Where they are.
        client: Of the target.
        tally: Is told what is done.
        on_conflict: One of CONFLICTS.
        names: Only these; all when empty.
    """

    def __init__(
        self,
        source: Source,
        client: TargetClient,
        tally: Tally,
        on_conflict: str = FAIL,
        names: Collection[str] = (),
    ) -> None:
        self._source = source
        self._client = client
        self._tally = tally
        self._on_conflict = on_conflict
        self._names = names

    def plan(self) -> list[Planned]:
        """What is to become of each; nothing is changed yet.

        Raises:
            InvalidArgument: a name is not at the source, or stands at the target for another one.
        """
        wanted = self._wanted()
        there = self._at_target()
        by_mark = {
            mark.removeprefix(marks.JOINED): each
            for each in there
            for mark in each.tags.get(marks.EXPERIMENT, "").split()
        }
        by_name = {each.name: each for each in there}
        planned, taken = [], []
        for each in wanted:
            found = by_mark.get(marks.of_experiment(each))
            if found is not None:
                planned.append(Planned(each, found.name, found, known=True))
                continue
            same = by_name.get(each.name)
            name = each.name
            if same is not None and self._on_conflict == RENAME:
                name = free_name(each.name, by_name)
                same = None
            elif same is not None and self._on_conflict == FAIL and each.name != DEFAULT:
                taken.append(each.name)
            planned.append(Planned(each, name, same, known=False))
            by_name.setdefault(name, _promised(name))
        if taken:
            raise InvalidArgument(
                f"the target has other experiments of these names: {', '.join(map(repr, taken))}."
                " --on-conflict merge puts the runs into them, --on-conflict rename makes new ones"
            )
        return planned

    def _wanted(self) -> list[SourceExperiment]:
        found = list(self._source.experiments())
        if not self._names:
            return found
        known = {each.name for each in found}
        if missing := [name for name in self._names if name not in known]:
            raise InvalidArgument(
                f"{self._source.where} has no experiment {', '.join(map(repr, missing))}"
            )
        return [each for each in found if each.name in self._names]

    def _at_target(self) -> list[Experiment]:
        found: list[Experiment] = []
        token: str | None = None
        while True:
            try:
                page = self._client.search_experiments(ViewType.ALL, page_token=token)
            except NotFound:
                # An embedded suite whose folder is not made yet.
                return [Experiment(DEFAULT_ID, DEFAULT)]
            found.extend(page)
            token = page.token
            if not token:
                return found

    def make(self, planned: Planned) -> Place | None:
        """Have it at the target; None when the target does not take it, which is told."""
        of = planned.source
        tags = self._fitted(of)
        try:
            place = self._place(planned, tags)
        except RunstoneException as error:
            if not is_refusal(error):
                raise
            self._tally.lose(f"experiment {of.name!r} with its runs: {error.message}")
            self._tally.count(source=Counts(experiments=1, tags=len(of.tags)))
            return None
        there = self._client.get_experiment(place.experiment_id)
        self._tally.report.moved.append(
            Moved("experiment", of.name, there.name, planned.there is None)
        )
        lacking = [key for key in tags if key not in there.tags]
        for key in lacking:
            self._tally.differ(f"tag {key!r} of experiment {of.name!r} is not at the target")
        self._tally.count(
            source=Counts(experiments=1, tags=len(of.tags)),
            target=Counts(experiments=1, tags=len(tags) - len(lacking)),
        )
        return place

    def _place(self, planned: Planned, tags: Mapping[str, str]) -> Place:
        of, there = planned.source, planned.there
        if there is None:
            there = self._created(planned, tags)
        said = there.tags.get(marks.EXPERIMENT, "").split()
        mine = marks.of_experiment(of)
        joins = planned.there is not None and not planned.known
        joined = joins or marks.JOINED + mine in said
        place = Place(
            self._client,
            there.experiment_id,
            active=there.lifecycle_stage == LifecycleStage.ACTIVE,
            # What somebody else has made is not deleted with it.
            deletes=not of.active and not joined,
        )
        if not of.active and joined:
            self._tally.note(f"experiment {of.name!r} is deleted at the source; only its runs here")
        rest = [of.active, sorted(tags.items())]
        state = marks.state(of.creation_time, of.last_update_time, rest)
        if there.tags.get(marks.ORIGIN) == state and planned.known:
            return place
        new = {marks.EXPERIMENT: " ".join([*said, marks.JOINED + mine])} if joins else {}
        # Of several sources that went into one experiment, the last one's.
        new[marks.ORIGIN] = state
        for key, value in tags.items():
            if joins and key in there.tags:
                if there.tags[key] != value:
                    self._tally.note(f"experiment {there.name!r} keeps its own tag {key!r}")
            elif there.tags.get(key) != value:
                new[key] = value
        self._set(place, new)
        return place

    def _created(self, planned: Planned, tags: Mapping[str, str]) -> Experiment:
        mark = marks.of_experiment(planned.source)
        first = dict(list(tags.items())[: TAGS_AT_ONCE - 1])
        try:
            made = self._client.create_experiment(
                planned.name,
                tags={**first, marks.EXPERIMENT: mark},
                request_id=marks.request_id(
                    "experiment", mark, planned.name, *first, *first.values()
                ),
            )
        except ExperimentNameTaken:
            raise InvalidArgument(
                f"somebody has made an experiment {planned.name!r} meanwhile; import again"
            ) from None
        self._tally.count(written=Counts(experiments=1))
        return self._client.get_experiment(made)

    def _set(self, place: Place, tags: Mapping[str, str]) -> None:
        place.open()
        items = list(tags.items())
        for start in range(0, len(items), TAGS_AT_ONCE):
            part = dict(items[start : start + TAGS_AT_ONCE])
            try:
                self._client.set_experiment_tags(place.experiment_id, part)
            except RunstoneException as error:
                if not is_refusal(error) or len(part) == 1:
                    raise
                for key, value in part.items():
                    self._set_one(place, key, value)

    def _set_one(self, place: Place, key: str, value: str) -> None:
        try:
            self._client.set_experiment_tags(place.experiment_id, {key: value})
        except RunstoneException as error:
            if not is_refusal(error):
                raise
            self._tally.lose(f"tag {key!r} of an experiment: {error.message}")

    def _fitted(self, of: SourceExperiment) -> dict[str, str]:
        found = {}
        for key, value in of.tags.items():
            if len(value) > MAX_EXPERIMENT_TAG_VALUE:
                self._tally.lose(
                    f"tag {key!r} of experiment {of.name!r}: its value of {len(value)} characters"
                    f" is cut to {MAX_EXPERIMENT_TAG_VALUE}"
                )
            found[key] = value[:MAX_EXPERIMENT_TAG_VALUE]
        return found


def free_name(name: str, taken: Collection[str]) -> str:
    """The name that an import gives to what cannot have its own."""
    number = 1
    while True:
        found = f"{name} (imported)" if number == 1 else f"{name} (imported {number})"
        if found not in taken:
            return found
        number += 1


def _promised(name: str) -> Experiment:
    """Stands for one that will be made: two of the source may have one name, in two workspaces."""
    return Experiment("", name)
