"""An answer as text: the one JSON form in which it is stored, and the `a|b` form of label tables."""

import json
from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.projects.schema import Classification, LabelSchema, Segmentation, check_value

SEPARATOR = "|"  # no class name holds it


def value_text(value: Mapping[str, Any]) -> str:
    """The stored form of an answer. Equal answers give equal text, so SQL can compare them."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def label_text(value: Mapping[str, Any] | None) -> str:
    """An answer as a label table writes it: `pneumonia`, `effusion|nodule`, `3.2`.

    "" is no answer; a single `|` is the answer "none of the classes" of a multi-label project, or "nothing to be
    painted" of a segmentation.
    """
    if value is None:
        return ""
    for key in ("classes", "structures"):
        if key in value:
            return SEPARATOR.join(value[key]) or SEPARATOR
    return repr(value["value"])


def parse_label_text(schema: LabelSchema, text: str, *, retired: bool = False) -> dict[str, Any] | None:
    """The answer that a label table's cell holds; None for an empty cell. Upper and lower case do not matter.

    Args:
        retired: classes that are no longer offered are good as well.

    Raises:
        InvalidInput: an unknown class, several classes in a single-label project, or no number.
    """
    text = text.strip()
    if not text:
        return None
    if not isinstance(schema, (Classification, Segmentation)):
        try:
            return check_value(schema, {"value": float(text)})
        except ValueError as error:
            raise InvalidInput(f"The label of this project is a number. Received: {text!r}") from error
    key = "classes" if isinstance(schema, Classification) else "structures"
    by_name = {name.casefold(): name for name in schema.names}
    given = [part.strip() for part in text.split(SEPARATOR) if part.strip()]
    return check_value(schema, {key: [by_name.get(part.casefold(), part) for part in given]}, retired=retired)
