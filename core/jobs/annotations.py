"""The part of an import that brings what is drawn on images: masks and boxes, after the images themselves are in."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.images.sources import SourceFile
from core.jobs.context import JobContext
from core.labels.box_import import import_boxes, list_box_files
from core.labels.mask_import import import_masks, list_mask_files
from core.labels.mask_names import demand_structures, parse_mask_values
from core.progress import Portion
from core.projects.records import Project

IMAGES_TAKE = 0.7  # of the time of an import with masks or boxes


@dataclass(frozen=True)
class Annotations:
    """The files of masks and of boxes that an import was given."""

    masks: tuple[SourceFile, ...] = ()
    boxes: tuple[SourceFile, ...] = ()

    @property
    def files(self) -> tuple[SourceFile, ...]:
        return (*self.masks, *self.boxes)

    @property
    def locations(self) -> frozenset[Path]:
        """Where they lie, so that none is taken for an image."""
        return frozenset(file.location.resolve() for file in self.files)


def annotations_of(
    context: JobContext, project: Project, given: Mapping[str, Any], images: Sequence[Path]
) -> Annotations:
    """What an import was given beside images."""
    masks, boxes = given.get("masks"), given.get("boxes")
    return Annotations(
        tuple(list_mask_files(project, Path(masks), images, context.settings)) if masks else (),
        tuple(list_box_files(Path(boxes), context.settings)) if boxes else (),
    )


def import_annotations(
    context: JobContext, project: Project, given: Mapping[str, Any], beside: Annotations
) -> dict[str, Any]:
    """Bring them in; what there was of each, for the result of the job."""
    result: dict[str, Any] = {}
    if given.get("masks"):
        report = import_masks(
            context.connection,
            context.settings,
            project,
            beside.masks,
            job=context.job.id,
            actor=context.actor,
            values=parse_mask_values(given.get("mask_values") or "", demand_structures(project)),
            reader=given.get("reader"),
            threshold=float(given.get("mask_threshold", 0.5)),
            progress=Portion(context.progress, IMAGES_TAKE, 1.0),
        )
        result["masks"] = asdict(report)
    if given.get("boxes"):
        boxes = import_boxes(
            context.connection,
            context.settings,
            project,
            beside.boxes,
            job=context.job.id,
            actor=context.actor,
            reader=given.get("reader"),
            progress=Portion(context.progress, IMAGES_TAKE, 1.0),
        )
        result["boxes"] = asdict(boxes)
    return result
