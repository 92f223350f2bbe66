"""Samples of the machine: processors, memory, disk, network, GPUs, under MLflow's names.

Read from /proc, which costs a sender neither memory nor a dependency; what a system does not tell
is left out. GPUs are read through NVML when ``nvidia-ml-py`` is installed and a driver answers.
"""

from __future__ import annotations

import contextlib
import os
from importlib import import_module
from pathlib import Path
from typing import Any

MEGABYTE = 1e6

_IDLE = (3, 4)
"""The columns idle and iowait of the first line of /proc/stat."""

_GUEST = 8
"""From this column on /proc/stat counts time again that is in user and nice already."""


class Machine:
    """What this machine is doing, since it was last asked.

    Args:
        proc: Where the kernel tells; another folder in tests.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._gpus = Gpus()
        self._times = self._processor_times()
        self._traffic = self._network_bytes()

    def sample(self) -> dict[str, float]:
        """The metrics now; percentages of processors are since the sample before."""
        return {
            **self._processors(),
            **self._memory(),
            **_disk(),
            **self._network(),
            **self._gpus.sample(),
        }

    def _lines(self, name: str) -> list[str]:
        try:
            return (self._proc / name).read_text("ascii", "replace").splitlines()
        except OSError:
            return []

    def _processor_times(self) -> tuple[int, int] | None:
        for line in self._lines("stat"):
            name, *columns = line.split()
            if name == "cpu" and len(columns) > max(_IDLE):
                ticks = [int(each) for each in columns[:_GUEST]]
                return sum(ticks), sum(ticks[place] for place in _IDLE)
        return None

    def _processors(self) -> dict[str, float]:
        before, self._times = self._times, self._processor_times()
        if before is None or self._times is None:
            return {}
        total, idle = self._times[0] - before[0], self._times[1] - before[1]
        # Idle time may be corrected downwards by the kernel.
        busy = min(max(1 - idle / total, 0.0), 1.0) if total > 0 else 0.0
        return {"cpu_utilization_percentage": round(busy * 100, 1)}

    def _memory(self) -> dict[str, float]:
        sizes = {}
        for line in self._lines("meminfo"):
            name, _, rest = line.partition(":")
            if name in {"MemTotal", "MemAvailable"}:
                sizes[name] = int(rest.split()[0]) * 1024
        if len(sizes) < 2:
            return {}
        used = sizes["MemTotal"] - sizes["MemAvailable"]
        return {
            "system_memory_usage_megabytes": round(used / MEGABYTE, 1),
            "system_memory_usage_percentage": round(used / sizes["MemTotal"] * 100, 1),
        }

    def _network_bytes(self) -> tuple[int, int] | None:
        received = sent = 0
        lines = self._lines("net/dev")[2:]
        for line in lines:
            _, _, columns = line.partition(":")
            numbers = columns.split()
            received, sent = received + int(numbers[0]), sent + int(numbers[8])
        return (received, sent) if lines else None

    def _network(self) -> dict[str, float]:
        now = self._network_bytes()
        if now is None or self._traffic is None:
            return {}
        # Since this began, as MLflow counts.
        return {
            "network_receive_megabytes": (now[0] - self._traffic[0]) / MEGABYTE,
            "network_transmit_megabytes": (now[1] - self._traffic[1]) / MEGABYTE,
        }


def _disk() -> dict[str, float]:
    try:
        root = os.statvfs("/")
    except OSError:
        return {}
    used = (root.f_blocks - root.f_bfree) * root.f_frsize
    free = root.f_bavail * root.f_frsize
    return {
        # Of what users can have: the blocks kept for root count for nobody.
        "disk_usage_percentage": round(used / max(used + free, 1) * 100, 1),
        "disk_usage_megabytes": used // MEGABYTE,
        "disk_available_megabytes": free // MEGABYTE,
    }


class Gpus:
    """The GPUs that NVML knows; none without nvidia-ml-py or without a driver."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: list[Any] = []
        with contextlib.suppress(Exception):
            nvml = import_module("pynvml")
            nvml.nvmlInit()
            count = nvml.nvmlDeviceGetCount()
            self._handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(count)]
            self._nvml = nvml

    def sample(self) -> dict[str, float]:
        """Memory, utilization and power of each; what one does not tell is left out."""
        found: dict[str, float] = {}
        for number, handle in enumerate(self._handles):
            for read in (self._memory, self._utilization, self._power):
                # Power is not told by every GPU, nor any of it by one that fell off the bus.
                with contextlib.suppress(Exception):
                    found |= {f"gpu_{number}_{name}": value for name, value in read(handle).items()}
        return found

    def _memory(self, handle: Any) -> dict[str, float]:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        return {
            "memory_usage_megabytes": round(memory.used / MEGABYTE, 1),
            "memory_usage_percentage": round(memory.used / memory.total * 100, 1),
        }

    def _utilization(self, handle: Any) -> dict[str, float]:
        rates = self._nvml.nvmlDeviceGetUtilizationRates(handle)
        return {"utilization_percentage": float(rates.gpu)}

    def _power(self, handle: Any) -> dict[str, float]:
        watts = self._nvml.nvmlDeviceGetPowerUsage(handle) / 1000
        limit = self._nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000
        return {
            "power_usage_watts": round(watts, 1),
            "power_usage_percentage": round(watts / limit * 100, 1),
        }
