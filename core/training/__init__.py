"""Recipe and snapshot in, model out. Keras is imported only inside a job, and alone."""

import os

from core.training.keras_alone import import_keras_alone

import_keras_alone()
# TensorFlow takes oneDNN by itself only on processors with the newest instructions. On one with AVX2 a step of `unet3d`
# takes a tenth of the time with it, one of `unet2d` half, and none was seen to take much longer.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
