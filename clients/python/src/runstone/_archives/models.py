"""Versions of a registered model as one archive, and out of it on another server.

runstone-models.json      what is known of the model and of each version, and their files' digests
versions/<n>/<path>       the files of version n
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from runstone._archives.reading import looked_through, members
from runstone._archives.restoring import Sending
from runstone._archives.writing import Writer
from runstone._transfer import list_files, stream_file
from runstone._transfer.present import recorded
from runstone._transfer.progress import Progress
from runstone.artifact.v1 import artifact_pb2
from runstone.exceptions import LocalPathError, ModelNameTaken
from runstone.registry.v1 import model_pb2, model_version_pb2

MANIFEST = "runstone-models.json"
FORMAT = "runstone-models"
FORMAT_VERSION = 1

MAX_MANIFEST_BYTES = 2**26
"""Read into memory: some hundred thousand files."""

IMPORTED_VERSION = "runstone.importedVersion"
"""Tag of an imported version: which one it was, so that a second import makes no second one."""

TAGS_AT_ONCE = 99
"""CreateModelVersion takes a hundred, and one is ours."""

PAGE = 1000


def described(model: Any, versions: Sequence[Any], artifact: Any) -> dict[str, Any]:
    """What an archive says of a model and of its versions, whose files are listed for it."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": {
            "name": model.name,
            "description": model.description,
            "tags": dict(model.tags),
            "creator": model.creator,
            "create_time": model.create_time.ToJsonString(),
        },
        "versions": [_described(version, artifact) for version in versions],
    }


def _described(version: Any, artifact: Any) -> dict[str, Any]:
    files = [] if version.external_uri else list_files(artifact, owner_of(version.model_version_id))
    return {
        "version": version.version,
        "model_version_id": version.model_version_id,
        "description": version.description,
        "tags": dict(version.tags),
        "aliases": list(version.aliases),
        "stage": model_pb2.Stage.Name(version.stage).removeprefix("STAGE_"),
        "run_id": version.run_id,
        "run_link": version.run_link,
        "source": version.source,
        "external_uri": version.external_uri,
        "creator": version.creator,
        "create_time": version.create_time.ToJsonString(),
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in files],
    }


def owner_of(model_version_id: str) -> artifact_pb2.Owner:
    """The owner of a version's files."""
    return artifact_pb2.Owner(model_version_id=model_version_id)


def write(writer: Writer, manifest: dict[str, Any], artifact: Any, progress: Progress) -> None:
    """Write the archive that a manifest describes. Raises as ``stream_file`` does."""
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode()
    writer.add(MANIFEST, len(text), [text])
    for version in manifest["versions"]:
        owner = owner_of(version["model_version_id"])
        for file in version["files"]:
            path = f"versions/{version['version']}/{file['path']}"
            writer.add(path, file["size"], _blocks(artifact, owner, file, progress))


def _blocks(
    artifact: Any, owner: artifact_pb2.Owner, file: dict[str, Any], progress: Progress
) -> Iterator[bytes | memoryview]:
    for block in stream_file(artifact, owner, file["path"], file["sha256"]):
        yield block
        progress.advance(len(block))


def read_manifest(archive: Path, max_bytes: int | None = None) -> dict[str, Any]:
    """What an archive says of itself, once it was looked through and has the files that it says.

    Raises:
        LocalPathError: it is refused, or no archive of models.
    """
    found = {member.path: member.size for member in looked_through(archive, max_bytes)}
    content: IO[bytes]
    for member, content in members(archive, max_bytes):
        if member.path == MANIFEST and member.size <= MAX_MANIFEST_BYTES:
            try:
                manifest: dict[str, Any] = json.loads(content.read(MAX_MANIFEST_BYTES))
                named = _named(manifest)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise LocalPathError(f"{MANIFEST} of {archive} cannot be read") from None
            del found[MANIFEST]
            if named != found:
                wrong = min(named.items() ^ found.items())[0]
                raise LocalPathError(f"{archive} and its {MANIFEST} differ in {wrong!r}")
            return manifest
    raise LocalPathError(f"{archive} is no archive of models: it has no {MANIFEST}")


def _named(manifest: dict[str, Any]) -> dict[str, int]:
    """The files that a manifest names, with sizes. Raises ValueError, and what dicts raise."""
    if manifest["format"] != FORMAT or manifest["format_version"] != FORMAT_VERSION:
        raise ValueError("another format")
    model = manifest["model"]
    texts: list[Any] = [model["name"], model["description"]]
    texts += [part for pair in model["tags"].items() for part in pair]
    named: dict[str, int] = {}
    numbers: set[int] = set()
    for version in manifest["versions"]:
        number = version["version"]
        # A text or True would be another number in the paths than in what is kept by number.
        if type(number) is not int or number < 1 or number in numbers:
            raise ValueError("a version number that is none, or twice")
        numbers.add(number)
        texts += [version[name] for name in ("create_time", "description", "stage", "source")]
        model_pb2.Stage.Value(f"STAGE_{version['stage']}")
        texts += [version["run_link"], version["external_uri"], *version["aliases"]]
        texts += [part for pair in version["tags"].items() for part in pair]
        for file in version["files"]:
            named[f"versions/{number}/{file['path']}"] = int(file["size"])
        if bool(version["files"]) == bool(version["external_uri"]):
            raise ValueError("a version without files, or with files here and elsewhere")
    if any(not isinstance(text, str) for text in texts):
        raise ValueError("a text that is none")
    return named


