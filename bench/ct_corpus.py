"""CT slices as files, cheaply made: one is written by pydicom, the others are its bytes with other pixels and numbers.

The header is of the size and the kind that scanners write: nested sequences and private attributes among it.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

UID_ROOT = "1.2.826.0.1.3680043.10.999"
# Stand-ins of a fixed length, found in the bytes of the first file and written over in those of the others.
FIRST_UID = 100_000_000_000
INSTANCE, SERIES, STUDY = (f"{UID_ROOT}.{kind}.{FIRST_UID}" for kind in (1, 2, 3))
PATIENT, NUMBER, DEPTH = "PAT-00000000", "000000000001", "-000000.0001"
PRIVATE_ATTRIBUTES = 40
ANATOMIC_REGIONS = 3


@dataclass(frozen=True)
class Place:
    """Where an image belongs: numbers that no other has, and how deep it lies in its series."""

    patient: int
    series: int
    instance: int
    depth_mm: float


def write_corpus(folder: Path, places: Iterator[Place], *, side: int = 512, seed: int = 0) -> int:
    """A file for each place, 1,000 in a folder; the answer is how many bytes they have."""
    pixels = list(make_slices(side, seed=seed))
    head = header_bytes(side)
    written = 0
    for number, place in enumerate(places):
        values = pixels[number % len(pixels)]
        values[0, :2] = (number & 0x7FFF, number >> 15)  # no two files show the same pixels
        content = _renamed(head, place) + values.tobytes()
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written += len(content)
    return written


def single_images(count: int) -> Iterator[Place]:
    """Each of a series and a patient of its own."""
    return (Place(number, number, number, 0.0) for number in range(count))


def volumes(count: int, slices: int) -> Iterator[Place]:
    """Series of slices 1 mm apart, as their files lie in a folder: not in the order of their places."""
    for series in range(count):
        order = np.random.default_rng(series).permutation(slices)
        yield from (Place(series, series, series * slices + int(at), float(at)) for at in order)


def make_slices(side: int, *, seed: int, count: int = 16) -> Iterator[np.ndarray]:
    """A body in air with organs and noise, stored with 1024 added: int16 of (side, side)."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    for at in range(count):
        values = np.full((side, side), -1000.0)
        values[(row / 0.7) ** 2 + (column / 0.9) ** 2 < 1] = 40
        for _ in range(12):
            top, left, size = rng.uniform(-0.5, 0.5), rng.uniform(-0.6, 0.6), rng.uniform(0.04, 0.2)
            values[(row - top) ** 2 + (column - left) ** 2 < size**2] = rng.choice([-800, -80, 20, 70, 150, 900])
        values += rng.normal(0, 15, values.shape) + at
        yield np.clip(values + 1024, 0, 4095).astype("<i2")


def header_bytes(side: int) -> bytes:
    """A file up to its pixels, which are the last element."""
    dataset = _dataset(side)
    dataset.PixelData = bytes(2 * side * side)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()[: -2 * side * side]


def _renamed(head: bytes, place: Place) -> bytes:
    named = {
        INSTANCE: f"{INSTANCE[:-12]}{FIRST_UID + place.instance}",
        SERIES: f"{SERIES[:-12]}{FIRST_UID + place.series}",
        STUDY: f"{STUDY[:-12]}{FIRST_UID + place.series}",
        PATIENT: f"PAT-{place.patient:08d}",
        NUMBER: f"{place.instance + 1:012d}",
        DEPTH: f"{place.depth_mm:012.4f}",
    }
    for old, new in named.items():
        head = head.replace(old.encode(), new.encode())
    return head


def _dataset(side: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = INSTANCE
    made = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, INSTANCE
    made.SeriesInstanceUID, made.StudyInstanceUID, made.FrameOfReferenceUID = SERIES, STUDY, f"{UID_ROOT}.4.1"
    made.PatientID, made.PatientName, made.PatientBirthDate = PATIENT, "Bench^Body", "19600101"
    made.PatientSex, made.PatientAge, made.PatientWeight = "F", "060Y", "71.5"
    made.StudyDate = made.SeriesDate = made.AcquisitionDate = made.ContentDate = "20240131"
    made.StudyTime = made.SeriesTime = made.AcquisitionTime = made.ContentTime = "101112.130000"
    made.AccessionNumber, made.StudyID, made.ReferringPhysicianName = "A4711", "4711", "Doctor^A"
    made.InstitutionName, made.InstitutionAddress, made.StationName = "Hospital", "A Street 1", "CT01"
    made.StudyDescription, made.SeriesDescription, made.ProtocolName = "CT abdomen", "axial 1.0 mm", "Abdomen"
    made.Modality, made.Manufacturer, made.ManufacturerModelName = "CT", "SIEMENS", "SOMATOM Force"
    made.SoftwareVersions, made.DeviceSerialNumber, made.BodyPartExamined = "VA1", "12345", "ABDOMEN"
    made.ImageType, made.PatientPosition, made.RescaleType = ["ORIGINAL", "PRIMARY", "AXIAL"], "HFS", "HU"
    made.KVP, made.ExposureTime, made.XRayTubeCurrent, made.Exposure = "120", "500", "210", "105"
    made.SliceThickness, made.SpacingBetweenSlices, made.ConvolutionKernel = "1.0", "1.0", "Br40d"
    made.DataCollectionDiameter, made.ReconstructionDiameter, made.GantryDetectorTilt = "500", "380", "0"
    made.SeriesNumber, made.AcquisitionNumber, made.InstanceNumber = "2", "1", NUMBER
    made.Rows = made.Columns = side
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 1
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.RescaleSlope, made.RescaleIntercept = "1", "-1024"
    made.WindowCenter, made.WindowWidth = ["40", "-600"], ["400", "1500"]
    made.PixelSpacing, made.ImageOrientationPatient = ["0.75", "0.75"], ["1", "0", "0", "0", "1", "0"]
    made.ImagePositionPatient = ["-190", "-190", DEPTH]
    made.ReferencedImageSequence = Sequence([_reference(number) for number in range(2)])
    made.AnatomicRegionSequence = Sequence([_region(number) for number in range(ANATOMIC_REGIONS)])
    block = made.private_block(0x0029, "BENCH CSA HEADER", create=True)
    for number in range(PRIVATE_ATTRIBUTES):
        block.add_new(number, "LO", f"private value {number}")
    return made


def _reference(number: int) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, f"{UID_ROOT}.5.{number + 1}"
    return item


def _region(number: int) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = f"T-D400{number}", "SRT", "Abdomen"
    return item
