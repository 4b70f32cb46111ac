"""Boxes as other tools keep them: COCO in JSON, Pascal VOC in XML.

Both are read as edges in pixels of the image, x along columns and y along rows, as `labels.geometry` has them. COCO
gives a corner and a size, VOC two corners; programs that write VOC differ by a pixel in whether the far edge belongs
to the box, and none says which, so that the numbers are taken as they stand.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from core.errors import InvalidInput

MOST_BOXES = 1_000_000


@dataclass(frozen=True)
class Box:
    """A box as the file has it; a size of nothing is for the caller to refuse."""

    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class BoxedImage:
    """The boxes of one image, and the size that the image had when they were drawn, where the file tells it."""

    file_name: str
    boxes: tuple[Box, ...]
    columns: int | None = None
    rows: int | None = None


def read_boxes(content: bytes) -> list[BoxedImage]:
    """The images of a COCO or VOC file with their boxes, those without any included.

    Raises:
        InvalidInput: it is neither, or something in it is missing or no number.
    """
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"<":
        return [_voc(content)]
    if start in (b"{", b"["):
        return _coco(content)
    raise InvalidInput(f"Boxes come as COCO (JSON) or Pascal VOC (XML). Received: {len(content):,} bytes of neither")


# ---- Pascal VOC


def _voc(content: bytes) -> BoxedImage:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # entities can grow beyond all memory
        raise InvalidInput("A VOC file defines no entities; export the boxes again. Received: a document type")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InvalidInput(f"The XML is damaged; export the boxes again. Received: {error}") from error
    if root.tag != "annotation":
        raise InvalidInput("A VOC file is an <annotation> of one image. Received: another XML")
    columns, rows = (_number(root.findtext(f"size/{side}") or "0", side) for side in ("width", "height"))
    boxes: list[Box] = []
    for place in root.iter("object"):
        name, corners = (place.findtext("name") or "").strip(), place.find("bndbox")
        if corners is None:
            raise InvalidInput(f"Each object of a VOC file has a bndbox. Received: object {len(boxes) + 1} without")
        left, top, right, bottom = (_number(corners.findtext(edge), edge) for edge in ("xmin", "ymin", "xmax", "ymax"))
        boxes.append(Box(name, left, top, right - left, bottom - top))
    return BoxedImage((root.findtext("filename") or "").strip(), tuple(boxes), int(columns) or None, int(rows) or None)


# ---- COCO


def _coco(content: bytes) -> list[BoxedImage]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The JSON is damaged; export the boxes again. Received: {error}") from error
    images, annotations, categories = _lists(document)
    names = {_key(one): str(one.get("name", "")) for one in categories}
    boxes: dict[str, list[Box]] = defaultdict(list)
    for one in annotations:
        corner = one.get("bbox")
        if not isinstance(corner, list) or len(corner) != 4:
            raise InvalidInput(f"Each annotation has a bbox of four numbers. Received: {_told(corner)}")
        name = names.get(str(one.get("category_id")))
        if name is None:
            raise InvalidInput(f"An annotation names no category. Received: {_told(one.get('category_id'))}")
        x, y, width, height = (_number(number, "bbox") for number in corner)
        boxes[str(one.get("image_id"))].append(Box(name, x, y, width, height))
    known = {_key(image) for image in images}
    if strangers := set(boxes) - known:
        raise InvalidInput(f"An annotation names no image of the file. Received: image {_told(min(strangers))}")
    return [
        BoxedImage(
            str(image.get("file_name") or ""),
            tuple(boxes.get(_key(image), ())),
            int(_number(image.get("width") or 0, "width")) or None,
            int(_number(image.get("height") or 0, "height")) or None,
        )
        for image in images
    ]


def _lists(document: object) -> list[list[Mapping[str, Any]]]:
    parts = [document.get(part) if isinstance(document, dict) else None for part in ("images", "annotations",
                                                                                     "categories")]  # fmt: skip
    if not all(isinstance(part, list) and all(isinstance(one, dict) for one in part) for part in parts):
        raise InvalidInput("A COCO file has the lists images, annotations and categories. Received: another JSON")
    found: list[list[Mapping[str, Any]]] = [part for part in parts if part is not None]
    if len(found[1]) > MOST_BOXES:
        raise InvalidInput(f"A file of boxes has at most {MOST_BOXES:,}. Received: {len(found[1]):,}")
    return found


def _key(one: Mapping[str, Any]) -> str:
    return str(one.get("id"))


def _number(given: object, what: str) -> float:
    try:
        number = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(given, bool) or not math.isfinite(number):
        raise InvalidInput(f"The {what} of a box is a number. Received: {_told(given)}")
    return number


def _told(given: object) -> str:
    """A number as it stands; any other text may be a name, and what is received is stored with the report."""
    said = str(given)
    return said if re.fullmatch(r"[-+.\d]{1,20}|nan|None", said) else f"a text of {len(said)} characters"
