"""Masks among the files of an import are known by where they lie and how they are called."""

import pytest

from core.images.label_maps import find_label_maps


@pytest.mark.parametrize(
    ("mask", "image"),
    [
        ("labels/x.nii.gz", "images/x.nii.gz"),
        ("set/labelsTr/x.nii.gz", "set/imagesTr/x.nii.gz"),
        ("labelsTr/x.nii.gz", "imagesTr/x_0000.nii.gz"),
        ("masks/x.nii", "x/x.nii.gz"),
        ("p1/t1_seg.nii.gz", "p1/t1.nii.gz"),
        ("p1/p1_seg.nii.gz", "p1/p1_t1.nii.gz"),
        ("x-label.nii", "x.nii"),
    ],
)
def test_a_mask_beside_its_image_is_known(mask: str, image: str) -> None:
    assert find_label_maps([image, mask]) == {mask: image}


@pytest.mark.parametrize(
    "sources",
    [
        ["labels/x.nii.gz"],  # alone it may be all there is
        ["labels/x.nii.gz", "images/y.nii.gz"],
        ["a/labels/x.nii.gz", "b/images/x.nii.gz"],
        ["t1/x.nii.gz", "t2/x.nii.gz"],
        ["x_seg.nii.gz"],
        ["x_seg.nii.gz", "y.nii.gz"],
        ["masks/x.png", "images/x.png"],
        ["labels/x.nii.gz", "masks/x.nii.gz"],
    ],
)
def test_what_only_might_be_a_mask_is_an_image(sources: list[str]) -> None:
    assert find_label_maps(sources) == {}
