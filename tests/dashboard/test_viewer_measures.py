"""What the viewer says of a region is what NumPy says of the same pixels."""

import json
from typing import Any

import numpy as np

from core.settings import PROJECT_ROOT

MEASURES = PROJECT_ROOT / "frontend" / "tests" / "measures.json"
ROWS, COLUMNS = 40, 50
SPACING = (0.7, 0.4)  # between rows, between columns
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def make_image() -> np.ndarray[Any, np.dtype[np.int16]]:
    """Hounsfield units from a formula that the browser's test repeats."""
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS]
    return ((rows * 7919 + columns * 104729) % 2500 - 1024).astype(np.int16)


def mask_of(kind: str, geometry: dict[str, Any]) -> Mask:
    """The pixels whose middle lies inside."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS] + 0.5
    if kind == "box":
        left, top = geometry["x"], geometry["y"]
        return (x >= left) & (x < left + geometry["width"]) & (y >= top) & (y < top + geometry["height"])
    if kind == "ellipse":
        angle = np.deg2rad(geometry.get("angle", 0))
        dx, dy = x - geometry["x"], y - geometry["y"]
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        return (along / geometry["rx"]) ** 2 + (across / geometry["ry"]) ** 2 < 1
    inside = np.zeros((ROWS, COLUMNS), bool)
    corners = geometry["points"]
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 != y1:
            crosses = ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
            inside ^= crosses
    return inside


def make_measures() -> list[dict[str, Any]]:
    """Shapes and what is inside; `python -m tests.dashboard.test_viewer_measures` writes them for Vitest."""
    random = np.random.default_rng(5)
    image = make_image()
    turns = np.sort(random.uniform(0, 2 * np.pi, 30))
    radii = random.uniform(6, 18, 30)
    outline = [[round(25 + r * np.cos(t), 4), round(20 + r * np.sin(t), 4)] for t, r in zip(turns, radii, strict=True)]
    shapes: list[tuple[str, dict[str, Any]]] = [
        ("box", {"x": 10, "y": 5, "width": 20, "height": 30}),
        ("box", {"x": 3.75, "y": 0.25, "width": 1.5, "height": 12.125}),
        ("box", {"x": 0, "y": 0, "width": COLUMNS, "height": ROWS}),
        ("ellipse", {"x": 25, "y": 20, "rx": 12.5, "ry": 7.25}),
        ("ellipse", {"x": 22.3, "y": 18.1, "rx": 14, "ry": 4, "angle": 33}),
        ("polygon", {"points": [[5, 5], [45.5, 8.25], [30, 36], [12, 30.5]]}),
        ("polygon", {"points": [[5, 5], [40, 35], [40, 5], [5, 35.5]]}),  # crosses itself
        ("freehand", {"points": outline}),
    ]
    made = []
    for kind, geometry in shapes:
        values = image[mask_of(kind, geometry)].astype(np.float64)
        made.append(
            {
                "kind": kind,
                "geometry": geometry,
                "count": values.size,
                "mean": round(float(values.mean()), 9),
                "sd": round(float(values.std()), 9),
                "least": int(values.min()),
                "most": int(values.max()),
            }
        )
    return made


def test_the_viewers_tests_expect_what_numpy_finds() -> None:
    """Mend with `python -m tests.dashboard.test_viewer_measures`."""
    assert json.loads(MEASURES.read_text("utf-8")) == make_measures()


if __name__ == "__main__":
    MEASURES.write_text(json.dumps(make_measures(), indent=1) + "\n", "utf-8")
