"""Use cases of model versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from runstone_kit.context import current
from runstone_kit.errors import RunstoneError, Unavailable
from runstone_registry.errors import (
    AliasNotFound,
    ModelInUse,
    PeerUnavailable,
    SourceNotFound,
    VersionFinalized,
    VersionNotFound,
    VersionNotReady,
)
from runstone_registry.model import (
    ModelHead,
    ModelVersion,
    PendingOwner,
    Remembered,
    VersionStatus,
)
from runstone_registry.model_commands import (
    CreateVersion,
    ExternalSource,
    LoggedModelSource,
    RunSource,
    Source,
    UploadSource,
    VersionSelector,
    VersionSource,
)
from runstone_registry.service_base import (
    Made,
    UseCases,
    audited_tags,
    check_etag,
    digest_of,
    find_head,
    find_version,
    remembered,
    tags_size,
)
from runstone_registry.service_events import (
    Change,
    tag_deleted,
    tag_set,
    version_created,
    version_finalized,
)
from runstone_registry.service_models import without
from runstone_registry.store import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a version comes from, as looked up: ``copied_id`` is the version that it is a copy of.

    Files with an ``external_uri`` stay there.
    """

    text: str
    run_id: str = ""
    external_uri: str = ""
    logged_model_id: str = ""
    copied_id: str = ""


