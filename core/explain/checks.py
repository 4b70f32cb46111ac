"""Is this map trustworthy? Tests that a map must pass, with values and their n.

Where a map is taken decides whether it is true, so the layer is chosen by a test (`choose_layer`)
and not by habit; whether the map hangs on what was learnt at all is asked by `check_randomised`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from scipy.stats import rankdata

from core.explain.grad_cam import GradCam
from core.explain.maps import blurred, explained_outputs, resize_map, strength_of
from core.explain.verdict import MOST_ALIKE
from core.tasks.regression import RAW as REGRESSION_RAW

HIDDEN_SHARES = (0.02, 0.05, 0.1, 0.2)  # of the pixels, those the map marks most; small ones ask for the very spot
Kind = Callable[[Any, str, str], GradCam]


@dataclass(frozen=True)
class RandomisationCheck:
    """How far maps resemble those of the same network with shuffled weights (Adebayo et al. 2018, arXiv:1810.03292).

    `similarity` is the mean rank correlation over `n` images, from -1 to 1; a map that shows edges of the
    image instead of what was learnt stays near 1.
    """

    similarity: float
    n: int
    passed: bool
    sentence: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class LayerChoice:
    """Where maps are taken. `drops`: by how much hiding what the map marks lowers the log-odds, beyond hiding what
    the map of another image marks; mean over `n` images, for each layer that was tried."""

    layer: str
    drops: dict[str, float]
    n: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def choose_layer(
    network: Any, layers: Sequence[str], raw: str, images: np.ndarray, *, kind: Kind | None = None
) -> tuple[GradCam, LayerChoice]:
    """The layer whose maps mark what the answer hangs on, by hiding what they mark.

    After Samek et al. 2017, doi:10.1109/TNNLS.2016.2599820.

    Args:
        layers: names of the candidates.
        raw: the layer of the raw outputs, as `GradCam` takes it.
        images: uint8 `(n, size, size, channels)`, or volumes; the predicted class of each is explained.
        kind: the method, of Grad-CAM's family.
    """
    classes = _classes(network, raw, images)
    cams = {layer: (kind or GradCam)(network, layer, raw) for layer in layers}
    drops = {layer: measure_drop(cam, images, classes) for layer, cam in cams.items()}
    best = max(drops, key=drops.__getitem__)
    return cams[best], LayerChoice(best, drops, len(images))


def measure_drop(cam: GradCam, images: np.ndarray, classes: np.ndarray) -> float:
    """Mean fall of the probability's log-odds, or of the number, when the pixels that a map marks most are blurred.

    The fall for what the next image's map marks is taken off: it stands for any region of that shape.
    """
    maps, _ = cam.explain(images, classes)
    others = np.roll(maps, 1, axis=0)
    falls = [
        _strength(cam, _hide(images, others, share), classes) - _strength(cam, _hide(images, maps, share), classes)
        for share in HIDDEN_SHARES
    ]
    return float(np.mean(falls))


def check_randomised(
    cam: GradCam, images: np.ndarray, *, kind: Kind | None = None, seed: int = 0
) -> RandomisationCheck:
    """Compare maps with those of the network after its weights were shuffled.

    Args:
        images: uint8 `(n, size, size, channels)`, or volumes; the class predicted by the true network is explained.
    """
    classes = _classes(cam.network, cam.raw, images)
    shuffled = (kind or GradCam)(shuffle_weights(cam.network, seed=seed), cam.layer, cam.raw)
    pairs = zip(cam.explain(images, classes)[0], shuffled.explain(images, classes)[0], strict=True)
    similarity = float(np.mean([rank_correlation(a, b) for a, b in pairs]))
    passed = similarity < MOST_ALIKE
    verdict = (
        "the map hangs on what was learnt" if passed else "do not trust the map, it shows the image and not the model"
    )
    sentence = (
        f"With shuffled weights maps resemble these by {similarity:.2f} (rank correlation, n={len(images)}): {verdict}."
    )
    return RandomisationCheck(similarity, len(images), passed, sentence)


def shuffle_weights(network: Any, *, seed: int) -> Any:
    """A copy of the network whose every weight array holds the same values in another order."""
    random = np.random.default_rng(seed)
    copy = keras.models.clone_model(network)
    copy.set_weights([random.permutation(weight.ravel()).reshape(weight.shape) for weight in network.get_weights()])
    return copy


def pointing_game(maps: np.ndarray, masks: np.ndarray) -> float:
    """Share of images whose map has its maximum inside the object (Zhang et al. 2018, doi:10.1007/s11263-017-1059-x).

    Args:
        maps: `(n, rows, columns)`, of volumes `(n, depth, rows, columns)`, of any resolution.
        masks: bool `(n, height, width)` or `(n, frames, height, width)`.
    """
    hits = 0
    for found, mask in zip(maps, masks, strict=True):
        hits += bool(mask[np.unravel_index(resize_map(found, *mask.shape).argmax(), mask.shape)])
    return hits / len(maps)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of two maps; 0 where one of them is flat."""
    ranks = [rankdata(values.ravel()) for values in (a, b)]
    if any(np.ptp(values) == 0 for values in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _hide(images: np.ndarray, maps: np.ndarray, share: float) -> np.ndarray:
    """The images with the share of pixels that each map marks most replaced by a blur."""
    hidden = images.copy()
    for at, (image, values) in enumerate(zip(images, maps, strict=True)):
        marked = resize_map(values, *image.shape[:-1])
        # A map may be flat over half the image; ties are cut by place, so that the share is always the same.
        order = np.argsort(-marked.ravel(), kind="stable")[: round(share * marked.size)]
        flat, blur = hidden[at].reshape(-1, image.shape[-1]), blurred(image).reshape(-1, image.shape[-1])
        flat[order] = blur[order]
    return hidden


def _classes(network: Any, raw: str, images: np.ndarray) -> np.ndarray:
    return explained_outputs(lambda some: network(some, training=False), images, is_number=raw == REGRESSION_RAW)


def _strength(cam: GradCam, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return strength_of(cam.explain(images, classes)[1], classes, is_number=cam.raw == REGRESSION_RAW)
