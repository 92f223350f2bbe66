"""What holds of the plug-in whatever the server; a test names a function."""

import dis
import inspect
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib import metadata

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.tracking._model_registry.utils import _get_store as registry_store
from mlflow.tracking._tracking_service.utils import _get_store as tracking_store
from packaging.requirements import Requirement

warnings.filterwarnings("error", module=r"runstone(\.|$)")


def error_of(act: Callable[[], object]) -> MlflowException:
    """The error that a call raises; AssertionError when it raises none."""
    try:
        act()
    except MlflowException as error:
        return error
    raise AssertionError("it was done")


def stores() -> None:
    """Tells which stores the tracking URI has."""
    print(type(tracking_store()).__module__, type(registry_store()).__module__)


def requirements() -> None:
    """What the extra asks for is there, beside this MLflow."""
    asked = [Requirement(each) for each in metadata.requires("runstone") or ()]
    wanted = [
        each for each in asked if not each.marker or each.marker.evaluate({"extra": "mlflow"})
    ]
    assert {"mlflow-skinny", "grpcio", "protobuf"} <= {each.name for each in wanted}
    for each in wanted:
        assert metadata.version(each.name) in each.specifier, each


def import_is_light() -> None:
    """Who imports MLflow and has another tracking URI loads no gRPC for our sake."""
    command = "import sys, mlflow; mlflow.MlflowClient('http://127.0.0.1:1'); "
    loaded = "print([name for name in ('grpc', 'runstone._client') if name in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", command + loaded], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]", told


def errors() -> None:
    """Each of our exceptions has a code of MLflow's."""
    from runstone import exceptions
    from runstone._mlflow.errors import translated

    ours = [
        each
        for each in vars(exceptions).values()
        if inspect.isclass(each) and issubclass(each, exceptions.RunstoneException)
    ]
    assert len(ours) > 60
    for each in ours:
        error = translated(each("what happened"))
        expected = (
            issubclass(each, exceptions.InternalError) or each is exceptions.RunstoneException
        )
        assert (error.error_code == "INTERNAL_ERROR") == expected, (each, error.error_code)
        assert error.message == "what happened"


def every_method() -> None:
    """No method of MLflow's stores does nothing in silence: it is ours, works, or refuses."""
    for store in (tracking_store(), registry_store()):
        for base in type(store).__mro__[1:]:
            if not base.__module__.startswith("mlflow"):
                continue
            for name, method in vars(base).items():
                if inspect.isfunction(method) and not name.startswith("__") and _is_empty(method):
                    found = inspect.unwrap(getattr(type(store), name))
                    assert found.__module__.startswith("runstone"), name
    for act in (
        lambda: tracking_store().create_dataset("d"),
        lambda: tracking_store().register_scorer("0", "s", "{}"),
        lambda: registry_store().create_webhook("w", "http://127.0.0.1", []),
    ):
        error = error_of(act)
        assert error.error_code == "NOT_IMPLEMENTED", error
        assert isinstance(error, NotImplementedError)
        assert "is not supported with a tracking URI runstone://" in error.message


def _is_empty(method: object) -> bool:
    """Whether a function has a docstring and no body."""
    real = {each.opname for each in dis.get_instructions(inspect.unwrap(method))}
    return real <= {
        "RESUME",
        "LOAD_CONST",
        "RETURN_VALUE",
        "RETURN_CONST",
    }


def pickled() -> None:
    """Stores and clients go to other processes."""
    for each in (tracking_store(), registry_store(), MlflowClient()):
        copy = pickle.loads(pickle.dumps(each))
        assert copy.search_experiments() if hasattr(copy, "search_experiments") else copy


def uris() -> None:
    """An artifact URI means the server of the tracking URI, and no other kind of server."""
    run = MlflowClient().create_run("0")
    MlflowClient().log_text(run.info.run_id, "hello", "a/b.txt")
    uri = f"{run.info.artifact_uri}/a"
    assert mlflow.artifacts.load_text(f"{uri}/b.txt") == "hello"
    here = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://127.0.0.1:1")
    assert mlflow.artifacts.list_artifacts(uri, tracking_uri=here)[0].path == "a/b.txt"
    for bad in (uri, "runstone-artifacts:/runs", "runstone-artifacts:/nothing/1/a"):
        error = error_of(lambda bad=bad: mlflow.artifacts.list_artifacts(bad))
        assert error.error_code == "INVALID_PARAMETER_VALUE", error


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
