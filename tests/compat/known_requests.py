"""Where our REST API answers otherwise on purpose: the request, the reason.

An entry that is no longer true fails the tests as a difference does that is not here.
"""

from compat.known_differences import (
    DATABASE_ERRORS,
    IDEMPOTENT,
    NAMELESS,
    NO_END,
    NO_EXPERIMENT,
    TIMES,
    UNREADABLE,
    WRONG_IDS,
)
from support.rest import API

NOT_JSON = "a body that is not JSON is called that; MLflow takes it for an empty one"
NOT_AN_OBJECT = "a body that is no object is called that; MLflow takes it for an empty one"
ITEM = "which item of the list is wrong is told; MLflow makes a pair without a key of it"
NO_LIMIT = "max_results may be left out, as MLflow's documentation of its REST API has it"
NO_ENUM = "what is no value of an enum is refused; MLflow takes it for none"
NULL = "null is as good as left out, as in protobuf's JSON; MLflow fails"
EMPTY = "an empty id or key is refused; MLflow finds nothing by it"
NO_NUMBER = "a max_results that is no number is refused; MLflow answers everything"

NO_OBJECTS = ("body b'[]'", "body b'\"text\"'")
RIGHT_OF_DELETED = "(deleted) as it should be"
EMPTY_BODIES = ("body b''", "body b'null'", "body b'{\"a\": NaN}'")


def asked(endpoint: str, reason: str, *requests: str) -> dict[str, str]:
    """Entries for several requests of an endpoint, such as ``POST runs/create``."""
    method, path = endpoint.split()
    return {f"{method} {API}/{path} {request}": reason for request in requests}


