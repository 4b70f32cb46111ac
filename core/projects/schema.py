"""The label schema of each task, and what counts as an answer under it.

An answer ("value") is a small dictionary that stays the same from the browser to the
snapshot: `{"classes": ["pneumonia"]}` for classification, `{"value": 3.2}` for regression, of several
quantities `{"values": {"age": 62.0, "weight": 70.5}}`, whole or not at all. For
segmentation `{"structures": ["liver"]}` says that the case is finished and what was found on it;
the masks themselves are kept stroke by stroke (`labels.masks`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeVar

from core.errors import InvalidInput
from core.projects.naming import LONGEST_NAME, check_names
from core.projects.numbers import (
    MEASURE_UNITS,
    MOST_QUANTITIES,
    NAMES_OF_COLUMNS,
    Measure,
    Quantity,
    Regression,
    check_number,
    check_quantities,
    numbers_of,
    value_of_numbers,
)

# All that is asked of a schema is found here, whichever task it is of.
__all__ = [
    "COLOURS", "HOT_KEYS", "LONGEST_NAME", "MEASURE_UNITS", "MOST_QUANTITIES", "NAMES_OF_COLUMNS", "TASKS",
    "AnySchema", "ClassLabel", "Classification", "Generation", "LabelSchema", "Measure", "Quantity",
    "Regression", "Segmentation", "Structure", "Task", "check_schema", "check_value", "make_classification",
    "make_generation", "make_segmentation", "numbers_of", "quantity_names", "schema_from_json",
    "schema_to_json", "value_of_numbers", "without_retired",
]  # fmt: skip

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
    """One class: its name, its digit key ("" where the nine digits ran out) and its colour.

    A retired class is no longer offered; what was answered with it stays.
    """

    name: str
    key: str
    colour: str
    retired: bool = False


@dataclass(frozen=True)
class Structure:
    """One structure of a segmentation. A retired one is no longer painted; its masks stay."""

    name: str
    colour: str
    retired: bool = False


@dataclass(frozen=True)
class Classification:
    """One of the classes for each case, or any number of them where `multi_label`."""

    classes: tuple[ClassLabel, ...]
    multi_label: bool

    @property
    def names(self) -> tuple[str, ...]:
        """All names that answers may hold, retired ones included."""
        return tuple(label.name for label in self.classes)

    @property
    def offered(self) -> tuple[ClassLabel, ...]:
        """The classes that a reader may choose today."""
        return tuple(label for label in self.classes if not label.retired)


@dataclass(frozen=True)
class Segmentation:
    """Named structures, painted."""

    structures: tuple[Structure, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All names under which masks may be kept, retired ones included."""
        return tuple(structure.name for structure in self.structures)

    @property
    def offered(self) -> tuple[Structure, ...]:
        """The structures that a reader may paint today."""
        return tuple(structure for structure in self.structures if not structure.retired)


@dataclass(frozen=True)
class Generation(Classification):
    """Images to be drawn for a class: readers answer with exactly one, as in a classification, and a model learns
    what an image of it looks like."""

    multi_label: bool = False


LabelSchema = Classification | Segmentation | Regression | Generation
AnySchema = TypeVar("AnySchema", bound=LabelSchema)


def make_classification(names: Sequence[str], *, multi_label: bool = False) -> Classification:
    """A schema with digit keys and colours given out in order.

    Raises:
        InvalidInput: fewer than two classes (one is enough for multi-label), an empty or a repeated name.
    """
    return check_schema(Classification(_label_classes(names), multi_label))


def _label_classes(names: Sequence[str]) -> tuple[ClassLabel, ...]:
    return tuple(
        ClassLabel(name.strip(), HOT_KEYS[at] if at < len(HOT_KEYS) else "", COLOURS[at % len(COLOURS)])
        for at, name in enumerate(names)
    )


def make_generation(names: Sequence[str]) -> Generation:
    """A schema with digit keys and colours given out in order.

    Raises:
        InvalidInput: no class, an empty or a repeated name.
    """
    return check_schema(Generation(_label_classes(names)))


def make_segmentation(names: Sequence[str]) -> Segmentation:
    """A schema with colours given out in order.

    Raises:
        InvalidInput: no structure, an empty or a repeated name.
    """
    structures = tuple(Structure(name.strip(), COLOURS[at % len(COLOURS)]) for at, name in enumerate(names))
    return check_schema(Segmentation(structures))


def check_schema(schema: AnySchema) -> AnySchema:
    """The schema itself, when a reader can answer under it.

    Raises:
        InvalidInput: too few classes, a name that is empty, repeated or holds the separator `|`, a repeated key,
            a range that is none, a unit that does not fit the measurement.
    """
    if isinstance(schema, Regression):
        check_quantities(schema)
    elif isinstance(schema, Segmentation):
        if not schema.offered:
            raise InvalidInput(f"Name at least one structure, for example liver,lesion. Received: {list(schema.names)}")
        check_names(schema.names, "structure")
        _check_colours([structure.colour for structure in schema.structures])
    elif isinstance(schema, Classification):
        _check_classification(schema)
    return schema


