"""Use cases of registered models, their tags and aliases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runstone_kit.context import current
from runstone_registry.errors import (
    AliasNotFound,
    ModelInUse,
    ModelNameTaken,
    ModelNotFound,
    TagNotFound,
)
from runstone_registry.model import ModelHead, RegisteredModel, Remembered, Stage
from runstone_registry.model_commands import CreateModel
from runstone_registry.service_base import (
    Made,
    UseCases,
    audited_tags,
    check_etag,
    digest_of,
    find_head,
    find_model,
    find_version,
    tags_size,
)
from runstone_registry.service_events import (
    Change,
    alias_deleted,
    alias_set,
    model_created,
    tag_deleted,
    tag_set,
)
from runstone_registry.service_rules import check_rule_tags
from runstone_registry.store import ReadSession, WriteSession


class ModelUseCases(UseCases):
    """Registered models."""

    def create_registered_model(self, wish: CreateModel) -> RegisteredModel:
        """Create a model without versions.

        Raises ModelNameTaken, RequestIdReused, InvalidArgument for rules that cannot be read.
        """
        check_rule_tags(wish.tags)
        size = tags_size(wish.tags)
        digest = digest_of("CreateRegisteredModel", wish.name, wish.description, wish.tags)

        def find(tx: ReadSession, done: Remembered) -> RegisteredModel:
            model = tx.model(done.model_id)
            if model is None:
                raise ModelNotFound(wish.name)
            return model

        def make(tx: WriteSession) -> Made[RegisteredModel]:
            if tx.head(wish.name) is not None:
                raise ModelNameTaken(wish.name)
            now = self._clock.now_ms()
            model = RegisteredModel(
                model_id=self._ids.hex_id(),
                name=wish.name,
                created_ms=now,
                updated_ms=now,
                etag=self._ids.hex_id(),
                creator=current().actor,
                description=wish.description,
                tags=dict(wish.tags),
            )
            tx.insert_model(model, size)
            head = ModelHead(model.model_id, model.name, model.etag)
            self._audit(tx, head, "CreateRegisteredModel", details=audited_tags(wish.tags))
            told = [model_created(model)]
            self._announce(tx, head, Change.MODEL_CREATED, told, tags=model.tags)
            return Made(model, model.model_id)

        return self._create_once(wish.request_id, digest, find, make)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """A model. Raises ModelNotFound."""
        return self._store.read(lambda tx: find_model(tx, find_head(tx, name)))

    def update_registered_model(self, name: str, description: str, etag: str) -> RegisteredModel:
        """Set a model's description. Raises ModelNotFound, EtagMismatch."""

        def work(tx: WriteSession) -> RegisteredModel:
            head = self._lock(tx, name, etag)
            tx.describe_model(head.model_id, description)
            self._touch_model(tx, head.model_id)
            self._audit(tx, head, "UpdateRegisteredModel", details={"changed": "description"})
            return find_model(tx, head)

        return self._store.write(work)

    def rename_registered_model(self, name: str, new_name: str, etag: str) -> RegisteredModel:
        """Rename a model with all that is its own. The same name again changes nothing.

        Raises ModelNotFound, ModelNameTaken, EtagMismatch.
        """

        def work(tx: WriteSession) -> RegisteredModel:
            head = self._lock(tx, name, etag)
            if new_name == name:
                return find_model(tx, head)
            if tx.head(new_name) is not None:
                raise ModelNameTaken(new_name)
            tx.rename_model(head.model_id, new_name)
            self._touch_model(tx, head.model_id)
            details = {"from_name": name, "to_name": new_name}
            self._audit(tx, head, "RenameRegisteredModel", details=details)
            return find_model(tx, head)

        return self._store.write(work)

    def delete_registered_model(self, name: str, etag: str, *, force: bool = False) -> None:
        """Delete a model, its versions and their files.

        Raises ModelNotFound, EtagMismatch, and without ``force`` ModelInUse while a version is in
        Staging or Production.
        """

        def work(tx: WriteSession) -> list[str]:
            head = self._lock(tx, name, etag)
            in_use = tx.numbers_in(head.model_id, [each for each in Stage if each.in_use])
            if in_use and not force:
                number, stage = in_use[0]
                raise ModelInUse(name, number, stage.value)
            owners = tx.orphan_owners_of(head.model_id, self._clock.now_ms())
            tx.delete_model(head.model_id)
            details = {"versions": str(len(owners))}
            self._audit(tx, head, "DeleteRegisteredModel", details=details)
            return owners

        self._sweeper.delete_now(self._store.write(work))

    def set_registered_model_tags(self, name: str, tags: Mapping[str, str]) -> RegisteredModel:
        """Set tags, all or none. Raises ModelNotFound, InvalidArgument for unreadable rules."""
        check_rule_tags(tags)

        def work(tx: WriteSession) -> RegisteredModel:
            head = self._lock(tx, name)
            size = tags_size({**find_model(tx, head).tags, **tags})
            tx.put_model_tags(head.model_id, tags, size)
            self._touch_model(tx, head.model_id)
            self._audit(tx, head, "SetRegisteredModelTags", details=audited_tags(tags))
            told = [tag_set(head.name, 0, key, value) for key, value in tags.items()]
            self._announce(tx, head, Change.TAG_SET, told)
            return find_model(tx, head)

        return self._store.write(work)

    def delete_registered_model_tags(self, name: str, keys: Sequence[str]) -> RegisteredModel:
        """Delete tags, all or none. Raises ModelNotFound, TagNotFound."""

        def work(tx: WriteSession) -> RegisteredModel:
            head = self._lock(tx, name)
            left = without(find_model(tx, head).tags, keys)
            tx.drop_model_tags(head.model_id, keys, tags_size(left))
            self._touch_model(tx, head.model_id)
            details = dict.fromkeys((f"tags.{key}" for key in keys), "")
            self._audit(tx, head, "DeleteRegisteredModelTags", details=details)
            told = [tag_deleted(head.name, 0, key) for key in dict.fromkeys(keys)]
            self._announce(tx, head, Change.TAG_DELETED, told)
            return find_model(tx, head)

        return self._store.write(work)

    def set_model_alias(self, name: str, alias: str, number: int, etag: str) -> RegisteredModel:
        """Point an alias at a version; pointing it there again changes nothing.

        Raises ModelNotFound, VersionNotFound, EtagMismatch.
        """

        def work(tx: WriteSession) -> RegisteredModel:
            head = self._lock(tx, name, etag)
            version = find_version(tx, head, number)
            before = tx.version_by_alias(head.model_id, alias)
            if before is not None and before.version == number:
                return find_model(tx, head)
            tx.put_alias(head.model_id, alias, version.model_version_id)
            details = {"alias": alias}
            if before is not None:
                details["from_version"] = str(before.version)
                self._touch_version(tx, before.model_version_id)
            self._touch_version(tx, version.model_version_id)
            self._touch_model(tx, head.model_id)
            self._audit(tx, head, "SetModelAlias", version=number, details=details)
            self._announce(tx, head, Change.ALIAS_SET, [alias_set(head.name, alias, number)])
            return find_model(tx, head)

        return self._store.write(work)

    def delete_model_alias(self, name: str, alias: str, etag: str) -> RegisteredModel:
        """Delete an alias. Raises ModelNotFound, AliasNotFound, EtagMismatch."""

        def work(tx: WriteSession) -> RegisteredModel:
            head = self._lock(tx, name)
            version = tx.version_by_alias(head.model_id, alias)
            if version is None:
                raise AliasNotFound(name, alias)
            check_etag(etag, head.etag)
            tx.drop_alias(head.model_id, alias)
            self._touch_version(tx, version.model_version_id)
            self._touch_model(tx, head.model_id)
            details = {"alias": alias}
            self._audit(tx, head, "DeleteModelAlias", version=version.version, details=details)
            self._announce(tx, head, Change.ALIAS_DELETED, [alias_deleted(head.name, alias)])
            return find_model(tx, head)

        return self._store.write(work)


def without(tags: Mapping[str, str], keys: Sequence[str]) -> dict[str, str]:
    """``tags`` less ``keys``. Raises TagNotFound when one is not set."""
    left = dict(tags)
    for key in keys:
        if key not in tags:
            raise TagNotFound(key)
        left.pop(key, None)
    return left
