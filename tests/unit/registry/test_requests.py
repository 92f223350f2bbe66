"""What requests are refused for, and how they are read: at each limit and one past it."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from runstone.registry.v1 import governance_pb2 as governance
from runstone.registry.v1 import model_pb2 as models
from runstone.registry.v1 import model_version_pb2 as versions
from runstone_kit.errors import InvalidArgument
from runstone_registry import convert_requests as read
from runstone_registry.model import RequestState, Stage
from runstone_registry.model_commands import (
    ExternalSource,
    LoggedModelSource,
    RunSource,
    UploadSource,
    VersionSelector,
    VersionSource,
)

RUN = "0" * 32
ID = "a" * 32


def fields(call: Callable[[Any], object], request: Any) -> list[str]:
    """The fields that are refused; none when the request is fine."""
    refused: list[str] = []
    try:
        call(request)
    except InvalidArgument as error:
        refused = [violation.field for violation in error.violations]
    return refused


def create(**values: Any) -> list[str]:
    request = models.CreateRegisteredModelRequest(**({"name": "m"} | values))
    return fields(read.create_model, request)


@pytest.mark.parametrize(
    "name",
    [
        "m",
        "x" * 256,
        "😀" * 256,
        "a b",
        " é\u200b",
        "..",
        "v1",
        "a\\b",
        "'; DROP TABLE x; --",
        "%00",
    ],
)
def test_names_that_are_fine(name: str) -> None:
    assert create(name=name) == []


@pytest.mark.parametrize(
    "name",
    ["", " ", "x" * 257, "a/b", "a:b", "a\0", "a\nb", "\x7f", "a\u2028b", "x" * 10_000_000],
)
def test_names_that_are_refused(name: str) -> None:
    assert create(name=name) == ["name"]
    calls: list[tuple[Callable[[Any], object], Any]] = [
        (read.model_name, models.GetRegisteredModelRequest(name=name)),
        (read.rename_model, models.RenameRegisteredModelRequest(name=name, new_name="n")),
        (read.finalize_version, versions.FinalizeModelVersionRequest(name=name, version=1)),
        (read.list_comments, governance.ListCommentsRequest(name=name, version=1)),
    ]
    for call, request in calls:
        assert fields(call, request) == ["name"]
    if name:
        request = governance.ListAuditEventsRequest(name=name)
        assert fields(read.list_audit_events, request) == ["name"]


@pytest.mark.parametrize(
    ("field", "fine", "wrong"),
    [
        ("description", "x" * 100_000, "x" * 100_001),
        ("description", "", "a\0"),
        ("request_id", "x" * 64, "x" * 65),
        ("request_id", "", "a b"),
        ("request_id", "~!", "é"),
    ],
)
def test_limits_of_a_create(field: str, fine: str, wrong: str) -> None:
    assert create(**{field: fine}) == []
    assert create(**{field: wrong}) == [field]


def test_limits_of_tags() -> None:
    assert create(tags={"k" * 250: "v" * 100_000}) == []
    assert create(tags={f"k{index}": "" for index in range(100)}) == []
    assert create(tags={f"k{index}": "" for index in range(101)}) == ["tags"]
    assert create(tags={"k": "v" * 100_001}) == ["tags['k']"]
    assert create(tags={"k": "a\0"}) == ["tags['k']"]
    for key in ("", "k" * 251, "../a", "a//b", "/a", "a\n", "a\0", "ké\u2028", "$"):
        (refused,) = create(tags={key: "v"})
        assert refused.startswith("tags[")
    request = models.SetRegisteredModelTagsRequest(name="m")
    assert fields(read.set_model_tags, request) == ["tags"]
    drop = models.DeleteRegisteredModelTagsRequest(name="m", keys=["a", "../b"])
    assert fields(read.delete_model_tags, drop) == ["keys[1]"]
    many = versions.DeleteModelVersionTagsRequest(name="m", version=1, keys=["k"] * 101)
    assert fields(read.delete_version_tags, many) == ["keys"]
    none = versions.SetModelVersionTagsRequest(name="m", version=1)
    assert fields(read.set_version_tags, none) == ["tags"]


def test_everything_wrong_is_said_at_once() -> None:
    request = versions.CreateModelVersionRequest(
        name="a/b",
        run=versions.RunSource(run_id="../x", path="/etc"),
        description="x" * 100_001,
        tags={"..": "v"},
        request_id="\n",
    )
    assert fields(read.create_version, request) == [
        "name",
        "run.run_id",
        "run.path",
        "description",
        "tags['..']",
        "request_id",
    ]


@pytest.mark.parametrize(
    ("path", "fine"),
    [
        ("", True),
        ("model", True),
        ("a/b c/é\u00a0", True),
        ("x" * 255, True),
        ("é" * 127, True),
        ("/".join(["x" * 127] * 8), True),
        ("x" * 256, False),
        ("é" * 128, False),
        ("/".join(["x" * 127] * 8) + "/", False),
        ("/".join(["x" * 127] * 8) + "/x", False),
        ("/a", False),
        ("a/", False),
        ("a//b", False),
        ("a/../b", False),
        (".", False),
        ("a\\b", False),
        ("a\nb", False),
        ("a\0b", False),
        ("x" * 10_000_000, False),
    ],
)
def test_paths_of_a_run(path: str, fine: bool) -> None:
    request = versions.CreateModelVersionRequest(
        name="m", run=versions.RunSource(run_id=RUN, path=path)
    )
    assert fields(read.create_version, request) == ([] if fine else ["run.path"])
    if fine:
        assert read.create_version(request).source == RunSource(RUN, path)


def test_a_logged_model_as_source() -> None:
    model = f"m-{RUN}"
    source = versions.LoggedModelSource(model_id=model, path="a")
    fine = versions.CreateModelVersionRequest(name="m", logged_model=source)
    assert read.create_version(fine).source == LoggedModelSource(model, "a")
    for model_id in ("", RUN, f"m-{RUN}0", f"m-{'G' * 32}", f"M-{RUN}"):
        wrong = versions.LoggedModelSource(model_id=model_id, path="/a")
        request = versions.CreateModelVersionRequest(name="m", logged_model=wrong)
        found = fields(read.create_version, request)
        assert found == ["logged_model.model_id", "logged_model.path"]


def test_a_source_is_required() -> None:
    assert fields(read.create_version, versions.CreateModelVersionRequest(name="m")) == ["source"]
    for size, wrong in ((2048, []), (2049, ["upload.origin"])):
        request = versions.CreateModelVersionRequest(
            name="m", upload=versions.UploadSource(origin="o" * size)
        )
        assert fields(read.create_version, request) == wrong
    empty = versions.CreateModelVersionRequest(name="m", upload=versions.UploadSource())
    assert read.create_version(empty).source == UploadSource()


def test_sources_beside_runs_and_uploads() -> None:
    new = versions.CreateModelVersionRequest
    copy = new(name="m", version=versions.VersionSource(name="o", version=2))
    assert read.create_version(copy).source == VersionSource("o", 2)
    wrong = new(name="m", version=versions.VersionSource(name="a/b"))
    assert fields(read.create_version, wrong) == ["version.name", "version.version"]
    uri = "s3://bucket/" + "x" * 2036
    kept = new(name="m", external=versions.ExternalSource(uri=uri, run_id="r1"))
    assert read.create_version(kept).source == ExternalSource(uri, "r1")
    for source, names in (
        (versions.ExternalSource(), ["external.uri"]),
        (versions.ExternalSource(uri=uri + "x"), ["external.uri"]),
        (versions.ExternalSource(uri="a\0b"), ["external.uri"]),
        (versions.ExternalSource(uri="x", run_id="../x"), ["external.run_id"]),
    ):
        assert fields(read.create_version, new(name="m", external=source)) == names


def test_what_is_kept_with_a_version() -> None:
    request = versions.CreateModelVersionRequest(
        name="m",
        upload=versions.UploadSource(origin="theirs"),
        origin="ours",
        run_link="link",
        logged_model_id="m-1",
    )
    wish = read.create_version(request)
    assert (wish.origin, wish.run_link, wish.logged_model_id) == ("ours", "link", "m-1")
    long = versions.CreateModelVersionRequest(
        name="m",
        upload=versions.UploadSource(),
        origin="x" * 2049,
        run_link="x" * 2049,
        logged_model_id="x" * 256,
    )
    assert fields(read.create_version, long) == ["origin", "run_link", "logged_model_id"]


@pytest.mark.parametrize("version", [0, -1, -(2**63)])
def test_version_numbers_that_are_refused(version: int) -> None:
    calls: list[tuple[Callable[[Any], object], Any]] = [
        (read.delete_version, versions.DeleteModelVersionRequest(name="m", version=version)),
        (read.set_alias, models.SetModelAliasRequest(name="m", alias="a", version=version)),
        (read.select_version, versions.GetModelVersionRequest(name="m", version=version)),
        (
            read.create_comment,
            governance.CreateCommentRequest(name="m", version=version, text="t"),
        ),
    ]
    for call, request in calls:
        assert fields(call, request) == ["version"]
    listing = governance.ListAuditEventsRequest(name="m", version=version)
    assert fields(read.list_audit_events, listing) == ([] if version == 0 else ["version"])


def test_the_largest_version_number_is_fine() -> None:
    request = versions.DeleteModelVersionRequest(name="m", version=2**63 - 1)
    assert read.delete_version(request) == ("m", 2**63 - 1, "", False)


@pytest.mark.parametrize("alias", ["a", "x" * 255, "A-b_9", "é", "v", "v1x", "latestx", "1"])
def test_aliases_that_are_fine(alias: str) -> None:
    request = models.SetModelAliasRequest(name="m", alias=alias, version=1)
    assert fields(read.set_alias, request) == []


@pytest.mark.parametrize(
    "alias", ["", "x" * 256, "latest", "Latest", "v1", "V12", "a b", "a/b", "a\n", "a\0", "a.b"]
)
def test_aliases_that_are_refused(alias: str) -> None:
    request = models.SetModelAliasRequest(name="m", alias=alias, version=1)
    assert fields(read.set_alias, request) == ["alias"]
    drop = models.DeleteModelAliasRequest(name="m", alias=alias)
    assert fields(read.delete_alias, drop) == ["alias"]
    get = versions.GetModelVersionRequest(name="m", alias=alias)
    assert fields(read.select_version, get) == ["alias"]


def test_stages() -> None:
    for number, stage in zip((1, 2, 3, 4), Stage, strict=True):
        request = governance.TransitionModelVersionStageRequest(name="m", version=1)
        request.stage = number  # type: ignore[assignment]
        assert read.transition(request).stage is stage
        request.archive_existing_versions = True
        refused = fields(read.transition, request)
        assert refused == ([] if stage.in_use else ["archive_existing_versions"])
        ask = governance.CreateTransitionRequestRequest(name="m", version=1)
        ask.stage = number  # type: ignore[assignment]
        ask.archive_existing_versions = True
        assert fields(read.ask_transition, ask) == refused
    for number in (0, 5, -1, 2**31 - 1):
        request = governance.TransitionModelVersionStageRequest(name="m", version=1)
        request.stage = number  # type: ignore[assignment]
        assert fields(read.transition, request) == ["stage"]
        get = versions.GetModelVersionRequest(name="m")
        get.stage = number  # type: ignore[assignment]
        assert fields(read.select_version, get) == ["stage"]


def test_comments_and_decisions() -> None:
    for size, wrong in ((65_535, []), (65_536, ["text"]), (0, ["text"])):
        request = governance.CreateCommentRequest(name="m", version=1, text="t" * size)
        assert fields(read.create_comment, request) == wrong
        change = governance.UpdateCommentRequest(comment_id=ID, text="t" * size)
        assert fields(read.update_comment, change) == wrong
    for size, wrong in ((65_535, []), (65_536, ["comment"]), (0, [])):
        decide = governance.ApproveTransitionRequestRequest(
            transition_request_id=ID, comment="t" * size
        )
        assert fields(read.decide, decide) == wrong
    for wrong_id in ("", "x", "A" * 32, ID + "a", "\0" * 32):
        reject = governance.RejectTransitionRequestRequest(transition_request_id=wrong_id)
        assert fields(read.decide, reject) == ["transition_request_id"]
        drop = governance.DeleteCommentRequest(comment_id=wrong_id)
        assert fields(read.comment_id, drop) == ["comment_id"]
    for size, wrong in ((2048, []), (2049, ["failure"])):
        finalize = versions.FinalizeModelVersionRequest(name="m", version=1, failure="f" * size)
        assert fields(read.finalize_version, finalize) == wrong


def test_masks() -> None:
    for paths, wrong in (
        (["description"], []),
        (["description", "description"], []),
        ([], ["update_mask"]),
        (["*"], ["update_mask"]),
        (["description", "tags"], ["update_mask"]),
        (["x" * 1_000_000], ["update_mask"]),
    ):
        request = models.UpdateRegisteredModelRequest(
            registered_model=models.RegisteredModel(name="m", etag="e", description="d"),
            update_mask=FieldMask(paths=paths),
        )
        assert fields(read.update_model, request) == wrong
        change = versions.UpdateModelVersionRequest(
            model_version=models.ModelVersion(name="m", version=1),
            update_mask=FieldMask(paths=paths),
        )
        assert fields(read.update_version, change) == wrong
    nothing = versions.UpdateModelVersionRequest()
    assert fields(read.update_version, nothing) == [
        "model_version.name",
        "model_version.version",
        "update_mask",
    ]


def test_selectors() -> None:
    latest = versions.GetModelVersionRequest(name="m", latest=True)
    assert read.select_version(latest) == VersionSelector("m")
    assert fields(read.select_version, versions.GetModelVersionRequest(name="m", latest=False)) == [
        "latest"
    ]
    assert fields(read.select_version, versions.GetModelVersionRequest(name="m")) == ["selector"]


def test_lists() -> None:
    for number, state in zip((1, 2, 3), RequestState, strict=True):
        request = governance.ListTransitionRequestsRequest()
        request.state = number  # type: ignore[assignment]
        assert read.list_transition_requests(request).state is state
    request = governance.ListTransitionRequestsRequest(page_size=-1, version=-1)
    request.state = 9  # type: ignore[assignment]
    assert fields(read.list_transition_requests, request) == ["version", "state", "page_size"]
    for size, wrong in ((100_000, []), (100_001, ["filter"])):
        search = models.SearchRegisteredModelsRequest(filter=" " * size)
        assert fields(read.search, search) == wrong
    assert fields(read.search, versions.SearchModelVersionsRequest(page_size=-(2**31))) == [
        "page_size"
    ]
