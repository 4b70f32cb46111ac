"""An answer as text: the one JSON form in which it is stored, and the `a|b` form of label tables."""

import json
from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.images.label_table import EQUALS, SEPARATOR, numbers_text
from core.projects.schema import Classification, LabelSchema, Regression, Segmentation, check_value


def value_text(value: Mapping[str, Any]) -> str:
    """The stored form of an answer. Equal answers give equal text, so SQL can compare them."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def label_text(value: Mapping[str, Any] | None) -> str:
    """An answer as a label table writes it: `pneumonia`, `effusion|nodule`, `3.2`, `age=62.0|weight=70.5`.

    "" is no answer; a single `|` is the answer "none of the classes" of a multi-label project, or "nothing to be
    painted" of a segmentation.
    """
    if value is None:
        return ""
    for key in ("classes", "structures"):
        if key in value:
            return SEPARATOR.join(value[key]) or SEPARATOR
    if "values" in value:
        return numbers_text({name: repr(number) for name, number in value["values"].items()})
    return repr(value["value"])


def parse_label_text(schema: LabelSchema, text: str, *, retired: bool = False) -> dict[str, Any] | None:
    """The answer that a label table's cell holds; None for an empty cell. Upper and lower case do not matter.

    Args:
        retired: classes that are no longer offered are good as well.

    Raises:
        InvalidInput: an unknown class, several classes in a single-label project, no number, or not all of several.
    """
    text = text.strip()
    if not text:
        return None
    if isinstance(schema, Regression) and schema.further:
        return check_value(schema, {"values": _parse_numbers(schema, text)})
    if not isinstance(schema, (Classification, Segmentation)):
        try:
            return check_value(schema, {"value": float(text)})
        except ValueError as error:
            raise InvalidInput(f"The label of this project is a number. Received: {text!r}") from error
    key = "classes" if isinstance(schema, Classification) else "structures"
    by_name = {name.casefold(): name for name in schema.names}
    given = [part.strip() for part in text.split(SEPARATOR) if part.strip()]
    return check_value(schema, {key: [by_name.get(part.casefold(), part) for part in given]}, retired=retired)


def _parse_numbers(schema: Regression, text: str) -> dict[str, float | None]:
    """`age=62|weight=70.5` as numbers by name; None where nothing stands behind a name."""
    by_name = {quantity.target.casefold(): quantity.target for quantity in schema.quantities}
    found: dict[str, float | None] = {}
    for part in text.split(SEPARATOR):
        name, _, number = (piece.strip() for piece in part.partition(EQUALS))
        try:
            found[by_name[name.casefold()]] = float(number) if number else None
        except (KeyError, ValueError) as error:
            form = SEPARATOR.join(f"{known}{EQUALS}number" for known in by_name.values())
            raise InvalidInput(f"The answer of this project reads {form}. Received: {text[:120]!r}") from error
    return found