def _check_classification(schema: Classification) -> None:
    least = 1 if schema.multi_label or isinstance(schema, Generation) else 2
    if not schema.offered and least == 1:
        raise InvalidInput(f"Name at least one class, for example normal,pneumonia. Received: {list(schema.names)}")
    if len(schema.offered) < least:
        raise InvalidInput(f"Name at least two classes, for example normal,pneumonia. Received: {list(schema.names)}")
    check_names(schema.names, "class")
    keys = [label.key for label in schema.offered if label.key]
    if len(set(keys)) < len(keys) or not set(keys) <= set(HOT_KEYS):
        raise InvalidInput(f"Give each class its own digit from 1 to 9 as key. Received: {keys}")
    _check_colours([label.colour for label in schema.classes])


def _check_colours(colours: Sequence[str]) -> None:
    for colour in colours:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
            raise InvalidInput(f"A colour reads like #56b4e9. Received: {colour[:40]!r}")


def without_retired(schema: LabelSchema) -> LabelSchema:
    """The schema with only what is offered: under it snapshots are frozen and models learn."""
    if isinstance(schema, Classification):
        return replace(schema, classes=schema.offered)
    if isinstance(schema, Segmentation):
        return replace(schema, structures=schema.offered)
    return schema


def schema_to_json(schema: LabelSchema) -> dict[str, Any]:
    """The schema as stored and as sent to the browser.

    What came later (`retired`, `measure`, `further`) is told only where it is set: the hash of an old snapshot stays
    what it was.
    """
    told = asdict(schema)
    for one in (*told.get("classes", ()), *told.get("structures", ())):
        if not one.get("retired", True):
            del one["retired"]
    if told.get("measure", "") is None:
        del told["measure"]
    if isinstance(schema, Regression) and not schema.further:
        del told["further"]
    return told


def schema_from_json(task: str, data: Mapping[str, Any]) -> LabelSchema:
    """The schema of a stored project or snapshot."""
    if task == "classification":
        return Classification(_classes(data), bool(data["multi_label"]))
    if task == "segmentation":
        return Segmentation(tuple(Structure(**structure) for structure in data["structures"]))
    if task == "regression":
        further = tuple(Quantity(**quantity) for quantity in data.get("further", ()))
        return Regression(data["target"], data["unit"], data["low"], data["high"], data.get("measure"), further)
    if task == "generation":
        return Generation(_classes(data))
    raise InvalidInput(f"A task is one of {', '.join(TASKS)}. Received: {task}")


def _classes(data: Mapping[str, Any]) -> tuple[ClassLabel, ...]:
    return tuple(ClassLabel(**label) for label in data["classes"])


def check_value(schema: LabelSchema, value: object, *, retired: bool = False) -> dict[str, Any]:
    """An answer in its one stored form: classes in the schema's order, a finite number in its range.

    Args:
        retired: classes that are no longer offered are good as well (for answers given before).

    Raises:
        InvalidInput: the answer does not fit the schema.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(f"An answer is a dictionary. Received: {value!r}")
    if isinstance(schema, Classification):
        chosen = _check_chosen(schema, value, "classes", retired=retired)
        if not schema.multi_label and len(chosen) != 1:
            names = ", ".join(label.name for label in schema.offered)
            raise InvalidInput(f"Give exactly one of {names}. Received: {list(value['classes'])}")
        return {"classes": chosen}
    if isinstance(schema, Segmentation):
        return {"structures": _check_chosen(schema, value, "structures", retired=retired)}
    if isinstance(schema, Regression):
        return check_number(schema, value)
    raise InvalidInput(f"Labels are given to classes, structures or a number. Received: {type(schema).__name__}")


def _check_chosen(
    schema: Classification | Segmentation, value: Mapping[str, Any], key: str, *, retired: bool
) -> list[str]:
    """The names that were chosen, in the schema's order."""
    chosen = value.get(key)
    if set(value) != {key} or not isinstance(chosen, (list, tuple)):
        raise InvalidInput(f'An answer reads {{"{key}": [...]}}. Received: {dict(value)!r}')
    offered = [one.name for one in schema.offered]
    unknown = [name for name in chosen if name not in (schema.names if retired else offered)]
    if gone := [name for name in unknown if name in schema.names]:
        raise InvalidInput(f"No longer offered in this project; choose another. Received: {gone}")
    if unknown:
        raise InvalidInput(f"The {key} are {', '.join(offered)}. Received: {unknown}")
    return [name for name in schema.names if name in chosen]


def quantity_names(schema: LabelSchema) -> tuple[str, ...]:
    """The names of several quantities, which have a column each in a label table; none of any other schema."""
    if not isinstance(schema, Regression) or not schema.further:
        return ()
    return tuple(one.target for one in schema.quantities)
