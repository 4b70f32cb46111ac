"""Shapes on an image: which there are, and when one can be kept.

Coordinates are (x, y) in pixels of the stored frame, x along columns and y along rows; pixel (c, r) covers
[c, c + 1) x [r, r + 1), so the image reaches from 0 to `columns` and from 0 to `rows`.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from core.errors import InvalidInput

MarkKind = Literal["box", "ellipse", "polygon", "freehand", "point", "length", "angle"]
MOST_POINTS = 20_000
# How many points a kind has; None: as many as are drawn.
POINTS: dict[str, tuple[int, int | None]] = {
    "polygon": (3, None),
    "freehand": (3, None),
    "length": (2, 2),
    "angle": (3, 3),
}
FIELDS: dict[str, tuple[str, ...]] = {
    "box": ("x", "y", "width", "height"),
    "ellipse": ("x", "y", "rx", "ry"),
    "point": ("x", "y"),
}


def check_geometry(kind: str, geometry: object, rows: int, columns: int) -> dict[str, Any]:
    """A shape in its stored form: the numbers as floats and nothing else.

    Of an ellipse the centre must lie in the image; a part of it may reach over the edge.

    Raises:
        InvalidInput: the kind is unknown, something is missing or no number, or it lies outside the image.
    """
    if kind not in get_args(MarkKind):
        raise InvalidInput(f"A mark is one of {', '.join(get_args(MarkKind))}. Received: {kind[:40]!r}")
    if not isinstance(geometry, Mapping):
        raise InvalidInput(f"The geometry of a mark is an object. Received: {str(geometry)[:80]}")
    if kind in POINTS:
        return _check_points(kind, geometry, rows, columns)
    needed = FIELDS[kind]
    optional = ("angle",) if kind == "ellipse" else ()
    if not set(needed) <= set(geometry) <= {*needed, *optional}:
        raise InvalidInput(f"The geometry of a {kind} says {', '.join(needed)}. Received: {_keys(geometry)}")
    told = {key: _number(geometry[key], kind) for key in (*needed, *optional) if key in geometry}
    _check_inside(kind, told["x"], told["y"], rows, columns)
    if kind == "box":
        if told["width"] <= 0 or told["height"] <= 0:
            raise InvalidInput(f"A box has a width and a height. Received: {told['width']} x {told['height']}")
        _check_inside(kind, told["x"] + told["width"], told["y"] + told["height"], rows, columns)
    if kind == "ellipse" and not (0 < told["rx"] <= columns + rows and 0 < told["ry"] <= columns + rows):
        raise InvalidInput(f"An ellipse has two radii within the image. Received: {told['rx']} and {told['ry']}")
    return told


def _check_points(kind: str, geometry: Mapping[str, Any], rows: int, columns: int) -> dict[str, Any]:
    points = geometry.get("points")
    if set(geometry) != {"points"} or not isinstance(points, list):
        raise InvalidInput(f'The geometry of a {kind} reads {{"points": [[x, y], ...]}}. Received: {_keys(geometry)}')
    least, most = POINTS[kind]
    if len(points) < least or len(points) > (most or MOST_POINTS):
        count = f"{least}" if most == least else f"{least} to {most or MOST_POINTS}"
        raise InvalidInput(f"A mark of the kind {kind} has {count} points. Received: {len(points)}")
    told = []
    for point in points:
        if not isinstance(point, (list, tuple)) or len(point) != 2:
            raise InvalidInput(f"A point reads [x, y]. Received: {str(point)[:80]}")
        x, y = (_number(one, kind) for one in point)
        _check_inside(kind, x, y, rows, columns)
        told.append([x, y])
    return {"points": told}


def _number(given: object, kind: str) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise InvalidInput(f"The geometry of a {kind} is made of numbers. Received: {str(given)[:40]!r}")
    try:
        number = float(given)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidInput(f"The geometry of a {kind} is made of finite numbers. Received: {str(given)[:40]}")
    return number


def _check_inside(kind: str, x: float, y: float, rows: int, columns: int) -> None:
    if not (0 <= x <= columns and 0 <= y <= rows):
        raise InvalidInput(
            f"A {kind} lies inside the image, which has {columns} columns and {rows} rows. Received: ({x:g}, {y:g})"
        )


def _keys(geometry: Mapping[str, Any]) -> str:
    return ", ".join(sorted(str(key)[:40] for key in list(geometry)[:10])) or "nothing"
