"""Where ours answers otherwise on purpose: scenario, place in its document, reason.

An entry that is no longer true fails the tests as a difference does that is not here.
"""

MORE_FILTERS = "our search language has more: OR, NOT, parentheses, IN everywhere (contract page)"
STRICT_FILTERS = "half a filter is refused, where MLflow answers with what it understood of it"
UNREADABLE = "MLflow's clients cannot read such a path back, so nothing is kept there"
FALSE_PATHS = "such a path names nothing that can be there: said so, where MLflow lists nothing"
ALIASES = "a version found by a search has its aliases; MLflow leaves them out there"
NO_END = "a page of nothing, with a token for the next, would never end"
OWN_COPY = "a version has files of its own, which no change of the run's reaches"
DOTS = "a model's name is never a path here, so dots are a name like others"
SHORT_NAMES = "256 characters, as MLflow's schema has it; SQLite below its server does not look"
WRONG_IDS = "what cannot be an id is called invalid; MLflow looks for it and finds nothing"
DATABASE_ERRORS = "MLflow shows its database's error; ours says what does not exist"
NO_ASSESSMENTS = "assessments of traces are not kept"
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
        "rename to: taken": "MLflow shows its database's error; ours says that the name is taken",
    },
    "artifacts": {
        "list: a//b": FALSE_PATHS,
        "list: file:///etc": FALSE_PATHS,
        "log: file:///etc": UNREADABLE,
        "download: file:///etc": UNREADABLE,
        "tree after: file:///etc": UNREADABLE,
        "log: C:/x": UNREADABLE,
        "log into: C:/x": UNREADABLE,
        "download: C:/x": UNREADABLE,
        "tree after: C:/x": UNREADABLE,
        "log: deleted run": "a deleted run takes no files until it is restored",
    },
    "registry": {
        "create: dots": DOTS,
        "get: dots": DOTS,
        "create: long": SHORT_NAMES,
        "get: long": SHORT_NAMES,
        "version: download uri": OWN_COPY,
        "copy: download uri": OWN_COPY,
        "models: or": MORE_FILTERS,
        "models, order: ['creation_timestamp']": MORE_FILTERS,
        "models, order: ['creation_timestamp DESC']": MORE_FILTERS,
        "models, max_results 0": NO_END,
        "models, max_results -1": NO_END,
        "models, whole / latest_versions / 0 / aliases": ALIASES,
        "models, whole / latest_versions / 2 / aliases": ALIASES,
        "versions, whole / aliases": ALIASES,
        "versions: number as text": "a number is compared without quotes, and the message says so",
        "versions, order: ['last_updated_timestamp DESC']": (
            "a version that an alias comes to or leaves has changed, and its time says so"
        ),
    },
    "traces": {
        "get: not an id": WRONG_IDS,
        "tag: unknown": DATABASE_ERRORS,
        "filter: trace_id = '<trace>'": MORE_FILTERS,
        "filter: tags.made = 'by hand' OR status = 'OK'": MORE_FILTERS,
        "feedback": NO_ASSESSMENTS,
        "expectation": NO_ASSESSMENTS,
        "feedback: unknown": NO_ASSESSMENTS,
        "assessments": NO_ASSESSMENTS,
        "delete: unknown experiment": "an experiment that does not exist is said so",
    },
    "search_runs": {
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

NOT_JSON = "a body that is not JSON is called that; MLflow takes it for an empty one"

NO_PAIR = "the tag that is none is named; MLflow takes it for one with an empty key"
MISSING = "what is missing is called that, as MLflow does everywhere else"
NO_DESCRIPTION = "no description is an empty one, as in MLflow's other answers"
_MODELS, _VERSIONS = "/api/2.0/mlflow/registered-models", "/api/2.0/mlflow/model-versions"

KNOWN_REQUESTS: dict[str, str] = {
    "* body b'{'": NOT_JSON,
    "* body b'\\xff\\xfe'": NOT_JSON,
    "* body b\"{'a': 1}\"": NOT_JSON,
    f"POST {_MODELS}/create tags is [None]": NO_PAIR,
    f"POST {_MODELS}/create tags is [[]]": NO_PAIR,
    f"POST {_VERSIONS}/create tags is [None]": NO_PAIR,
    f"POST {_VERSIONS}/create tags is [[]]": NO_PAIR,
    f"GET {_MODELS}/search max_results is '-1'": NO_END,
    f"PATCH {_VERSIONS}/update without description": NO_DESCRIPTION,
    f"PATCH {_VERSIONS}/update description is None": NO_DESCRIPTION,
    f"POST {_VERSIONS}/transition-stage without name": MISSING,
    f"POST {_VERSIONS}/transition-stage name is None": MISSING,
    f"POST {_VERSIONS}/transition-stage without version": MISSING,
    f"POST {_VERSIONS}/transition-stage version is None": MISSING,
    f"POST {_VERSIONS}/transition-stage without stage": MISSING,
    f"POST {_VERSIONS}/transition-stage stage is None": MISSING,
}
"""The same for single REST requests: what was asked (a star: of any endpoint) and the reason."""

KNOWN_FIELDS = {
    "workspace": "there are no workspaces, as server-info says; no client asks for the field then",
}
"""Fields of MLflow's answers that ours leave out."""
