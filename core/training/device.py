"""Which device a training gets. One function decides; nothing here imports TensorFlow.

The worker lists the devices, gives each training a free one, and starts the child with
`device.environment()`. The child calls `prepare_device` before it builds anything.
"""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.errors import InvalidInput

NVIDIA_QUERY = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits")
SECONDS_FOR_QUERY = 10
BETWEEN = "+"  # the names of a group
FULL, MIXED = "float32", "mixed_float16"  # Keras's policies
HALF_IS_FASTER_FROM = (7, 0)  # compute capability: Volta, the first with units for half precision
PRECISIONS = {
    FULL: "full precision (float32), the faster one on a CPU and on older GPUs",
    MIXED: "mixed precision (float16 where it is faster, float32 for weights and answers)",
}


@dataclass(frozen=True)
class Device:
    """A place to train: `cpu`, or `gpu:N` with N as nvidia-smi counts; `gpu:0+gpu:1` is a group of both `parts`."""

    name: str
    kind: Literal["cpu", "gpu"]
    title: str = ""
    uuid: str = ""
    memory_bytes: int = 0
    parts: tuple["Device", ...] = ()

    def environment(self) -> dict[str, str]:
        """What the child's environment must say, so that it sees this device and no other."""
        return {"CUDA_VISIBLE_DEVICES": self.uuid if self.kind == "gpu" else ""}


CPU = Device("cpu", "cpu", "CPU")


def list_devices(query: Callable[[], str] | None = None, environ: Mapping[str, str] = os.environ) -> tuple[Device, ...]:
    """The training slots of this machine: one per GPU, or one on a machine without any.

    Args:
        query: gives what nvidia-smi prints for `NVIDIA_QUERY`; "" where there is no GPU.
        environ: an administrator's CUDA_VISIBLE_DEVICES (indices or UUIDs) narrows the list.
    """
    gpus = [_gpu(line) for line in (query or ask_nvidia)().splitlines() if line.count(",") >= 3]
    allowed = environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        wanted = [part.strip() for part in allowed.split(",") if part.strip()]
        gpus = [gpu for gpu in gpus if gpu.name.removeprefix("gpu:") in wanted or gpu.uuid in wanted]
    return tuple(gpus) or (CPU,)


def choose_device(devices: Sequence[Device], busy: Sequence[str]) -> Device | None:
    """The device for the next training: the free one with the most memory, or None when all are taken.

    Args:
        busy: names of the devices on which trainings run now.
    """
    free = [device for device in devices if device.name not in busy]
    return max(free, key=lambda device: device.memory_bytes, default=None)


def choose_devices(devices: Sequence[Device], busy: Sequence[str], wanted: int) -> Device | None:
    """The device for a training that asks for several, or a group of as many as the machine has at most; None while
    too few of them are free.

    Args:
        busy: names of the devices and groups on which trainings run now.
    """
    taken = [name for group in busy for name in group.split(BETWEEN)]
    chosen: list[Device] = []
    while len(chosen) < min(max(wanted, 1), len(devices)):
        device = choose_device(devices, [*taken, *(one.name for one in chosen)])
        if device is None:
            return None
        chosen.append(device)
    return join_devices(chosen)


def join_devices(devices: Sequence[Device]) -> Device:
    """Several devices as one, in the order of their names."""
    if len(devices) == 1:
        return devices[0]
    parts = tuple(sorted(devices, key=lambda device: device.name))
    return Device(
        name=BETWEEN.join(device.name for device in parts),
        kind=parts[0].kind,
        title=", ".join(device.title for device in parts),
        uuid=",".join(device.uuid for device in parts),
        memory_bytes=len(parts) * min(device.memory_bytes for device in parts),
        parts=parts,
    )


def device_named(name: str, devices: Sequence[Device]) -> Device:
    """The device of a job's row.

    Raises:
        InvalidInput: the machine no longer has it.
    """
    if BETWEEN in name:
        return join_devices([device_named(part, devices) for part in name.split(BETWEEN)])
    for device in devices:
        if device.name == name:
            return device
    raise InvalidInput(
        f"This machine has {', '.join(device.name for device in devices)}; resume the job to take one of them. "
        f"Received: {name}"
    )


def prepare_device(device: Device) -> str:
    """Inside the child: take memory as needed instead of all at once. Answers the precision policy to build with: half
    precision is several times faster on GPUs that have units for it, and slower on CPUs and older GPUs.

    Raises:
        InvalidInput: TensorFlow does not see the GPU that this job was given.
    """
    import tensorflow as tf

    if device.kind == "cpu":
        return FULL
    seen = tf.config.list_physical_devices("GPU")
    if len(seen) < max(len(device.parts), 1):
        raise InvalidInput(
            f"TensorFlow sees {len(seen) or 'no'} GPU; install the GPU build (pip install 'readroom[gpu]') and check "
            f"the driver with readroom doctor --gpu. Received: {device.name} {device.title}"
        )
    for gpu in seen:
        tf.config.experimental.set_memory_growth(gpu, True)
    # One that does not say what it can do (another maker's) learns in full precision, which is right everywhere.
    able = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in seen]
    return MIXED if min(map(tuple, able)) >= HALF_IS_FASTER_FROM else FULL


def ask_nvidia(query: Sequence[str] = NVIDIA_QUERY) -> str:
    """What nvidia-smi says; "" without an NVIDIA driver, and where its driver is broken or hangs.

    One that hangs is ended and not waited for: while it waits for a GPU that was lost, nothing can end it.
    """
    try:
        asked = subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return ""
    try:
        said, _ = asked.communicate(timeout=SECONDS_FOR_QUERY)
    except subprocess.TimeoutExpired:
        asked.kill()
        return ""
    return said if asked.returncode == 0 else ""


def _gpu(line: str) -> Device:
    index, uuid, title, megabytes = (part.strip() for part in line.split(",")[:4])
    memory = int(megabytes) << 20 if megabytes.isdecimal() else 0  # "[N/A]" on shared-memory machines
    return Device(f"gpu:{index}", "gpu", title, uuid, memory)
