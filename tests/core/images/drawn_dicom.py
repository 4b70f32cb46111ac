"""DICOM series and what is drawn on them, made for tests with pydicom and highdicom."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

ROWS, COLUMNS = 16, 20
SPACING = (0.8, 0.5)  # between rows, between columns


def write_series(
    folder: Path,
    depths: Sequence[float],
    *,
    seed: int = 0,
    tilt: float = 0.0,
    series: str = "",
    patient: str = "4711",
) -> list[Dataset]:
    """CT slices at these places along the normal; with `tilt` each is shifted in y by so much of its depth."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame = generate_uid(), series or generate_uid(), generate_uid()
    random = np.random.default_rng(seed)
    made = []
    for number, depth in enumerate(depths, 1):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
        dataset.Modality, dataset.PatientID, dataset.PatientName = "CT", patient, "Doe^Jane"
        dataset.PatientBirthDate = dataset.PatientSex = dataset.StudyID = dataset.AccessionNumber = ""
        dataset.StudyDate, dataset.StudyTime, dataset.ReferringPhysicianName = "20200101", "101010", ""
        dataset.ImageType, dataset.InstanceNumber, dataset.SeriesNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], number, 1
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = ROWS, COLUMNS, 1
        dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 1
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.SliceThickness = 1, 0, 1
        dataset.PixelSpacing, dataset.ImageOrientationPatient = list(SPACING), [1, 0, 0, 0, 1, 0]
        dataset.ImagePositionPatient = [-5.0, 7.0 + tilt * depth, depth]
        dataset.PixelData = random.integers(-100, 100, (ROWS, COLUMNS)).astype("<i2").tobytes()
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)
        made.append(dataset)
    return made


def segmentation(slices: Sequence[Dataset], masks: np.ndarray, names: Sequence[str], **told: Any) -> Dataset:
    """A SEG object of masks (frames, rows, columns, segments)."""
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=at, segment_label=name, segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver, algorithm_type="MANUAL",
        )
        for at, name in enumerate(names, 1)
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return highdicom.seg.Segmentation(
            source_images=slices, pixel_array=masks, segmentation_type=told.pop("kind", "BINARY"),
            segment_descriptions=described, series_instance_uid=generate_uid(), series_number=2,
            sop_instance_uid=generate_uid(), instance_number=1, manufacturer="x", manufacturer_model_name="y",
            software_versions="1", device_serial_number="1", **told,
        )  # fmt: skip


def structure_set(regions: Mapping[str, Sequence[tuple[Dataset, Sequence[Sequence[float]]]]]) -> Dataset:
    """An RTSTRUCT of contours, each a slice and its (x, y, z) points."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, RTStructureSetStorage
    made = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = RTStructureSetStorage, generate_uid(), "RTSTRUCT"
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(regions.items(), 1):
        region, drawn = Dataset(), Dataset()
        region.ROINumber, region.ROIName, drawn.ReferencedROINumber = number, name, number
        drawn.ContourSequence = []
        for source, points in contours:
            contour, image = Dataset(), Dataset()
            image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
            contour.ContourImageSequence = [image]
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            contour.ContourData = [f"{number:.4f}" for point in points for number in point]
            drawn.ContourSequence.append(contour)
        made.StructureSetROISequence.append(region)
        made.ROIContourSequence.append(drawn)
    return made
