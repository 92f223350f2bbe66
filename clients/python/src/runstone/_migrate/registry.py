"""Registered models: versions keep their numbers, stages, aliases and files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from runstone._entities.registry import ModelVersion, RegisteredModel
from runstone._migrate import marks
from runstone._migrate.experiments import FAIL, RENAME, free_name
from runstone._migrate.model import Source, SourceModel, SourceVersion
from runstone._migrate.place import Migration
from runstone._migrate.tally import Counts, Moved, Tally
from runstone._migrate.target import TargetClient
from runstone._migrate.version import VersionCopy
from runstone._sender.server import is_refusal
from runstone.exceptions import InvalidArgument, ModelNameTaken, NotFound, RunstoneException

TAGS_AT_ONCE = 100
PAGE = 1000

OUR_ORIGIN = "a number that was deleted in MLflow"


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """A registered model, what it is to be at the target, and whether it stands there."""

    source: SourceModel
    versions: list[SourceVersion]
    name: str
    there: RegisteredModel | None
    known: bool

    def is_of(self, run_ids: Collection[str]) -> bool:
        """Whether one of its versions came from one of these runs."""
        return any(each.run_id in run_ids for each in self.versions)


class Models:
    """The registered models of an import.

    Args:
        source: Where they are.
        client: Of the target.
        tally: Is told what is done.
        on_conflict: What becomes of a name that stands at the target for another model.
    """

    def __init__(
        self, source: Source, client: TargetClient, tally: Tally, on_conflict: str = FAIL
    ) -> None:
        self._source = source
        self._client = client
        self._tally = tally
        self._on_conflict = on_conflict

    def plan(self) -> list[PlannedModel]:
        """What is to become of each; nothing is changed yet.

        Raises:
            InvalidArgument: a name stands at the target for another model.
        """
        by_name = {each.name: each for each in self._at_target()}
        by_mark = {
            mark: each
            for each in by_name.values()
            for mark in each.tags.get(marks.MODEL, "").split("\n")
        }
        planned, taken = [], []
        names = set(by_name)
        for each in self._source.models():
            found = by_mark.get(marks.of_model(each))
            name, known = each.name, found is not None
            if found is not None:
                name = found.name
            elif each.name in by_name and self._on_conflict == RENAME:
                name = free_name(each.name, names)
            elif each.name in by_name and self._on_conflict == FAIL:
                taken.append(each.name)
            else:
                found = by_name.get(each.name)
            names.add(name)
            planned.append(PlannedModel(each, self._source.versions(each), name, found, known))
        if taken:
            raise InvalidArgument(
                f"the target has other models of these names: {', '.join(map(repr, taken))}."
                " --on-conflict merge adds the versions to them, --on-conflict rename makes new"
                " ones, --no-registry leaves models out"
            )
        return planned

    def _at_target(self) -> list[RegisteredModel]:
        found: list[RegisteredModel] = []
        token: str | None = None
        while True:
            try:
                page = self._client.search_registered_models(None, PAGE, page_token=token)
            except NotFound:
                return found  # an embedded suite whose folder is not made yet
            found.extend(page)
            token = page.token
            if not token:
                return found

    def make(self, planned: PlannedModel, migration: Migration) -> None:
        """Have it at the target with all its versions."""
        of = planned.source
        try:
            there = planned.there or self._created(planned)
        except RunstoneException as error:
            if not is_refusal(error):
                raise
            self._tally.lose(f"model {of.name!r} with its versions: {error.message}")
            self._tally.count(source=_counted(of, planned.versions))
            return
        self._tally.report.moved.append(Moved("model", of.name, there.name, planned.there is None))
        keeps = planned.there is not None and not planned.known
        here = self._make_versions(planned, there, migration)
        self._settle(planned, there, here, keeps)
        self._count(planned, here)

    def _created(self, planned: PlannedModel) -> RegisteredModel:
        of = planned.source
        mark = marks.of_model(of)
        try:
            made = self._client.create_registered_model(
                planned.name,
                tags={marks.MODEL: mark},
                description=of.description,
                request_id=marks.request_id("model", mark, planned.name, of.description),
            )
        except ModelNameTaken:
            raise InvalidArgument(
                f"somebody has made a model {planned.name!r} meanwhile; import again"
            ) from None
        self._tally.count(written=Counts(models=1))
        return made

    def _make_versions(
        self, planned: PlannedModel, there: RegisteredModel, migration: Migration
    ) -> dict[int, ModelVersion]:
        """Number at the source to the version at the target."""
        found = self._versions(there.name)
        last = max((each.version for each in found), default=0)
        gaps = [each.version for each in found if marks.GAP in each.tags]
        here = {marks.number_of(each.tags): each for each in found}
        here.pop(0, None)
        keeps_numbers = planned.there is None or planned.known
        for each in planned.versions:
            known = here.get(each.version)
            if known is None and keeps_numbers:
                while last + 1 < each.version:
                    last = self._gap(planned, last + 1)
                    gaps.append(last)
            copied = VersionCopy(migration, there.name, each).copy(known)
            here[each.version] = copied
            last = max(last, copied.version)
            if copied.version != each.version:
                self._tally.note(
                    f"version {each.version} of model {each.name!r} is {copied.version} of"
                    f" {there.name!r} at the target"
                )
        # Only now: the greatest number that is there is how the next import counts on.
        for number in gaps:
            self._client.delete_model_version(there.name, number)
        return here

    def _versions(self, name: str) -> list[ModelVersion]:
        quoted = name.replace("'", "''")
        found: list[ModelVersion] = []
        token: str | None = None
        while True:
            page = self._client.search_model_versions(f"name = '{quoted}'", PAGE, page_token=token)
            found.extend(page)
            token = page.token
            if not token:
                return found

    def _gap(self, planned: PlannedModel, number: int) -> int:
        made = self._client.make_version(
            planned.name,
            OUR_ORIGIN,
            "",
            {marks.GAP: str(number)},
            marks.request_id("gap", marks.of_model(planned.source), planned.name, str(number)),
        )
        return made.version

    def _settle(
        self,
        planned: PlannedModel,
        there: RegisteredModel,
        here: Mapping[int, ModelVersion],
        keeps: bool,
    ) -> None:
        """Description, tags and aliases, where they changed at the source."""
        of = planned.source
        rest = [of.description, sorted(of.tags.items()), sorted(of.aliases.items())]
        state = marks.state(of.creation_time, of.last_updated_time, rest)
        if there.tags.get(marks.ORIGIN) == state:
            return
        if of.description != there.description and not keeps:
            self._client.update_registered_model(there.name, of.description)
        for alias, number in of.aliases.items():
            self._point(there, alias, here.get(number), keeps)
        self._set_tags(there, of, keeps)
        said = there.tags.get(marks.MODEL, "")
        mark = marks.of_model(of)
        if mark not in said.split("\n"):
            said = f"{said}\n{mark}" if said else mark
        self._client.set_registered_model_tags(there.name, {marks.MODEL: said, marks.ORIGIN: state})

    def _point(
        self, there: RegisteredModel, alias: str, version: ModelVersion | None, keeps: bool
    ) -> None:
        if version is None:
            self._tally.lose(f"alias {alias!r} of model {there.name!r}: its version is gone")
        elif keeps and alias in there.aliases:
            self._tally.note(f"model {there.name!r} keeps its own alias {alias!r}")
        elif there.aliases.get(alias) != version.version:
            try:
                self._client.set_model_alias(there.name, alias, version.version)
                self._tally.count(written=Counts(aliases=1))
            except RunstoneException as error:
                if not is_refusal(error):
                    raise
                self._tally.lose(f"alias {alias!r} of model {there.name!r}: {error.message}")

    def _set_tags(self, there: RegisteredModel, of: SourceModel, keeps: bool) -> None:
        for key, value in of.tags.items():
            if keeps and key in there.tags:
                if there.tags[key] != value:
                    self._tally.note(f"model {there.name!r} keeps its own tag {key!r}")
            elif there.tags.get(key) != value:
                try:
                    self._client.set_registered_model_tags(there.name, {key: value})
                except RunstoneException as error:
                    if not is_refusal(error):
                        raise
                    self._tally.lose(f"tag {key!r} of model {of.name!r}: {error.message}")

    def _count(self, planned: PlannedModel, here: Mapping[int, ModelVersion]) -> None:
        """Look at what is there, and count both sides."""
        of = planned.source
        there = self._client.get_registered_model(planned.name)
        tags = [key for key in of.tags if key in there.tags]
        aliases = [alias for alias in of.aliases if alias in there.aliases]
        found = Counts(models=1, tags=len(tags), aliases=len(aliases))
        by_number = {each.version: each for each in self._versions(planned.name)}
        for each in planned.versions:
            copy = by_number.get(here[each.version].version)
            if copy is not None:
                found.versions += 1
                found.tags += sum(key in copy.tags for key in each.tags)
        self._tally.count(source=_counted(of, planned.versions), target=found)


def _counted(of: SourceModel, versions: list[SourceVersion]) -> Counts:
    tags = len(of.tags) + sum(len(each.tags) for each in versions)
    return Counts(models=1, versions=len(versions), aliases=len(of.aliases), tags=tags)
