"""Files: what a caller of the artifact service sees, good and bad."""

from pathlib import Path

import pytest

from runstone.artifact.v1 import artifact_pb2 as pb
from runstone_kit.server import StartError
from support.artifact import (
    MIB,
    ArtifactServer,
    begin,
    chunks,
    failure_of,
    listed,
    noise,
    put,
    read,
    run_owner,
    sha256,
    version_owner,
)

OTHER_RUN = "c" * 32
VERSION = "b" * 32

TRAVERSALS = [
    "..", ".", "../x", "a/../b", "a/./b", "/etc/passwd", "a//b", "a/", "/", "a\\b", "a\x00b",
    "a\nb",
    "a\x7fb", "a\u2028b", "x" * 256, "/".join(["y" * 250] * 5), "\u00e9" * 128, "C:\\x",
]  # fmt: skip
ODD_AND_FINE = ["a b", "%2e%2e", "..a", "a..", "...", "é", "🎉", "x" * 255, "-", "~", "a:b", "con"]


# --- Small files ------------------------------------------------------------------------------


def test_small_files_are_committed_and_read(server: ArtifactServer) -> None:
    stub = server.stub
    files = {"a.txt": b"hello", "d/b.bin": noise(300_000), "d/empty": b"", "d/same": b"hello"}
    made = put(stub, files)
    assert [(each.path, each.size, each.sha256) for each in made] == [
        (path, len(content), sha256(content)) for path, content in files.items()
    ]
    for path, content in files.items():
        assert read(stub, path) == content
    assert listed(stub) == sorted(files)
    assert read(stub, "d/b.bin", offset=250_000, length=10) == files["d/b.bin"][250_000:250_010]
    assert read(stub, "a.txt", offset=5) == b""
    found = stub.GetArtifact(pb.GetArtifactRequest(owner=run_owner(), path="d")).artifact
    assert found.is_directory


def test_put_is_all_or_none(server: ArtifactServer) -> None:
    stub = server.stub
    put(stub, {"taken": b"x"})
    failed = failure_of(lambda: put(stub, {"new": b"y", "taken/below": b"z"}))
    assert failed[:3] == ("FAILED_PRECONDITION", "PATH_CONFLICT", {"path": "taken"})
    wrong = pb.SmallFile(path="w", content=b"w", sha256="0" * 64)
    request = pb.PutArtifactsRequest(
        owner=run_owner(), files=[pb.SmallFile(path="v", content=b"v"), wrong]
    )
    failed = failure_of(lambda: stub.PutArtifacts(request))
    assert failed.reason == "DIGEST_MISMATCH"
    assert failed.metadata["sha256"] == sha256(b"w")
    assert listed(stub) == ["taken"]


def test_limits_of_put(folder_server: ArtifactServer) -> None:
    stub = folder_server.stub
    exact = {f"f{number}": bytes([number]) * MIB for number in range(4)}
    assert len(put(stub, exact)) == 4
    failed = failure_of(lambda: put(stub, {**exact, "more": b"x"}))
    assert failed[:2] == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert failed.fields == ["files"]
    assert len(put(stub, {f"{number}": b"" for number in range(1000)})) == 1000
    assert failure_of(lambda: put(stub, {f"{n}": b"" for n in range(1001)})).fields == ["files"]
    assert failure_of(lambda: put(stub, {})).fields == ["files"]
    twice = [pb.SmallFile(path="p", content=b"")] * 2
    request = pb.PutArtifactsRequest(owner=run_owner(), files=twice)
    assert failure_of(lambda: stub.PutArtifacts(request)).fields == ["files[1].path"]


# --- Names ------------------------------------------------------------------------------------