class VersionUseCases(UseCases):
    """Model versions."""

    def create_model_version(self, wish: CreateVersion) -> ModelVersion:
        """Create the next version of a model.

        The files are made first, under a reservation; the version and the end of the reservation
        are one transaction. What breaks off in between is left to the sweeper.

        Raises ModelNotFound, SourceRunNotFound, SourceLoggedModelNotFound, SourceNotFound,
        VersionNotFound and VersionNotReady for the version to copy, RequestIdReused,
        PeerUnavailable.
        """
        size = tags_size(wish.tags)
        digest = _digest(wish)

        def begin(tx: ReadSession) -> ModelVersion | None:
            done = remembered(tx, wish.request_id, digest)
            if done is not None:
                return _made_before(tx, done, wish.name)
            find_head(tx, wish.name)
            return None

        made = self._store.read(begin)
        if made is not None:
            return made
        origin = self._origin(wish)
        owner = self._ids.hex_id()
        self._store.write(
            lambda tx: tx.reserve_owner(PendingOwner(owner, self._clock.now_ms() + self._lease_ms))
        )
        self._make_files(wish.source, origin, owner)
        return self._store_version(wish, origin, owner, digest, size)

    def _origin(self, wish: CreateVersion) -> _Origin:
        source = wish.source
        text = wish.origin or source.uri
        match source:
            case RunSource():
                self._runs.require_run(source.run_id)
                return _Origin(text, source.run_id, logged_model_id=wish.logged_model_id)
            case LoggedModelSource():
                run_id = self._runs.run_of_model(source.model_id)
                model_id = wish.logged_model_id or source.model_id
                return _Origin(text, run_id, logged_model_id=model_id)
            case VersionSource():
                copied = self._store.read(
                    lambda tx: find_version(tx, find_head(tx, source.name), source.version)
                )
                if copied.status is not VersionStatus.READY:
                    raise VersionNotReady(source.name, source.version, "cannot be a source yet")
                return _Origin(
                    text,
                    copied.run_id,
                    copied.external_uri,
                    wish.logged_model_id or copied.logged_model_id,
                    copied.model_version_id,
                )
            case ExternalSource():
                return _Origin(text, source.run_id, source.uri, wish.logged_model_id)
        return _Origin(text, logged_model_id=wish.logged_model_id)

    def _make_files(self, source: Source, origin: _Origin, owner: str) -> None:
        if origin.external_uri:
            return
        try:
            match source:
                case RunSource():
                    if self._artifacts.copy_run_artifacts(source.run_id, source.path, owner) == 0:
                        raise SourceNotFound(source.run_id, source.path)
                case LoggedModelSource(model_id, path):
                    if self._artifacts.copy_model_artifacts(model_id, path, owner) == 0:
                        raise SourceNotFound(model_id, path, kind="model")
                case VersionSource():
                    if self._artifacts.copy_version(origin.copied_id, owner) == 0:
                        raise VersionNotFound(source.name, version=source.version)
                case _:
                    self._artifacts.open(owner)
        except PeerUnavailable as error:
            # The peer may still be at it: deleting at once could come before its last write.
            self._give_up(owner, 0 if error.certain else self._lease_ms)
            raise
        except RunstoneError:
            self._give_up(owner, 0)
            raise

    def _store_version(
        self, wish: CreateVersion, origin: _Origin, owner: str, digest: str, size: int
    ) -> ModelVersion:
        def find(tx: ReadSession, done: Remembered) -> ModelVersion:
            return _made_before(tx, done, wish.name)

        def make(tx: WriteSession) -> Made[ModelVersion]:
            head = self._lock(tx, wish.name)
            if not tx.settle_owner(owner):
                raise PeerUnavailable("artifact", "took too long to take the files over")
            number = tx.next_number(head.model_id)
            version = self._new_version(wish, origin, head, owner, number)
            tx.insert_version(version, size)
            self._touch_model(tx, head.model_id)
            details = {"source": version.source, "status": version.status.value}
            if version.run_id:
                details["run_id"] = version.run_id
            details |= audited_tags(wish.tags)
            self._audit(tx, head, "CreateModelVersion", version=version.version, details=details)
            told = [version_created(version)]
            self._announce(tx, head, Change.VERSION_CREATED, told, tags=version.tags)
            return Made(version, head.model_id, owner)

        try:
            version = self._create_once(wish.request_id, digest, find, make)
        except Unavailable:
            # The commit may have happened; the reservation's end tells the sweeper.
            raise
        except RunstoneError:
            self._give_up(owner, 0)
            raise
        if version.model_version_id != owner:
            self._give_up(owner, 0)
        return version

    def _new_version(
        self, wish: CreateVersion, origin: _Origin, head: ModelHead, owner: str, number: int
    ) -> ModelVersion:
        now = self._clock.now_ms()
        pending = isinstance(wish.source, UploadSource)
        return ModelVersion(
            model_version_id=owner,
            model_id=head.model_id,
            name=head.name,
            version=number,
            created_ms=now,
            updated_ms=now,
            etag=self._ids.hex_id(),
            creator=current().actor,
            description=wish.description,
            status=VersionStatus.PENDING if pending else VersionStatus.READY,
            run_id=origin.run_id,
            source=origin.text,
            external_uri=origin.external_uri,
            run_link=wish.run_link,
            logged_model_id=origin.logged_model_id,
            tags=dict(wish.tags),
        )

    def _give_up(self, owner: str, delay_ms: int) -> None:
        """Give a reservation to the sweeper; if that fails its lease ends by itself."""
        with suppress(RunstoneError):
            due = self._clock.now_ms() + delay_ms
            self._store.write(lambda tx: tx.orphan_owner(owner, due))
            if delay_ms == 0:
                self._sweeper.delete_now([owner])

    def finalize_model_version(self, name: str, number: int, failure: str) -> ModelVersion:
        """Make a PENDING version READY, or FAILED when ``failure`` says why. May be repeated.

        Raises ModelNotFound, VersionNotFound, VersionNotReady when no file was uploaded,
        VersionFinalized when it has the other outcome already, PeerUnavailable.
        """
        before = self._store.read(lambda tx: find_version(tx, find_head(tx, name), number))
        outcome = VersionStatus.FAILED if failure else VersionStatus.READY
        pending = before.status is VersionStatus.PENDING
        if pending and not failure and self._artifacts.seal(before.model_version_id) == 0:
            raise VersionNotReady(name, number, "has no files yet")

        def work(tx: WriteSession) -> tuple[ModelVersion, bool]:
            head = self._lock(tx, name)
            version = find_version(tx, head, number)
            if version.model_version_id != before.model_version_id:
                # Models were renamed meanwhile.
                raise VersionNotFound(name, version=number)
            if version.status is outcome:
                return version, False
            if version.status is not VersionStatus.PENDING:
                raise VersionFinalized(name, number, version.status.value)
            tx.set_status(version.model_version_id, outcome, failure)
            self._touch_version(tx, version.model_version_id)
            self._touch_model(tx, head.model_id)
            if failure:
                tx.orphan_owner(version.model_version_id, self._clock.now_ms())
            details = {"status": outcome.value}
            self._audit(
                tx, head, "FinalizeModelVersion", version=number, details=details, comment=failure
            )
            final = find_version(tx, head, number)
            self._announce(tx, head, Change.VERSION_FINALIZED, [version_finalized(final)])
            return final, True

        version, changed = self._store.write(work)
        if changed and failure:
            self._sweeper.delete_now([version.model_version_id])
        return version

    def get_model_version(self, which: VersionSelector) -> ModelVersion:
        """A version. Raises ModelNotFound, VersionNotFound, AliasNotFound."""

        def work(tx: ReadSession) -> ModelVersion:
            head = find_head(tx, which.name)
            if which.version:
                return find_version(tx, head, which.version)
            if which.alias:
                version = tx.version_by_alias(head.model_id, which.alias)
                if version is None:
                    raise AliasNotFound(which.name, which.alias)
                return version
            version = tx.latest_version(head.model_id, which.stage)
            if version is None:
                raise VersionNotFound(which.name, stage=which.stage.value if which.stage else "")
            return version

        return self._store.read(work)

    def update_model_version(
        self, name: str, number: int, description: str, etag: str
    ) -> ModelVersion:
        """Set a version's description. Raises ModelNotFound, VersionNotFound, EtagMismatch."""

        def change(tx: WriteSession, head: ModelHead, version: ModelVersion) -> None:
            check_etag(etag, version.etag)
            tx.describe_version(version.model_version_id, description)
            details = {"changed": "description"}
            self._audit(tx, head, "UpdateModelVersion", version=number, details=details)

        return self._change_version(name, number, change)

    def delete_model_version(
        self, name: str, number: int, etag: str, *, force: bool = False
    ) -> None:
        """Delete a version, its aliases and its files.

        Raises ModelNotFound, VersionNotFound, EtagMismatch, and without ``force`` ModelInUse.
        """

        def work(tx: WriteSession) -> str:
            head = self._lock(tx, name)
            version = find_version(tx, head, number)
            check_etag(etag, version.etag)
            if version.stage.in_use and not force:
                raise ModelInUse(name, number, version.stage.value)
            tx.orphan_owner(version.model_version_id, self._clock.now_ms())
            tx.delete_version(version.model_version_id)
            self._touch_model(tx, head.model_id)
            details = {"stage": version.stage.value}
            if version.aliases:
                details["aliases"] = ", ".join(version.aliases)
            self._audit(tx, head, "DeleteModelVersion", version=number, details=details)
            return version.model_version_id

        self._sweeper.delete_now([self._store.write(work)])

    def set_model_version_tags(
        self, name: str, number: int, tags: Mapping[str, str]
    ) -> ModelVersion:
        """Set tags, all or none. Raises ModelNotFound, VersionNotFound."""

        def change(tx: WriteSession, head: ModelHead, version: ModelVersion) -> None:
            size = tags_size({**version.tags, **tags})
            tx.put_version_tags(version.model_version_id, tags, size)
            details = audited_tags(tags)
            self._audit(tx, head, "SetModelVersionTags", version=number, details=details)
            told = [tag_set(head.name, number, key, value) for key, value in tags.items()]
            self._announce(tx, head, Change.VERSION_TAG_SET, told)

        return self._change_version(name, number, change)

    def delete_model_version_tags(
        self, name: str, number: int, keys: Sequence[str]
    ) -> ModelVersion:
        """Delete tags, all or none. Raises ModelNotFound, VersionNotFound, TagNotFound."""

        def change(tx: WriteSession, head: ModelHead, version: ModelVersion) -> None:
            size = tags_size(without(version.tags, keys))
            tx.drop_version_tags(version.model_version_id, keys, size)
            details = dict.fromkeys((f"tags.{key}" for key in keys), "")
            self._audit(tx, head, "DeleteModelVersionTags", version=number, details=details)
            told = [tag_deleted(head.name, number, key) for key in dict.fromkeys(keys)]
            self._announce(tx, head, Change.VERSION_TAG_DELETED, told)

        return self._change_version(name, number, change)

    def _change_version(
        self,
        name: str,
        number: int,
        change: Callable[[WriteSession, ModelHead, ModelVersion], None],
    ) -> ModelVersion:
        def work(tx: WriteSession) -> ModelVersion:
            head = self._lock(tx, name)
            version = find_version(tx, head, number)
            change(tx, head, version)
            self._touch_version(tx, version.model_version_id)
            return find_version(tx, head, number)

        return self._store.write(work)


def _made_before(tx: ReadSession, done: Remembered, name: str) -> ModelVersion:
    version = tx.version_by_id(done.subject)
    if version is None:
        raise VersionNotFound(name)
    return version


def _digest(wish: CreateVersion) -> str:
    where: list[object]
    match wish.source:
        case RunSource(run_id, path):
            where = ["run", run_id, path]
        case LoggedModelSource(model_id, path):
            where = ["logged_model", model_id, path]
        case UploadSource(origin):
            where = ["upload", origin]
        case VersionSource(name, number):
            where = ["version", name, number]
        case ExternalSource(uri, run_id):
            where = ["external", uri, run_id]
    also = [wish.origin, wish.run_link, wish.logged_model_id]
    if any(also):
        # Digests of a day ago, made by a release without these, stay what they were.
        where += also
    return digest_of("CreateModelVersion", wish.name, where, wish.description, wish.tags)
