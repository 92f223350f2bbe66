"""What `import runstone` costs, beside `import grpc` alone, in fresh processes taking turns."""

from __future__ import annotations

import subprocess
import sys

from report import Row, milliseconds, p50, print_table

ROUNDS = 15
REACH_S = 0.150
REACH_RATIO = 2.0
SCRIPT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def seconds(module: str) -> float:
    """How long one fresh process takes to import a module."""
    command = [sys.executable, "-c", SCRIPT.format(module)]
    return float(subprocess.run(command, capture_output=True, check=True).stdout)


def run() -> list[Row]:
    """Medians. The modules take turns, so that a busy machine slows both alike."""
    modules = ("runstone", "grpc", "runstone._client")
    # The first import of each reads the disk.
    for module in modules:
        seconds(module)
    found: dict[str, list[float]] = {module: [] for module in modules}
    for _ in range(ROUNDS):
        for module in modules:
            found[module].append(seconds(module))
    ours, grpc, client = (p50(found[module]) for module in modules)
    return [
        Row(
            "import runstone, p50",
            milliseconds(ours),
            f"<= {milliseconds(REACH_S)} and <= {REACH_RATIO:.0f}x import grpc",
            ours <= REACH_S and ours <= REACH_RATIO * grpc,
            f"{ours / grpc:.2f}x of import grpc ({milliseconds(grpc)})",
        ),
        Row(
            "import runstone and its client, p50",
            milliseconds(client),
            detail="what the first call adds: gRPC and the messages",
        ),
    ]


if __name__ == "__main__":
    print_table(run())
