"""One version of a registered model: its files, tags and stage."""

from __future__ import annotations

import re

from runstone._convert.registry import is_stage
from runstone._entities.registry import ModelVersion
from runstone._migrate import marks
from runstone._migrate.files import FileCopy
from runstone._migrate.model import FilesOutOfReach, SourceVersion, Tree
from runstone._migrate.place import Migration
from runstone._migrate.tally import Counts
from runstone._sender.server import is_refusal
from runstone.exceptions import RunstoneException, SourceNotFound, SourceRunNotFound

IN_RUN = re.compile(r"(?:^runs:/+|/)([0-9a-f]{32})(?:/artifacts)?(?:/(.*))?$")
"""Where a version's files are, when they are a run's: the run and the path."""

MAX_ORIGIN = 2048
MAX_LINK = 2048
"""Characters."""


class VersionCopy:
    """Brings one version over.

    Args:
        migration: What all copies share.
        name: Of the model at the target.
        version: As the source has it.
    """

    def __init__(self, migration: Migration, name: str, version: SourceVersion) -> None:
        self._all = migration
        self._client = migration.client
        self._name = name
        self._of = version
        self._said = f"version {version.version} of model {version.name!r}"

    def copy(self, there: ModelVersion | None) -> ModelVersion:
        """Have it at the target; ``there`` is what an import before has made of it."""
        if there is None:
            there = self._created()
            self._all.tally.count(written=Counts(versions=1))
        if there.status == "PENDING":
            there = self._filled(there)
        if there.status != "READY":
            # It keeps its number, and waits: another import may find them.
            return there
        if there.tags.get(marks.VERSION) == marks.of_version(self._of):
            return there
        return self._settled(there)

    def _created(self) -> ModelVersion:
        of = self._of
        tags = {marks.VERSION: marks.begun(of)}
        run_id, path = self._in_run()
        parts = ("version", self._name, str(of.version), str(of.creation_time))
        if run_id:
            try:
                return self._client.make_version(
                    self._name,
                    (run_id, path),
                    of.description,
                    tags,
                    marks.request_id(*parts, run_id, path, of.description, of.run_link),
                    of.run_link[:MAX_LINK],
                )
            except (SourceNotFound, SourceRunNotFound):
                pass  # its run was copied without files, or has none
        return self._client.make_version(
            self._name,
            of.source[:MAX_ORIGIN],
            of.description,
            tags,
            marks.request_id(*parts, "files", of.source, of.description, of.run_link),
            of.run_link[:MAX_LINK],
        )

    def _in_run(self) -> tuple[str, str]:
        """The run at the target that has the files, and where in it; empty when none has."""
        found = IN_RUN.search(self._of.source)
        if found is None:
            return "", ""
        return self._all.runs.get(found[1]), (found[2] or "").strip("/")

    def _filled(self, there: ModelVersion) -> ModelVersion:
        """Bring its files, which are no run's, and have it READY; PENDING if they are not had."""
        try:
            tree = self._all.source.version_files(self._of)
            if self._send(there, tree):
                return self._client.finalize_model_version(there.name, there.version)
        except FilesOutOfReach as error:
            if error.away:
                raise
            self._all.tally.lose(f"{self._said}, which is PENDING now: {error.message}")
        return there

    def _send(self, there: ModelVersion, tree: Tree) -> bool:
        wanted = tree.files()
        if not wanted:
            raise FilesOutOfReach(f"there are no files at {self._of.source or 'its source'}")
        owner = there.model_version_id
        has = {
            each.path: each.file_size
            for each in self._client.list_artifacts(recursive=True, model_version_id=owner)
        }
        copy = FileCopy(
            tree,
            lambda files: self._client.send_files(files, model_version_id=owner),
            self._all.tally.lose,
            self._said,
        )
        copy.copy([each for each in wanted if has.get(each.path) != each.size])
        self._all.tally.count(written=copy.written)
        return not copy.out_of_reach

    def _settled(self, there: ModelVersion) -> ModelVersion:
        """Description, tags and stage as they are at the source now, and that all is there."""
        of = self._of
        if of.description != there.description:
            self._client.update_model_version(there.name, there.version, of.description)
        new = {key: value for key, value in of.tags.items() if there.tags.get(key) != value}
        for key, value in new.items():
            try:
                self._client.set_model_version_tags(there.name, there.version, {key: value})
            except RunstoneException as error:
                if not is_refusal(error):
                    raise
                self._all.tally.lose(f"tag {key!r} of {self._said}: {error.message}")
        self._move(there)
        mark = {marks.VERSION: marks.of_version(of)}
        return self._client.set_model_version_tags(there.name, there.version, mark)

    def _move(self, there: ModelVersion) -> None:
        stage = self._of.stage
        if stage == there.current_stage:
            return
        if not is_stage(stage):
            self._all.tally.lose(f"stage {stage!r} of {self._said}: there is no such stage here")
        else:
            self._client.transition_model_version_stage(
                there.name, there.version, stage, comment="imported from MLflow"
            )
