"""The methods beside Xplique's (Fel et al. 2022, arXiv:2206.04394), another hand's work on the same formulas.

Where a method draws nothing, or both can be given the same draws, they must agree number by number, else nearly. Both
get the same network behind its first layer, and the same plain baseline, for Xplique knows no blur. `make test`
installs it (install_xplique.sh); it works with a newer TensorFlow than it asks for.
"""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge

from core.explain import asking, integrated_gradients
from core.explain.building import layer_kind
from core.explain.integrated_gradients import IntegratedGradients
from core.explain.kernel_shap import KernelShap
from core.explain.lime import KERNEL_WIDTH, RIDGE, SAMPLES, Lime
from core.explain.methods import METHODS
from core.explain.occlusion import SQUARES_A_SIDE, Occlusion, squares_over
from core.explain.rise import MASKS, SEEN, Rise, random_masks
from core.explain.slopes import Slopes
from core.explain.smooth_grad import NOISE_SHARE, SmoothGrad
from core.explain.superpixels import superpixels
from core.settings import PROJECT_ROOT

INSTALLED = PROJECT_ROOT / "build" / "xplique"
# Of its pictures, its superpixels and a method that we have not; only asked for when it is imported.
NOT_NEEDED = ("cv2", "einops", "skimage", "skimage.segmentation", "tensorflow_probability")
LAYER, CLASS = "stage_2", 1
FEW = 3  # images


@pytest.fixture(scope="module")
def xplique() -> Iterator[ModuleType]:
    if not (INSTALLED / "xplique").is_dir():
        pytest.skip("Xplique is not installed: bash tests/core/explain/install_xplique.sh")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(INSTALLED)])
        for name in NOT_NEEDED:
            if name not in sys.modules:
                patch.setitem(sys.modules, name, MagicMock())
        import xplique.attributions

        yield xplique.attributions


@pytest.fixture(scope="module")
def slopes(finder: Any) -> Slopes:
    return Slopes(finder, "logits")


@pytest.fixture(scope="module")
def behind(finder: Any) -> keras.Model:
    """From scaled images to logits."""
    return keras.Model(finder.layers[1].output, finder.get_layer("logits").output)


