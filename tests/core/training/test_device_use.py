"""How busy a device is, with a GPU that is not there."""

import time
from collections.abc import Sequence

import psutil
import pytest

from core.training.device import CPU, Device
from core.training.device_use import SECONDS_BETWEEN_QUERIES, DeviceUse, read_gpu

GPUS = Device("gpu:0+gpu:1", "gpu", uuid="GPU-aaa,GPU-bbb")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def never(_: Sequence[str]) -> str:
    raise AssertionError("a processor is nobody's GPU")


def test_the_share_of_the_processor_is_of_all_cores_since_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, used = Clock(), [3.0]
    monkeypatch.setattr(DeviceUse, "_processor_seconds", lambda self: used[0])
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: [0, 1, 2, 3], raising=False)
    use = DeviceUse(CPU, query=never, clock=clock)
    assert use() == {}, "nothing is known yet"
    clock.now, used[0] = 102.0, 9.0
    assert use() == {"processor_share": 0.75}
    clock.now = 102.1
    assert use() == {"processor_share": 0.75}, "too short a look would be chance"
    clock.now = 104.0
    assert use() == {"processor_share": 0.0}


def test_a_process_that_works_is_seen_to_work() -> None:
    use, until, steps = DeviceUse(CPU, query=never), time.monotonic() + 0.6, 0
    while time.monotonic() < until:
        steps += 1
    assert 0 < use()["processor_share"] <= 1


def test_load_and_memory_of_a_group_of_gpus_are_asked_beside_the_steps_and_not_often() -> None:
    asked, clock = [], Clock()

    def answer(command: Sequence[str]) -> str:
        asked.append(command)
        return "90, 2048, 8192\n70, 1024, 8192\n"

    use = DeviceUse(GPUS, query=answer, clock=clock)
    use()
    assert use._asking
    use._asking.join()
    told = use()
    assert told["gpu_share"] == pytest.approx(0.8)
    assert (told["gpu_memory_bytes"], told["gpu_memory_whole_bytes"]) == (3 << 30, 16 << 30)
    assert len(asked) == 1
    assert asked[0][-1] == "--id=GPU-aaa,GPU-bbb"
    clock.now += SECONDS_BETWEEN_QUERIES
    use()
    use._asking.join()
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("said", "known"),
    [("", set()), ("No devices were found\n", set()), ("41, [N/A], [N/A]\n", {"gpu_share"}),
     ("[N/A], 10, 20\n", {"gpu_memory_bytes", "gpu_memory_whole_bytes"})],
)  # fmt: skip
def test_what_a_driver_does_not_tell_is_not_there(said: str, known: set[str]) -> None:
    assert set(read_gpu(said)) == known
