"""What the use cases ask of a store of traces; see ``store``.

Writing methods keep the order trace, then its rows by key, and traces by their ids, so that two
writers never deadlock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from runstone_kit.paging import KeyValue
from runstone_tracking.model_traces import Entries, NewSpan, Trace, TraceDeletion, TraceInfo

if TYPE_CHECKING:
    from runstone_tracking.store_query import Query


@dataclass(frozen=True, slots=True)
class FoundTrace:
    """A trace that a search found, with its values of the query's ``order``."""

    info: TraceInfo
    keys: tuple[KeyValue, ...]


class TraceStore(Protocol):
    """Traces, their tags, metadata and spans.

    Methods that write what a trace holds expect that it was claimed or locked in the session.
    """

    def claim(self, experiment_id: str, infos: Sequence[TraceInfo]) -> dict[str, TraceInfo]:
        """Add those that are not there; the others as they are. No other may change any of them
        until the session ends.

        MUST raise ExperimentNotFound, ExperimentDeleted, also when all of them are there.
        """
        ...

    def lock(self, trace_id: str) -> TraceInfo:
        """The trace, which no other may change until the session ends. MUST raise TraceNotFound."""
        ...

    def update(self, infos: Sequence[TraceInfo]) -> None:
        """Replace the rows of traces."""
        ...

    def put_tags(self, items: Entries) -> None:
        """Set tags, but for TRACE_NAME_TAG. MUST raise TraceTooLarge beyond 4 MiB."""
        ...

    def put_metadata(self, items: Entries, *, replace: bool) -> None:
        """Set metadata, or without ``replace`` what is missing. MUST raise TraceTooLarge
        beyond 4 MiB.
        """
        ...

    def delete_tags(self, trace_id: str, keys: Sequence[str]) -> None:
        """Delete tags, but for TRACE_NAME_TAG. MUST raise TagNotFound when one is not set."""
        ...

    def sizes(self, spans: Iterable[NewSpan]) -> Mapping[tuple[str, str], int]:
        """Bytes of those of these spans that are stored, by trace and span."""
        ...

    def put_spans(self, spans: Sequence[NewSpan]) -> None:
        """Add or replace spans; no two may be the same one."""
        ...

    def get(self, trace_ids: Sequence[str]) -> list[TraceInfo]:
        """Those that are there, in the order given."""
        ...

    def load(self, infos: Sequence[TraceInfo], *, spans: bool = False) -> list[Trace]:
        """The traces with tags and metadata, in the order given, and with their spans if asked."""
        ...

    def search(self, query: Query) -> list[FoundTrace]:
        """The traces of ``query``; its stages are not looked at."""
        ...

    def link(self, run_id: str, trace_ids: Sequence[str]) -> None:
        """Link traces, there or not, to a run that was found active in the session."""
        ...

    def delete(self, deletion: TraceDeletion, limit: int) -> int:
        """Remove at most ``limit`` of these traces, the oldest first, with all they hold.

        Returns how many. ``max_traces`` is not looked at. MUST raise ExperimentNotFound.
        """
        ...

    def drop_of_deleted(self, experiment_ids: Sequence[str], limit: int) -> int:
        """Remove at most ``limit`` traces of those of these experiments that are deleted.

        None of them may be restored until the session ends. Returns how many.
        """
        ...