def calls_with_path(stub: object, path: str, owner: pb.Owner) -> list[tuple[str, object]]:
    """Every RPC that takes a path: (field, call)."""
    s: object = stub
    return [
        ("files[0].path", lambda: s.PutArtifacts(  # type: ignore[attr-defined]
            pb.PutArtifactsRequest(owner=owner, files=[pb.SmallFile(path=path)]))),
        ("path", lambda: s.BeginUpload(  # type: ignore[attr-defined]
            pb.BeginUploadRequest(owner=owner, path=path, size=1))),
        ("path", lambda: s.GetArtifact(pb.GetArtifactRequest(owner=owner, path=path))),  # type: ignore[attr-defined]
        ("path", lambda: s.ListArtifacts(pb.ListArtifactsRequest(owner=owner, path=path))),  # type: ignore[attr-defined]
        ("path", lambda: list(s.DownloadArtifact(  # type: ignore[attr-defined]
            pb.DownloadArtifactRequest(owner=owner, path=path)))),
        ("paths[0]", lambda: s.CreateDownloadUrls(  # type: ignore[attr-defined]
            pb.CreateDownloadUrlsRequest(owner=owner, paths=[path]))),
        ("path", lambda: s.DeleteArtifacts(pb.DeleteArtifactsRequest(owner=owner, path=path))),  # type: ignore[attr-defined]
        ("source_path", lambda: s.CopyArtifacts(  # type: ignore[attr-defined]
            pb.CopyArtifactsRequest(source=owner, source_path=path, destination=version_owner()))),
        ("destination_path", lambda: s.CopyArtifacts(  # type: ignore[attr-defined]
            pb.CopyArtifactsRequest(
                source=owner, destination=version_owner(), destination_path=path))),
    ]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS)
def test_bad_names_are_refused_by_every_call(folder_server: ArtifactServer, path: str) -> None:
    for field, call in calls_with_path(folder_server.stub, path, run_owner()):
        failed = failure_of(call)  # type: ignore[arg-type]
        assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD"), field
        assert failed.fields == [field]
    assert listed(folder_server.stub) == []


def test_odd_names_are_kept_as_they_are(server: ArtifactServer) -> None:
    put(server.stub, {name: name.encode() for name in ODD_AND_FINE})
    assert listed(server.stub) == sorted(ODD_AND_FINE)
    for name in ODD_AND_FINE:
        assert read(server.stub, name) == name.encode()


@pytest.mark.parametrize("owner", [
    pb.Owner(), pb.Owner(run_id=""), pb.Owner(run_id="../x"), pb.Owner(run_id="a" * 257),
    pb.Owner(model_version_id="a/b"), pb.Owner(run_id="a\nb"), pb.Owner(model_version_id="net-1"),
    pb.Owner(model_version_id="B" * 32), pb.Owner(model_version_id="b" * 33),
    pb.Owner(logged_model_id="b" * 32), pb.Owner(logged_model_id="m-" + "B" * 32),
    pb.Owner(logged_model_id="m-" + "b" * 33), pb.Owner(logged_model_id="m-../" + "b" * 29),
])  # fmt: skip
def test_bad_owners_are_refused_by_every_call(
    folder_server: ArtifactServer, owner: pb.Owner
) -> None:
    for _, call in calls_with_path(folder_server.stub, "fine", owner):
        failed = failure_of(call)  # type: ignore[arg-type]
        assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
        assert all(field.startswith(("owner", "source")) for field in failed.fields)


# --- Owners -----------------------------------------------------------------------------------


def test_a_run_must_be_there_and_active(server: ArtifactServer) -> None:
    stub = server.stub
    put(stub, {"before": b"x"})
    server.runs.missing.add(OTHER_RUN)
    server.runs.deleted.add("d" * 32)
    failed = failure_of(lambda: put(stub, {"f": b""}, run_id=OTHER_RUN))
    assert failed[:3] == ("NOT_FOUND", "OWNER_NOT_FOUND", {"owner": f"runs/{OTHER_RUN}"})
    failed = failure_of(lambda: put(stub, {"f": b""}, run_id="d" * 32))
    assert failed[:2] == ("FAILED_PRECONDITION", "OWNER_DELETED")
    server.runs.away = True
    failed = failure_of(lambda: put(stub, {"f": b""}, run_id="e" * 32))
    assert failed[:2] == ("UNAVAILABLE", "TRACKING_UNAVAILABLE")
    # Reading asks nobody.
    assert read(stub, "before") == b"x"


