"""Pages of searches: sizes, tokens, the end at four megabytes. The store is a fake."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

from runstone_kit.errors import InvalidArgument
from runstone_kit.filterlang import OrderBy
from runstone_kit.paging import encode_token, query_hash
from runstone_tracking import convert_runs, service_search
from runstone_tracking.model import (
    Dataset,
    DatasetInput,
    MetricSummary,
    Run,
    RunInfo,
    RunStatus,
    SearchRequest,
    Stage,
)
from runstone_tracking.service_search import SearchService
from runstone_tracking.store import FoundRun
from runstone_tracking.store_query import Query

T = TypeVar("T")


class FakeRuns:
    """``count`` runs in order, each with a param of ``size`` characters; keeps the queries."""

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size
        self.queries: list[Query] = []

    def search(self, query: Query) -> list[FoundRun]:
        self.queries.append(query)
        first = 0 if query.after is None else int(str(query.after[-1])) + 1
        last = min(self.count, first + query.limit)
        return [FoundRun(info(number), (5, str(number))) for number in range(first, last)]

    def load(self, infos: Sequence[RunInfo], *, large: bool = True) -> list[Run]:
        assert not large
        return [Run(each, params={"p": "x" * self.size}) for each in infos]


class FakeTransactions:
    """One session."""

    def __init__(self, runs: FakeRuns) -> None:
        self.runs = runs

    def read(self, work: Callable[[Any], T], *, bounded: bool = False) -> T:
        return work(self)

    def write(self, work: Callable[[Any], T]) -> T:
        raise AssertionError("a search writes nothing")


def info(number: int) -> RunInfo:
    return RunInfo(str(number), "0", "n", RunStatus.RUNNING, Stage.ACTIVE, "", 5)


def search(store: FakeRuns, **fields: Any) -> tuple[list[int], str]:
    request = SearchRequest(experiment_ids=("0",), **fields)
    page = SearchService(FakeTransactions(store)).runs(request)
    return [int(run.info.run_id) for run in page.items], page.next_page_token


def test_a_page_of_the_size_asked_for() -> None:
    store = FakeRuns(25, 10)
    found, token = search(store, page_size=10)
    assert found == list(range(10))
    found, token = search(store, page_size=10, page_token=token)
    assert found == list(range(10, 20))
    found, token = search(store, page_size=10, page_token=token)
    assert (found, token) == (list(range(20, 25)), "")
    assert [query.limit for query in store.queries] == [11, 11, 11]


def test_the_tag_of_the_name_sorts_as_the_name_which_is_never_missing() -> None:
    store = FakeRuns(1, 10)
    order = ("tags.`mlflow.runName` DESC",)
    search(store, order_by=order)
    assert store.queries[0].order[0] == OrderBy("attribute", "run_name", False)
    asked = SearchRequest(experiment_ids=("0",), order_by=order)
    query = query_hash("SearchRuns", asked.experiment_ids, "", order, int(asked.view))
    with pytest.raises(InvalidArgument) as caught:
        search(store, order_by=order, page_token=encode_token(query, [None, 5, "r"]))
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_the_last_page_may_be_full() -> None:
    found, token = search(FakeRuns(10, 10), page_size=10)
    assert (len(found), token) == (10, "")


def test_the_default_and_the_largest_size() -> None:
    assert len(search(FakeRuns(1100, 10))[0]) == 1000
    store = FakeRuns(5001, 10)
    assert len(search(store, page_size=2**31 - 1)[0]) == 5001
    # Not all rows at once: a page that ends early must not have read 50,000.
    assert max(query.limit for query in store.queries) == service_search.FOUND_AT_ONCE + 1


def test_a_page_ends_at_four_megabytes_and_holds_one_run_at_least() -> None:
    store = FakeRuns(10, 1_500_000)
    found, token = search(store)
    assert found == [0, 1]
    assert search(store, page_token=token)[0] == [2, 3]
    store = FakeRuns(3, 9_000_000)
    found, token = search(store)
    assert found == [0]
    assert search(store, page_token=token)[0] == [1]


def test_the_estimated_size_is_never_much_less_than_the_message() -> None:
    summary = MetricSummary("ключ" * 60, -0.1, -1, 2**62, -1.5, 1e300, 2**40, 3, -5, -1)
    dataset = Dataset("é" * 500, "d" * 36, "local", "é" * 1000, "s" * 5000, "p" * 5000)
    run = Run(
        RunInfo(
            "r" * 32, "1" * 18, "é" * 250, RunStatus.FAILED, Stage.DELETED, "é" * 256, *(5,) * 3
        ),
        params={f"k{number}": "é" * number for number in range(100)},
        tags={f"t{number}": "x" * 8000 for number in range(10)},
        metrics=(summary,) * 50,
        inputs=(DatasetInput(dataset, {"é" * 255: "é" * 500}),) * 5,
    )
    actual = convert_runs.write_run(run).ByteSize()
    assert actual <= service_search.size_of_run(run) <= 2 * actual
    bare = Run(info(1))
    assert convert_runs.write_run(bare).ByteSize() <= service_search.size_of_run(bare)


def test_ties_are_added_once() -> None:
    store = FakeRuns(1, 1)
    search(store, order_by=("start_time", "metrics.a"))
    search(store, order_by=("run_id DESC",))
    orders = [[(each.key, each.ascending) for each in query.order] for query in store.queries]
    assert orders == [
        [("start_time", True), ("a", True), ("run_id", True)],
        [("run_id", False), ("start_time", False)],
    ]


@pytest.mark.parametrize(
    ("order_by", "key"),
    [
        ((), (5,)),
        ((), ("x", "r")),
        ((), (5.5, "r")),
        ((), (None, "r")),
        (("metrics.a",), ("x", 5, "r")),
        (("metrics.a",), (5, 5, "r")),
        (("params.a",), (5.5, 5, "r")),
        (("status",), (None, 5, "r")),
        (("end_time",), (5.5, 5, "r")),
    ],
)
def test_a_token_whose_key_does_not_fit(order_by: tuple[str, ...], key: tuple[Any, ...]) -> None:
    hashed = query_hash("SearchRuns", ("0",), "", order_by, 1)
    with pytest.raises(InvalidArgument) as caught:
        search(FakeRuns(1, 1), order_by=order_by, page_token=encode_token(hashed, key))
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_a_token_holds_what_is_missing_and_what_is_no_number() -> None:
    store = FakeRuns(9, 1)
    order_by = ("metrics.a", "params.b", "end_time")
    hashed = query_hash("SearchRuns", ("0",), "", order_by, 1)
    token = encode_token(hashed, (math.nan, None, None, 5, "3"))
    assert search(store, order_by=order_by, page_token=token)[0] == [4, 5, 6, 7, 8]
