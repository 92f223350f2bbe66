"""Runs entry points of the project in the working folder and prints what each run holds.

python projects.py mlflow|runstone TRACKING_URI
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

CASES: list[dict[str, Any]] = [
    {"parameters": {"alpha": 0.5}},
    {"parameters": {"alpha": "1e-3", "name": "x y", "extra": "3"}},
    {"entry_point": "show.py", "parameters": {"depth": "3"}},
    {"entry_point": "paths", "parameters": {"data": "data.csv", "where": "s3://bucket/x"}},
    {"uri": ".#inner", "run_name": "named"},
]
FAILING = {"entry_point": "fails"}
WRONG: list[dict[str, Any]] = [
    {"entry_point": "nowhere"},
    {"entry_point": "paths"},
    {"entry_point": "paths", "parameters": {"data": "data.csv", "where": "no uri"}},
]


def main(name: str, uri: str) -> None:
    """Print one JSON document."""
    library: Any = importlib.import_module(name)
    library.set_tracking_uri(uri)
    raised = importlib.import_module(f"{name}.exceptions").ExecutionException
    found: dict[str, Any] = {"runs": [], "errors": []}
    for case in CASES:
        submitted = library.projects.run(**{"uri": ".", "env_manager": "local", **case})
        run = library.get_run(submitted.run_id)
        shown = Path("shown.json")
        found["runs"].append(
            {
                "submitted": submitted.get_status(),
                "status": run.info.status,
                "params": run.data.params,
                "tags": {k: v for k, v in run.data.tags.items() if k != "mlflow.runName"},
                "name": run.info.run_name if "run_name" in case else None,
                "argv": json.loads(shown.read_text()),
            }
        )
        shown.unlink()
    for case in [FAILING, *WRONG]:
        try:
            library.projects.run(".", env_manager="local", **case)
        except raised as error:
            found["errors"].append(type(error).__mro__[0].__name__ != "Exception")
    failed = library.search_runs(filter_string="attributes.status = 'FAILED'", output_format="list")
    found["failed"] = [run.data.tags["mlflow.project.entryPoint"] for run in failed]
    with library.start_run() as parent:
        child = library.projects.run(".", env_manager="local").run_id
    tags = library.get_run(child).data.tags
    found["nested"] = tags["mlflow.parentRunId"] == parent.info.run_id
    print(json.dumps(found))


if __name__ == "__main__":
    os.environ["GIT_PYTHON_REFRESH"] = "quiet"
    main(*sys.argv[1:])