def test_a_logged_model_has_files_of_its_own(server: ArtifactServer) -> None:
    stub, model = server.stub, pb.Owner(logged_model_id="m-" + "a" * 32)
    # The same digits as the run's: owners of different kinds never share files.
    put(stub, {"f": b"of the run"})
    files = [pb.SmallFile(path="w/f", content=b"of the model"), pb.SmallFile(path="MLmodel")]
    stub.PutArtifacts(pb.PutArtifactsRequest(owner=model, files=files))
    upload = stub.BeginUpload(pb.BeginUploadRequest(owner=model, path="big", size=4)).upload
    stub.UploadChunks(chunks(upload.upload_id, b"1234"))
    stub.CommitUpload(pb.CommitUploadRequest(upload_id=upload.upload_id))

    def paths(owner: pb.Owner) -> list[str]:
        request = pb.ListArtifactsRequest(owner=owner, recursive=True)
        return [each.path for each in stub.ListArtifacts(request).artifacts]

    assert paths(model) == ["MLmodel", "big", "w/f"]
    assert listed(stub) == ["f"]
    copy = pb.CopyArtifactsRequest(source=model, destination=version_owner(VERSION), seal=True)
    assert stub.CopyArtifacts(copy).copied == 3
    assert stub.DeleteArtifacts(pb.DeleteArtifactsRequest(owner=model)).deleted == 3
    assert paths(model) == []
    assert paths(version_owner(VERSION)) == ["MLmodel", "big", "w/f"]
    assert listed(stub) == ["f"]


def test_a_logged_model_must_be_there_and_active(server: ArtifactServer) -> None:
    stub = server.stub
    gone, deleted = "m-" + "c" * 32, "m-" + "d" * 32
    server.runs.missing.add(gone)
    server.runs.deleted.add(deleted)

    def refusal(model_id: str) -> tuple[str, str, str]:
        owner = pb.Owner(logged_model_id=model_id)
        request = pb.PutArtifactsRequest(owner=owner, files=[pb.SmallFile(path="f")])
        failed = failure_of(lambda: stub.PutArtifacts(request))
        return failed[0], failed[1], failed[2].get("owner", "")

    assert refusal(gone) == ("NOT_FOUND", "OWNER_NOT_FOUND", f"models/{gone}")
    assert refusal(deleted) == ("FAILED_PRECONDITION", "OWNER_DELETED", f"models/{deleted}")
    for call in (stub.OpenArtifacts, stub.SealArtifacts):
        kind = pb.OpenArtifactsRequest if call is stub.OpenArtifacts else pb.SealArtifactsRequest
        request = kind(owner=pb.Owner(logged_model_id="m-" + "e" * 32))
        failed = failure_of(lambda call=call, request=request: call(request))
        assert failed[:2] == ("INVALID_ARGUMENT", "INVALID_FIELD")


def test_a_run_that_was_active_a_moment_ago_takes_no_file(folder_server: ArtifactServer) -> None:
    """When it is purged too, nobody would ever find the file."""
    stub, content = folder_server.stub, noise(2 * MIB)
    put(stub, {"first": content})
    upload = begin(stub, "begun", 10)
    stub.UploadChunks(chunks(upload.upload_id, b"0123456789"))
    objects = folder_server.folder / "objects-root"
    before = sorted(objects.rglob("*"))
    folder_server.runs.deleted.add(run_owner().run_id)
    for call in (
        lambda: put(stub, {"put": b"new"}),
        lambda: begin(stub, "known", len(content), sha256=sha256(content)),
        lambda: stub.CommitUpload(pb.CommitUploadRequest(upload_id=upload.upload_id)),
        lambda: stub.CopyArtifacts(
            pb.CopyArtifactsRequest(
                source=run_owner(),
                source_path="first",
                destination=run_owner(),
                destination_path="copy",
            )
        ),
    ):
        assert failure_of(call).reason == "OWNER_DELETED"  # type: ignore[arg-type]
    assert listed(stub) == ["first"]
    assert sorted(objects.rglob("*")) == before


