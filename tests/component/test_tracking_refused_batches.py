"""Batches of points that are refused: the error names what is wrong, and nothing of it is stored.

A bad series is sent between two in which nothing is wrong, by AppendMetrics and, beside a param and
a tag, by LogBatch. What the run has, down to the bits of its points and to the number that its
writer is expected to send next, is compared before and after.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from runstone.tracking.v1 import metric_pb2, run_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from runstone_tracking import sqlstore_metrics
from support.tracking_service import Refusal, refused, tracking_server

WRITER = "first"
NEXT = 3
"""The number that the writer sends next: it has sent two batches."""

KEYS = 8
"""As many may the run have, which has two."""

FAR = 2**62


def series(key: str = "bad", points: int = 2, **columns: Any) -> metric_pb2.Series:
    """A series, with columns of ones unless others are given."""
    default: dict[str, Any] = {
        "steps": [1] * points,
        "timestamps_ms": [1] * points,
        "values": [1.0] * points,
    }
    return metric_pb2.Series(key=key, **default | columns)


def good() -> metric_pb2.Series:
    """One that is there already."""
    return series("known", 1, steps=[5])


class Case(NamedTuple):
    """What is sent, and what is said to it."""

    what: str
    series: list[metric_pb2.Series]
    fields: list[str]
    code: str = "INVALID_ARGUMENT"
    reason: str = "INVALID_FIELD"
    metadata: Mapping[str, str] = MappingProxyType({})
    identity: Mapping[str, Any] = MappingProxyType({})


def one(what: str, field: str, bad: metric_pb2.Series) -> Case:
    """A case of one bad series between two good ones."""
    return Case(what, [good(), bad, series("new")], [f"series[1]{field}"])


def sequence(what: str, reason: str, code: str, expected: str = "", **identity: Any) -> Case:
    """A case of good points under a wrong number."""
    found = {"writer_id": WRITER} | identity
    metadata = {"writer_id": found["writer_id"], "sequence": str(found["sequence"])}
    if expected:
        metadata["expected_sequence"] = expected
    return Case(what, [good(), series("new")], [], code, reason, metadata, found)


GAP = ("SEQUENCE_GAP", "FAILED_PRECONDITION")
REUSED = ("SEQUENCE_REUSED", "ALREADY_EXISTS")

CASES = [
    one("fewer values", "", series(values=[1.0])),
    one("fewer times", "", series(timestamps_ms=[1])),
    one("fewer steps", "", series(steps=[1])),
    one("no values", "", series(values=[])),
    one("no points", ".steps", series(points=0)),
    one("no key", ".key", series("")),
    one("a long key", ".key", series("k" * 251)),
    one("a path that leaves", ".key", series("../k")),
    one("what is put between key and rank", ".key", series("known\t1")),
    one("what is put between keys", ".key", series("known\nnew")),
    one("a key twice", ".key", series("known")),
    one("a rank below", ".rank", series(rank=-1)),
    one("a rank above", ".rank", series(rank=2**20)),
    one("a time before 1970", ".timestamps_ms[1]", series(timestamps_ms=[0, -1])),
    one("the first of all times", ".timestamps_ms[0]", series(timestamps_ms=[-(2**63), 1])),
    one("such a time in a long series", ".timestamps_ms[4999]", series(
        points=5_000, timestamps_ms=[*range(4_999), -FAR])
    ),
    Case("a rank twice", [series(rank=3), series(rank=4), series(rank=3)], ["series[2].key"]),
    Case("a key and a length", [series(""), good(), series(steps=[1])],
         ["series[0].key", "series[2]"]),
    Case("series past the limit", [series(f"k{n}", 1) for n in range(10_001)], ["series"]),
    Case("keys past the limit", [good(), *(series(f"k{n}") for n in range(KEYS - 1))], [],
         "RESOURCE_EXHAUSTED", "TOO_MANY_METRICS", {"limit": str(KEYS)}),
    Case("no writer", [good()], ["writer_id"], identity={"writer_id": ""}),
    Case("number 0", [good()], ["sequence"], identity={"sequence": 0}),
    Case("a number below 0", [good()], ["sequence"], identity={"sequence": -(2**63)}),
    sequence("other points under the last number", *REUSED, sequence=NEXT - 1),
    sequence("other points under the first number", *REUSED, sequence=1),
    sequence("a gap", *GAP, sequence=NEXT + 1, expected=str(NEXT)),
    sequence("a gap as wide as can be", *GAP, sequence=2**63 - 1, expected=str(NEXT)),
    sequence("the number of another writer", *GAP, writer_id="other", sequence=NEXT, expected="1"),
]  # fmt: skip


class State(NamedTuple):
    """What a run has."""

    metrics: list[bytes]
    histories: dict[str, list[tuple[int, int, bytes]]]
    params: dict[str, str]
    tags: dict[str, str]
    expected: dict[str, str]
    """By writer, the number that the service waits for."""


@pytest.fixture
def stub(tracking_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrackingServiceStub]:
    monkeypatch.setattr(sqlstore_metrics, "MAX_KEYS", KEYS)
    with tracking_server(tracking_url) as opened:
        yield TrackingServiceStub(opened)


@pytest.fixture
def run_id(stub: TrackingServiceStub) -> str:
    """A run with two batches of a writer, a param and a tag."""
    made = stub.CreateRun(run_pb2.CreateRunRequest(experiment_id="0")).run.run_id
    for number in range(1, NEXT):
        append(stub, made, [series("known", 3, steps=[number, 7, 9]), series("other")], number)
    request = run_pb2.LogBatchRequest(run_id=made, params={"p": "1"}, tags={"t": "1"})
    stub.LogBatch(request)
    return made


def append(
    stub: TrackingServiceStub, run_id: str, sent: list[metric_pb2.Series], number: int, **how: Any
) -> None:
    """AppendMetrics."""
    identity = {"writer_id": WRITER, "sequence": number} | how
    stub.AppendMetrics(metric_pb2.AppendMetricsRequest(run_id=run_id, series=sent, **identity))


def log(
    stub: TrackingServiceStub, run_id: str, sent: list[metric_pb2.Series], number: int, **how: Any
) -> None:
    """LogBatch, with params and tags in which nothing is wrong."""
    identity = {"writer_id": WRITER, "sequence": number} | how
    stub.LogBatch(
        run_pb2.LogBatchRequest(
            run_id=run_id, series=sent, params={"new": "1"}, tags={"t": "2"}, **identity
        )
    )


def history(stub: TrackingServiceStub, run_id: str, key: str) -> list[tuple[int, int, bytes]]:
    """Every point of a key, its value bit for bit."""
    request = metric_pb2.GetMetricHistoryRequest(run_id=run_id, key=key)
    return [
        (step, time, struct.pack("<d", value))
        for page in stub.GetMetricHistory(request, timeout=60)
        for step, time, value in zip(page.steps, page.timestamps_ms, page.values, strict=True)
    ]


def expected_next(stub: TrackingServiceStub, run_id: str, writer: str) -> str:
    """The number that the service waits for: it says so to one that is far too high."""
    found = refused(lambda: append(stub, run_id, [good()], FAR, writer_id=writer))
    assert found.reason == "SEQUENCE_GAP"
    return found.metadata["expected_sequence"]


def state(stub: TrackingServiceStub, run_id: str) -> State:
    """What the run has now; it must be active."""
    listed = stub.ListMetricKeys(metric_pb2.ListMetricKeysRequest(run_id=run_id)).metrics
    run = stub.GetRun(run_pb2.GetRunRequest(run_id=run_id)).run
    return State(
        [each.SerializeToString(deterministic=True) for each in listed],
        {each.key: history(stub, run_id, each.key) for each in listed},
        dict(run.params),
        dict(run.tags),
        {writer: expected_next(stub, run_id, writer) for writer in (WRITER, "other")},
    )


Send = Callable[..., None]


@pytest.mark.parametrize("send", [append, log])
def test_nothing_of_a_refused_batch_is_stored(
    stub: TrackingServiceStub, run_id: str, send: Send
) -> None:
    before = state(stub, run_id)
    assert before.expected == {WRITER: str(NEXT), "other": "1"}
    for case in CASES:
        found = refused(lambda c=case: send(stub, run_id, c.series, NEXT, **c.identity))
        assert (found.code, found.reason) == (case.code, case.reason), case.what
        assert found.fields == case.fields, case.what
        assert found.metadata.items() >= case.metadata.items(), case.what
        assert state(stub, run_id) == before, case.what
    # The number that all of them had is still free.
    send(stub, run_id, [good(), series("new")], NEXT)
    after = state(stub, run_id)
    assert after.expected[WRITER] == str(NEXT + 1)
    assert [len(points) for points in after.histories.values()] == [5, 1, 1]


@pytest.mark.parametrize("send", [append, log])
def test_a_batch_that_is_too_large(stub: TrackingServiceStub, run_id: str, send: Send) -> None:
    before = state(stub, run_id)
    points = 4 * 2**20 // 24 + 1
    large = series(points=points)
    found = refused(lambda: send(stub, run_id, [good(), large], NEXT))
    assert (found.code, found.reason) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert found.fields == ["request" if send is append else "series"]
    assert f"; series[1] has {large.ByteSize()} of them" in found.message
    assert state(stub, run_id) == before


@pytest.mark.parametrize("send", [append, log])
def test_a_batch_for_a_deleted_run(stub: TrackingServiceStub, run_id: str, send: Send) -> None:
    before = state(stub, run_id)
    stub.DeleteRun(run_pb2.DeleteRunRequest(run_id=run_id))
    for number in (NEXT, NEXT + 1):
        found = refused(lambda n=number: send(stub, run_id, [good(), series("new")], n))
        assert found == Refusal("FAILED_PRECONDITION", "RUN_DELETED", {"run_id": run_id}, [])
    stub.RestoreRun(run_pb2.RestoreRunRequest(run_id=run_id))
    assert state(stub, run_id) == before
    found = refused(lambda: send(stub, "0" * 32, [good()], 1))
    assert (found.code, found.reason) == ("NOT_FOUND", "RUN_NOT_FOUND")


def test_points_beside_what_is_refused(stub: TrackingServiceStub, run_id: str) -> None:
    """LogBatch is one transaction: a param that has another value takes the points with it."""
    before = state(stub, run_id)
    for params, tags, reason in (
        ({"p": "2"}, {}, "PARAM_IMMUTABLE"),
        ({"a/../b": "1"}, {}, "INVALID_FIELD"),
        ({}, {"mlflow.runName": " "}, "INVALID_FIELD"),
    ):
        request = run_pb2.LogBatchRequest(
            run_id=run_id,
            writer_id=WRITER,
            sequence=NEXT,
            series=[good(), series("new")],
            params={"new": "1"} | params,
            tags={"t": "2"} | tags,
        )
        assert refused(lambda r=request: stub.LogBatch(r)).reason == reason
        assert state(stub, run_id) == before
