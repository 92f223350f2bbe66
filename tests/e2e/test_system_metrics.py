"""System metrics reach the server through the sender, in fault and in peace."""

from __future__ import annotations

import time
from pathlib import Path

from runstone._journal import folder as folders
from runstone._sender.sampling import Request, write_requests
from support.processes import free_port, wait_until
from support.suites import suite
from support.training import Training


def test_a_run_that_asks_is_sampled_while_its_process_lives(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    port = free_port()
    with suite(tmp_path / "data", "--grpc-port", str(port)):
        job = Training(tmp_path / "training", f"runstone://127.0.0.1:{port}")
        try:
            job.start()
            (folder,) = folders.journals(job.journals)
            asked = Request("system/", -1, 0.05, 1, 0, int(time.time() * 1000))
            write_requests(folder, {job.run_id: asked})

            def latest() -> dict[str, int]:
                metrics = job.client.list_metric_keys(job.run_id)
                return {each.key: each.last_step for each in metrics if "system/" in each.key}

            key = "system/cpu_utilization_percentage"
            wait_until(lambda: latest().get(key, 0) >= 3, 30.0, "samples")
            assert {
                "system/disk_usage_percentage",
                "system/network_receive_megabytes",
                "system/system_memory_usage_percentage",
            } <= set(latest())
            before = latest()[key]
            job.kill_sender()
            wait_until(lambda: latest()[key] > before, 30.0, "samples of the next sender")
            job.kill()
            # The samples' journal goes with the others when all is delivered.
            job.start(0)
            job.wait_end()
            wait_until(job.delivered, 60.0, "the end of all journals")
            history = job.client.get_metric_history(job.run_id, key)
            assert len({point.timestamp for point in history}) == len(history)
            assert all(0 <= point.value <= 100 for point in history)
        finally:
            job.close()