def test_copies_open_no_version_that_the_registry_cannot_have_made(
    folder_server: ArtifactServer,
) -> None:
    stub = folder_server.stub
    put(stub, {"f": b"x"})
    invented = pb.Owner(model_version_id="net-1")
    for field, request in (
        ("destination", pb.CopyArtifactsRequest(source=run_owner(), destination=invented)),
        ("source", pb.CopyArtifactsRequest(source=invented, destination=run_owner())),
    ):
        failed = failure_of(lambda request=request: stub.CopyArtifacts(request))  # type: ignore[misc]
        assert (failed.reason, failed.fields) == ("INVALID_FIELD", [f"{field}.model_version_id"])


def test_a_version_s_id_is_named_as_one(folder_server: ArtifactServer) -> None:
    owner = pb.Owner(model_version_id="a/b")
    failed = failure_of(
        lambda: folder_server.stub.ListArtifacts(pb.ListArtifactsRequest(owner=owner))
    )
    assert failed.fields == ["owner.model_version_id"]
    assert "must be the id of a model version" in failed.message


def test_a_version_is_opened_filled_and_sealed(server: ArtifactServer) -> None:
    stub = server.stub
    failed = failure_of(lambda: put(stub, {"MLmodel": b"m"}, model_version_id=VERSION))
    assert failed[:2] == ("NOT_FOUND", "OWNER_NOT_FOUND")
    stub.OpenArtifacts(pb.OpenArtifactsRequest(owner=version_owner()))
    put(stub, {"MLmodel": b"m", "d/w": b"ww"}, model_version_id=VERSION)
    sealed = stub.SealArtifacts(pb.SealArtifactsRequest(owner=version_owner()))
    assert (sealed.count, sealed.size) == (2, 3)
    owner = version_owner()
    for call in (
        lambda: put(stub, {"x": b""}, model_version_id=VERSION),
        lambda: stub.BeginUpload(pb.BeginUploadRequest(owner=owner, path="x", size=1)),
        lambda: stub.OpenArtifacts(pb.OpenArtifactsRequest(owner=owner)),
        lambda: stub.DeleteArtifacts(pb.DeleteArtifactsRequest(owner=owner, path="MLmodel")),
        lambda: stub.CopyArtifacts(pb.CopyArtifactsRequest(source=run_owner(), destination=owner)),
    ):
        failed = failure_of(call)
        assert failed[:2] == ("FAILED_PRECONDITION", "OWNER_SEALED")
    assert stub.DeleteArtifacts(pb.DeleteArtifactsRequest(owner=owner)).deleted == 2
    failed = failure_of(lambda: stub.OpenArtifacts(pb.OpenArtifactsRequest(owner=run_owner())))
    assert failed.fields == ["owner"]


def test_a_version_keeps_what_was_copied_when_the_run_goes(server: ArtifactServer) -> None:
    stub = server.stub
    model = {"model/MLmodel": b"m" * 10, "model/data/w": noise(400_000)}
    put(stub, {**model, "other": b"o"})
    request = pb.CopyArtifactsRequest(
        source=run_owner(), source_path="model", destination=version_owner(), seal=True
    )
    for _ in range(2):
        copied = stub.CopyArtifacts(request)
        assert (copied.copied, copied.size) == (2, 400_010)
    stub.DeleteArtifacts(pb.DeleteArtifactsRequest(owner=run_owner()))
    collect = pb.CollectGarbageRequest(min_age_seconds=1)
    stub.CollectGarbage(collect)
    assert listed(stub, model_version_id=VERSION) == ["MLmodel", "data/w"]
    whole = stub.DownloadArtifact(pb.DownloadArtifactRequest(owner=version_owner(), path="data/w"))
    assert b"".join(each.data for each in whole) == model["model/data/w"]