NO_PAIR = "the tag that is none is named; MLflow takes it for one with an empty key"
NO_DESCRIPTION = "no description is an empty one, as in MLflow's other answers"
_MODELS, _VERSIONS = "/api/2.0/mlflow/registered-models", "/api/2.0/mlflow/model-versions"
PATH_SAYS = "which model it is stands in the path; MLflow wants it in the body once more"
DELETED = "a deleted model is not changed, as a deleted run is not"
HALF_READ = "what cannot be read is refused; MLflow keeps what it could read until then"
NO_TIME = "the time of a trace, or of its end, must be told; MLflow takes 1970"
NO_SPANS = "a trace without spans has none; MLflow fails"
NO_ID = "'{}' is no id: the path is known, the method is not one of its"
NO_STATUS = "a trace may end without a status; MLflow fails"
NOT_MARKED = "a mark of MLflow's servers that no client before MLflow 3 looks at"
ALL_FILES = "files are listed by run or model; not what everybody has, in one list"
JSON_ALWAYS = "a file that is taken is answered by JSON, as all else is; by MLflow with nothing"
WHICH_RUN = "a run that is not named is missing; MLflow looks for one called None"
WITHIN = "a path that leads elsewhere is refused for that, whatever MLflow makes of it"
_TRACE = "/api/3.0/mlflow/traces"
_PROXY = "/api/2.0/mlflow-artifacts"
_INFO = "trace.trace_info"
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
    f"POST {_MODELS}/create tags is [None]": NO_PAIR,
    f"POST {_MODELS}/create tags is [[]]": NO_PAIR,
    f"POST {_VERSIONS}/create tags is [None]": NO_PAIR,
    f"POST {_VERSIONS}/create tags is [[]]": NO_PAIR,
    f"GET {_MODELS}/search max_results is '-1'": NO_END,
    f"POST {_VERSIONS}/transition-stage archive_existing_versions is 'true'": (
        "true and false may be text, as in a query"
    ),
    f"PATCH {_VERSIONS}/update without description": NO_DESCRIPTION,
    f"PATCH {_VERSIONS}/update description is None": NO_DESCRIPTION,
    **asked("GET metrics/get-history-bulk-interval", EMPTY, "run_ids is ''"),
    **{f"{_BULK} {each} is ''": EMPTY for each in ("run_id", "metric_key")},
    f"{_BULK} max_results is '{2**70}'": NO_NUMBER,
    **asked(
        "PATCH logged-models/{logged_model}",
        PATH_SAYS,
        *("without model_id", "model_id is None", "model_id is ''", *EMPTY_BODIES),
    ),
    **asked(
        "POST logged-models/{logged_model}/params",
        PATH_SAYS,
        *("without model_id", "model_id is None", "model_id is ''", *EMPTY_BODIES),
    ),
    **asked("PATCH logged-models/{logged_model}/tags", NOT_AN_OBJECT, "body b'[]'"),
    **asked("DELETE logged-models/{logged_model}", NOT_AN_OBJECT, *NO_OBJECTS),
    **asked("DELETE logged-models/{logged_model}/tags/tagged", NOT_AN_OBJECT, *NO_OBJECTS),
    **asked("PATCH logged-models/{deleted_model}/tags", DELETED, RIGHT_OF_DELETED),
    **asked("DELETE logged-models/{deleted_model}/tags/tagged", DELETED, RIGHT_OF_DELETED),
    **asked("POST logged-models/{deleted_model}/params", DELETED, RIGHT_OF_DELETED),
    **asked("POST logged-models/search", NO_END, "max_results is -1"),
    **asked("POST logged-models/search", "'search' is no id of a model", "by GET"),
    **asked("POST runs/outputs", ITEM, "models is [[]]"),
    **asked("GET webhooks", NO_NUMBER, f"max_results is '{2**70}'"),
    **asked("PATCH webhooks/{webhook}", NOT_AN_OBJECT, "body b'[]'"),
    **asked("DELETE webhooks/{webhook}", NOT_AN_OBJECT, *NO_OBJECTS),
    **{
        f"POST {_TRACE} {wrong.format(f'{_INFO}.{name}')}": NAMELESS
        if name == "trace_id"
        else NO_TIME
        for name in ("trace_id", "request_time")
        for wrong in ("without {}", "{} is None", "{} is ''")
    },
    **{
        f"POST {_TRACE} {_INFO}.{name} is ''": HALF_READ for name in ("execution_duration", "state")
    },
    **{
        f"GET {_TRACE}/{each}": NO_SPANS
        for each in (
            "get with an unknown field",
            "get as it should be",
            "batchGet without experiment_ids",
            "batchGet with an unknown field",
            "batchGet as it should be",
        )
    },
    f"GET {_TRACE}/batchGet experiment_ids is ''": WRONG_IDS,
    f"POST {_TRACE}/batchGetInfos experiment_ids is None": NULL,
    **{
        f"POST {_TRACE}/{each} by GET": NO_ID.format(each)
        for each in ("batchGetInfos", "search", "delete-traces")
    },
    f"POST {_TRACE}/search max_results is None": NULL,
    f"PATCH {_TRACE}/tr-{'0' * 32}/tags (unknown) as it should be": DATABASE_ERRORS,
    **asked("POST traces", NO_TIME, "without timestamp_ms", "timestamp_ms is None"),
    **asked("POST traces", TIMES, "timestamp_ms is -1"),
    **asked("POST traces", NULL, "request_metadata is None", "tags is None"),
    **asked("PATCH traces/{older_trace}", NO_TIME, "without timestamp_ms", "timestamp_ms is None"),
    **asked("PATCH traces/{older_trace}", TIMES, "timestamp_ms is -1"),
    **asked("PATCH traces/{older_trace}", NO_STATUS, "without status", "status is None"),
    **asked("PATCH traces/{older_trace}", NULL, "request_metadata is None", "tags is None"),
    **asked("GET traces/{trace}/info", NOT_MARKED, "with an unknown field", "as it should be"),
    **asked(
        "GET traces",
        NOT_MARKED,
        *(f"without {each}" for each in ("filter", "max_results", "order_by")),
        *("filter is ''", "with an unknown field", "as it should be"),
    ),
    **asked("POST webhooks", NO_ENUM, "status is ''"),
    **asked("PATCH webhooks/{webhook}", NO_ENUM, "status is ''"),
    f"POST {_PROXY}/mpu/create/{{folder}} num_parts is -1": "a number of parts is above 0",
    **{f"GET {_PROXY}/artifacts {each}": ALL_FILES for each in ("without path", "path is ''")},
    **dict.fromkeys(
        (
            f"GET {_PROXY}/artifacts/{{file}} by PUT",
            f"DELETE {_PROXY}/artifacts/{{file}} by PUT",
            f"PUT {_PROXY}/artifacts/{{folder}}/new/file.txt with an unknown field",
            f"PUT {_PROXY}/artifacts/{{folder}}/new/file.txt as it should be",
            f"PUT {_PROXY}/artifacts/{{file}} (empty) as it should be",
            *(
                f"POST /ajax-api/2.0/mlflow/upload-artifact {each}"
                for each in ("with an unknown field", "as it should be")
            ),
        ),
        JSON_ALWAYS,
    ),
    f"DELETE {_PROXY}/artifacts/{{file}} body b'[]'": NOT_AN_OBJECT,
    **{f"GET /get-artifact {each}": WHICH_RUN for each in ("without run_id", "run_id is ''")},
    **{
        f"{method} {_PROXY}/artifacts/{{folder}}/{path} (unsafe) as it should be": WITHIN
        for method, paths in {
            "PUT": ("%2fetc", "a%00b"),
            "GET": ("//etc/passwd", "%2fetc", "a%00b"),
            "DELETE": ("//etc/passwd", "%2fetc", "a%00b"),
        }.items()
        for path in paths
    },
    f"PUT {_PROXY}/artifacts/{{folder}}/C:/x (unsafe) as it should be": UNREADABLE,
    f"GET {_PROXY}/artifacts/{{folder}}/C:/x (unsafe) as it should be": UNREADABLE,
}
"""The same for single REST requests: what was asked (a star: of any endpoint) and the reason."""

KNOWN_FIELDS = {
    "workspace": "there are no workspaces, as server-info says; no client asks for the field then",
}
"""Fields of MLflow's answers that ours leave out."""
