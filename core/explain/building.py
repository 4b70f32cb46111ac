"""From a method's name to the method at work on a network, or on a model's answers."""

from collections.abc import Callable
from typing import Any

from core.explain.asking import Report
from core.explain.methods import Method
from core.training.stored import Answer


def layer_kind(method: Method) -> Callable[[Any, str, str], Any]:
    """The class of a method that takes its map from a layer."""
    from core.explain.grad_cam import GradCam
    from core.explain.grad_cam_pp import GradCamPlusPlus
    from core.explain.layer_cam import LayerCam

    return {"grad_cam": GradCam, "grad_cam_pp": GradCamPlusPlus, "layer_cam": LayerCam}[method.name]


def build_slopes(method: Method, network: Any, raw: str) -> Any:
    """A method that needs the slope at each pixel."""
    from core.explain.integrated_gradients import IntegratedGradients
    from core.explain.smooth_grad import SmoothGrad

    return {"integrated_gradients": IntegratedGradients, "smooth_grad": SmoothGrad}[method.name](network, raw)


def build_asking(method: Method, answer: Answer, *, is_number: bool, report: Report = lambda share: None) -> Any:
    """A method that only asks; it needs no TensorFlow where `answer` does not."""
    from core.explain.kernel_shap import KernelShap
    from core.explain.lime import Lime
    from core.explain.occlusion import Occlusion
    from core.explain.rise import Rise

    kinds = {"occlusion": Occlusion, "rise": Rise, "lime": Lime, "kernel_shap": KernelShap}
    return kinds[method.name](answer, is_number=is_number, report=report)
