"""Finding traces: what filters on them have beside those on runs."""

from __future__ import annotations

from sqlalchemy import Connection, exists, func, or_
from sqlalchemy.sql.elements import ColumnElement

from runstone_kit.filterlang import And, Comparison, Expression, In, Operator
from runstone_kit.sqlfilter import Condition
from runstone_tracking.model_traces import SOURCE_RUN, TRACE_NAME_TAG
from runstone_tracking.sqlstore_filter import Joined, Subject, Translator
from runstone_tracking.sqlstore_search import Found, find, in_experiments
from runstone_tracking.sqlstore_statements import is_postgresql
from runstone_tracking.store_query import Query
from runstone_tracking.tables_traces import spans, trace_metadata, trace_runs, trace_tags, traces

TRACES = Subject(
    id=traces.c.trace_id,
    owner="trace_id",
    attributes={
        "request_id": traces.c.trace_id,
        "experiment_id": traces.c.experiment_id,
        "name": traces.c.name,
        "status": traces.c.state,
        "timestamp_ms": traces.c.request_time,
        "execution_time_ms": traces.c.duration,
        "end_time_ms": traces.c.request_time + func.coalesce(traces.c.duration, 0),
        "client_request_id": traces.c.client_request_id,
        "request_preview": traces.c.request_preview,
        "response_preview": traces.c.response_preview,
    },
    key_values={"tag": trace_tags, "metadata": trace_metadata},
    nullable=frozenset(
        {"name", "execution_time_ms", "client_request_id", "request_preview", "response_preview"}
    ),
    name=(TRACE_NAME_TAG, "name"),
)


def find_traces(connection: Connection, query: Query) -> Found:
    """The rows of traces and their keys."""
    here = in_experiments(connection, query, traces.c.experiment_id)
    if here is None:
        return []
    columns = tuple(traces.c)
    return find(connection, query, TRACES, traces, columns, [here], translate=_condition)


def _condition(
    connection: Connection, subject: Subject, tree: Expression, joined: Joined
) -> Condition:
    return _TraceTranslator(connection, subject, tree, joined).translate(tree)


class _TraceTranslator(Translator):
    def translate(self, tree: Expression) -> Condition:
        """Conditions on spans that are joined by AND are asked of one span together."""
        if isinstance(tree, And):
            asked = [
                term
                for term in tree.terms
                if isinstance(term, Comparison | In) and term.entity == "span"
            ]
            if len(asked) > 1:
                rest = [term for term in tree.terms if term not in asked]
                found = self._some_span(asked)
                return found & super().translate(And(tuple(rest))) if rest else found
        if isinstance(tree, Comparison | In) and tree.entity == "span":
            return self._some_span([tree])
        return super().translate(tree)

    def _some_span(self, leaves: list[Comparison | In]) -> Condition:
        found: list[Condition] = []
        indexed = False
        for leaf in leaves:
            column: ColumnElement[str] = spans.c[leaf.key]
            if leaf.key == "name" and isinstance(leaf, Comparison) and leaf.op is Operator.EQ:
                indexed = True
                found += self._indexed(column, leaf)
            else:
                found.append(self._text(column, leaf))
        if indexed or is_postgresql(self._connection):
            return self._exists(spans, *found)
        # Once for all traces, SQLite would read every span there is.
        return exists().where(spans.c.trace_id == self._subject.id, *found)

    def _attribute(self, leaf: Comparison | In) -> Condition:
        return self._run(leaf) if leaf.key == "run_id" else super()._attribute(leaf)

    def _key_value(self, leaf: Comparison | In) -> Condition:
        is_run = leaf.entity == "metadata" and leaf.key == SOURCE_RUN
        return self._run(leaf) if is_run else super()._key_value(leaf)

    def _run(self, leaf: Comparison | In) -> Condition:
        """Any run of the trace's: the one it came from, and those that it was linked to."""
        source = trace_metadata.c
        return or_(
            self._exists(
                trace_metadata, source.key == SOURCE_RUN, *self._indexed(source.value, leaf)
            ),
            self._exists(trace_runs, self._text(trace_runs.c.run_id, leaf)),
        )
