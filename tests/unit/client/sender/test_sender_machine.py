"""Samples of the machine under MLflow's names."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from runstone._sender.machine import Machine

NAMES = {
    "cpu_utilization_percentage",
    "disk_available_megabytes",
    "disk_usage_megabytes",
    "disk_usage_percentage",
    "network_receive_megabytes",
    "network_transmit_megabytes",
    "system_memory_usage_megabytes",
    "system_memory_usage_percentage",
}
DEVICES = "Inter-|   Receive   |  Transmit\n face |bytes packets\n"


def write(proc: Path, *, user: int, idle: int, received: int, sent: int) -> None:
    (proc / "net").mkdir(parents=True, exist_ok=True)
    (proc / "stat").write_text(f"cpu  {user} 0 0 {idle} 0 0 0 0 77 0\ncpu0 1 2 3 4 5\n")
    (proc / "meminfo").write_text("MemTotal: 8000 kB\nMemFree: 1 kB\nMemAvailable: 6000 kB\n")
    line = " {0}: {1} 1 0 0 0 0 0 0 {2} 1 0 0 0 0 0 0\n"
    (proc / "net/dev").write_text(
        DEVICES + line.format("lo", received, sent) + line.format("eth0", received, 0)
    )


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)


@pytest.mark.usefixtures("no_gpu")
def test_shares_are_since_the_sample_before(tmp_path: Path) -> None:
    write(tmp_path, user=100, idle=100, received=5_000_000, sent=7_000_000)
    machine = Machine(tmp_path)
    write(tmp_path, user=125, idle=175, received=6_000_000, sent=9_500_000)
    sample = machine.sample()
    assert set(sample) == NAMES
    assert sample["cpu_utilization_percentage"] == 25.0
    assert sample["network_receive_megabytes"] == 2.0
    assert sample["network_transmit_megabytes"] == 2.5
    assert sample["system_memory_usage_megabytes"] == 2.0
    assert sample["system_memory_usage_percentage"] == 25.0
    write(tmp_path, user=225, idle=175, received=6_000_000, sent=9_500_000)
    assert machine.sample()["cpu_utilization_percentage"] == 100.0


@pytest.mark.usefixtures("no_gpu")
def test_what_the_system_does_not_tell_is_left_out(tmp_path: Path) -> None:
    assert set(Machine(tmp_path).sample()) == {
        "disk_available_megabytes",
        "disk_usage_megabytes",
        "disk_usage_percentage",
    }


def test_this_machine_tells() -> None:
    sample = Machine().sample()
    assert set(sample) >= NAMES
    assert 0 <= sample["system_memory_usage_percentage"] <= 100


def test_gpus_are_read_through_nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = ModuleType("pynvml")

    def power(handle: int) -> int:
        if handle == 11:
            raise RuntimeError("not supported")
        return 150_000

    for name, function in {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda number: 10 + number,
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=4e9, total=16e9),
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=87),
        "nvmlDeviceGetPowerUsage": power,
        "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 300_000,
    }.items():
        setattr(nvml, name, function)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    sample = Machine(tmp_path).sample()
    assert {name: value for name, value in sample.items() if name.startswith("gpu")} == {
        "gpu_0_memory_usage_megabytes": 4000.0,
        "gpu_0_memory_usage_percentage": 25.0,
        "gpu_0_utilization_percentage": 87.0,
        "gpu_0_power_usage_watts": 150.0,
        "gpu_0_power_usage_percentage": 50.0,
        "gpu_1_memory_usage_megabytes": 4000.0,
        "gpu_1_memory_usage_percentage": 25.0,
        "gpu_1_utilization_percentage": 87.0,
    }
