"""The tracking service while its database is away, and after it came back."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runstone.tracking.v1 import experiment_pb2, metric_pb2, run_pb2
from runstone.tracking.v1.tracking_service_pb2_grpc import TrackingServiceStub
from support import tracking
from support.postgres import PostgresServer
from support.processes import wait_until
from support.tracking_service import refused, tracking_server

pytestmark = pytest.mark.faults

AWAY = ("UNAVAILABLE", "DATABASE_UNAVAILABLE")


def test_a_database_that_dies_and_comes_back(own_postgres: PostgresServer) -> None:
    url = own_postgres.url(own_postgres.create_database())
    tracking.migrate_database(url)
    with tracking_server(url) as opened:
        stub = TrackingServiceStub(opened)
        create = run_pb2.CreateRunRequest(experiment_id="0", request_id="first")
        run_id = stub.CreateRun(create).run.run_id
        read = run_pb2.GetRunRequest(run_id=run_id)
        log = run_pb2.LogBatchRequest(run_id=run_id, params={"a": "1"})
        search = run_pb2.SearchRunsRequest(experiment_ids=["0"])
        experiments = experiment_pb2.SearchExperimentsRequest()
        watch = metric_pb2.WatchMetricsRequest(run_ids=[run_id], keys=["m"])
        page = stub.WatchMetrics(watch, timeout=60)
        next(page)

        own_postgres.kill()
        for act in (
            lambda: list(page),
            lambda: stub.CreateRun(create, timeout=30),
            lambda: stub.GetRun(read, timeout=30),
            lambda: stub.LogBatch(log, timeout=30),
            lambda: stub.SearchRuns(search, timeout=30),
            lambda: stub.SearchExperiments(experiments, timeout=30),
        ):
            found = refused(act)
            assert (found.code, found.reason) == AWAY
        health = health_pb2_grpc.HealthStub(opened)
        wait_until(lambda: not serves(health), 20.0, "health noticing")

        own_postgres.start()

        def answers() -> bool:
            try:
                return bool(stub.CreateRun(create, timeout=5).run.run_id == run_id)
            except grpc.RpcError:
                return False

        wait_until(answers, 10.0, "the service answering again")
        wait_until(lambda: serves(health), 20.0, "health noticing again")
        stub.LogBatch(log)
        assert dict(stub.GetRun(read).run.params) == {"a": "1"}


def serves(health: health_pb2_grpc.HealthStub) -> bool:
    """What the service says of itself."""
    status = health.Check(health_pb2.HealthCheckRequest(), timeout=5).status
    return bool(status == health_pb2.HealthCheckResponse.SERVING)
