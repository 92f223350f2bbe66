"""What an archive of models may say of itself."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runstone._archives import models
from runstone.exceptions import LocalPathError

FILE = {"path": "a", "size": 3, "sha256": ""}


def version(number: Any, **more: Any) -> dict[str, Any]:
    texts = ("create_time", "description", "source", "run_link", "external_uri", "run_id")
    said = dict.fromkeys(texts, "") | {"stage": "NONE", "aliases": [], "tags": {}}
    return said | {"version": number, "files": [FILE]} | more


def manifest(*versions: dict[str, Any], **model: Any) -> str:
    said = {"name": "net", "description": "", "tags": {}} | model
    marks = {"format": models.FORMAT, "format_version": models.FORMAT_VERSION}
    return json.dumps({**marks, "model": said, "versions": versions})


def archived(folder: Path, text: str, *paths: str) -> Path:
    archive = folder / "net.tar"
    with tarfile.open(archive, "w") as tar:
        for path, content in (
            (models.MANIFEST, text.encode()),
            *((each, b"abc") for each in paths),
        ):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive


def test_what_is_honest_is_read(tmp_path: Path) -> None:
    elsewhere = version(3, external_uri="s3://b/k", files=[])
    text = manifest(version(1), version(2), elsewhere, tags={"team": "risk"})
    archive = archived(tmp_path, text, "versions/1/a", "versions/2/a")
    assert [each["version"] for each in models.read_manifest(archive)["versions"]] == [1, 2, 3]


@pytest.mark.parametrize(
    "text",
    [
        lambda: manifest(version(1, create_time="1"), version(1, create_time="2")),
        lambda: manifest(version("1")),
        lambda: manifest(version(True)),
        lambda: manifest(version(1.0)),
        lambda: manifest(version(1), tags={"team": 7}),
        lambda: manifest(version(1), tags=["team"]),
        lambda: manifest(version(1, external_uri="s3://b/k")),
        lambda: manifest(version(1, files=[])),
        lambda: "[" * 200_000,
    ],
)
def test_what_is_not_is_refused(tmp_path: Path, text: Callable[[], str]) -> None:
    archive = archived(tmp_path, text(), "versions/1/a")
    with pytest.raises(LocalPathError, match="cannot be read"):
        models.read_manifest(archive)


@pytest.mark.parametrize("number", [0, -1])
def test_versions_count_from_one(tmp_path: Path, number: int) -> None:
    archive = archived(tmp_path, manifest(version(number)), f"versions/{number}/a")
    with pytest.raises(LocalPathError, match="cannot be read"):
        models.read_manifest(archive)
