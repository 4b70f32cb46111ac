"""How long an explanation computes: Grad-CAM when warm at 224 px, and LIME against the `lime` package at three sizes.

The package is no dependency. `pip install --target FOLDER lime` and `READROOM_BENCH_LIME=FOLDER` make it available to
this bench alone; without it the comparison is left out and says so. Both explain the same image of the same model with
as many samples. The package asks Keras, as its documentation shows, and once more our ONNX Runtime session. The larger
the image, the more of the time is the network's own, which is the same for both: how much is told.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Figure, Figures, Row, run_child
from core.projects.schema import make_classification
from core.settings import PROJECT_ROOT
from core.training.recipe import change_recipe, named_recipe

SIDES, CAM_SIDE = (64, 128, 224), 224
SAMPLES, CALLS, TURNS = 1000, 20, 2
MOST_MS = 100
TIMES = 5
FOLDER = "READROOM_BENCH_LIME"
ABSENT = f"left out: pip install --target FOLDER lime, then {FOLDER}=FOLDER"


def measure() -> Figures:
    """Each size in a child, for this process imports no TensorFlow."""
    return [figure for side in SIDES for figure in _figures(side, _measured(side))]


def _measured(side: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, float] = run_child("bench.explain_speed", folder, str(side), most_said=2000)
    return found


def _figures(side: int, found: Mapping[str, float]) -> Figures:
    figures = []
    if side == CAM_SIDE:
        figures.append(
            Figure(f"Grad-CAM warm, resnet at {side} px, median of {CALLS}", found["cam_ms"], "ms",
                   f"budget {MOST_MS} ms", found["cam_ms"] < MOST_MS,
                   f"{found['cam_least_ms']:.0f} to {found['cam_most_ms']:.0f}")
        )  # fmt: skip
    spent = f"{found['lime_processor']:.1f} s of the processor, all but {found['lime_own_processor']:.1f} s of them "
    figures.append(
        Figure(f"LIME through ONNX Runtime, resnet at {side} px, {SAMPLES} samples", found["lime_seconds"], "s", "",
               None, f"{spent}in the network itself")
    )  # fmt: skip
    if "package_seconds" not in found:
        return [*figures, Figure(f"LIME at {side} px against the lime package", 0, "times", f"at least {TIMES}", None,
                                 ABSENT)]  # fmt: skip
    times = found["package_seconds"] / found["lime_seconds"]
    bare = found["package_onnx_seconds"] / found["lime_seconds"]
    return [
        *figures,
        Figure(f"LIME at {side} px against the lime package, which asks Keras", times, "times", f"at least {TIMES}",
               times >= TIMES, f"the package took {found['package_seconds']:.0f} s; of the processor "
               f"{found['package_processor'] / found['lime_processor']:.1f} times"),
        Figure(f"LIME at {side} px, the package on our ONNX session", bare, "times", "", None,
               f"the package took {found['package_onnx_seconds']:.0f} s; of the processor "
               f"{found['package_onnx_processor'] / found['lime_processor']:.1f} times"),
    ]  # fmt: skip


def _measure_here(folder: Path, side: int) -> dict[str, float]:
    import keras
    import onnxruntime

    from core.explain.lime import SAMPLES as OURS
    from core.explain.lime import Lime
    from core.training.networks import build_network, feature_layers

    assert OURS == SAMPLES, f"both must ask as often. Received: {OURS} and {SAMPLES}"
    keras.utils.set_random_seed(0)
    recipe = change_recipe(named_recipe("resnet"), {"input_size": side, "channels": 3})
    network = build_network(recipe, make_classification(["a", "b"]), np.ones((2, 2)))
    network.save(folder / "model.keras")
    words = [sys.executable, "-m", "core.training.onnx_child", str(folder / "model.keras"), str(folder / "model.onnx")]
    subprocess.run(words, cwd=PROJECT_ROOT, check=True, capture_output=True)
    image = _picture(side)
    found = _time_cam(network, feature_layers(recipe)[-1], image) if side == CAM_SIDE else {}
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def answer(images: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {name: images.astype(np.uint8)})[0])

    rivals: dict[str, Callable[[], Any]] = {
        "lime": lambda: Lime(answer, is_number=False).attribute(image, 1),
        "lime_own": lambda: Lime(_says_nothing, is_number=False).attribute(image, 1),
    }
    if os.environ.get(FOLDER):
        sys.path.append(os.environ[FOLDER])  # last, so that our own packages stay ours
        from lime.lime_image import LimeImageExplainer

        def explain(asked: Callable[[np.ndarray], Any]) -> None:
            package = LimeImageExplainer(random_state=0)
            package.explain_instance(image, asked, top_labels=1, num_samples=SAMPLES)

        rivals["package"] = lambda: explain(lambda images: network.predict(images, verbose=0))
        rivals["package_onnx"] = lambda: explain(answer)
    # They take turns, so that a slow minute of the machine is a slow minute for all.
    turns = [{name: _spans(work) for name, work in rivals.items()} for _ in range(TURNS)]
    for at, unit in enumerate(("seconds", "processor")):
        found |= {f"{name}_{unit}": statistics.median(turn[name][at] for turn in turns) for name in rivals}
    return found


def _time_cam(network: Any, layer: str, image: np.ndarray) -> dict[str, float]:
    from core.explain.grad_cam import GradCam

    cam = GradCam(network, layer, "logits")
    cam.warm()
    spans = [1000 * _seconds(lambda: cam.explain(image[None], np.array([1]))) for _ in range(CALLS)]
    return {"cam_ms": statistics.median(spans), "cam_least_ms": min(spans), "cam_most_ms": max(spans)}


def _says_nothing(images: np.ndarray) -> np.ndarray:
    """In place of a network: what remains is what the method itself takes."""
    return np.full((len(images), 2), 0.5)


def _picture(side: int) -> np.ndarray:
    """Smooth blobs, which superpixels can follow, `(side, side, 3)`."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(0).normal(size=(side, side)), side / 28)
    grey = (255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _seconds(work: Callable[[], Any]) -> float:
    return _spans(work)[0]


def _spans(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the clock, and of the processor: on a machine with other work the second is what it costs."""
    begun, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - worked


ROWS = [Row("explain_speed", "quick", measure)]

if __name__ == "__main__":
    print(json.dumps(_measure_here(Path(sys.argv[1]), int(sys.argv[2]))))
