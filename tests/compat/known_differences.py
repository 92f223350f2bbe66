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
UNREADABLE = "MLflow's clients cannot read such a path back, so nothing is kept there"
FALSE_PATHS = "such a path names nothing that can be there: said so, where MLflow lists nothing"
NO_BUDGETS = "there are no budgets, so no webhook can wait for one to be exceeded"
EMPTY_FILES = "an empty file has 0 bytes; MLflow leaves its size out"
NOTHING_THERE = "a folder that cannot be there is empty, like any other that is not there"
LAST_TAGS = "a data set logged again has the tags of the last time; MLflow passes over them"
NAMELESS = "what has no name or key is refused: nothing could find it again"
OUTPUTS = "an output logged again has the step of the last time"
FALSE_MODELS = "a model that does not exist is no output"
LIMITS = "texts of logged models have the limits of a run's, and longer ones are refused"
ANY_DIGEST = "a data set asked for without a digest has any; MLflow looks for the empty one"
STATUS_NAMES = "a status is compared by its name; MLflow compares the number that it keeps"
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
        "create: location with ..": LOCATIONS,
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
    "artifacts": {
        "tree / 5 / 2": EMPTY_FILES,
        "tree / 24 / 2": EMPTY_FILES,
        "tree after wrong ones / 5 / 2": EMPTY_FILES,
        "tree after wrong ones / 24 / 2": EMPTY_FILES,
        "tree after delete / 1 / 2": EMPTY_FILES,
        "tree after delete / 20 / 2": EMPTY_FILES,
        "list: folder / 1 / file_size": EMPTY_FILES,
        "list: trailing slash / 1 / file_size": EMPTY_FILES,
        "list: by uri / 1 / file_size": EMPTY_FILES,
        "list: %2e%2e": NOTHING_THERE,
        "list: %252e%252e": NOTHING_THERE,
        "list: a#b": NOTHING_THERE,
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
    "java": {"version: download uri": OWN_COPY},
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
    "inputs": {
        "after / 0 / tags": LAST_TAGS,
        "after more / 0 / tags": LAST_TAGS,
        "log: no name": NAMELESS,
        "log: no digest": NAMELESS,
        "log: empty tag key": NAMELESS,
        "after wrong ones": NAMELESS,
        "fluent: after / 1 / tags": LAST_TAGS,
        "fluent: after / 2 / tags": LAST_TAGS,
        "outputs again": OUTPUTS,
        "outputs: other step": OUTPUTS,
        "models: after / outputs / 1 / step": OUTPUTS,
        "outputs: unknown model": FALSE_MODELS,
        "models: at the end / outputs": FALSE_MODELS,
    },
    "logged_models": {
        "create: name 'nnnnnnnnnnnnnnnnnnnn'": LIMITS,
        "create: long param": LIMITS,
        "create: empty param key": NAMELESS,
        "finalize: PENDING": "a model that is finished does not become unfinished",
        "get: not an id": WRONG_IDS,
        "tags: long": LIMITS,
        "params: again": "a parameter logged again as it is changes nothing",
        "params: changed": "MLflow shows its database's error; ours says what cannot be changed",
        "after / 0 / long": LIMITS,
        "metric: unknown model": DATABASE_ERRORS,
        "metrics": "a model tells each metric's newest value by data set; MLflow every value",
        "filter: status = 'READY' / names": STATUS_NAMES,
        "filter: status = 'FAILED'": STATUS_NAMES,
        "filter: tags.t IS NULL": MORE_FILTERS,
        "filter: metrics.`s/acc` = 0.7 AND params.lr IS NULL": MORE_FILTERS,
        "filter: name = 's-a' OR name = 's-b'": MORE_FILTERS,
        "datasets: name / names": ANY_DIGEST,
        "datasets: two / names": ANY_DIGEST,
        "order: [{'field_name': 'params.lr'}]": MORE_FILTERS,
        "max_results -1": NO_END,
        "max_results 100000": "a page has at most 50,000 models, and the message says so",
    },
    "webhooks": {
        "event: budget_policy.exceeded": NO_BUDGETS,
        "list: ours": NO_BUDGETS,
        **dict.fromkeys(
            ("get: ../x", "delete: ../x", "update: ../x", "test: ../x"),
            "that there is no such endpoint is told as JSON; MLflow answers a page",
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