@dataclass(frozen=True)
class Imported:
    """A version of the archive, the one that it is here, and whether it is new."""

    source_version: int
    version: int
    new: bool


class Import:
    """Brings versions of a model in. Safe to be interrupted and run again."""

    def __init__(self, registry: Any, artifact: Any, manifest: dict[str, Any], name: str) -> None:
        self._registry = registry
        self._artifact = artifact
        self._manifest = manifest
        self._name = name

    def run(self, archive: Path, max_bytes: int | None, progress: Progress) -> list[Imported]:
        """Make the versions that are not here, send their files, and finish each."""
        self._ensure_model()
        known = self._known()
        imported, pending = [], {}
        for said in self._versions():
            found = known.get(self._mark(said))
            version = found or self._create(said)
            ready = version.status == model_pb2.MODEL_VERSION_STATUS_READY
            imported.append(Imported(said["version"], version.version, found is None or not ready))
            if not ready:
                pending[said["version"]] = version
        self._send(archive, max_bytes, pending, progress)
        for version in pending.values():
            self._registry.FinalizeModelVersion(
                model_version_pb2.FinalizeModelVersionRequest(
                    name=self._name, version=version.version
                )
            )
        return imported

    def keep_stages(self, imported: Sequence[Imported]) -> None:
        """Move the versions to the stages and aliases that they had. Raises StageRulesBroken."""
        from runstone.registry.v1 import governance_pb2

        numbers = {each.source_version: each.version for each in imported}
        for said in self._versions():
            number = numbers[said["version"]]
            if said["stage"] != "NONE":
                self._registry.TransitionModelVersionStage(
                    governance_pb2.TransitionModelVersionStageRequest(
                        name=self._name,
                        version=number,
                        stage=model_pb2.Stage.Value(f"STAGE_{said['stage']}"),
                        comment="imported",
                    )
                )
            for alias in said["aliases"]:
                self._registry.SetModelAlias(
                    model_pb2.SetModelAliasRequest(name=self._name, alias=alias, version=number)
                )

    def _versions(self) -> list[dict[str, Any]]:
        return sorted(self._manifest["versions"], key=lambda said: int(said["version"]))

    def _mark(self, said: dict[str, Any]) -> str:
        # A model that was deleted and made anew has other versions of the same numbers.
        return f"{self._manifest['model']['name']}/{said['version']} {said['create_time']}"

    def _ensure_model(self) -> None:
        model = self._manifest["model"]
        request = model_pb2.CreateRegisteredModelRequest(
            name=self._name, description=model["description"], tags=model["tags"]
        )
        try:
            self._registry.CreateRegisteredModel(request)
        except ModelNameTaken:
            # Its description and tags are somebody's work here.
            pass

    def _known(self) -> dict[str, Any]:
        """What an earlier import made, by its mark."""
        quoted = self._name.replace("'", "''")
        request = model_version_pb2.SearchModelVersionsRequest(
            filter=f"name = '{quoted}'", page_size=PAGE
        )
        known: dict[str, Any] = {}
        while True:
            page = self._registry.SearchModelVersions(request)
            for version in page.model_versions:
                if version.status != model_pb2.MODEL_VERSION_STATUS_FAILED:
                    known[version.tags.get(IMPORTED_VERSION, "")] = version
            if not page.next_page_token:
                return known
            request.page_token = page.next_page_token

    def _create(self, said: dict[str, Any]) -> Any:
        mark = self._mark(said)
        tags = {key: said["tags"][key] for key in said["tags"] if key != IMPORTED_VERSION}
        first = dict(list(tags.items())[:TAGS_AT_ONCE])
        request = model_version_pb2.CreateModelVersionRequest(
            name=self._name,
            description=said["description"],
            tags={**first, IMPORTED_VERSION: mark},
            run_link=said["run_link"],
            # One that was made, but whose answer was lost, is found by it for a day.
            request_id=hashlib.sha256(f"{self._name}\n{mark}".encode()).hexdigest()[:32],
        )
        if said["external_uri"]:
            request.external.uri = said["external_uri"]
        else:
            request.upload.origin = said["source"]
        version = self._registry.CreateModelVersion(request).model_version
        rest = list(tags.items())[TAGS_AT_ONCE:]
        for start in range(0, len(rest), TAGS_AT_ONCE):
            self._registry.SetModelVersionTags(
                model_version_pb2.SetModelVersionTagsRequest(
                    name=self._name,
                    version=version.version,
                    tags=dict(rest[start : start + TAGS_AT_ONCE]),
                )
            )
        return version

    def _send(
        self, archive: Path, max_bytes: int | None, pending: dict[int, Any], progress: Progress
    ) -> None:
        if not pending:
            return
        sending: dict[int, Sending] = {}
        for number, version in pending.items():
            owner = owner_of(version.model_version_id)
            there = recorded(self._artifact, owner, "")
            sending[number] = Sending(self._artifact, owner, "", there, progress)
        for member, content in members(archive, max_bytes):
            _, _, rest = member.path.partition("/")
            text, _, path = rest.partition("/")
            if text.isdigit() and int(text) in sending:
                sending[int(text)].take(type(member)(path, member.size), content)
        for each in sending.values():
            each.finish()
