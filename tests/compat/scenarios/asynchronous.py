"""Logging that does not wait, and the system metrics that log by themselves."""

import mlflow
from _recorder import Recorder
from mlflow.entities import Metric, Param, RunTag

r = Recorder()
client = mlflow.MlflowClient()
experiment = client.create_experiment(r.name)
r.experiment(experiment)
mlflow.set_experiment(experiment_id=experiment)


def history(run_id, key):
    return [[m.step, m.value] for m in client.get_metric_history(run_id, key)]


with mlflow.start_run(run_name="client") as active:
    run_id = active.info.run_id
    made = [
        client.log_metric(
            run_id, "m", float(step), timestamp=step + 1, step=step, synchronous=False
        )
        for step in range(300)
    ]
    made.append(client.log_param(run_id, "p", "1", synchronous=False))
    made.append(client.set_tag(run_id, "t", "1", synchronous=False))
    made.append(
        client.log_batch(
            run_id,
            [Metric("b", 1.0, 1, 1)],
            [Param("bp", "1")],
            [RunTag("bt", "1")],
            synchronous=False,
        )
    )
    for each in made:
        each.wait()
    r.note("client: metrics", history(run_id, "m"))
    r.note("client: run", client.get_run(run_id).data)
    wrong = client.log_param(run_id, "p", "2", synchronous=False)
    r.call("client: changed param", wrong.wait)
    wrong = client.log_metric(run_id, "a#b", 1.0, 1, 1, synchronous=False)
    r.call("client: wrong name", wrong.wait)
    r.call(
        "client: after the wrong ones",
        lambda: client.log_metric(run_id, "n", 1.0, 1, 1, synchronous=False).wait(),
    )
    r.call("client: metrics then", lambda: sorted(client.get_run(run_id).data.metrics))

mlflow.config.enable_async_logging()
with mlflow.start_run(run_name="fluent") as active:
    for step in range(50):
        mlflow.log_metric("m", step * 0.5, step=step, timestamp=step + 1)
    mlflow.log_metrics({"a": 1.0, "b": 2.0}, step=3, timestamp=7)
    mlflow.log_params({"x": 1, "y": 2})
    mlflow.set_tags({"t": "u"})
    r.call("fluent: flush", mlflow.flush_async_logging)
    mlflow.log_metric("late", 1.0, step=1, timestamp=1)
# The end of the run waits for what was logged.
mlflow.flush_async_logging()
mlflow.config.enable_async_logging(False)
r.call("fluent: metrics", history, active.info.run_id, "m")
r.call("fluent: run", lambda: client.get_run(active.info.run_id).data)
r.call("fluent: status", lambda: client.get_run(active.info.run_id).info.status)

# --- System metrics ---------------------------------------------------------------------------

try:
    import psutil  # noqa: F401
except ImportError:
    r.call("system: without psutil", lambda: mlflow.start_run(log_system_metrics=True).info.status)
    mlflow.end_run()
else:
    mlflow.set_system_metrics_sampling_interval(0.1)
    mlflow.set_system_metrics_samples_before_logging(1)
    with mlflow.start_run(run_name="system", log_system_metrics=True) as active:
        watched = active.info.run_id
        for _ in range(600):
            if "system/cpu_utilization_percentage" in client.get_run(watched).data.metrics:
                break
    r.note(
        "system: keys",
        sorted(
            k
            for k in client.get_run(watched).data.metrics
            if k.startswith(("system/cpu", "system/system"))
        ),
    )

r.finish()
