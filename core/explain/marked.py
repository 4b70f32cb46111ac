"""What readers marked on an image, as one mask: boxes, ellipses and outlines."""

import sqlite3
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from core.labels.marks import Mark, list_marks

WITH_AREA = ("box", "ellipse", "polygon", "freehand")


def marks_with_area(connection: sqlite3.Connection, case_id: int) -> list[Mark]:
    """What is marked on a case today and can be held against a map; the numbers of a map are kept under them."""
    return [mark for mark in list_marks(connection, case_id) if mark.kind in WITH_AREA]


def marked_mask(marks: Sequence[Mark], rows: int, columns: int) -> np.ndarray:
    """uint8 `(rows, columns)`, 1 inside any mark that has an area; a turned ellipse counts as its upright one."""
    picture = Image.new("L", (columns, rows))
    pen = ImageDraw.Draw(picture)
    for mark in marks:
        shape = mark.geometry
        if mark.kind == "box":
            pen.rectangle(
                (shape["x"], shape["y"], shape["x"] + shape["width"] - 1, shape["y"] + shape["height"] - 1), fill=1
            )
        elif mark.kind == "ellipse":
            x, y, rx, ry = (shape[key] for key in ("x", "y", "rx", "ry"))
            pen.ellipse((x - rx, y - ry, x + rx - 1, y + ry - 1), fill=1)
        elif mark.kind in WITH_AREA:
            pen.polygon([tuple(point) for point in shape["points"]], fill=1)
    return np.asarray(picture, np.uint8)
