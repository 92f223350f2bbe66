"""Where ours answers otherwise on purpose: scenario, place in its document, reason.

An entry that is no longer true fails the tests as a difference does that is not here.
"""

MORE_FILTERS = "our search language has more: OR, NOT, parentheses, IN everywhere (contract page)"
STRICT_FILTERS = "half a filter is refused, where MLflow answers with what it understood of it"
IDEMPOTENT = "what is done already is no mistake: a request that is repeated must not fail"
ID_FORMS = "an id of a wrong form is refused as invalid, one that could be right as unknown"
TAG_KEYS = "the keys of all tags follow one rule; MLflow has none for those of a new run"
NEGATIVE_ZERO = "-0.0 is kept as it was logged; MLflow's SQLite forgets the sign"
LONG_NAMES = "names end at 250 characters as MLflow's column does; its SQLite lets longer ones pass"
SLIM = "a search leaves out schemas and profiles, which may be megabytes; runs/get has them"
NO_EXPERIMENT = "no experiment is the default one; MLflow shows a database error"
TIMES = "times are those of the years 1970 to 9999"
LOCATIONS = "clients never name a storage location (design D11); the server's own is told"

KNOWN_DIFFERENCES: dict[str, dict[str, str]] = {
    "experiments": {
        "get: location / artifact_location": LOCATIONS,
        "run of a location": LOCATIONS,
        "search: attributes prefix": MORE_FILTERS,
        "search: in": MORE_FILTERS,
        "search: or": MORE_FILTERS,
        "search: parentheses": MORE_FILTERS,
        "order: tag": MORE_FILTERS,
        "delete: again": IDEMPOTENT,
        "restore: again": IDEMPOTENT,
        "create: empty tag key": "an empty key is told as missing, and which: 'tags[0].key'",
        **{
            f"{call}: {wrong}": ID_FORMS
            for call in ("get", "delete", "restore", "rename", "set tag")
            for wrong in ("negative", "name")
        },
        "rename to: taken": "MLflow shows its database's error; ours says that the name is taken",
    },
    "runs": {
        **{
            f"{call}: {wrong}": ID_FORMS
            for call in ("delete", "restore", "terminate")
            for wrong in ("not an id", "too long", "path")
        },
        "create: no experiment": NO_EXPERIMENT,
        "create: experiment's name": ID_FORMS,
        "create: negative time": TIMES,
        "create: long name": LONG_NAMES,
        "create: very long name": LONG_NAMES,
        "create: empty tag key": TAG_KEYS,
        "create: bad tag key": TAG_KEYS,
        "create: long tag / data / tags / a": "cut as by set-tag; MLflow forgets to for new runs",
    },
    "metrics": {
        "history: negative zero": NEGATIVE_ZERO,
        "latest of values / negative_zero": NEGATIVE_ZERO,
    },
    "params_and_tags": {
        "delete runName": "the name of a run can be changed, not deleted: every run has one",
    },
    "search_runs": {
        "filter:  ": "blanks are no filter, as an empty text is none",
        "filter: status = 'finished'": "a status that no run can have is called a mistake",
        "whole run / inputs / dataset_inputs / 0 / dataset / profile": SLIM,
        "whole run / inputs / dataset_inputs / 0 / dataset / schema": SLIM,
        "filter: metrics.acc == 0.9": MORE_FILTERS,
        "filter: params.opt IN ('Adam')": MORE_FILTERS,
        "filter: status IN ('FINISHED')": MORE_FILTERS,
        "filter: run_name IN ('alpha')": MORE_FILTERS,
        "filter: end_time IS NULL": MORE_FILTERS,
        "filter: metrics.acc > 0.5 OR metrics.acc < 0.1": MORE_FILTERS,
        "filter: NOT metrics.acc > 0.5": MORE_FILTERS,
        "filter: (metrics.acc > 0.5)": MORE_FILTERS,
        "filter: metrics.acc > 0.5 AND": STRICT_FILTERS,
        "filter: AND metrics.acc > 0.5": STRICT_FILTERS,
        "filter: metrics. > 1": STRICT_FILTERS,
    },
}

