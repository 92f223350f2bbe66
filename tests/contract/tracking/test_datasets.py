"""The data sets that runs read, on SQLite and on PostgreSQL."""

from dataclasses import replace

from runstone_tracking.model import Dataset, DatasetInput, DatasetSummary
from runstone_tracking.service_runs import RunService
from runstone_tracking.sqlstore import SqlTransactions
from support.tracking import add_experiment, add_run


def test_what_runs_read_is_listed_once_for_each_context(
    transactions: SqlTransactions, runs: RunService
) -> None:
    here, there = transactions.write(lambda s: (add_experiment(s), add_experiment(s)))
    iris = Dataset("iris", "1", "local", "{}")
    for experiment, dataset, context in (
        (here, iris, "train"),
        (here, iris, "train"),
        (here, iris, "eval"),
        (here, replace(iris, digest="2"), ""),
        (there, iris, "train"),
    ):
        run = transactions.write(lambda s, e=experiment: add_run(s, e.experiment_id))
        tags = {"mlflow.data.context": context} if context else {"other": "x"}
        runs.log_inputs(run, [DatasetInput(dataset, tags)])
    number = here.experiment_id
    wanted = [
        DatasetSummary(number, "iris", "1", "eval"),
        DatasetSummary(number, "iris", "1", "train"),
        DatasetSummary(number, "iris", "2", ""),
    ]
    assert runs.search_datasets([number, "nope", "99"]) == wanted
    assert len(runs.search_datasets([number, there.experiment_id])) == 4
    assert runs.search_datasets(["nope"]) == []
    assert transactions.read(lambda s: s.runs.search_datasets([number], 2)) == wanted[:2]
