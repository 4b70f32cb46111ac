"""The part of the import's form about what is drawn on images: masks and boxes, with the images or after them."""

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from core.labels.box_import import READER_OF_BOXES
from core.labels.mask_import import READER_OF_MASKS
from core.projects.records import Project
from core.projects.schema import Classification, Segmentation
from dashboard.import_form import Source

KINDS = {"images": "Images", "masks": "Masks", "boxes": "Boxes"}


@dataclass(frozen=True)
class Beside:
    """What the chosen files hold. `arguments` are those of the job that are about masks and boxes."""

    has_images: bool = True
    arguments: dict[str, Any] = field(default_factory=dict)


def draw_beside(source: Source, project: Project) -> Beside:
    """What is in the files, and for masks and boxes what they mean; nothing is asked where a project has neither."""
    offered = ["images"]
    if isinstance(project.schema, Segmentation):
        offered += ["masks", "boxes"]
    elif isinstance(project.schema, Classification):
        offered += ["boxes"]
    if len(offered) == 1:
        return Beside()
    left, right = st.columns([3, 2])
    chosen = left.segmented_control(
        "What is in it?",
        offered,
        selection_mode="multi",
        default=["images"],
        key="import_kinds",
        format_func=KINDS.__getitem__,
        help="Masks: label maps called as their images (PNG, TIFF, NIfTI, NRRD), or DICOM SEG and RTSTRUCT. "
        "Boxes: COCO (JSON) or Pascal VOC (XML). Without images they go to images that are there.",
    )
    if not chosen:
        st.info("Choose what is in these files.", icon=":material/info:")
        st.stop()
    arguments: dict[str, Any] = {}
    place = source.paths[0]
    if "masks" in chosen:
        arguments |= {"masks": place, **_masks(project)}
    if "boxes" in chosen:
        arguments["boxes"] = place
    if arguments:
        usual = READER_OF_MASKS if "masks" in arguments else READER_OF_BOXES
        reader = right.text_input(
            "In whose name are they?",
            key="import_reader",
            placeholder=usual,
            help="A reader of this name is made if need be.",
        )
        arguments["reader"] = reader.strip() or None
    return Beside("images" in chosen, arguments)


def _masks(project: Project) -> dict[str, Any]:
    assert isinstance(project.schema, Segmentation)
    names = project.schema.names
    meant = ", ".join(f"{at} is {name}" for at, name in enumerate(names, 1))
    with st.expander("What the numbers in the masks mean"):
        st.caption(f"In a project of several structures {meant}, unless you say otherwise; segments go by their names.")
        left, right = st.columns([2, 1])
        values = left.text_input(
            "Numbers",
            key="import_mask_values",
            placeholder=",".join(f"{at}={name}" for at, name in enumerate(names, 1)),
            help="1=anterior,2=posterior; * is every other number, and 3= leaves a number out.",
        )
        threshold = right.number_input(
            "Fraction that is enough", 0.0, 1.0, 0.5, 0.05, key="import_mask_threshold",
            help="Of a fractional DICOM segmentation.",
        )  # fmt: skip
    return {"mask_values": values, "mask_threshold": float(threshold)}
