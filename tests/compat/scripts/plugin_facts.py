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


def odd_traces() -> None:
    """Traces of any id, and values of any depth, can be read."""
    from runstone import Client
    from runstone.entities import Span, TraceInfo

    ours, theirs = Client(mlflow.get_tracking_uri()), MlflowClient()
    experiment = theirs.create_experiment("odd traces")
    deep: object = 1
    for _ in range(600):
        deep = [deep]
    for trace_id in ("tr-abc", "abcde", "tr-" + "g" * 32, "tr-" + "0" * 31):
        ours.create_trace(TraceInfo(trace_id, experiment, 1_700_000_000_000))
        span = Span(trace_id, "0" * 15 + "1", "odd", 5, 6, attributes={"deep": deep})
        ours.log_spans(experiment, [span])
        found = theirs.get_trace(trace_id)
        assert (found.info.trace_id, found.data.spans[0].name) == (trace_id, "odd")
        assert found.data.spans[0].attributes["deep"] == deep
    assert len(theirs.search_traces(locations=[experiment])) == 4


def files_elsewhere() -> None:
    """A version whose files are elsewhere says where; of others they are here."""
    from runstone._mlflow import places

    client = MlflowClient()
    client.create_registered_model("elsewhere")
    ours = places.client(mlflow.get_tracking_uri())
    made = ours.create_version_without_files("elsewhere", "s3://bucket/x", {}, None)
    assert client.get_model_version_download_uri("elsewhere", str(made.version)) == "s3://bucket/x"
    run = client.create_run("0").info.run_id
    client.log_text(run, "x", "model/f")
    kept = client.create_model_version("elsewhere", f"runs:/{run}/model", run)
    uri = client.get_model_version_download_uri("elsewhere", kept.version)
    assert uri.startswith("runstone-artifacts:/model-versions/"), uri


def models_of_another_tag() -> None:
    """What stands in the place of a list of models is neither lost nor a fault."""
    client = MlflowClient()
    run = client.create_run("0").info.run_id
    for value in ("{}", "5", "["):
        client.set_tag(run, "mlflow.log-model.history", value)
        error = error_of(lambda: tracking_store().record_logged_model(run, None))
        assert error.error_code == "INVALID_PARAMETER_VALUE", error
        assert client.get_run(run).data.tags["mlflow.log-model.history"] == value


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
