"""Names and numbers of masks: which image, which structure."""

import pytest

from core.errors import InvalidInput
from core.labels.mask_names import is_called_mask, parse_mask_values, readings_of, structures_of

STRUCTURES = ("left lung", "Liver")


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("x.png", [("x", None)]),
        ("a/x.nii.gz", [("a/x", None)]),
        ("x_seg.nii.gz", [("x_seg", None), ("x", None)]),
        ("x_liver.png", [("x_liver", None), ("x", "Liver")]),
        ("x-Left_Lung.png", [("x-Left_Lung", None), ("x", "left lung")]),
        ("liver/x.png", [("x", "Liver"), ("liver/x", None)]),
        ("x/segmentations/liver.nii.gz", [("x", "Liver"), ("x/segmentations/liver", None)]),
    ],
)
def test_a_name_tells_the_image_and_the_structure(path: str, meant: list[tuple[str, str | None]]) -> None:
    assert [(one.image, one.structure) for one in readings_of(path, STRUCTURES)] == meant


def test_among_images_a_mask_is_told_by_its_name() -> None:
    for path in ("labels/x.png", "x_mask.png", "x_liver.png", "liver/x.png"):
        assert is_called_mask(path, STRUCTURES)
    assert not is_called_mask("images/x.png", STRUCTURES)


def test_numbers_are_the_structures_in_order() -> None:
    assert structures_of([1, 2], STRUCTURES, {}) == {"left lung": [1], "Liver": [2]}
    assert structures_of([2], STRUCTURES, {}) == {"left lung": [], "Liver": [2]}
    with pytest.raises(InvalidInput, match=r"Received: 3, known are 1=left lung, 2=Liver"):
        structures_of([1, 3], STRUCTURES, {})


def test_of_one_structure_all_numbers_are_its() -> None:
    assert structures_of([1, 2, 255], ("nucleus",), {}) == {"nucleus": [1, 2, 255]}


def test_numbers_can_be_told_left_out_and_taken_together() -> None:
    values = parse_mask_values("7=liver, 3=, *=left_lung", STRUCTURES)
    assert values == {"7": "Liver", "3": "", "*": "left lung"}
    assert structures_of([3, 7, 8, 9], STRUCTURES, values) == {"left lung": [8, 9], "Liver": [7]}
    assert structures_of([], STRUCTURES, {"1": "Liver"}) == {"Liver": []}
    with pytest.raises(InvalidInput, match="Received: 2"):
        structures_of([2], STRUCTURES, {"1": "Liver"})


@pytest.mark.parametrize("text", ["liver", "a=liver", "1=spleen", "-1=liver"])
def test_numbers_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="Received: "):
        parse_mask_values(text, STRUCTURES)
