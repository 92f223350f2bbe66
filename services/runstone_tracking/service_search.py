"""Searching runs and experiments: what may be asked, and pages that end in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Protocol, TypeVar

from runstone_kit.filterlang import (
    DATASETS,
    METRICS,
    PARAMS,
    TAGS,
    And,
    Comparison,
    Expression,
    Not,
    Operator,
    Or,
    OrderBy,
    ValueType,
    Vocabulary,
    attributes,
    enumeration,
    number,
    parse,
    parse_order_by,
    string,
)
from runstone_kit.filterlang.lexer import fail
from runstone_kit.paging import (
    KeyValue,
    Page,
    decode_token,
    encode_token,
    query_hash,
    resolve_page_size,
)
from runstone_tracking.model import RUN_NAME_TAG, Experiment, Run, RunStatus, SearchRequest
from runstone_tracking.model_columns import RunColumns
from runstone_tracking.store import FoundExperiment, FoundRun, Session, Transactions
from runstone_tracking.store_query import Query

RUNS_PAGE, MAX_RUNS_PAGE = 1000, 50_000
"""As MLflow's."""

EXPERIMENTS_PAGE, MAX_EXPERIMENTS_PAGE = 100, 1000
"""As the contract says."""

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""What a gRPC client accepts by default; a page ends before it, but holds one entity at least."""

FOUND_AT_ONCE = 2000
"""Rows of one query: a page of 50,000 that ends early must not have sorted and sent them all."""

COLUMNS_AT_ONCE = 10_000
"""Runs of one response of columns: PostgreSQL may read a whole table for each of them."""

LOADED_AT_ONCE = 100
"""Entities whose contents are read at once; a hundred big ones still fit into memory."""

MAX_PATTERN = 500
"""Characters in a LIKE pattern: with many %, the time for one value grows with the product of both
lengths."""

MODEL_BYTES = 64
"""At most, of a model input or output in a message."""

RUNS = Vocabulary(
    attributes(
        {
            "run_id": string(Operator.IN),
            "run_name": string(Operator.IN),
            "status": enumeration([status.value for status in RunStatus], Operator.IN),
            "user_id": string(Operator.IN),
            "artifact_uri": string(),
            "start_time": number(),
            "end_time": number(Operator.IS_NULL),
        },
        {
            "run name": "run_name",
            "Run name": "run_name",
            "Run Name": "run_name",
            "created": "start_time",
            "Created": "start_time",
        },
        names=("attributes", "attr", "run"),
    ),
    METRICS,
    PARAMS,
    TAGS,
    DATASETS,
)

EXPERIMENTS = Vocabulary(
    attributes(
        {
            "name": string(Operator.IN),
            "experiment_id": string(Operator.IN),
            "creation_time": number(),
            "last_update_time": number(),
        }
    ),
    TAGS,
)

RUN_TIES = (OrderBy("attribute", "start_time", False), OrderBy("attribute", "run_id", True))
"""What runs are ordered by at last."""

_WHOLE_NUMBERS = {"experiment_id"}
"""Compared as a text, sorted as the number it is."""

_NULLABLE = frozenset({"end_time"})


class _Found(Protocol):
    @property
    def keys(self) -> tuple[KeyValue, ...]: ...


F = TypeVar("F", bound=_Found)
T = TypeVar("T")


class SearchService:
    """SearchRuns and SearchExperiments, each on one consistent state."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def runs(self, request: SearchRequest) -> Page[Run]:
        """One page of the runs that match, with all they hold but large texts of data sets.

        Raises InvalidArgument: FILTER_INVALID, PAGE_TOKEN_INVALID, PAGE_TOKEN_OTHER_QUERY.
        """
        plan = _run_plan(request)
        size = resolve_page_size(request.page_size, default=RUNS_PAGE, maximum=MAX_RUNS_PAGE)

        def work(session: Session) -> Page[Run]:
            def load(found: Sequence[FoundRun]) -> list[Run]:
                return session.runs.load([each.info for each in found], large=False)

            return plan.page(size, FOUND_AT_ONCE, session.runs.search, load, size_of_run)

        return self._transactions.read(work, bounded=True)

    def run_columns(
        self, request: SearchRequest, *, values_only: bool = False
    ) -> Iterator[tuple[RunColumns, str]]:
        """A page of ``runs`` as columns, in parts; with each the token that leads on from it.

        ``values_only`` leaves out the steps and times of metrics.

        Raises as ``runs`` does.
        """
        plan = _run_plan(request)
        left = resolve_page_size(request.page_size, default=RUNS_PAGE, maximum=MAX_RUNS_PAGE)
        return self._run_columns(plan, left, values_only)

    def _run_columns(
        self, plan: Plan, left: int, values_only: bool
    ) -> Iterator[tuple[RunColumns, str]]:
        after = plan.after
        at_once = COLUMNS_AT_ONCE
        while True:
            wanted = min(left, at_once)

            def work(
                session: Session, after: Sequence[KeyValue] | None = after, wanted: int = wanted
            ) -> tuple[RunColumns, Sequence[KeyValue] | None]:
                found = session.runs.search(plan.query(after, wanted + 1))
                infos = [each.info for each in found[:wanted]]
                columns = session.runs.load_columns(infos, values_only=values_only)
                count = len(columns.infos)
                return columns, found[count - 1].keys if count < len(found) else None

            # A state of its own for each part: one would be held as long as the reader takes.
            columns, after = self._transactions.read(work, bounded=True)
            left -= len(columns.infos)
            if len(columns.infos) < wanted:
                # They are large: what was found beside them was found for nothing.
                at_once = max(1, len(columns.infos))
            yield columns, "" if after is None else plan.token(after)
            if after is None or left <= 0:
                return

    def experiments(self, request: SearchRequest) -> Page[Experiment]:
        """One page of the experiments that match. Raises as ``runs`` does."""
        updated = OrderBy("attribute", "last_update_time", False)
        last = OrderBy("attribute", "experiment_id", False)
        ties = (last,) if request.order_by else (updated, last)
        plan = Plan(request, EXPERIMENTS, ties, "SearchExperiments")
        size = resolve_page_size(
            request.page_size, default=EXPERIMENTS_PAGE, maximum=MAX_EXPERIMENTS_PAGE
        )

        def work(session: Session) -> Page[Experiment]:
            def load(found: Sequence[FoundExperiment]) -> list[Experiment]:
                return [each.experiment for each in found]

            return plan.page(
                size, LOADED_AT_ONCE, session.experiments.search, load, size_of_experiment
            )

        return self._transactions.read(work, bounded=True)