API = "/api/2.0/mlflow"
NOT_JSON = "a body that is not JSON is called that; MLflow takes it for an empty one"
NOT_AN_OBJECT = "a body that is no object is called that; MLflow takes it for an empty one"
ITEM = "which item of the list is wrong is told; MLflow makes a pair without a key of it"
NO_LIMIT = "max_results may be left out, as MLflow's documentation of its REST API has it"
NO_ENUM = "what is no value of an enum is refused; MLflow takes it for none"
NULL = "null is as good as left out, as in protobuf's JSON; MLflow fails"
EMPTY = "an empty id or key is refused; MLflow finds nothing by it"
NO_NUMBER = "a max_results that is no number is refused; MLflow answers everything"

EMPTY_BODIES = ("body b''", "body b'null'", "body b'{\"a\": NaN}'")


def asked(endpoint: str, reason: str, *requests: str) -> dict[str, str]:
    """Entries for several requests of an endpoint, such as ``POST runs/create``."""
    method, path = endpoint.split()
    return {f"{method} {API}/{path} {request}": reason for request in requests}


_BULK = "GET /ajax-api/2.0/mlflow/metrics/get-history-bulk"

KNOWN_REQUESTS: dict[str, str] = {
    "* body b'{'": NOT_JSON,
    "* body b'\\xff\\xfe'": NOT_JSON,
    "* body b\"{'a': 1}\"": NOT_JSON,
    **asked("POST experiments/create", ITEM, "tags is [None]", "tags is [[]]"),
    **asked(
        "POST experiments/search",
        NO_LIMIT,
        *("without max_results", "max_results is None", "by GET", *EMPTY_BODIES),
    ),
    **asked("GET experiments/search", NO_LIMIT, "without max_results"),
    **asked("POST experiments/search", NOT_AN_OBJECT, "body b'[]'"),
    **asked("POST experiments/search", NO_ENUM, "view_type is '5'", "view_type is -1"),
    **asked("POST experiments/restore", IDEMPOTENT, "as it should be"),
    **asked("POST experiments/delete", IDEMPOTENT, "as it should be"),
    **asked(
        "POST runs/create",
        NO_EXPERIMENT,
        *("without experiment_id", "experiment_id is None", "experiment_id is ''", *EMPTY_BODIES),
    ),
    **asked("POST runs/create", NOT_AN_OBJECT, "body b'[]'"),
    **asked("POST runs/create", TIMES, "start_time is -1"),
    **asked("POST runs/update", TIMES, "end_time is -1"),
    **asked("POST runs/update", NO_ENUM, "status is ''"),
    **asked("POST runs/search", NO_ENUM, "run_view_type is ''"),
    **asked("POST runs/search", NOT_AN_OBJECT, "body b'[]'"),
    **asked("POST runs/search", NULL, "max_results is None"),
    **asked(
        "POST runs/log-batch", NULL, *(f"{each} is None" for each in ("metrics", "params", "tags"))
    ),
    **asked(
        "GET metrics/get-history",
        NO_NUMBER,
        *(f"max_results is {each!r}" for each in ("abc", "1.5", "", str(2**70))),
    ),
    **asked("GET metrics/get-history-bulk-interval", EMPTY, "run_ids is ''"),
    **{f"{_BULK} {each} is ''": EMPTY for each in ("run_id", "metric_key")},
    f"{_BULK} max_results is '{2**70}'": NO_NUMBER,
}
"""The same for single REST requests: what was asked (a star: of any endpoint) and the reason."""

KNOWN_FIELDS = {
    "workspace": "there are no workspaces, as server-info says; no client asks for the field then",
}
"""Fields of MLflow's answers that ours leave out."""
