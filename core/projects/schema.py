"""The label schema of each task, and what counts as an answer under it.

An answer ("value") is a small dictionary that stays the same from the browser to the
snapshot: `{"classes": ["pneumonia"]}` for classification, `{"value": 3.2}` for regression.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from core.errors import InvalidInput

Task = Literal["classification", "segmentation", "regression", "generation"]
TASKS: tuple[Task, ...] = ("classification", "segmentation", "regression", "generation")

# Okabe and Ito's colours (jfly.uni-koeln.de/color, 2008) first, then two of Paul Tol's; readable on dark grey.
COLOURS = (
    "#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442",
    "#0072b2", "#d55e00", "#bbbbbb", "#44bb99", "#ee8866",
)  # fmt: skip
HOT_KEYS = "123456789"


@dataclass(frozen=True)
class ClassLabel:
    """One class: its name, its digit key ("" where the nine digits ran out) and its colour."""

    name: str
    key: str
    colour: str


@dataclass(frozen=True)
class Structure:
    """One structure of a segmentation."""

    name: str
    colour: str


@dataclass(frozen=True)
class Classification:
    """One of the classes for each case, or any number of them where `multi_label`."""

    classes: tuple[ClassLabel, ...]
    multi_label: bool

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.classes)


@dataclass(frozen=True)
class Segmentation:
    """Named structures, painted."""

    structures: tuple[Structure, ...]


@dataclass(frozen=True)
class Regression:
    """A named quantity in its unit, between `low` and `high` where they are known."""

    target: str
    unit: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Generation:
    """Images to be drawn for a class."""

    classes: tuple[ClassLabel, ...]


LabelSchema = Classification | Segmentation | Regression | Generation


def make_classification(names: Sequence[str], *, multi_label: bool = False) -> Classification:
    """A schema with digit keys and colours given out in order.

    Raises:
        InvalidInput: fewer than two classes (one is enough for multi-label), an empty or a repeated name.
    """
    labels = tuple(
        ClassLabel(name.strip(), HOT_KEYS[at] if at < len(HOT_KEYS) else "", COLOURS[at % len(COLOURS)])
        for at, name in enumerate(names)
    )
    return check_schema(Classification(labels, multi_label))


def check_schema(schema: Classification) -> Classification:
    """The schema itself, when a reader can answer under it.

    Raises:
        InvalidInput: too few classes, a name that is empty, repeated or holds the separator `|`, a repeated key.
    """
    names = schema.names
    if len(names) < (1 if schema.multi_label else 2):
        raise InvalidInput(f"Name at least two classes, for example normal,pneumonia. Received: {list(names)}")
    for name in names:
        if not name or "|" in name or "," in name or name != name.strip():
            raise InvalidInput(f"A class needs a name without | or comma. Received: {name!r}")
    if len({name.casefold() for name in names}) < len(names):
        raise InvalidInput(f"Give each class its own name. Received: {list(names)}")
    keys = [label.key for label in schema.classes if label.key]
    if len(set(keys)) < len(keys) or not set(keys) <= set(HOT_KEYS):
        raise InvalidInput(f"Give each class its own digit from 1 to 9 as key. Received: {keys}")
    return schema


def schema_to_json(schema: LabelSchema) -> dict[str, Any]:
    """The schema as stored and as sent to the browser."""
    return asdict(schema)


def schema_from_json(task: str, data: Mapping[str, Any]) -> LabelSchema:
    """The schema of a stored project or snapshot."""
    if task == "classification":
        return Classification(_classes(data), bool(data["multi_label"]))
    if task == "segmentation":
        return Segmentation(tuple(Structure(**structure) for structure in data["structures"]))
    if task == "regression":
        return Regression(data["target"], data["unit"], data["low"], data["high"])
    if task == "generation":
        return Generation(_classes(data))
    raise InvalidInput(f"A task is one of {', '.join(TASKS)}. Received: {task}")


def _classes(data: Mapping[str, Any]) -> tuple[ClassLabel, ...]:
    return tuple(ClassLabel(**label) for label in data["classes"])


def check_value(schema: LabelSchema, value: object) -> dict[str, Any]:
    """An answer in its one stored form: classes in the schema's order, a finite number in its range.

    Raises:
        InvalidInput: the answer does not fit the schema.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(f"An answer is a dictionary. Received: {value!r}")
    if isinstance(schema, Classification):
        return _check_classes(schema, value)
    if isinstance(schema, Regression):
        return _check_number(schema, value)
    raise InvalidInput(f"Labels for this task cannot be given yet. Received: {value!r}")


def _check_classes(schema: Classification, value: Mapping[str, Any]) -> dict[str, Any]:
    chosen = value.get("classes")
    if set(value) != {"classes"} or not isinstance(chosen, (list, tuple)):
        raise InvalidInput(f'An answer reads {{"classes": [...]}}. Received: {dict(value)!r}')
    unknown = [name for name in chosen if name not in schema.names]
    if unknown:
        raise InvalidInput(f"The classes are {', '.join(schema.names)}. Received: {unknown}")
    ordered = [name for name in schema.names if name in chosen]
    if not schema.multi_label and len(ordered) != 1:
        raise InvalidInput(f"Give exactly one of {', '.join(schema.names)}. Received: {list(chosen)}")
    return {"classes": ordered}


def _check_number(schema: Regression, value: Mapping[str, Any]) -> dict[str, Any]:
    number = value.get("value")
    if set(value) != {"value"} or isinstance(number, bool) or not isinstance(number, (int, float)):
        raise InvalidInput(f'An answer reads {{"value": number}}. Received: {dict(value)!r}')
    low = -math.inf if schema.low is None else schema.low
    high = math.inf if schema.high is None else schema.high
    if not math.isfinite(number) or not low <= number <= high:
        raise InvalidInput(f"{schema.target} lies between {low} and {high} {schema.unit}. Received: {number}")
    return {"value": float(number)}