def _run_plan(request: SearchRequest) -> Plan:
    return Plan(request, RUNS, RUN_TIES, "SearchRuns", nullable=_NULLABLE, canonical=_canonical)


class Plan:
    """A search as it was asked for: parsed, and with the place where its page begins.

    ``nullable`` are the attributes that may be missing. ``canonical`` gives of two keys of an order
    that are one thing the one to sort by. ``order`` takes the place of the request's, and ``extra``
    belongs to the query too.
    """

    def __init__(
        self,
        request: SearchRequest,
        vocabulary: Vocabulary,
        ties: Sequence[OrderBy],
        method: str,
        *,
        nullable: frozenset[str] = frozenset(),
        canonical: Callable[[OrderBy], OrderBy] = lambda order: order,
        order: Sequence[OrderBy] | None = None,
        extra: tuple[object, ...] = (),
    ) -> None:
        self._request = request
        self._filter = parse(request.filter, vocabulary)
        if self._filter is not None:
            _check_patterns(self._filter)
        given = parse_order_by(request.order_by, vocabulary) if order is None else order
        order = list(map(canonical, given))
        for tie in ties:
            if not any((each.entity, each.key) == (tie.entity, tie.key) for each in order):
                order.append(tie)
        self._order = tuple(order)
        self._hash = query_hash(
            method,
            request.experiment_ids,
            request.filter,
            request.order_by,
            int(request.view),
            *extra,
        )
        self.after: Sequence[KeyValue] | None = decode_token(
            request.page_token,
            self._hash,
            [_key_types(each, vocabulary, nullable) for each in order],
        )

    def page(
        self,
        size: int,
        found_at_once: int,
        find: Callable[[Query], list[F]],
        load: Callable[[Sequence[F]], list[T]],
        size_of: Callable[[T], int],
    ) -> Page[T]:
        """The page: at most ``size`` entities, and MAX_PAGE_BYTES unless one alone is more."""
        items: list[T] = []
        budget = MAX_PAGE_BYTES
        after: Sequence[KeyValue] | None = self.after
        while True:
            wanted = min(size - len(items), found_at_once)
            found = find(self.query(after, wanted + 1))
            for start in range(0, min(len(found), wanted), LOADED_AT_ONCE):
                part = found[start : min(start + LOADED_AT_ONCE, wanted)]
                for each, item in zip(part, load(part), strict=True):
                    budget -= size_of(item)
                    if budget < 0 and items:
                        return Page(items, self.token(after or ()))
                    items.append(item)
                    after = each.keys
            if len(found) <= wanted:
                return Page(items)
            if len(items) == size:
                return Page(items, self.token(after or ()))

    def token(self, after: Sequence[KeyValue]) -> str:
        """Leads to what comes after the keys."""
        return encode_token(self._hash, after)

    def query(self, after: Sequence[KeyValue] | None, limit: int) -> Query:
        """At most ``limit`` entities after the keys."""
        return Query(
            stages=self._request.view.stages,
            filter=self._filter,
            order=self._order,
            after=after,
            limit=limit,
            experiment_ids=self._request.experiment_ids,
        )