def test_another_installation_on_the_same_store_does_not_start(
    server: ArtifactServer, tmp_path: Path
) -> None:
    put(server.stub, {"f": b"kept"})
    store = server.settings.objects_url
    assert store is not None
    other = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/mistake.db", store.get_secret_value())
    with pytest.raises(StartError, match="belongs to another installation"):
        other.start()
    # Its own service does, as often as it is asked to.
    server.restart()
    assert read(server.stub, "f") == b"kept"


def test_a_store_that_another_claimed_since_collects_nothing(
    folder_server: ArtifactServer,
) -> None:
    put(folder_server.stub, {"f": b"kept"})
    (folder_server.folder / "objects-root" / "installation").write_text("f" * 32, "ascii")
    for dry_run in (True, False):
        collect = pb.CollectGarbageRequest(dry_run=dry_run, min_age_seconds=1)
        failed = failure_of(lambda request=collect: folder_server.stub.CollectGarbage(request))
        assert failed[:2] == ("FAILED_PRECONDITION", "STORE_OF_ANOTHER")
    assert read(folder_server.stub, "f") == b"kept"


def test_copies_of_nothing(folder_server: ArtifactServer) -> None:
    stub = folder_server.stub
    folder_server.runs.missing.add(OTHER_RUN)
    request = pb.CopyArtifactsRequest(source=run_owner(), destination=version_owner())
    assert stub.CopyArtifacts(request).copied == 0
    request.source_path = "model"
    assert failure_of(lambda: stub.CopyArtifacts(request)).reason == "ARTIFACT_NOT_FOUND"
    request.source.run_id = OTHER_RUN
    assert failure_of(lambda: stub.CopyArtifacts(request)).reason == "OWNER_NOT_FOUND"
    request = pb.CopyArtifactsRequest(
        source=version_owner("9" * 32), destination=version_owner("8" * 32)
    )
    assert failure_of(lambda: stub.CopyArtifacts(request)).reason == "OWNER_NOT_FOUND"


def test_more_streams_than_allowed(tmp_path: Path) -> None:
    server = ArtifactServer(tmp_path, f"sqlite:///{tmp_path}/a.db", max_transfers=1).start()
    try:
        stub = server.stub
        # More than gRPC takes ahead of a reader, or the first stream would be over at once.
        data = noise(64 * MIB)
        upload = begin(stub, "f", len(data))
        stub.UploadChunks(chunks(upload.upload_id, data))
        stub.CommitUpload(pb.CommitUploadRequest(upload_id=upload.upload_id))
        stream = stub.DownloadArtifact(pb.DownloadArtifactRequest(owner=run_owner(), path="f"))
        next(stream)
        failed = failure_of(lambda: read(stub, "f"))
        assert failed[:2] == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert failed.retry_after
        # Short calls are served all the same.
        assert listed(stub) == ["f"]
        stream.cancel()
    finally:
        server.stop()


def test_every_call_survives_nonsense(folder_server: ArtifactServer) -> None:
    assert folder_server.channel is not None
    service = pb.DESCRIPTOR.package + ".ArtifactService"
    for name in ("PutArtifacts", "BeginUpload", "CommitUpload", "ListArtifacts", "CopyArtifacts"):
        call = folder_server.channel.unary_unary(f"/{service}/{name}")
        assert failure_of(lambda call=call: call(b"\xff\xff nonsense")).code == "INVALID_ARGUMENT"
    up = folder_server.channel.stream_unary(f"/{service}/UploadChunks")
    for raw in (
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x1a\x05ab",
        b"\x0a\x02\xff\xfe",
        b"",
    ):
        assert failure_of(lambda raw=raw: up(iter([raw]))).code == "INVALID_ARGUMENT"
    assert failure_of(lambda: up(iter([]))).fields == ["upload_id"]
