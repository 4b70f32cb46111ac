"""How busy the device of a training is: the share of the processor that its process takes, and what nvidia-smi says of
its GPU. What is not known is not there.
"""

import threading
import time
from collections.abc import Callable, Sequence

import psutil

from core.training.device import Device, ask_nvidia

GPU_QUERY = ("nvidia-smi", "--query-gpu=utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")
LEAST_SECONDS = 0.5  # over which the processor is looked at; shorter looks are mostly chance
SECONDS_BETWEEN_QUERIES = 5.0  # nvidia-smi takes part of a second, and a core with it


class DeviceUse:
    """What the process uses, each time it is asked."""

    def __init__(
        self,
        device: Device,
        *,
        query: Callable[[Sequence[str]], str] = ask_nvidia,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`query` gives what nvidia-smi prints for a command, "" where it is not there."""
        self._device, self._query, self._clock = device, query, clock
        self._process = psutil.Process()
        self._looked, self._used = clock(), self._processor_seconds()
        self._share: float | None = None
        self._gpu: dict[str, float] = {}
        self._asked = -SECONDS_BETWEEN_QUERIES
        self._asking: threading.Thread | None = None

    def __call__(self) -> dict[str, float]:
        """`processor_share` (of all cores that the process may use, 0 to 1) and, of NVIDIA's GPUs, `gpu_share` (the
        mean of a group), `gpu_memory_bytes` and `gpu_memory_whole_bytes` (the sums), as far as each is known."""
        now = self._clock()
        if now - self._looked >= LEAST_SECONDS:
            used = self._processor_seconds()
            self._share = min((used - self._used) / (now - self._looked) / _cores(self._process), 1.0)
            self._looked, self._used = now, used
        if self._device.kind == "gpu" and now - self._asked >= SECONDS_BETWEEN_QUERIES and not self._is_asking():
            self._asked = now
            # Beside the steps: they do not wait for it, and the next report tells what it said.
            self._asking = threading.Thread(target=self._ask, daemon=True)
            self._asking.start()
        known = dict(self._gpu)
        if self._share is not None:
            known["processor_share"] = self._share
        return known

    def _processor_seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def _is_asking(self) -> bool:
        return self._asking is not None and self._asking.is_alive()

    def _ask(self) -> None:
        self._gpu = read_gpu(self._query((*GPU_QUERY, f"--id={self._device.uuid}")))


def read_gpu(said: str) -> dict[str, float]:
    """What nvidia-smi printed for `GPU_QUERY`, a line a GPU; without what it does not know ("[N/A]")."""
    columns = list(zip(*(line.split(",") for line in said.splitlines() if line.count(",") == 2), strict=True))
    if not columns:
        return {}
    load, used, whole = ([float(part) for part in column if part.strip().isdecimal()] for column in columns)
    found = {}
    if load:
        found["gpu_share"] = sum(load) / len(load) / 100
    if used and len(used) == len(whole):
        found["gpu_memory_bytes"], found["gpu_memory_whole_bytes"] = sum(used) * (1 << 20), sum(whole) * (1 << 20)
    return found


def _cores(process: psutil.Process) -> int:
    """Those that the process may use, of which a container or an administrator may leave it a few."""
    try:
        return len(process.cpu_affinity()) or 1
    except (AttributeError, psutil.Error):  # macOS knows no such choice
        return psutil.cpu_count() or 1
