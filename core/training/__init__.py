"""Recipe and snapshot in, model out. Keras is imported only inside a job, and alone."""

from core.training.keras_alone import import_keras_alone

import_keras_alone()
