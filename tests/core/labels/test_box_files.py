"""Boxes as COCO and VOC files have them, and files that are neither."""

import json

import pytest

from core.errors import InvalidInput
from core.labels.box_files import Box, BoxedImage, read_boxes

VOC = b"""<annotation><filename>x.jpg</filename><size><width>640</width><height>480</height></size>
<object><name>RBC</name><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>30</xmax><ymax>50</ymax></bndbox></object>
</annotation>"""
COCO = {
    "images": [{"id": 1, "file_name": "x.jpg", "width": 640, "height": 480}, {"id": 2, "file_name": "y.jpg"}],
    "categories": [{"id": 7, "name": "RBC"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 20, 20, 30.5]}],
}


def test_a_voc_file_is_one_image() -> None:
    assert read_boxes(VOC) == [BoxedImage("x.jpg", (Box("RBC", 10, 20, 20, 30),), 640, 480)]


def test_a_coco_file_is_many_images() -> None:
    assert read_boxes(json.dumps(COCO).encode()) == [
        BoxedImage("x.jpg", (Box("RBC", 10, 20, 20, 30.5),), 640, 480),
        BoxedImage("y.jpg", ()),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "of neither"),
        (b"a,b", "of neither"),
        (b"<annotation>", "XML is damaged"),
        (b"<svg/>", "another XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "a document type"),
        (VOC.replace(b"<xmin>10</xmin>", b""), "xmin of a box is a number. Received: None"),
        (VOC.replace(b"10", b"nan"), "Received: nan"),
        (VOC.replace(b"bndbox", b"polygon"), "has a bndbox"),
        (b"{", "JSON is damaged"),
        (b"[]", "another JSON"),
        (json.dumps({**COCO, "categories": []}).encode(), "names no category. Received: 7"),
        (json.dumps({**COCO, "images": []}).encode(), "names no image of the file. Received: image 1"),
        (json.dumps(COCO).replace("30.5", '"far"').encode(), "Received: a text of 3 characters"),
        (json.dumps(COCO).replace(", 30.5", "").encode(), "a bbox of four numbers"),
    ],
)
def test_what_cannot_be_read_is_told(content: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match="Received: ") as caught:
        read_boxes(content)
    assert said in str(caught.value)
