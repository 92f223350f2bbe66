"""Where ours answers otherwise on purpose: scenario, place in its document, reason.

An entry that is no longer true fails the tests as a difference does that is not here.
"""

MORE_FILTERS = "our search language has more: OR, NOT, parentheses, IN everywhere (contract page)"
STRICT_FILTERS = "half a filter is refused, where MLflow answers with what it understood of it"
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

KNOWN_REQUESTS: dict[str, str] = {
    "* body b'{'": NOT_JSON,
    "* body b'\\xff\\xfe'": NOT_JSON,
    "* body b\"{'a': 1}\"": NOT_JSON,
}
"""The same for single REST requests: what was asked (a star: of any endpoint) and the reason."""

KNOWN_FIELDS = {
    "workspace": "there are no workspaces, as server-info says; no client asks for the field then",
}
"""Fields of MLflow's answers that ours leave out."""
