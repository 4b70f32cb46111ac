"""Where a model that paints is unsure: the entropy of the probability of a structure at each pixel.

It is the doubt that the model states; of what it never saw it may be sure and wrong (Kendall and Gal 2017,
arXiv:1703.04977, call this part aleatoric).
"""

from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.images.records import Case
from core.images.render import InputSpec, from_square, model_input
from core.projects.schema import Segmentation
from core.training.stored import Answer

METHOD = "doubt"
SENTENCE = "Entropy of the model's own probability, in bits: 1 where it is one half, 0 where the model is sure."


def entropy_of(probabilities: np.ndarray) -> np.ndarray:
    """Binary entropy in bits, 0 to 1, of any shape."""
    sure = np.clip(probabilities.astype(np.float64), 1e-9, 1 - 1e-9)
    return np.asarray(-(sure * np.log2(sure) + (1 - sure) * np.log2(1 - sure)), np.float32)


def structure_index(schema: Segmentation, structure: str | None) -> int:
    """Which structure a name means; the first without one.

    Raises:
        InvalidInput: there is no such structure.
    """
    if structure is not None and structure not in schema.names:
        raise InvalidInput(f"The structures are {', '.join(schema.names)}. Received: {structure[:80]!r}")
    return schema.names.index(structure) if structure else 0


def map_doubt(
    answer: Answer, schema: Segmentation, case: Case, pixels: np.ndarray, structure: str | None, spec: InputSpec
) -> tuple[np.ndarray, dict[str, Any]]:
    """The doubt about one structure (the first, without a name) on an image, `(rows, columns)` float32; of volumes
    `core.evaluation.volume_doubt` maps it.

    Returns:
        also what is said beside it: `class` and `mean_doubt`.

    Raises:
        InvalidInput: there is no such structure.
    """
    name = schema.names[structure_index(schema, structure)]
    image = model_input(pixels, case.photometric, case.windows, spec)[None]
    probabilities = from_square(answer(image)[0, ..., schema.names.index(name)], case.rows, case.columns, spec)
    found = entropy_of(probabilities)
    return found, {"class": name, "mean_doubt": float(found.mean())}
