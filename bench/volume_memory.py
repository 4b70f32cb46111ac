"""Peak memory of painting one stored volume of 512 x 512 x 300 voxels with the default unet3d, in a process of its own.

The volume is read from the store as in a prediction. Pages of its file, and of what it is laid down in on the way,
count as long as the system keeps them, although it may take them back at any time.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.harness import Figure, Figures, Row
from core.settings import PROJECT_ROOT
from core.store.files import Files

SHAPE = (300, 512, 512)
MOST_GIGABYTES = 4.0
GIGABYTE = 1 << 30


def measure() -> Figures:
    """The network is untrained: weights change neither memory nor time."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("prepare", "paint"):
            words = [sys.executable, "-m", "bench.volume_memory", part, folder]
            done = subprocess.run(words, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise SystemExit(done.stderr)
    told = json.loads(done.stdout.splitlines()[-1])
    size = " x ".join(map(str, SHAPE))
    return [
        Figure(f"peak memory, painting {size}", told["gigabytes"], "GB", f"at most {MOST_GIGABYTES:g}",
               told["gigabytes"] <= MOST_GIGABYTES, f"patches of {told['patch_size']}, two structures"),
        Figure(f"painting {size}", told["seconds"], "seconds"),
    ]  # fmt: skip


def _prepare(folder: Path) -> None:
    """The network as an ONNX file, and the volume in a store."""
    from core.projects.schema import make_segmentation
    from core.training.networks import build_network
    from core.training.onnx_child import export
    from core.training.recipe import named_recipe

    network = build_network(named_recipe("unet3d"), make_segmentation(["one", "other"]), np.ones((2, 2), np.float32))
    network.save(folder / "model.keras")
    export(folder / "model.keras", folder / "model.onnx")
    random = np.random.default_rng(0)
    pixels = np.empty(SHAPE, np.int16)
    for frame in pixels:
        frame[...] = random.integers(-1000, 1000, SHAPE[1:], np.int16)
    (folder / "pixels").write_text(Files(folder / "store").put_array("pixels", pixels))


def _paint(folder: Path) -> dict[str, object]:
    import onnxruntime

    from core.evaluation.painting import paint
    from core.evaluation.predictor import Predictor
    from core.images.decoded import DecodedImage
    from core.projects.schema import make_segmentation
    from core.training.networks import input_of
    from core.training.recipe import change_recipe, named_recipe

    spec = input_of(change_recipe(named_recipe("unet3d"), {"spacing_mm": "1,0.7,0.7"}))
    files = Files(folder / "store")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    predictor = Predictor(
        make_segmentation(["one", "other"]), {"exclusive": True}, spec, "ONNX Runtime",
        lambda patches: np.asarray(session.run(None, {name: patches})[0]), files.root,
    )  # fmt: skip
    began = time.monotonic()
    pixels = files.map_array("pixels", (folder / "pixels").read_text())
    image = DecodedImage(pixels, frames=SHAPE[0], spacing_mm=(0.7, 0.7), slice_spacing_mm=1.0)
    painted = paint(predictor, pixels, image)
    assert painted.masks["one"].shape == SHAPE
    return {
        "seconds": time.monotonic() - began,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIGABYTE,
        "patch_size": " x ".join(map(str, spec.shape[:3])),
    }


ROWS = [Row("volume_memory", "full", measure)]

if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        _prepare(Path(sys.argv[2]))
    else:
        print(json.dumps(_paint(Path(sys.argv[2]))))
