"""`python -m core.training.onnx_child MODEL.keras OUT.onnx`: export, and compare before keeping."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

# Between the probabilities of Keras and of ONNX Runtime; of numbers in standard deviations of the training answers.
LARGEST_DIFFERENCE = 1e-4
IMAGES_COMPARED, VOLUMES_COMPARED = 8, 2
VOLUME_AXES = 5  # batch, depth, rows, columns, channels
IN_A_MAP = 10.0  # times more is allowed of the worst of some hundred thousand voxels


def main(arguments: list[str]) -> int:
    """Exit code 0 when OUT.onnx was written and agrees with the model; otherwise the last line says why."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the parent may hold the GPU's memory
    source, out = map(Path, arguments)
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "model.keras"  # Keras knows its format by the name, and a stored file has none
        shutil.copyfile(source, copy)
        made = Path(place) / "model.onnx"
        difference = export(copy, made)
        if not difference <= LARGEST_DIFFERENCE:  # of NaN neither is true
            sys.stdout.write(f"ONNX Runtime differs from Keras by {difference:.2g}\n")
            return 1
        shutil.copyfile(made, out)
    return 0


def export(source: Path, out: Path) -> float:
    """Write the ONNX file; the answer is the largest difference on random images, as `LARGEST_DIFFERENCE` counts it."""
    import keras

    network = keras.models.load_model(source, compile=False)
    images = _images(network.input_shape)
    expected = np.asarray(network(images, training=False))  # an export needs a model that was called
    network.export(out, format="onnx", verbose=False, input_signature=[_signature(network)])
    last, is_map = network.layers[-1], len(network.output_shape) == VOLUME_AXES
    unit = last.scale if isinstance(last, keras.layers.Rescaling) else IN_A_MAP if is_map else 1.0
    return compare(out, images, expected, np.asarray(unit, np.float64))


def compare(path: Path, images: np.ndarray, expected: np.ndarray, unit: np.ndarray | float = 1.0) -> float:
    """The largest difference between what the file says to `images` and `expected`, in units: one, or one a column."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.run(None, {session.get_inputs()[0].name: images})
    return float((np.abs(given - expected) / unit).max())


def _images(shape: tuple[Any, ...]) -> np.ndarray:
    count = VOLUMES_COMPARED if len(shape) == VOLUME_AXES else IMAGES_COMPARED
    return np.random.default_rng(0).integers(0, 256, (count, *shape[1:]), np.uint8)


def _signature(network: Any) -> Any:
    import keras

    return keras.InputSpec(shape=(None, *network.input_shape[1:]), dtype="uint8", name="image")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
