"""Layer-CAM (Jiang et al. 2021, doi:10.1109/TIP.2021.3089943): each place weighted by its own positive slope."""

from typing import Any

import tensorflow as tf

from core.explain.grad_cam import GradCam


class LayerCam(GradCam):
    """As `GradCam`; it also holds at early layers, where a mean slope says little."""

    def _lay(self, features: Any, slopes: Any) -> Any:
        return tf.reduce_sum(tf.nn.relu(slopes) * features, axis=-1)
