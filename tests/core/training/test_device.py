"""One function decides the device, tested with GPUs that are not there."""

import os
import subprocess
import sys

import pytest

from core.errors import InvalidInput
from core.settings import PROJECT_ROOT
from core.training import device as device_module
from core.training.device import CPU, Device, choose_device, choose_devices, device_named, list_devices, prepare_device

TWO = "0, GPU-aaa, NVIDIA RTX 4000, 8192\n1, GPU-bbb, NVIDIA A100, 81920\n"


def listed(text: str, **environ: str) -> tuple[Device, ...]:
    return list_devices(lambda: text, environ)


def test_a_machine_without_gpus_has_one_slot() -> None:
    assert listed("") == (CPU,)


def test_each_gpu_is_a_slot() -> None:
    first, second = listed(TWO)
    assert (first.name, first.title, first.memory_bytes) == ("gpu:0", "NVIDIA RTX 4000", 8 << 30)
    assert second.environment() == {"CUDA_VISIBLE_DEVICES": "GPU-bbb"}


def test_an_administrator_s_choice_narrows_the_list() -> None:
    assert [gpu.name for gpu in listed(TWO, CUDA_VISIBLE_DEVICES="1")] == ["gpu:1"]
    assert [gpu.name for gpu in listed(TWO, CUDA_VISIBLE_DEVICES="GPU-aaa, 1")] == ["gpu:0", "gpu:1"]
    assert listed(TWO, CUDA_VISIBLE_DEVICES="") == listed(TWO, CUDA_VISIBLE_DEVICES="-1") == (CPU,)


def test_a_gpu_that_shares_memory_is_listed_without_a_number() -> None:
    (gpu,) = listed("0, GPU-ccc, NVIDIA GB10, [N/A]\n")
    assert gpu.memory_bytes == 0


def test_the_free_device_with_most_memory_is_chosen() -> None:
    devices = listed(TWO)
    assert choose_device(devices, busy=[]) == devices[1]
    assert choose_device(devices, busy=["gpu:1"]) == devices[0]
    assert choose_device(devices, busy=["gpu:0", "gpu:1"]) is None
    assert choose_device([CPU], busy=["cpu"]) is None


def test_a_training_may_take_several_once_so_many_are_free() -> None:
    devices = listed(TWO)
    both = choose_devices(devices, [], 2)
    assert both is not None
    assert (both.name, both.kind, both.memory_bytes, both.parts) == ("gpu:0+gpu:1", "gpu", 16 << 30, devices)
    assert both.environment() == {"CUDA_VISIBLE_DEVICES": "GPU-aaa,GPU-bbb"}
    assert device_named("gpu:0+gpu:1", devices) == both
    assert choose_devices(devices, ["gpu:0"], 2) is None  # it waits
    assert choose_devices(devices, ["gpu:0+gpu:1"], 1) is None
    assert choose_devices(devices, [], 8) == both  # no more than there are
    assert choose_devices(devices, [], 1) == devices[1]
    assert choose_devices([CPU], [], 2) is CPU


def test_a_device_that_is_gone_says_what_there_is() -> None:
    assert device_named("cpu", [CPU]) is CPU
    with pytest.raises(InvalidInput, match=r"has cpu.*Received: gpu:1"):
        device_named("gpu:1", [CPU])


def test_a_missing_or_broken_driver_means_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "NVIDIA_QUERY", ("there-is-no-such-command",))
    assert list_devices(environ={}) == (CPU,)
    monkeypatch.setattr(
        device_module, "NVIDIA_QUERY", (sys.executable, "-c", "print('0, a, b, 1'); raise SystemExit(9)")
    )
    assert list_devices(environ={}) == (CPU,)


def test_a_driver_that_hangs_for_good_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the midst of a call into a driver that does not answer, a process cannot even be killed."""

    class Hanging:
        ended = False

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> "Hanging":
            return self

        def __exit__(self, *_: object) -> None:
            self.wait()

        def communicate(self, timeout: float | None = None, **_: object) -> tuple[str, str]:
            assert timeout is not None, "it would wait for ever"
            raise subprocess.TimeoutExpired("nvidia-smi", timeout)

        def kill(self) -> None:
            Hanging.ended = True

        def wait(self, timeout: float | None = None) -> int:
            raise AssertionError("it would wait for ever")

        def poll(self) -> None:
            return None

    monkeypatch.setattr(device_module.subprocess, "Popen", Hanging)
    assert list_devices(environ={}) == (CPU,)
    assert Hanging.ended


def test_a_child_sees_its_gpu_and_no_other() -> None:
    gpu = listed(TWO)[1]
    script = "from core.training.device import *; import os; print(os.environ['CUDA_VISIBLE_DEVICES'], "
    script += f"[d.name for d in list_devices(lambda: {TWO!r})])"
    child = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **gpu.environment()},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.strip() == "GPU-bbb ['gpu:1']"


def test_the_cpu_trains_in_full_precision() -> None:
    assert prepare_device(CPU) == "float32"


def test_memory_of_a_gpu_grows_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = see_gpus(monkeypatch, {"the gpu": {"compute_capability": (8, 9)}})
    assert prepare_device(listed(TWO)[0]) == "mixed_float16"
    assert grown == [("the gpu", True)]


@pytest.mark.parametrize(
    ("details", "precision"),
    [
        ([{"compute_capability": (7, 0)}], "mixed_float16"),
        ([{"compute_capability": (12, 0)}], "mixed_float16"),
        ([{"compute_capability": (6, 1)}], "float32"),
        ([{"device_name": "of another maker"}], "float32"),
        ([{"compute_capability": (8, 0)}, {"compute_capability": (6, 1)}], "float32"),
        ([{"compute_capability": (8, 0)}, {"compute_capability": (9, 0)}], "mixed_float16"),
    ],
)
def test_half_precision_is_for_gpus_that_have_units_for_it(
    monkeypatch: pytest.MonkeyPatch, details: list[dict[str, object]], precision: str
) -> None:
    see_gpus(monkeypatch, {f"gpu {at}": told for at, told in enumerate(details)})
    device = choose_devices(listed(TWO), [], len(details))
    assert device is not None
    assert prepare_device(device) == precision


def see_gpus(monkeypatch: pytest.MonkeyPatch, details: dict[str, dict[str, object]]) -> list[tuple[str, bool]]:
    """Let TensorFlow see GPUs that are not there; filled with what is asked of their memory."""
    import tensorflow as tf

    grown: list[tuple[str, bool]] = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(details))
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, on: grown.append((gpu, on)))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)
    return grown


def test_a_gpu_that_tensorflow_does_not_see_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(InvalidInput, match="sees no GPU"):
        prepare_device(listed(TWO)[0])
