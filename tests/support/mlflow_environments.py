"""The MLflow clients that the compatibility tests drive, and the MLflow server beside ours.

Every version is pinned: these in the table, what they need in turn in `environments/`.
"""

import os

from support.environments import Environment

NEWEST = "3.17.2"
"""The release that is the reference: its server answers what ours is compared with."""

YEAR_OLD = "3.6.0"
"""What somebody has who installed a year ago and does not want to change anything."""

FULL = Environment(
    "mlflow",
    # The driver is for `make bench-peers`, which runs this server on PostgreSQL.
    (f"mlflow=={NEWEST}", "psycopg2-binary==2.9.13"),
    f"constraints-mlflow-{NEWEST}.txt",
)
SKINNY = Environment(
    "mlflow-skinny", (f"mlflow-skinny=={NEWEST}",), f"constraints-mlflow-skinny-{NEWEST}.txt"
)
OLD_FULL = Environment("mlflow-old", (f"mlflow=={YEAR_OLD}",), f"constraints-mlflow-{YEAR_OLD}.txt")
OLD_SKINNY = Environment(
    "mlflow-skinny-old",
    (f"mlflow-skinny=={YEAR_OLD}",),
    f"constraints-mlflow-skinny-{YEAR_OLD}.txt",
)

CALLBACKS = Environment(
    "mlflow-callbacks",
    (
        f"mlflow-skinny=={NEWEST}",
        # PyPI's torch for Linux brings CUDA's libraries and does not start without them: 3 GB.
        "torch==2.15.0",
        "transformers==5.23.0",
        "accelerate==1.15.0",
        "lightning==2.6.6",
        "optuna==5.0.0",
        "optuna-integration==5.0.0",
    ),
    "constraints-callbacks.txt",
)
"""The frameworks that report to MLflow by themselves."""

CLIENT_NEEDS = (
    *("blake3==1.0.11", "click==8.5.1", "grpcio==1.85.1", "grpcio-status==1.85.1", "isal==1.9.1"),
    *("PyYAML==6.0.3", "rich==15.0.0"),
)
"""What the client distribution needs."""

PLUGIN_NEEDS = (
    *CLIENT_NEEDS,
    # What logs models and runs through its plug-in.
    *("optuna==5.0.0", "optuna-integration==5.0.0", "pandas==3.1.1", "scikit-learn==1.9.1"),
)
PLUGIN = Environment(
    "mlflow-plugin",
    (f"mlflow-skinny=={NEWEST}", *PLUGIN_NEEDS),
    f"constraints-mlflow-plugin-{NEWEST}.txt",
)
OLD_PLUGIN = Environment(
    "mlflow-plugin-old",
    (f"mlflow-skinny=={YEAR_OLD}", *PLUGIN_NEEDS),
    f"constraints-mlflow-plugin-{YEAR_OLD}.txt",
)

FRAMEWORKS = Environment(
    "frameworks",
    (
        f"mlflow=={NEWEST}",
        *CLIENT_NEEDS,
        *("numpy==2.4.6", "pandas==3.1.1", "scikit-learn==1.9.1", "skops==0.16.0"),
        # PyPI's xgboost for Linux brings CUDA's libraries; this is the same without them.
        *("xgboost-cpu==3.2.0", "lightgbm==4.7.0", "catboost==1.2.10", "statsmodels==0.15.0"),
        *("onnx==1.23.2", "onnxruntime==1.31.1", "skl2onnx==1.20.0"),
    ),
    "constraints-frameworks.txt",
)
"""What makes models, MLflow among it: to see that each loads what the other saved."""

FRAMEWORKS_DEEP = Environment(
    "frameworks-deep",
    (
        f"mlflow=={NEWEST}",
        *CLIENT_NEEDS,
        "pytest==9.2.0",
        # PyPI's torch for Linux brings CUDA's libraries: 4 GB.
        *("torch==2.15.0", "keras==3.15.1", "tensorflow-cpu==2.21.0"),
        *("transformers==5.23.0", "accelerate==1.15.0", "sentence-transformers==6.2.0"),
        *("safetensors==0.8.0", "spacy==3.8.18", "prophet==1.5.0", "pyspark==4.3.0"),
        *("lightning==2.6.6", "optuna==5.0.0", "optuna-integration==5.0.0", "hydra-core==1.3.8"),
    ),
    "constraints-frameworks-deep.txt",
)
"""What `make test-frameworks` runs in, and nothing else does."""

UV = Environment("uv", ("uv==0.13.9",))
"""The program that makes environments of models, for `make test-serving`."""

RAY = Environment(
    "ray",
    (*CLIENT_NEEDS, "pytest==9.2.0", "ray[train]==2.60.0"),
    "constraints-ray.txt",
)
"""Ray, which goes with none of the others; `make test-frameworks` runs its tests in here."""

RAY_DATA = Environment(
    "ray-data",
    (
        *CLIENT_NEEDS,
        "cloudpickle==3.1.2",
        *("numpy==2.4.6", "pandas==3.1.1", "scikit-learn==1.9.1", "ray[data]==2.60.0"),
    ),
    "constraints-ray-data.txt",
)
"""Where a data set of Ray is predicted for, by `make test-compat`."""

CLIENTS = (FULL, SKINNY, OLD_FULL, OLD_SKINNY)
ENVIRONMENTS = (CALLBACKS, FRAMEWORKS, *CLIENTS, PLUGIN, OLD_PLUGIN, RAY_DATA)
"""All of them, the largest first."""


def needed() -> tuple[Environment, ...]:
    """What `make test` needs; with `make test-compat` all of them."""
    if os.environ.get("RUNSTONE_TEST_COMPAT"):
        return ENVIRONMENTS
    return (FRAMEWORKS, FULL, OLD_FULL, OLD_SKINNY, PLUGIN)
