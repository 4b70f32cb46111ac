"""The part of an import that brings what is drawn on images: masks, after the images themselves are in."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.images.sources import SourceFile
from core.jobs.context import JobContext
from core.labels.mask_import import import_masks, list_mask_files
from core.labels.mask_names import demand_structures, parse_mask_values
from core.progress import Portion
from core.projects.records import Project

IMAGES_TAKE = 0.7  # of the time of an import with masks


@dataclass(frozen=True)
class Annotations:
    """The files of masks that an import was given."""

    masks: tuple[SourceFile, ...] = ()

    @property
    def files(self) -> tuple[SourceFile, ...]:
        return self.masks

    @property
    def locations(self) -> frozenset[Path]:
        """Where they lie, so that none is taken for an image."""
        return frozenset(file.location.resolve() for file in self.files)


def annotations_of(
    context: JobContext, project: Project, given: Mapping[str, Any], images: Sequence[Path]
) -> Annotations:
    """What an import was given beside images."""
    masks = given.get("masks")
    return Annotations(tuple(list_mask_files(project, Path(masks), images, context.settings)) if masks else ())


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
            progress=Portion(context.progress, IMAGES_TAKE, 1.0),
        )
        result["masks"] = asdict(report)
    return result
