"""A DICOM file with a marker wherever one can hide: each attribute of Table E.1-1, nested too, and around it."""

import io
import struct
import warnings
from typing import Any

import numpy as np
from pydicom import dcmwrite
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from core.images.deidentify_profile import TableRow, table_rows

MARK = "SECRETMARK"
UID_ROOT = "1.2.999.111"
DATE = "19870611"
TIME = b"235959.123"  # a trace, too, where a project keeps no times
# Whatever of these is found anywhere after an import has leaked. Numbers are looked for as text and as they lie in a
# file; 16 bits (US, SS) would be found in anything.
TRACES = (MARK.encode(), UID_ROOT.encode(), DATE.encode(), b"093Y", b"987654321", b"987654.321", b"98765.4375",
          MARK.encode("utf-16-le"), MARK.encode("utf-16-be"), MARK.encode()[:8], struct.pack("<f", 98765.4375),
          struct.pack("<I", 987654321), struct.pack("<i", -987654321), struct.pack("<HH", 0x5345, 0x4352))  # fmt: skip
BYTES = MARK.encode() * 4


def marked_value(vr: str, tag: int) -> Any:
    """A value of this representation that says the marker, as far as it can say anything."""
    text = {"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"}
    if vr in text:
        return MARK
    numbers = {"US": 54321, "SS": -4321, "UL": 987654321, "SL": -987654321, "UV": 987654321, "SV": -987654321}
    return {
        "PN": f"{MARK}^JANE", "UR": f"http://{MARK}", "DA": DATE, "DT": f"{DATE}010203", "TM": TIME.decode(),
        "AS": "093Y", "UI": f"{UID_ROOT}.{tag >> 16}.{tag & 0xFFFF}", "IS": "987654321", "DS": "987654.321",
        "FL": 98765.4375, "FD": struct.unpack("<d", MARK.encode()[:8])[0], "AT": 0x53454352, **numbers,
    }.get(vr, BYTES)  # fmt: skip


def representation(row: TableRow) -> str:
    """How an attribute of the table is written; by its name where it is younger than pydicom's dictionary."""
    tag = int(row.tag.replace(",", ""), 16)
    if dictionary_has_tag(tag):
        return dictionary_VR(tag).split(" or ")[0]
    endings = {"Sequence": "SQ", "DateTime": "DT", "URI": "UR", "Comment": "UT"}
    return endings.get(row.name.split()[-1], "LO")


def filled(dataset: Dataset, skip: frozenset[int] = frozenset()) -> int:
    """Put a marker into every attribute of the table; the answer is how many there are."""
    count = 0
    for row in table_rows():
        if "x" in row.tag:
            continue
        tag = int(row.tag.replace(",", ""), 16)
        if tag in skip or tag >> 16 in (0, 2, 4, 0xFFFA, 0xFFFC):
            continue
        vr = representation(row)
        if vr == "SQ":
            item = Dataset()
            item.PatientName, item.PatientComments, item.StudyDate = f"{MARK}^SQ", MARK, DATE
            item.ReferencedSOPInstanceUID = f"{UID_ROOT}.222"
            dataset.add_new(tag, vr, Sequence([item]))
        else:
            dataset.add_new(tag, vr, marked_value(vr, tag))
        count += 1
    return count


def hostile_dataset(pixels: np.ndarray | None = None, **tags: Any) -> Dataset:
    """A CT image that is marked everywhere; `tags` are set last."""
    image = np.arange(64, dtype=np.uint16).reshape(8, 8) if pixels is None else pixels
    dataset = Dataset()
    filled(dataset)
    inner, deep = Dataset(), Dataset()
    filled(inner)
    filled(deep)
    unlisted = Dataset()
    unlisted.PixelMeasuresSequence = Sequence([deep])
    dataset.SharedFunctionalGroupsSequence = Sequence([inner, unlisted])  # kept, and not in the table
    dataset.ReferencedSeriesSequence = Sequence([deep])  # not kept, and not in the table
    _mark_around_the_table(dataset)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.Modality, dataset.PatientID, dataset.ImageType = "CT", f"{MARK}4711", ["ORIGINAL", "PRIMARY", MARK]
    dataset.Rows, dataset.Columns = image.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.add_new(0x7FE00010, "OW", image.tobytes())
    for word, value in tags.items():
        setattr(dataset, word, value)
    return dataset


def hostile_file(pixels: np.ndarray | None = None, **tags: Any) -> bytes:
    """The data set as a file, with a marked preamble and file meta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = hostile_dataset(pixels, **tags)
        dataset.preamble = BYTES.ljust(128, b"\0")
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
        meta.ImplementationClassUID, meta.ImplementationVersionName = f"{UID_ROOT}.7", MARK
        meta.SourceApplicationEntityTitle = meta.SendingApplicationEntityTitle = MARK
        meta.PrivateInformationCreatorUID, meta.PrivateInformation = f"{UID_ROOT}.8", BYTES
        dataset.file_meta = meta
        buffer = io.BytesIO()
        dcmwrite(buffer, dataset, enforce_file_format=False)
    return buffer.getvalue()


def _mark_around_the_table(dataset: Dataset) -> None:
    """Private attributes, curves, overlays, names in technical fields, wrong value representations."""
    for group in (0x0009, 0x0029):
        block = dataset.private_block(group, f"{MARK} VENDOR", create=True)
        block.add_new(1, "LO", MARK)
        block.add_new(2, "DA", DATE)
        block.add_new(3, "SQ", Sequence([Dataset()]))
        for at, vr in enumerate(("FL", "FD", "UL", "SL", "AT"), 4):  # of which the table has few or none
            block.add_new(at, vr, marked_value(vr, 0))
    for group in (0x5000, 0x5002):
        dataset.add_new((group, 0x3000), "OW", BYTES)
        dataset.add_new((group, 0x0022), "LO", MARK)
    for group in (0x6000, 0x6002):
        dataset.add_new((group, 0x3000), "OW", BYTES)
        dataset.add_new((group, 0x4000), "LT", MARK)
        dataset.add_new((group, 0x0022), "LO", MARK)
        dataset.add_new((group, 0x1500), "LO", MARK)
    for word in ("BodyPartExamined", "ViewPosition", "ScanningSequence", "PatientPosition", "ImageLaterality"):
        setattr(dataset, word, MARK)
    dataset.ConvolutionKernel = dataset.RescaleType = dataset.StackID = MARK
    dataset.add_new(0x00280120, "LO", MARK)  # PixelPaddingValue is a number
    dataset.add_new(0x00181160, "SH", MARK)
    dataset.add_new(0x00281203, "OW", BYTES)  # the blue of a palette
    dataset.WindowCenterWidthExplanation = MARK