@pytest.fixture
def images(squares: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return squares[0][:FEW]


@pytest.fixture
def logits(slopes: Slopes, behind: keras.Model) -> asking.Answer:
    """What our methods ask: uint8 images to logits."""
    compiled = tf.function(lambda points: behind(points, training=False), autograph=False)
    return lambda found: np.asarray(compiled(slopes.scale(found)))


@pytest.fixture
def black(monkeypatch: pytest.MonkeyPatch, slopes: Slopes) -> float:
    """What is hidden is black for us, too; what the first layer makes of black."""
    for module in (asking, integrated_gradients):
        monkeypatch.setattr(module, "blurred", np.zeros_like)
    scaled = slopes.scale(np.zeros((1, 24, 24, 1), np.uint8))
    assert np.ptp(scaled) == 0
    return float(scaled.flat[0])


def asked_class(n: int = FEW) -> np.ndarray:
    return np.eye(2, dtype=np.float32)[[CLASS] * n]


def to_one(maps: np.ndarray) -> np.ndarray:
    found: np.ndarray = maps / maps.max(axis=(1, 2), keepdims=True)
    return found


def ranks_agree(ours: np.ndarray, theirs: Any) -> list[float]:
    """Spearman's correlation for each image."""
    return [
        float(spearmanr(one.ravel(), np.asarray(other).ravel()).statistic)
        for one, other in zip(ours, theirs, strict=True)
    ]


@pytest.mark.parametrize("name", ["grad_cam", "grad_cam_pp", "layer_cam"])
def test_maps_of_a_layer_are_the_same(xplique, finder, behind, slopes, images, name: str) -> None:
    class OfPlaces(xplique.GradCAM):
        """Xplique has no Layer-CAM; it is its Grad-CAM with the positive slope of each place for a weight."""

        _compute_weights = staticmethod(lambda gradients, features: tf.nn.relu(gradients))

    kind = {"grad_cam": xplique.GradCAM, "grad_cam_pp": xplique.GradCAMPP, "layer_cam": OfPlaces}[name]
    theirs = np.asarray(kind(behind, conv_layer=LAYER)(slopes.scale(images), asked_class()))[..., 0]
    ours, _ = layer_kind(METHODS[name])(finder, LAYER, "logits").explain(images, np.full(FEW, CLASS))
    large = tf.image.resize(ours[..., None], theirs.shape[1:], tf.image.ResizeMethod.BICUBIC).numpy()[..., 0]
    if name == "grad_cam_pp":  # it weighs by the mean of the features where the paper has their sum
        assert min(ranks_agree(large, theirs)) > 0.99
    else:
        np.testing.assert_allclose(to_one(large), to_one(theirs), atol=1e-3)


def test_integrated_gradients_are_the_same(xplique, finder, behind, slopes, images, black) -> None:
    tool = xplique.IntegratedGradients(behind, steps=400, baseline_value=black)
    theirs = np.asarray(tool(slopes.scale(images), asked_class()))[..., 0]
    ours = np.stack([IntegratedGradients(finder, "logits").attribute(image, CLASS)[0] for image in images])
    np.testing.assert_allclose(ours, theirs, atol=0.03 * np.abs(theirs).max())
    assert min(ranks_agree(ours, theirs)) > 0.99


def test_smooth_grad_comes_near_on_noise_of_its_own(xplique, finder, behind, slopes, images) -> None:
    scaled = slopes.scale(images)
    for image, points in zip(images, scaled, strict=True):
        tool = xplique.SmoothGrad(behind, nb_samples=400, noise=NOISE_SHARE * float(np.ptp(points)))
        theirs = np.abs(np.asarray(tool(points[None], asked_class(1)))[0, ..., 0])
        ours = SmoothGrad(finder, "logits").attribute(image, CLASS)
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9


def test_occlusion_is_the_same(xplique, behind, slopes, images, logits, black) -> None:
    side = images.shape[1] // SQUARES_A_SIDE
    tool = xplique.Occlusion(behind, patch_size=side, patch_stride=max(1, side // 2), occlusion_value=black)
    theirs = np.asarray(tool(slopes.scale(images), asked_class()))[..., 0]
    times = np.zeros(images.shape[1:3])
    for place in squares_over(*images.shape[1:3]):
        times[place] += 1
    ours = [Occlusion(logits, is_number=True).attribute(image, CLASS) for image in images]
    np.testing.assert_allclose(np.stack(ours), theirs / times, atol=2e-3)  # theirs is the sum


def test_rise_is_the_same_on_the_same_masks(xplique, monkeypatch, behind, slopes, images, logits, black) -> None:
    """Theirs is the mean answer under the masks that show a place; ours has the mean of all answers taken off."""
    drawn = random_masks(images.shape[1:3], 0)
    masks = np.stack([next(drawn) for _ in range(MASKS)])

    def apply(image: Any, some: Any, hidden: float) -> Any:
        return some * image[None] + (1 - some) * hidden, some

    monkeypatch.setattr(xplique.Rise, "_get_masks", staticmethod(lambda *told: tf.constant(masks[..., None])))
    monkeypatch.setattr(xplique.Rise, "_apply_masks", staticmethod(apply))
    tool = xplique.Rise(behind, nb_samples=MASKS, mask_value=black)
    theirs = np.asarray(tool(slopes.scale(images), asked_class()))[..., 0]
    for image, told in zip(images, theirs, strict=True):
        ours = Rise(logits, is_number=True).attribute(image, CLASS) * MASKS * SEEN / masks.sum(axis=0)
        np.testing.assert_allclose(ours - ours.mean(), told - told.mean(), atol=0.02 * np.ptp(ours))


def test_lime_is_the_same_on_the_same_samples(xplique, behind, slopes, images, logits, black) -> None:
    def near(image: Any, samples: Any, hidden: Any) -> Any:
        """Ours is a distance of seen and unseen superpixels, as the paper's own package has it; theirs of pixels."""
        share = tf.reduce_mean(tf.cast(samples, tf.float32), axis=1)
        return tf.sqrt(tf.exp(-((1 - tf.sqrt(share)) ** 2) / KERNEL_WIDTH**2))

    for image in images:
        patches = superpixels(image)
        seen = np.random.default_rng(0).integers(0, 2, (SAMPLES, patches.max() + 1))
        seen[0] = 1
        tool = xplique.Lime(
            behind, batch_size=200, interpretable_model=Ridge(alpha=RIDGE), similarity_kernel=near,
            pertub_func=lambda n, samples, seen=seen: tf.constant(seen, tf.int32),
            map_to_interpret_space=lambda scaled, patches=patches: tf.constant(patches, tf.int32),
            ref_value=np.array([black]), nb_samples=SAMPLES,
        )  # fmt: skip
        theirs = np.asarray(tool(slopes.scale(image[None]), asked_class(1)))[0, ..., 0]
        np.testing.assert_allclose(Lime(logits, is_number=True).attribute(image, CLASS), theirs, atol=1e-3)


def test_kernel_shap_comes_near_on_samples_of_its_own(xplique, behind, slopes, images, logits, black) -> None:
    """Ours is exact here, where all 510 coalitions are asked; theirs draws and leaves the sum free."""
    tf.random.set_seed(0)
    for image in images:
        patches = superpixels(image, 3)
        tool = xplique.KernelShap(
            behind, map_to_interpret_space=lambda scaled, patches=patches: tf.constant(patches, tf.int32),
            ref_value=np.array([black]), nb_samples=4000,
        )  # fmt: skip
        theirs = np.asarray(tool(slopes.scale(image[None]), asked_class(1)))[0, ..., 0]
        ours = KernelShap(logits, is_number=True).values_of(image, patches, CLASS)
        told = np.array([theirs[patches == patch].mean() for patch in range(len(ours))])
        np.testing.assert_allclose(ours, told, atol=0.1 * np.ptp(ours))
