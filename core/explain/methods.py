"""The methods of explanation by name, for screens and doors: what each is called, how it asks, whether one may wait.

Nothing here imports Keras; each method's own file has the work, and `core.explain.building` makes them.
"""

from dataclasses import dataclass
from typing import Literal

from core.errors import InvalidInput

DOUBT = "doubt"  # of a model that paints, whose own map it is (`core.explain.doubt`): not one of `METHODS`
# layer: from the features of a layer, chosen by test. slopes: from the slope at each pixel. asking: from answers alone.
Way = Literal["layer", "slopes", "asking"]


@dataclass(frozen=True)
class Method:
    """`is_quick`: it answers from the warm process while somebody looks; the others are jobs that say how long yet."""

    name: str
    words: str
    sentence: str
    way: Way
    is_quick: bool


_ALL = (
    Method("grad_cam", "Grad-CAM", "Where a deep layer's features raised the answer, weighted by their mean slope.",
           "layer", True),
    Method("grad_cam_pp", "Grad-CAM++", "Grad-CAM that weighs each place by its own slope, for several small objects.",
           "layer", True),
    Method("layer_cam", "Layer-CAM", "Each place of a layer weighted by its own positive slope: finer than Grad-CAM.",
           "layer", True),
    Method("integrated_gradients", "Integrated Gradients",
           "How much each pixel added to the answer on the way from a blurred image; the parts sum to the difference.",
           "slopes", True),
    Method("smooth_grad", "SmoothGrad", "Where small changes change the answer most, either way, averaged over noise.",
           "slopes", True),
    Method("occlusion", "Occlusion",
           "How far the answer falls when a square of the image is blurred (of a volume a box).",
           "asking", True),
    Method("rise", "RISE", "Which parts were seen when the answer was strong, over a thousand random masks.",
           "asking", False),
    Method("lime", "LIME", "A linear rule over superpixels that answers as the model does near this image.",
           "asking", False),
    Method("kernel_shap", "Kernel SHAP", "Each superpixel's fair share of the answer (Shapley value).",
           "asking", False),
)  # fmt: skip
METHODS: dict[str, Method] = {method.name: method for method in _ALL}


def is_quick(method: Method, *, volumes: bool) -> bool:
    """Whether somebody may wait for it; on volumes only for what one look at a layer tells."""
    return method.way == "layer" if volumes else method.is_quick


def method_named(name: object) -> Method:
    """
    Raises:
        InvalidInput: there is no such method.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise InvalidInput(f"An explanation's method is one of {', '.join(METHODS)}. Received: {str(name)[:40]}")
    return METHODS[name]
