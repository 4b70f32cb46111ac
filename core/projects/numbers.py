"""What is asked where the answer is a number, or several: quantities with units and ranges, and what fits them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from core.errors import InvalidInput
from core.projects.naming import LONGEST_NAME, check_names

Measure = Literal["length", "angle", "area"]
MOST_QUANTITIES = 8  # as many fields stand beside an image without scrolling
# What a column of a label table says that is no quantity (`core.images.label_table`; a test holds them together).
NAMES_OF_COLUMNS = frozenset(
    ("path", "case", "patient", "split", "label", "reader", "unsure", "unusable", "note", "event", "made_at",
     "confidence", "unusable_reason", "active_seconds", "draft")
)  # fmt: skip
# What a measurement on the image gives, and in which units a quantity that is derived from it may be asked.
MEASURE_UNITS: Mapping[Measure, tuple[str, ...]] = {
    "length": ("mm", "cm"), "angle": ("°", "degrees"), "area": ("mm²", "cm²"),
}  # fmt: skip


@dataclass(frozen=True)
class Quantity:
    """One number that is asked for: its name and unit, between `low` and `high` where they are known."""

    target: str
    unit: str
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest that it can be; infinite where nobody has said."""
        return (-math.inf if self.low is None else self.low), (math.inf if self.high is None else self.high)


@dataclass(frozen=True)
class Regression:
    """A named quantity in its unit, between `low` and `high` where they are known, and any `further` ones beside it.

    With a `measure` readers draw it and the number follows: the mark stays beside the answer as its evidence.
    """

    target: str
    unit: str
    low: float | None
    high: float | None
    measure: Measure | None = None
    further: tuple[Quantity, ...] = ()

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """All of them, in the order in which they are asked, learnt and shown."""
        return (Quantity(self.target, self.unit, self.low, self.high), *self.further)


def numbers_of(schema: Regression, value: Mapping[str, Any]) -> list[float]:
    """The numbers of a stored answer, in the order of the schema's quantities."""
    return [value["values"][one.target] for one in schema.quantities] if schema.further else [value["value"]]


def value_of_numbers(schema: Regression, numbers: Sequence[float]) -> dict[str, Any]:
    """The answer that these numbers, in the order of the schema's quantities, amount to."""
    if not schema.further:
        return {"value": float(numbers[0])}
    return {"values": {one.target: float(said) for one, said in zip(schema.quantities, numbers, strict=True)}}


def check_quantities(schema: Regression) -> None:
    """Raise `InvalidInput` unless a reader can answer with these quantities."""
    for quantity in schema.quantities:
        _check_quantity(quantity)
    if schema.further:
        _check_several(schema)
    if schema.measure is None:
        return
    if schema.measure not in get_args(Measure):
        raise InvalidInput(
            f"A number can be derived from {', '.join(get_args(Measure))}. Received: {str(schema.measure)[:40]!r}"
        )
    units = MEASURE_UNITS[schema.measure]
    if schema.unit not in units:
        raise InvalidInput(f"A measured {schema.measure} comes in {' or '.join(units)}. Received: {schema.unit!r}")


def _check_quantity(quantity: Quantity) -> None:
    for thing, text in (("quantity", quantity.target), ("unit", quantity.unit)):
        if not text.strip() or text != text.strip() or len(text) > LONGEST_NAME or not text.isprintable():
            raise InvalidInput(f"Name the {thing}, for example age in years. Received: {text[:120]!r}")
    ends = [end for end in (quantity.low, quantity.high) if end is not None]
    if not all(math.isfinite(end) for end in ends) or (len(ends) == 2 and ends[0] >= ends[1]):
        raise InvalidInput(f"A range goes from a lower to a higher number. Received: {quantity.low} to {quantity.high}")


def _check_several(schema: Regression) -> None:
    names = [quantity.target for quantity in schema.quantities]
    if len(names) > MOST_QUANTITIES:
        raise InvalidInput(f"A project asks for at most {MOST_QUANTITIES} quantities. Received: {len(names)}")
    check_names(names, "quantity")
    for name in names:
        if set(name) & set('="\\'):  # tables write `age=62|weight=70.5`, and SQL asks for a name in quotes
            raise InvalidInput(f'A quantity beside others needs a name without =, " or \\. Received: {name!r}')
        if name.casefold() in NAMES_OF_COLUMNS:
            raise InvalidInput(
                f"A quantity beside others has a column of its own in label tables, and this name is another column's; "
                f"choose another. Received: {name!r}"
            )
    if schema.measure is not None:
        raise InvalidInput(
            f"A number that is drawn is the only one of its project; let several be typed. Received: {schema.measure}"
        )


def check_number(schema: Regression, value: Mapping[str, Any]) -> dict[str, Any]:
    """The answer in its stored form: each number finite and in its range, all or none of several.

    Raises:
        InvalidInput: it does not fit the quantities.
    """
    if not schema.further:
        number = value.get("value")
        if set(value) != {"value"} or not _is_number(number):
            raise InvalidInput(f'An answer reads {{"value": number}}. Received: {dict(value)!r}')
        return {"value": _within(schema.quantities[0], number)}
    said, names = value.get("values"), [one.target for one in schema.quantities]
    if set(value) != {"values"} or not isinstance(said, Mapping) or set(said) - set(names):
        form = ", ".join(f'"{name}": number' for name in names)
        raise InvalidInput(f'An answer reads {{"values": {{{form}}}}}. Received: {dict(value)!r}')
    # Half an answer is none: what is learnt and measured would silently be another set of cases for each quantity.
    if missing := [name for name in names if said.get(name) is None]:
        raise InvalidInput(
            f"An answer gives all of {', '.join(names)}; half an answer is none. Received: no {', no '.join(missing)}"
        )
    if wrong := [name for name in names if not _is_number(said[name])]:
        raise InvalidInput(f"{', '.join(wrong)}: give a number. Received: {[said[name] for name in wrong]!r}")
    return {"values": {one.target: _within(one, said[one.target]) for one in schema.quantities}}


def _is_number(number: object) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool)


def _within(quantity: Quantity, number: Any) -> float:
    low, high = quantity.ends
    try:
        said = float(number)
    except OverflowError:  # a whole number of hundreds of digits
        said = math.inf
    if not math.isfinite(said) or not low <= said <= high:
        raise InvalidInput(
            f"{quantity.target} lies between {low} and {high} {quantity.unit}. Received: {str(number)[:40]}"
        )
    return said
