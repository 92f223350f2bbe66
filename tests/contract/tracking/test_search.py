"""Search on SQLite and on PostgreSQL against a plain Python evaluation of the same filters."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert

from runstone_kit.database import Database
from runstone_kit.errors import InvalidArgument
from runstone_kit.filterlang import MAX_DEPTH, OrderBy, parse, parse_order_by
from runstone_tracking import service_search
from runstone_tracking.model import (
    Dataset,
    DatasetInput,
    NewRun,
    Run,
    RunChanges,
    RunStatus,
    SearchRequest,
    View,
)
from runstone_tracking.service_search import SearchService
from runstone_tracking.sqlstore import SqlTransactions
from runstone_tracking.store import Session
from runstone_tracking.tables_metrics import metric_summaries
from support.search_oracle import Row, matches, ordered
from support.tracking import add_experiment, add_run, run_id

METRICS = ("loss", "acc/val", "épo")
PARAMS = ("lr", "model.depth", "opt")
TAGS = ("team", "a key", "note")
NUMBERS = (0.0, -1.5, 0.5, 1e300, math.inf, -math.inf, math.nan, 3.0)
TEXTS = (
    *("", "a", "A", "ab", "aB", "b%", "b_", "b*", "b?", "[ab]", "é", "É", "0.1", "0.10"),
    *("a\nb", "it's", "x" * 300 + "1", "x" * 300 + "2", "x" * 100, "x" * 101, "\\", "z~"),
)
PATTERNS = ("%", "a%", "%B", "_", "b\\%", "b%", "b*", "b?", "[ab]", "%\n%", "É", "x%2", "a_", "")


class Data:
    """Random runs, as the database holds them and as rows for the oracle."""

    def __init__(self, transactions: SqlTransactions, database: Database, seed: int) -> None:
        self.random = random.Random(seed)
        self.rows: list[Row] = []
        self._summaries: list[dict[str, Any]] = []
        transactions.write(self._fill)
        with database.write() as connection:
            connection.execute(insert(metric_summaries), self._summaries)

    def _fill(self, session: Session) -> None:
        for _ in range(60):
            self.rows.append(self._add(session))

    def _some(self, keys: tuple[str, ...], values: tuple[Any, ...]) -> dict[str, Any]:
        return {key: self.random.choice(values) for key in keys if self.random.random() < 0.6}

    def _add(self, session: Session) -> Row:
        choose = self.random.choice
        run, name = run_id(), choice_of_name(self.random)
        tags, params = self._some(TAGS, TEXTS), self._some(PARAMS, TEXTS)
        user, start = choose(("ann", "bob", "")), choose((0, 5, 1_700_000_000_000, 2**62 + 1))
        session.runs.create(NewRun(run, "0", name, user, start, tags))
        session.runs.add_params(run, params)
        status = choose(list(RunStatus))
        end = choose((None, 5, 2**53 + 1))
        session.runs.update(run, RunChanges(status=status, end_time=end))
        metrics = self._some(METRICS, NUMBERS)
        self._summaries += [summary(run, key, value) for key, value in metrics.items()]
        inputs = [
            DatasetInput(
                Dataset(choose(("iris", "Iris", "wine")), choose(("d1", "d2")), "local", "{}"),
                self._some(("mlflow.data.context", "other"), ("train", "Train", "eval")),
            )
            for _ in range(choose((0, 0, 1, 2)))
        ]
        unique = {(each.dataset.name, each.dataset.digest): each for each in inputs}
        if unique:
            session.runs.add_inputs(run, list(unique.values()))
        return Row(
            id=run,
            attributes={
                "run_id": run,
                "run_name": name,
                "status": status.value,
                "user_id": user,
                "artifact_uri": f"mlflow-artifacts:/0/{run}/artifacts",
                "start_time": start,
                "end_time": end,
            },
            metrics=metrics,
            params=params,
            tags={**tags, "mlflow.runName": name},
            datasets=tuple(described(each) for each in unique.values()),
        )

    def comparison(self) -> str:
        """A random comparison, as text."""
        choose = self.random.choice
        kind = choose(("metric", "param", "tag", "attribute", "number", "dataset", "null", "in"))
        if kind == "metric":
            number = choose(("0", "0.5", "-1.5", "1e300", "1e999", "-1e999", "3", "2.75"))
            op = choose(("=", "!=", "<", "<=", ">", ">="))
            return f"metrics.`{choose(METRICS)}` {op} {number}"
        if kind == "number":
            number = choose(("0", "4.5", "5", "1700000000000", "4611686018427387905", "1e30"))
            op = choose(("=", "!=", "<", "<=", ">", ">="))
            return f"{choose(('start_time', 'end_time', 'attr.created'))} {op} {number}"
        if kind == "null":
            what = choose(("params.lr", "tags.`a key`", "tags.`mlflow.runName`", "end_time"))
            return f"{what} IS {choose(('', 'NOT '))}NULL"
        if kind == "in":
            runs = ", ".join(f"'{row.id}'" for row in self.random.sample(self.rows, 5))
            texts = ", ".join(
                "'" + text.replace("'", "''") + "'" for text in self.random.sample(TEXTS, 3)
            )
            what = choose(
                (
                    f"run_id {{}}IN ({runs})",
                    "datasets.digest {}IN ('d1', 'x')",
                    f"{self._text_name('param')} {{}}IN ({texts})",
                    f"{self._text_name('tag')} {{}}IN ({texts})",
                )
            )
            return what.replace("{}", choose(("", "NOT ")))
        return f"{self._text_name(kind)} {self._text_value()}"

    def _text_name(self, kind: str) -> str:
        choose = self.random.choice
        return {
            "param": f"params.`{choose(PARAMS)}`",
            "tag": f'tags."{choose((*TAGS, "mlflow.runName"))}"',
            "attribute": choose(("run_name", "user_id", "attributes.artifact_uri", "run.run_id")),
            "dataset": f"datasets.{choose(('name', 'digest', 'context'))}",
        }[kind]

    def _text_value(self) -> str:
        choose = self.random.choice
        op = choose(("=", "!=", "LIKE", "ILIKE"))
        pool = TEXTS if op in ("=", "!=") else PATTERNS
        value = choose((*pool, "ann", "iris", "train", "%I%", "%/artifacts"))
        return f"{op} '" + value.replace("'", "''") + "'"

    def filter(self, depth: int = 3) -> str:
        """A random filter."""
        shape = self.random.random()
        if depth == 0 or shape < 0.4:
            return self.comparison()
        if shape < 0.55:
            return f"NOT ({self.filter(depth - 1)})"
        word = self.random.choice(("AND", "OR"))
        return f"({self.filter(depth - 1)}) {word} ({self.filter(depth - 1)})"

    def order(self) -> list[str]:
        """A random order_by."""
        names = (
            *(f"metrics.`{key}`" for key in METRICS),
            *(f"params.`{key}`" for key in PARAMS),
            *("tags.team", "tags.`mlflow.runName`", "status", "end_time", "user_id", "run_name"),
            *("start_time", "artifact_uri", "run_id"),
        )
        count = self.random.choice((0, 1, 1, 2, 3))
        return [
            f"{name} {self.random.choice(('', 'ASC', 'DESC'))}"
            for name in self.random.sample(names, count)
        ]


def choice_of_name(source: random.Random) -> str:
    """A name of a run, some of them alike in their first 256 characters."""
    return source.choice(("one", "One", "two words", "ünï", "x" * 256 + "1", "x" * 256 + "2"))


def described(each: DatasetInput) -> dict[str, str]:
    """A data set as filters see it."""
    seen = {"name": each.dataset.name, "digest": each.dataset.digest}
    if "mlflow.data.context" in each.tags:
        seen["context"] = each.tags["mlflow.data.context"]
    return seen


def summary(run: str, key: str, value: float) -> dict[str, Any]:
    """A row of metric_summaries."""
    nan = math.isnan(value)
    kept = None if nan else value
    return {
        "run_id": run,
        "key": key,
        "value": kept,
        "is_nan": nan,
        "step": 1,
        "timestamp_ms": 1,
        "min": kept,
        "max": kept,
        "count": 1,
        "nan_count": int(nan),
        "first_step": 1,
    }


@pytest.fixture
def data(transactions: SqlTransactions, database: Database) -> Data:
    return Data(transactions, database, seed=7)


@pytest.fixture
def search(transactions: SqlTransactions) -> SearchService:
    return SearchService(transactions)


def pages(search: SearchService, request: SearchRequest) -> Iterator[list[Run]]:
    """Every page."""
    while True:
        page = search.runs(request)
        yield page.items
        if not page.next_page_token:
            return
        request = replace(request, page_token=page.next_page_token)


def full_order(order_by: list[str]) -> list[OrderBy]:
    """The order with its ties."""
    order = list(parse_order_by(order_by, service_search.RUNS))
    ties = [OrderBy("attribute", "start_time", False), OrderBy("attribute", "run_id", True)]
    return order + [tie for tie in ties if all(tie.key != each.key for each in order)]


def test_random_filters_and_orders(data: Data, search: SearchService) -> None:
    hits = 0
    for _ in range(200):
        text, order_by = data.filter(), data.order()
        tree = parse(text, service_search.RUNS)
        wanted = ordered([row for row in data.rows if matches(tree, row)], full_order(order_by))
        request = SearchRequest(
            filter=text, order_by=tuple(order_by), page_size=1000, experiment_ids=("0",)
        )
        found = [run.info.run_id for run in search.runs(request).items]
        assert found == [row.id for row in wanted], (text, order_by)
        hits += 0 < len(wanted) < len(data.rows)
    assert hits > 100


def test_random_pages(data: Data, search: SearchService) -> None:
    for _ in range(15):
        order_by = data.order()
        text = data.comparison() if data.random.random() < 0.3 else ""
        tree = parse(text, service_search.RUNS)
        wanted = ordered([row for row in data.rows if matches(tree, row)], full_order(order_by))
        size = data.random.choice((7, 11, 20)) if len(wanted) > 10 else 1
        request = SearchRequest(
            filter=text, order_by=tuple(order_by), page_size=size, experiment_ids=("0", "x", "99")
        )
        found = list(pages(search, request))
        assert [run.info.run_id for page in found for run in page] == [row.id for row in wanted]
        assert all(len(page) == size for page in found[:-1]), order_by


def test_results_hold_all_but_large_texts(data: Data, search: SearchService) -> None:
    request = SearchRequest(experiment_ids=("0",))
    by_id = {row.id: row for row in data.rows}
    for run in search.runs(request).items:
        row = by_id[run.info.run_id]
        assert (run.params, run.tags) == (row.params, row.tags)
        assert [metric.key for metric in run.metrics] == sorted(row.metrics)
        for metric in run.metrics:
            wanted = row.metrics[metric.key]
            assert metric.value == wanted or (math.isnan(metric.value) and math.isnan(wanted))
        assert len(run.inputs) == len(row.datasets)


def test_views_and_experiments(transactions: SqlTransactions, search: SearchService) -> None:
    other = transactions.write(add_experiment).experiment_id
    active, deleted, elsewhere = transactions.write(
        lambda s: (add_run(s), add_run(s), add_run(s, other))
    )
    transactions.write(lambda s: s.runs.delete(deleted, 5))

    def found(view: View, *experiments: str) -> set[str]:
        request = SearchRequest(view=view, experiment_ids=experiments)
        return {run.info.run_id for run in search.runs(request).items}

    assert found(View.ACTIVE_ONLY, "0") == {active}
    assert found(View.DELETED_ONLY, "0", other) == {deleted}
    assert found(View.ALL, "0") == {active, deleted}
    assert found(View.ALL, "0", other) == {active, deleted, elsewhere}
    assert found(View.ALL, "77", "nope") == set()


def test_a_page_stays_right_while_rows_come_and_go(
    transactions: SqlTransactions, search: SearchService
) -> None:
    runs = [transactions.write(lambda s, n=n: add_run(s, start_time=n)) for n in range(6)]
    request = SearchRequest(page_size=2, experiment_ids=("0",))
    first = search.runs(request)
    assert [run.info.run_id for run in first.items] == [runs[5], runs[4]]
    transactions.write(lambda s: s.runs.delete(runs[4], 1))
    transactions.write(lambda s: add_run(s, start_time=99))
    second = search.runs(replace(request, page_token=first.next_page_token))
    assert [run.info.run_id for run in second.items] == [runs[3], runs[2]]


def test_a_page_ends_at_its_size_in_bytes(
    transactions: SqlTransactions, search: SearchService
) -> None:
    # Each run alone is above a quarter of the limit, the last one above all of it.
    big = {f"k{number}": "é" * 8000 for number in range(100)}
    for start in range(5):
        transactions.write(lambda s, n=start: add_run(s, start_time=n, tags=big))
    huge = {f"k{number}": "é" * 6000 for number in range(400)}
    transactions.write(lambda s: add_run(s, start_time=9, params=huge))
    found = list(pages(search, SearchRequest(experiment_ids=("0",))))
    assert [[run.info.start_time for run in page] for page in found] == [[9], [4, 3], [2, 1], [0]]


def test_more_rows_than_are_read_at_once(
    transactions: SqlTransactions, search: SearchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_search, "FOUND_AT_ONCE", 5)
    monkeypatch.setattr(service_search, "LOADED_AT_ONCE", 2)
    runs = transactions.write(lambda s: [add_run(s, start_time=n) for n in range(23)])
    request = SearchRequest(experiment_ids=("0",), page_size=12)
    found = list(pages(search, request))
    assert [len(page) for page in found] == [12, 11]
    assert [run.info.run_id for page in found for run in page] == runs[::-1]


def test_large_filters(data: Data, search: SearchService) -> None:
    ids = ", ".join(f"'{row.id}'" for row in data.rows)
    many = " OR ".join(f"params.lr = '{number}'" for number in range(199))
    deep = "(" * MAX_DEPTH + "status LIKE '%'" + ")" * MAX_DEPTH
    strings = f"run_id IN ({ids}, " + ", ".join(f"'{number}'" for number in range(9000)) + ")"
    for text in (many, deep, strings, "params.lr LIKE '" + "%*_?[é" * 83 + "'"):
        search.runs(SearchRequest(filter=text, experiment_ids=("0",)))
    text = "params.lr ILIKE '" + "%" * 501 + "'"
    with pytest.raises(InvalidArgument) as caught:
        search.runs(SearchRequest(filter=text, experiment_ids=("0",)))
    assert caught.value.reason == "FILTER_INVALID"
    assert caught.value.violations[0].field == "filter"
    assert "at most 500 characters" in caught.value.message


def deepest(shape: str, leaf: str) -> str:
    """A filter as deep as is allowed."""
    text = leaf
    for level in range(MAX_DEPTH):
        term = f"tags.a != '{level}'" if level % 3 else f"metrics.m{level} > 1"
        if shape == "nots" or (shape == "mixed" and level % 3 == 2):
            text = f"NOT {text}"
        else:
            text = f"({term} {'OR' if level % 2 else 'AND'} {text})"
    return text


def test_the_deepest_filters(data: Data, search: SearchService) -> None:
    for leaf in ("params.lr LIKE '%1%'", "metrics.loss != 0.5", "end_time IS NULL"):
        for shape in ("alternating", "nots", "mixed"):
            text = deepest(shape, leaf)
            tree = parse(text, service_search.RUNS)
            wanted = {row.id for row in data.rows if matches(tree, row)}
            request = SearchRequest(filter=text, experiment_ids=("0",), page_size=50_000)
            assert {run.info.run_id for run in search.runs(request).items} == wanted


def test_many_comparisons_and_many_sort_keys(data: Data, search: SearchService) -> None:
    """PostgreSQL takes ten seconds to plan 20 joins; these are planned as something else."""
    for word in ("AND", "OR"):
        for count in (7, 60):
            terms = (f"params.`{PARAMS[n % 3]}` != 'none {n}'" for n in range(count))
            text = f" {word} ".join(terms)
            tree = parse(text, service_search.RUNS)
            order_by = [f"metrics.`{METRICS[n % 3]}x{n // 3}`" for n in range(13)]
            order_by += [f"metrics.`{key}` DESC" for key in METRICS]
            wanted = ordered([row for row in data.rows if matches(tree, row)], full_order(order_by))
            request = SearchRequest(
                filter=text, order_by=tuple(order_by), page_size=7, experiment_ids=("0",)
            )
            found = [run.info.run_id for page in pages(search, request) for run in page]
            assert found == [row.id for row in wanted]


def test_the_longest_page_token_is_taken_back(
    transactions: SqlTransactions, search: SearchService
) -> None:
    order_by = tuple(f"params.p{number}" for number in range(16))
    params = {f"p{number}": "\x01" * 6000 for number in range(16)}
    transactions.write(lambda s: [add_run(s, params=params) for _ in range(3)])
    request = SearchRequest(order_by=order_by, page_size=1, experiment_ids=("0",))
    assert [len(page) for page in pages(search, request)] == [1, 1, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"filter": "status = 'FAILED'"},
        {"order_by": ("start_time",)},
        {"view": View.ALL},
        {"experiment_ids": ("0", "1")},
    ],
)
def test_a_token_of_another_query(
    transactions: SqlTransactions, search: SearchService, change: dict[str, Any]
) -> None:
    transactions.write(lambda s: [add_run(s) for _ in range(3)])
    request = SearchRequest(page_size=1, experiment_ids=("0",))
    token = search.runs(request).next_page_token
    with pytest.raises(InvalidArgument) as caught:
        search.runs(replace(request, page_token=token, **change))
    assert caught.value.reason == "PAGE_TOKEN_OTHER_QUERY"


def test_experiments(transactions: SqlTransactions, search: SearchService) -> None:
    def fill(session: Session) -> list[str]:
        made = [session.experiments.create(f"Exp {n}", {"n": str(n)}, n) for n in range(12)]
        return [each.experiment_id for each in made]

    numbers = transactions.write(fill)
    transactions.write(lambda s: s.experiments.delete(numbers[0], 100))
    transactions.write(lambda s: s.experiments.set_tags(numbers[1], {"x": "y"}, 101))

    def found(view: View = View.ACTIVE_ONLY, **changes: Any) -> list[str]:
        ids: list[str] = []
        request = SearchRequest(view=view, page_size=5, **changes)
        while True:
            page = search.experiments(request)
            ids += [each.experiment_id for each in page.items]
            if not page.next_page_token:
                return ids
            request = replace(request, page_token=page.next_page_token)

    by_update = ["0", numbers[1], *reversed(numbers[2:])]
    assert found() == by_update
    assert found(View.DELETED_ONLY) == [numbers[0]]
    assert found(filter="name ILIKE 'exp _'") == [*by_update[1:2], *reversed(numbers[2:10])]
    assert found(filter="name LIKE 'exp _'") == []
    assert found(filter="tags.x = 'y' OR tags.n = '11'") == [numbers[1], numbers[11]]
    assert found(filter="tags.n IS NULL") == ["0"]
    assert found(filter=f"experiment_id IN ('{numbers[3]}', 'x', '03')") == [numbers[3]]
    assert found(filter=f"experiment_id != '{numbers[3]}' AND creation_time < 5") == [
        *(numbers[1], numbers[4], numbers[2])
    ]
    assert found(filter="experiment_id LIKE '0%'") == ["0"]
    assert found(filter="experiment_id = 'zero'") == []
    by_number = sorted(numbers[1:], key=int)
    assert found(order_by=("experiment_id",)) == ["0", *by_number]
    assert found(order_by=("tags.n DESC", "name")) == [
        *sorted(numbers[1:], key=lambda each: str(numbers.index(each)), reverse=True),
        "0",
    ]


def test_experiments_end_a_page_at_its_size_in_bytes(
    transactions: SqlTransactions, search: SearchService
) -> None:
    tags = {f"k{number}": "x" * 20_000 for number in range(90)}
    for number in range(5):
        transactions.write(lambda s, n=number: s.experiments.create(f"big {n}", tags, n))
    request = SearchRequest(filter="name LIKE 'big%'")
    sizes = []
    while True:
        page = search.experiments(request)
        sizes.append(len(page.items))
        if not page.next_page_token:
            break
        request = replace(request, page_token=page.next_page_token)
    assert sizes == [2, 2, 1]