def size_of_run(run: Run) -> int:
    """About how many bytes the run's message has, never much less."""
    size = 128 + size_of_text(run.info.name) + size_of_text(run.info.user_id)
    size += size_of_map(run.params) + size_of_map(run.tags)
    size += MODEL_BYTES * (len(run.model_inputs) + len(run.model_outputs))
    size += 96 * len(run.metrics) + size_of_text("".join([metric.key for metric in run.metrics]))
    for each in run.inputs:
        dataset = each.dataset
        size += (
            64
            + size_of_text(dataset.name)
            + size_of_text(dataset.source)
            + size_of_text(dataset.schema)
        )
        size += size_of_text(dataset.profile) + size_of_map(each.tags)
    return size


def size_of_experiment(experiment: Experiment) -> int:
    """About how many bytes the experiment's message has, never much less."""
    return 96 + size_of_text(experiment.name) + size_of_map(experiment.tags)


def size_of_map(items: Mapping[str, str]) -> int:
    """About how many bytes a map has in a message, never much less."""
    return 12 * len(items) + size_of_text("".join([*items.keys(), *items.values()]))


def size_of_text(text: str) -> int:
    """Bytes of a text."""
    return len(text) if text.isascii() else len(text.encode())


def _canonical(order: OrderBy) -> OrderBy:
    """The tag that is a run's name sorts as the name, which no run lacks."""
    if order.entity == "tag" and order.key == RUN_NAME_TAG:
        return OrderBy("attribute", "run_name", order.ascending)
    return order


def _key_types(
    order: OrderBy, vocabulary: Vocabulary, nullable: frozenset[str]
) -> tuple[type, ...]:
    """The types a page token may hold for this key."""
    if order.entity == "metric":
        return (float, NoneType)
    if order.entity != "attribute":
        return (str, NoneType)
    entity = vocabulary.entity(order.entity)
    resolved = entity.resolve(order.key) if entity is not None else None
    assert resolved is not None
    is_number = resolved[1].type is ValueType.NUMBER or order.key in _WHOLE_NUMBERS
    kind: type = int if is_number else str
    return (kind, NoneType) if order.key in nullable else (kind,)


def _check_patterns(tree: Expression) -> None:
    match tree:
        case And(terms) | Or(terms):
            for term in terms:
                _check_patterns(term)
        case Not(term):
            _check_patterns(term)
        case Comparison(op=Operator.LIKE | Operator.ILIKE, value=str(value)):
            if len(value) > MAX_PATTERN:
                fail(
                    "filter",
                    tree.position,
                    f"a pattern of at most {MAX_PATTERN} characters",
                    str(len(value)),
                )
