"""Which of the files to import are plainly masks of others: they are no images to be read."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from core.images.names import is_nifti_name, name_parts

# imagesTr and labelsTr of the Medical Segmentation Decathlon, masks beside images, segmentations ...
MASK_FOLDER = re.compile(r"(label|mask|seg|segmentation|annotation|contour)s?(tr|ts|va)?", re.IGNORECASE)
MASK_NAME = re.compile(r"(?P<image>.+)[_.-](seg|segmentation|mask|label|labels|labelmap)", re.IGNORECASE)
CHANNEL = re.compile(r"_\d{4}$")  # nnU-Net's images: x_0000.nii.gz beside the label map x.nii.gz


def find_label_maps(sources: Sequence[str]) -> dict[str, str]:
    """For each volume that its place or name calls a mask, the image it belongs to; only where that is there too.

    A mask is told by its folder (`labels/x.nii.gz` beside `images/x.nii.gz`) or its name (`x_seg.nii.gz` beside
    `x.nii.gz` or `x_t1.nii.gz`).
    """
    volumes = [PurePosixPath(source) for source in sources if is_nifti_name(source)]
    around: dict[PurePosixPath, dict[str, PurePosixPath]] = defaultdict(dict)  # by the folder that holds both folders
    beside: dict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
    for path in volumes:
        stem = name_parts(path.name)[0]
        if not MASK_FOLDER.fullmatch(path.parent.name):
            around[path.parent.parent].setdefault(CHANNEL.sub("", stem), path)
            around[path.parent.parent].setdefault(stem, path)
        if not MASK_NAME.fullmatch(stem):
            beside[path.parent].append(path)
    found: dict[str, str] = {}
    for path in volumes:
        stem = name_parts(path.name)[0]
        named = MASK_NAME.fullmatch(stem)
        image = None
        if MASK_FOLDER.fullmatch(path.parent.name):
            image = around[path.parent.parent].get(stem)
        elif named:
            image = next((other for other in beside[path.parent] if _is_of(other, named["image"])), None)
        if image is not None:
            found[str(path)] = str(image)
    return found


def _is_of(path: PurePosixPath, image: str) -> bool:
    stem = name_parts(path.name)[0]
    return stem == image or stem.startswith((f"{image}_", f"{image}-"))
