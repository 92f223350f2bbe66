"""The use cases of the tracking service, by what they are about."""

from __future__ import annotations

from runstone_kit.clock import Clock
from runstone_kit.ids import IdMaker
from runstone_tracking.service_experiments import ExperimentService
from runstone_tracking.service_logged import LoggedModelService
from runstone_tracking.service_metrics import MetricService
from runstone_tracking.service_names import NameMaker
from runstone_tracking.service_repeats import Repeats
from runstone_tracking.service_runs import RunService
from runstone_tracking.service_search import SearchService
from runstone_tracking.service_traces import TraceService
from runstone_tracking.store import Transactions


class TrackingService:
    """Everything the servicer calls."""

    def __init__(
        self, transactions: Transactions, clock: Clock, ids: IdMaker, names: NameMaker
    ) -> None:
        repeats = Repeats(transactions, clock)
        self.experiments = ExperimentService(transactions, clock, repeats)
        self.runs = RunService(transactions, clock, ids, names, repeats)
        self.search = SearchService(transactions)
        self.metrics = MetricService(transactions)
        self.traces = TraceService(transactions)
        self.logged = LoggedModelService(transactions, clock, ids, names, repeats)
