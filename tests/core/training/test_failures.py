"""Failures of the machine while a run learns: each is a sentence with why and what to do, and the run can go on."""

import errno
import os
from typing import Any

import pytest
import tensorflow as tf

from core.errors import CoreError
from core.jobs.asking import ask_training
from core.jobs.child import run_job
from core.jobs.records import begin_job, claim_job, get_job, resume_job
from core.progress import Silent
from core.training import run as run_module
from core.training.checkpoint import NAME
from core.training.device import CPU, Device
from core.training.failures import explain_failure
from core.training.recipe import change_recipe, named_recipe
from core.training.request import request_training
from core.training.run import run_training

GPU = Device("gpu:0", "gpu", "Tesla", "uuid", 1 << 34)
RECIPE = named_recipe("resnet")


@pytest.fixture(autouse=True)
def _no_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "make_onnx", lambda *_: (None, "left out in this test"))


@pytest.mark.parametrize(
    ("error", "device", "said"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), GPU, "too little memory"),
        (MemoryError(), CPU, "too little memory"),
        (tf.errors.InternalError(None, None, "CUDA_ERROR_LAUNCH_FAILED: unspecified"), GPU, "GPU was lost"),
        (tf.errors.UnknownError(None, None, "Failed to get device: GPU is lost"), GPU, "GPU was lost"),
        (tf.errors.UnknownError(None, None, "OSError: [Errno 5] Input/output error"), CPU, "could not be read"),
    ],
)
def test_what_the_machine_does_is_said_with_why_and_what_to_do(error: Any, device: Device, said: str) -> None:
    known = explain_failure(error, RECIPE, device)
    assert known is not None
    assert said in str(known)
    assert "Received: " in str(known)
    assert known.why
    assert "resume" in known.remedy


@pytest.mark.parametrize(
    ("network", "said", "smaller"),
    [
        ("resnet", "batch 32, 128 pixels, resnet", "smaller batch, input size or"),
        ("cnn3d", "batch 4, 32 x 64 x 64 voxels, cnn3d", "smaller batch, input size or"),
        ("unet3d", "batch 2, patches of 32 x 64 x 64 voxels, unet3d", "smaller batch, patch size or"),
    ],
)
def test_what_takes_the_memory_is_named_by_the_values_that_the_network_reads(
    network: str, said: str, smaller: str
) -> None:
    known = explain_failure(MemoryError(), named_recipe(network), CPU)
    assert said in str(known)
    assert smaller in str(known)


def test_an_error_that_is_a_defect_stays_one() -> None:
    wrong = tf.errors.InvalidArgumentError(None, None, "Incompatible shapes: [8,2] vs. [8,3]")
    assert explain_failure(wrong, RECIPE, GPU) is None
    where = "Incompatible shapes: [8,2] vs. [8,3] [[node sub on /job:localhost/device:GPU:0]] StatefulPartitionedCall"
    assert explain_failure(tf.errors.InvalidArgumentError(None, None, where), RECIPE, GPU) is None
    assert explain_failure(tf.errors.UnimplementedError(None, None, f"no kernel; {where}"), RECIPE, GPU) is None
    assert explain_failure(tf.errors.InternalError(None, None, "CUDA_ERROR"), RECIPE, CPU) is None


def test_a_run_whose_gpu_was_lost_says_so_and_leaves_a_checkpoint_to_go_on_from(
    connection, files, settings, planted, small_recipe, actor, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("core.training.checkpoint.COST_SHARE", 1e9)  # a checkpoint after every epoch
    monkeypatch.setattr(run_module, "prepare_device", lambda device: "float32")
    recipe = change_recipe(small_recipe, {"epochs": 2})
    run, _ = request_training(connection, planted.project, planted.snapshot, recipe, actor=actor)

    class Losing(Silent):
        def report(self, fraction: float, note: str, **facts: Any) -> None:
            if facts.get("epoch") == 2:
                raise tf.errors.InternalError(None, None, "CUDA_ERROR_DEVICE_UNAVAILABLE")

    with pytest.raises(CoreError, match="GPU was lost") as lost:
        run_training(connection, files, settings, run.id, tmp_path, GPU, Losing())
    assert "goes on from its checkpoint" in lost.value.remedy
    assert (tmp_path / NAME).exists()  # from which any broken run goes on to the same weights: `test_run.py`


@pytest.mark.parametrize("place", ["_begin", "trace_validation", "_store"])
def test_memory_that_is_short_before_the_first_step_or_after_the_last_ends_in_the_same_card(
    connection, files, settings, planted, small_recipe, actor, tmp_path, monkeypatch, place
) -> None:
    def exhausted(*_: Any, **__: Any) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    monkeypatch.setattr(run_module, place, exhausted)
    recipe = change_recipe(small_recipe, {"epochs": 1})
    run, _ = request_training(connection, planted.project, planted.snapshot, recipe, actor=actor)
    with pytest.raises(CoreError, match="too little memory") as short:
        run_training(connection, files, settings, run.id, tmp_path, CPU, Silent())
    assert short.value.why
    assert "Close other programs" in short.value.remedy


def test_a_disk_that_fills_while_a_run_learns_ends_in_a_card_and_the_run_can_be_resumed(
    connection, settings, planted, small_recipe, actor, monkeypatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_module, "fit_network", full)
    _, asked = ask_training(connection, planted.project, planted.snapshot, small_recipe, actor=actor)
    claim_job(connection, "train", "cpu")
    begun = begin_job(connection, asked.id, 1, os.getpid(), 1.0)
    assert begun is not None
    run_job(settings, begun, "core.jobs.handlers:HANDLERS")
    job = get_job(connection, asked.id)
    assert job.state == "failed"
    assert "is full; make room" in str(job.error)
    assert "writes as it works" in str(job.why)
    assert "resume the job" in str(job.remedy)
    again = resume_job(connection, job.id, actor)
    assert (again.state, again.error, again.why) == ("queued", None, None)
