"""At which cut points the numbers of a review were measured, for whoever reads its record.

They are not chosen in a review: a model has them from validation, and another point makes another model. An evaluation
keeps those that decided, and a decision binds that document by its hash, so they are told from there.
"""

from collections.abc import Mapping
from typing import Any

from core.measures.calibration import tell_rule
from core.measures.classified import THRESHOLD
from core.projects.schema import Classification, Generation, Segmentation
from core.tasks import TrainableSchema

OF_RANKS = "AUC and average precision hang on no cut point."


def describe_operating_point(schema: TrainableSchema, result: Mapping[str, Any]) -> str:
    """A sentence or several about the document of an evaluation; "" of a task in which nothing is cut.

    Args:
        schema: of the snapshot that it was measured on.
    """
    if isinstance(schema, Generation) or not isinstance(schema, Classification | Segmentation):
        return ""
    chosen = result.get("thresholds")
    if chosen is None:
        return "At which cut points this was measured was not kept; an earlier version measured it."
    if isinstance(schema, Segmentation):
        told = ", ".join(_of_class(name, chosen) for name in schema.names)
        return f"Painted at these cut points, chosen on validation by the mean Dice: {told}."
    if not chosen and not schema.multi_label:
        return f"No cut point decides: each case has the class of the highest probability. {OF_RANKS}"
    names = schema.names if schema.multi_label else schema.names[1:]
    told = ", ".join(_of_class(name, chosen) for name in names)
    return f"Decided at {'these cut points' if len(names) > 1 else 'this cut point'}: {told}. {OF_RANKS}"


def _of_class(name: str, chosen: Mapping[str, Any]) -> str:
    """`pneumonia from a probability of 0.412 on (chosen for the best balanced accuracy, n = 120)`."""
    one = chosen.get(name)
    if one is None:
        return f"{name} from a probability of {THRESHOLD:.3f} on (none was chosen)"
    rule = f" ({told})" if (told := tell_rule(one)) else ""
    if one.get("dice", 1) is None:
        rule = " (validation had none to choose by)"
    return f"{name} from a probability of {one['value']:.3f} on{rule}"
