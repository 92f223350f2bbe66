"""The three services as processes of their own, as in a cluster: each killed and started alone."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.processes import START_SECONDS, ended, free_port, kill, wait_until
from support.suites import channel, clean_environment

NAMES = ("tracking", "artifact", "registry")


class ServiceProcess:
    """`runstone-tracking` and its like on a port that stays the same across restarts."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str], port: int) -> None:
        self.name = name
        self.port = port
        self.log = folder / f"{name}.log"
        self._environment = {
            **environment,
            f"RUNSTONE_{name.upper()}_LISTEN": self.address,
            "RUNSTONE_ACCESS_LOG": "off",
        }
        self.process = self._spawn()

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = Path(sys.executable).with_name(f"runstone-{self.name}")
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [str(program)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
            )

    def wait_serving(self, ready: bool = True) -> None:
        """Waits until it answers, and says that all it depends on is there unless not `ready`."""
        request = health_pb2.HealthCheckRequest()

        def serves() -> bool:
            ended(self.process, self.log)
            with channel(self.address) as opened:
                try:
                    said = health_pb2_grpc.HealthStub(opened).Check(request, timeout=2.0).status
                except grpc.RpcError:
                    return False
            return not ready or said == health_pb2.HealthCheckResponse.SERVING

        wait_until(serves, START_SECONDS, f"{self.name} serving")

    def kill(self) -> None:
        """SIGKILL."""
        kill(self.process)

    def restart(self) -> None:
        """SIGKILL and the same command again; does not wait for it to serve."""
        self.kill()
        self.process = self._spawn()


class Cluster:
    """All three, with one URI for a client."""

    def __init__(self, services: dict[str, ServiceProcess]) -> None:
        self.services = services

    @property
    def uri(self) -> str:
        """What a client takes as its tracking URI."""
        tracking, artifact, registry = (self.services[name] for name in NAMES)
        return (
            f"runstone://{tracking.address}?artifact={artifact.address}&registry={registry.address}"
        )


@contextlib.contextmanager
def cluster(folder: Path, database_url: str, objects_url: str, **changes: str) -> Iterator[Cluster]:
    """The services on a database, migrated here, and a bucket; killed at the end."""
    environment = clean_environment(
        RUNSTONE_DATABASE_URL=database_url, RUNSTONE_OBJECTS_URL=objects_url, **changes
    )
    subprocess.run(
        [sys.executable, "-m", "runstone.cli", "db", "upgrade"],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    ports = {name: free_port() for name in NAMES}
    environment |= {
        f"RUNSTONE_{user}_{peer.upper()}_ADDRESS": f"127.0.0.1:{ports[peer]}"
        for user, peer in (
            ("ARTIFACT", "tracking"),
            ("REGISTRY", "tracking"),
            ("REGISTRY", "artifact"),
        )
    }
    with contextlib.ExitStack() as stack:
        services = {}
        for name in NAMES:
            services[name] = ServiceProcess(name, folder, environment, ports[name])
            stack.callback(services[name].kill)
        for service in services.values():
            service.wait_serving()
        yield Cluster(services)
