"""RT Structure Sets (PS3.3 A.19): closed planar contours, filled on the frames on which they were drawn."""

import io
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from core.errors import InvalidInput
from core.images.decoded import Pixels, reading
from core.images.planes import Frames, fill

STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
FILLED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR")
MOST_POINTS = 20_000_000
FLAT_MM = 0.5  # how far the points of one contour may lie from one plane


@dataclass(frozen=True)
class _Contour:
    points: Pixels  # (n, 3) in LPS millimetres
    sources: tuple[str, ...]


@dataclass(frozen=True)
class StructureSet:
    """The regions of interest of an object, by their numbers."""

    names: Mapping[int, str]
    referenced: frozenset[str]
    contours: Mapping[int, tuple[_Contour, ...]]

    def drawn(self, numbers: Sequence[int], on: Frames) -> Pixels:
        """The union of some regions. A contour within another of its region is a hole."""
        whole = np.zeros((on.count, on.rows, on.columns), np.uint8)
        for number in numbers:
            outlines: dict[int, list[Pixels]] = defaultdict(list)
            for contour in self.contours.get(number, ()):
                at = on.near(contour.points[0], contour.sources)
                plane = None if at is None else on.planes[at]
                if at is None or plane is None:
                    raise InvalidInput(
                        "A contour lies between or beside the frames of its image. Received: one at "
                        "({:.1f}, {:.1f}, {:.1f}) mm".format(*contour.points[0])
                    )
                there = np.linalg.inv(plane) @ np.c_[contour.points, np.ones(len(contour.points))].T
                if np.ptp(there[2]) > FLAT_MM:
                    raise InvalidInput(
                        f"A contour does not lie in the plane of a frame. Received: one that is "
                        f"{np.ptp(there[2]):.1f} mm deep"
                    )
                outlines[at].append(there[:2].T)
            for at, drawn in outlines.items():
                whole[at] |= fill(drawn, on.rows, on.columns)
        return whole


def read_structure_set(content: bytes) -> StructureSet:
    """The regions of an object with their closed contours; points and open lines enclose nothing and are left out.

    Raises:
        InvalidInput: damaged, or without contours.
    """
    with reading("RT Structure Set"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(content))
        names = {
            int(one.ROINumber): str(one.get("ROIName", "")) for one in dataset.get("StructureSetROISequence") or []
        }
        contours = {
            int(region.ReferencedROINumber): tuple(
                _contour(one)
                for one in region.get("ContourSequence") or []
                if str(one.get("ContourGeometricType", "")) in FILLED and len(one.get("ContourData") or []) >= 9
            )
            for region in dataset.get("ROIContourSequence") or []
        }
        drawn = {number: name for number, name in names.items() if contours.get(number)}
        if not drawn:
            raise InvalidInput(f"The structure set has no closed contour. Received: {len(names)} regions")
        referenced = [uid for some in contours.values() for contour in some for uid in contour.sources]
        return StructureSet(drawn, frozenset([*referenced, *_listed(dataset)]), contours)


def _contour(item: Dataset) -> _Contour:
    points = np.asarray([float(number) for number in item.ContourData], np.float64)
    if len(points) % 3 or len(points) > MOST_POINTS or not np.isfinite(points).all():
        raise InvalidInput(f"A contour is made of points in the patient. Received: {len(points)} numbers")
    sources = [str(one.ReferencedSOPInstanceUID) for one in item.get("ContourImageSequence") or []]
    return _Contour(points.reshape(-1, 3), tuple(sources))


def _listed(dataset: Dataset) -> list[str]:
    """The images that the set as a whole refers to (PS3.3 C.8.8.5)."""
    return [
        str(image.ReferencedSOPInstanceUID)
        for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []
        for study in frame.get("RTReferencedStudySequence") or []
        for series in study.get("RTReferencedSeriesSequence") or []
        for image in series.get("ContourImageSequence") or []
    ]
