"""Shapes on an image of 48 rows and 64 columns."""

from typing import Any

import pytest

from core.errors import InvalidInput
from core.labels.geometry import check_geometry

GOOD = [
    ("box", {"x": 0, "y": 0, "width": 64, "height": 48}),
    ("box", {"x": 1.5, "y": 2.25, "width": 0.5, "height": 1}),
    ("ellipse", {"x": 10, "y": 10, "rx": 4, "ry": 3}),
    ("ellipse", {"x": 0, "y": 48, "rx": 4, "ry": 3, "angle": -30}),
    ("polygon", {"points": [[0, 0], [64, 0], [64, 48]]}),
    ("freehand", {"points": [[1, 1], [2, 2], [3, 1], [1, 1]]}),
    ("point", {"x": 64, "y": 0}),
    ("length", {"points": [[0, 0], [3, 4]]}),
    ("angle", {"points": [[0, 0], [3, 4], [8, 1]]}),
]
BAD: list[tuple[str, Any, str]] = [
    ("arrow", {"x": 1, "y": 1}, "A mark is one of box"),
    ("box", [1, 2, 3, 4], "is an object"),
    ("box", {"x": 60, "y": 0, "width": 5, "height": 5}, r"64 columns and 48 rows. Received: \(65, 5\)"),
    ("box", {"x": -0.1, "y": 0, "width": 5, "height": 5}, "inside the image"),
    ("box", {"x": 1, "y": 1, "width": 0, "height": 5}, "a width and a height"),
    ("box", {"x": 1, "y": 1, "width": 5}, "says x, y, width, height"),
    ("box", {"x": 1, "y": 1, "width": 5, "height": 5, "depth": 1}, "says x, y, width, height"),
    ("box", {"x": True, "y": 1, "width": 5, "height": 5}, "made of numbers"),
    ("box", {"x": "1", "y": 1, "width": 5, "height": 5}, "made of numbers"),
    ("box", {"x": float("nan"), "y": 1, "width": 5, "height": 5}, "finite"),
    ("box", {"x": 1, "y": 10**400, "width": 5, "height": 5}, "finite"),
    ("ellipse", {"x": 10, "y": 10, "rx": 0, "ry": 3}, "two radii"),
    ("ellipse", {"x": 65, "y": 10, "rx": 1, "ry": 3}, "inside the image"),
    ("polygon", {"points": [[0, 0], [1, 1]]}, "3 to 20000 points. Received: 2"),
    ("polygon", {"points": [[0, 0]] * 20_001}, "Received: 20001"),
    ("length", {"points": [[0, 0]]}, "has 2 points. Received: 1"),
    ("length", {"points": [[0, 0], [1, 1], [2, 2]]}, "has 2 points. Received: 3"),
    ("angle", {"points": [[0, 0], [1, 1]]}, "has 3 points"),
    ("length", {"points": [[0, 0], [1]]}, "A point reads"),
    ("length", {"points": [[0, 0], [1, 49]]}, "inside the image"),
    ("length", {"points": "0,0 1,1"}, "The geometry of a length reads"),
    ("length", {}, "Received: nothing"),
    ("point", {"x": float("inf"), "y": 0}, "finite"),
]


@pytest.mark.parametrize(("kind", "geometry"), GOOD)
def test_a_shape_is_kept_as_it_was_drawn(kind: str, geometry: dict[str, Any]) -> None:
    told = check_geometry(kind, geometry, 48, 64)
    assert told == geometry
    assert check_geometry(kind, told, 48, 64) == told


@pytest.mark.parametrize(("kind", "geometry", "sentence"), BAD)
def test_what_is_no_shape_on_this_image_is_refused(kind: str, geometry: object, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        check_geometry(kind, geometry, 48, 64)
