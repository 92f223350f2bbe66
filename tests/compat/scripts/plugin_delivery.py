"""How metrics travel from MLflow's client; a test names a function and its arguments."""

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

warnings.filterwarnings("error", module=r"runstone(\.|$)")
client = MlflowClient()
EXPERIMENT = mlflow.set_experiment(f"delivery {os.getpid()}").experiment_id
SENDER_SECONDS = 1.5


def error_of(act: Callable[[], object]) -> MlflowException:
    """The error that a call raises; AssertionError when it raises none."""
    try:
        act()
    except MlflowException as error:
        return error
    raise AssertionError("it was done")


def count(run_id: str, key: str) -> int:
    """How many points the server has."""
    return len(client.get_metric_history(run_id, key))


def many() -> None:
    """Logs a lot and is killed: the test does that once it has read the line."""
    run_id = client.create_run(EXPERIMENT).info.run_id
    print(run_id, flush=True)
    sys.stdin.readline()
    # A sender is there after a second; whoever is killed before is delivered by what logs next.
    step, until = 0, time.monotonic() + SENDER_SECONDS
    while time.monotonic() < until:
        client.log_metric(run_id, "loss", 1 / (step + 1), step=step)
        step += 1
    print(step, flush=True)
    threading.Event().wait()


def reads() -> None:
    """One reads one's own writes, by every way of reading."""
    with mlflow.start_run() as run:
        run_id = run.info.run_id
        for step in range(1, 11):
            mlflow.log_metric("a", step, step=step)
            assert client.get_run(run_id).data.metrics == {"a": step}
            assert count(run_id, "a") == step
            found = client.search_runs([run.info.experiment_id], f"metrics.a = {step}")
            assert [each.info.run_id for each in found] == [run_id]
    assert client.get_run(run_id).info.status == "FINISHED"


def asynchronous() -> None:
    """MLflow's async logging: metrics, parameters and tags, from threads."""
    mlflow.config.enable_async_logging()
    with mlflow.start_run() as run:
        run_id = run.info.run_id

        def work(name: str) -> None:
            for step in range(200):
                mlflow.log_metric(f"m{name}", step, step=step, run_id=run_id)
            client.log_param(run_id, f"p{name}", name, synchronous=False)
            client.set_tag(run_id, f"t{name}", name, synchronous=False)

        threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        last = client.log_batch(
            run_id, [Metric("last", 1.0, 1, 1)], [Param("z", "1")], synchronous=False
        )
        last.wait()
        mlflow.flush_async_logging()
    data = client.get_run(run_id).data
    assert data.metrics == {**{f"m{n}": 199.0 for n in range(4)}, "last": 1.0}, data.metrics
    assert data.params == {**{f"p{n}": str(n) for n in range(4)}, "z": "1"}, data.params
    assert {f"t{n}" for n in range(4)} <= set(data.tags)
    assert all(count(run_id, f"m{n}") == 200 for n in range(4))
    failing = client.log_batch(run_id, [], [Param("z", "2")], synchronous=False)
    assert "z" in error_of(failing.wait).message


def forked() -> None:
    """Workers of os.fork, in the midst of threads that log, log to the run and to their own."""
    mlflow.config.enable_async_logging()
    run = client.create_run(EXPERIMENT)
    run_id = run.info.run_id
    client.log_param(run_id, "before", 1, synchronous=False).wait()
    enough = threading.Event()

    def background() -> None:
        step = 0
        while not enough.is_set():
            client.log_metric(run_id, "background", step, step=step)
            step += 1

    thread = threading.Thread(target=background)
    thread.start()
    children = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for step in range(100):
                    client.log_metric(run_id, f"child{number}", step, step=step)
                client.log_param(run_id, f"child{number}", number, synchronous=False).wait()
                own = client.create_run(EXPERIMENT, run_name=f"own{number}")
                client.log_metric(own.info.run_id, "mine", number)
                client.set_terminated(own.info.run_id)
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    for pid in children:
        _, status = os.waitpid(pid, 0)
        assert status == 0, status
    enough.set()
    thread.join()
    for number in range(4):
        # A worker that ends by os._exit leaves its points to its sender.
        until(lambda number=number: count(run_id, f"child{number}") == 100)
        own = client.search_runs([EXPERIMENT], f"attributes.run_name = 'own{number}'")
        assert [each.data.metrics for each in own] == [{"mine": number}]
    assert len(client.get_run(run_id).data.params) == 5


def until(condition: Callable[[], bool]) -> None:
    """Look until it is true, for half a minute."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def left_open() -> None:
    """Logs and ends without a word."""
    run_id = client.create_run(EXPERIMENT).info.run_id
    client.log_metric(run_id, "loss", 0.5)
    print(run_id)


def refused() -> None:
    """What is wrong is told at once, and nothing is logged of its batch."""
    run_id = client.create_run(EXPERIMENT).info.run_id
    good = Metric("good", 1.0, 1, 1)
    for bad in (Metric("a//b", 1.0, 1, 1), Metric("a", 1.0, -5, 1), Metric("a", 1.0, 1, 2**70)):
        error = error_of(lambda bad=bad: client.log_batch(run_id, [good, bad], [Param("p", "1")]))
        assert error.error_code == "INVALID_PARAMETER_VALUE", error
    data = client.get_run(run_id).data
    assert (data.metrics, data.params) == ({}, {})
    client.delete_run(run_id)
    error = error_of(lambda: client.log_metric(run_id, "good", 1.0))
    assert error.error_code == "INVALID_PARAMETER_VALUE", error


def without_journal() -> None:
    """The folder of journals cannot be made: points go to the server at once."""
    run_id = client.create_run(EXPERIMENT).info.run_id
    for step in range(3):
        client.log_metric(run_id, "loss", step, step=step)
    assert count(run_id, "loss") == 3


def latest() -> None:
    """What is on its way is part of a run that is read, as the server will have it."""
    run_id = client.create_run(EXPERIMENT).info.run_id
    nan = float("nan")
    points = [
        *(("a", 5.0, 10, 3), ("a", 9.0, 99, 2), ("a", 4.0, 10, 3)),  # the greatest step, then value
        *(("b", nan, 10, 1), ("b", -1.0, 10, 1), ("b", nan, 10, 1)),  # NaN is below every number
    ]
    for key, value, timestamp, step in points:
        client.log_batch(run_id, [Metric(key, value, timestamp, step)])
    waiting = client.get_run(run_id).data.metrics
    assert waiting == {"a": 5.0, "b": -1.0}, waiting
    client.set_terminated(run_id)
    assert client.get_run(run_id).data.metrics == waiting
    assert client.search_runs([EXPERIMENT])[0].data.metrics == waiting


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
