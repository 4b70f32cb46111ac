"""Which way the volumes of a training lie in the patient, and what that means for a network that is shown them alike.

Volumes are read in axial frames unless they were plainly taken in slices of another plane
(`core.images.orientation.choose_layout`), so that frames, rows and columns of one may run along other directions of the
patient than those of the next. A network knows frames, rows and columns alone.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence

from core.datasets.records import SnapshotCase
from core.images.orientation import PLANES, READING, X, Y, Z, directions_of
from core.images.records import list_volume_affines
from core.training.recipe import Recipe

SIDES = {X: "left and right", Y: "front and back", Z: "head and feet"}  # of the patient, by direction
# What a flip mirrors in a volume: of its frames, rows and columns.
MIRRORED = {"none": (), "left-right": ("columns",), "up-down": ("rows",), "both": ("columns", "rows")}
PLACE = {"rows": 1, "columns": 2}  # in `directions_of`
AXIAL = tuple(direction for direction, _ in READING[Z])


def look_at_directions(
    connection: sqlite3.Connection, recipe: Recipe, cases: Sequence[SnapshotCase]
) -> tuple[str, ...]:
    """What somebody should know who asks for a training on volumes of several planes, or mirrors some that are not
    axial. Nothing is said of images, and of volumes that do not tell how they lie."""
    affines = list_volume_affines(connection, [case.case_id for case in cases])
    found = Counter(directions_of(affine) for affine in affines)
    planes = Counter[str]()
    for directions, count in found.items():
        planes[PLANES[directions[0]]] += count
    notes = [_on_planes(planes)] if len(planes) > 1 else []
    return (*notes, *(note for axis in MIRRORED[recipe.flip] if (note := _on_flip(recipe, axis, found))))


def _on_planes(planes: Counter[str]) -> str:
    (first, count), *others = planes.most_common()
    told = ", ".join([_volumes(count, first), *(f"{count:,} {plane}" for plane, count in others)])
    return (
        f"The planes are mixed: {told}. Frames, rows and columns run along other directions of the patient in each, "
        f"and a network learns them as if they were the same. Import those of each plane into a project of their own, "
        f"or resample all to one plane before they are imported."
    )


def _on_flip(recipe: Recipe, axis: str, found: Counter[tuple[int, int, int]]) -> str:
    """Which sides of the patient change places in which volumes; "" where all are as in axial ones."""
    place = PLACE[axis]
    if all(directions[place] == AXIAL[place] for directions in found):
        return ""
    told = Counter[tuple[str, int]]()
    for directions, count in found.items():
        told[PLANES[directions[0]], directions[place]] += count
    sides = [f"{SIDES[direction]} in {_volumes(count, plane)}" for (plane, direction), count in told.most_common()]
    return (
        f"Flip {recipe.flip} mirrors the {axis} of a volume, which are {', '.join(sides)}: "
        f"leave it out unless both of these sides mean the same."
    )


def _volumes(count: int, plane: str) -> str:
    return f"{count:,} {plane} volume{'' if count == 1 else 's'}"
