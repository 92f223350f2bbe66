"""Versions of models on their way to another server: interrupted, repeated, tampered with."""

import gzip
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import runstone
from runstone._archives.restoring import Sending
from runstone.cli import main
from support.suites import suite


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with suite(tmp_path_factory.mktemp("models") / "data", "--grpc-port", "0") as started:
        yield f"runstone://{started.status['tcp']}"


@pytest.fixture
def exported(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two versions of a model, the second in Production and called champion."""
    monkeypatch.setenv("RUNSTONE_TRACKING_URI", uri)
    client = runstone.Client(uri)
    name = f"net-{tmp_path.name}"
    client.create_registered_model(name)
    for number in (1, 2):
        folder = tmp_path / f"files-{number}"
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "weights").write_bytes(bytes([number]) * 2_000_000)
        (folder / "MLmodel").write_text(f"version {number}", "utf-8")
        tags = {f"tag-{each:03}": "x" for each in range(120)} if number == 2 else {}
        client.create_model_version(name, str(folder), tags=dict(list(tags.items())[:100]))
        if rest := dict(list(tags.items())[100:]):
            client.set_model_version_tags(name, number, rest)
    client.transition_model_version_stage(name, 2, "Production")
    client.set_registered_model_alias(name, "champion", 2)
    assert main(["models", "export", name, "-o", str(tmp_path / "net.tar.gz")]) == 0
    return tmp_path / "net.tar.gz"


def test_an_import_that_was_interrupted_goes_on(
    uri: str,
    exported: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(_self: Sending) -> None:
        raise KeyboardInterrupt

    bringing = ["models", "import", str(exported), "--name", "brought"]
    with monkeypatch.context() as patch:
        patch.setattr(Sending, "finish", interrupted)
        assert main(bringing) == 130
    capsys.readouterr()
    assert main([*bringing, "--keep-stages", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(each["version"], each["new"]) for each in told["versions"]] == [(1, True), (2, True)]
    client = runstone.Client(uri)
    assert len(client.search_model_versions("name = 'brought'")) == 2
    second = client.get_model_version_by_alias("brought", "champion")
    assert (second.version, second.current_stage, second.status) == (2, "Production", "READY")
    assert len(second.tags) == 121
    got = client.read_bytes(None, "deep/weights", model_version_id=second.model_version_id)
    assert got == bytes([2]) * 2_000_000


def test_the_same_model_makes_the_same_archive(exported: Path) -> None:
    name = f"net-{exported.parent.name}"
    again = exported.with_name("again.tar.gz")
    assert main(["models", "export", name, "-o", str(again)]) == 0
    assert again.read_bytes() == exported.read_bytes()


def test_an_archive_that_is_not_what_it_says_is_refused(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = gzip.decompress(exported.read_bytes())
    capsys.readouterr()
    for old, new, why in (
        (b'"size": 2000000', b'"size": 2000001', "differ in 'versions/"),
        (b'"runstone-models"', b'"runstone-others"', "cannot be read"),
        (b'"PRODUCTION"', b'"PRODUCTIVE"', "cannot be read"),
    ):
        exported.write_bytes(gzip.compress(whole.replace(old, new)))
        assert main(["models", "import", str(exported), "--name", "refused"]) == 1
        assert why in capsys.readouterr().err
    with zipfile.ZipFile(exported, "w") as other:
        other.writestr("notes", "of somebody")
    assert main(["models", "import", str(exported)]) == 1
    assert "it has no runstone-models.json" in capsys.readouterr().err
