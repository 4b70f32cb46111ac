"""What grouping needs to know of a DICOM file, read from its header alone: the first pass of an import."""

import hashlib
import warnings
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from core.images.deidentify_profile import terms_of
from core.images.dicom_start import LONGEST_HEADER, START_BYTES, Survey, looks_like_dicom
from core.images.series import Instance

USUAL_HEADER = 1 << 16  # bytes, which few headers reach
PIXELS_BEGIN = (b"\xe0\x7f", b"\x7f\xe0")  # group 7FE0, little and big endian
NOT_PICTURES = {"SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "PR", "SR", "KO", "DOC", "REG"}
# What may tell apart slices that lie in one place, the most telling first: how people say it, and where it stands.
KEYS: tuple[tuple[str, str, str], ...] = (
    ("echo", "EchoTime", " ms"),
    ("echo number", "EchoNumbers", ""),
    ("b-value", "DiffusionBValue", ""),
    ("cardiac phase", "NominalPercentageOfCardiacPhase", " %"),
    ("time point", "TemporalPositionIdentifier", ""),
    ("trigger time", "TriggerTime", " ms"),
    ("inversion time", "InversionTime", " ms"),
    ("flip angle", "FlipAngle", " degrees"),
    ("energy", "KVP", " kV"),
    ("acquisition", "AcquisitionNumber", ""),
)
B_VALUES = ((0x0019, 0x100C), (0x0043, 0x1039), (0x2001, 0x1003))  # Siemens, GE, Philips
HEADER = [
    *(word for _, word, _ in KEYS),
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "ImageType", "InstanceNumber",
    "NumberOfFrames", "Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient",
    "PhotometricInterpretation", "SamplesPerPixel", "PatientID", "IssuerOfPatientID", "RescaleSlope",
    "RescaleIntercept", "ModalityLUTSequence",
]  # fmt: skip

WORDS: dict[BaseTag, str] = {Tag(tag): word for word in HEADER if (tag := tag_for_keyword(word)) is not None}
OF_FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
TAGS: list[BaseTag | int] = [*WORDS, *(Tag(tag) for tag in B_VALUES), *map(Tag, OF_FRAMES)]


def survey(stream: BinaryIO, path: str) -> Survey:
    """An instance; `index` for a DICOMDIR; `other` for what is no DICOM image or says too little to be grouped.

    Nothing is refused here: whatever is wrong with a file is said when it is read for its pixels.
    """
    try:
        start = stream.read(USUAL_HEADER)
        if not looks_like_dicom(start):
            return "other"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _surveyed_from(start, stream, path)
    except Exception:  # noqa: BLE001 (hostile bytes, also of an archive, raise anything; the reader of pixels says what)
        return "other"


def _surveyed_from(start: bytes, stream: BinaryIO, path: str) -> Survey:
    """From the start of the file in memory, in which a parser is quicker; from the file itself where it is longer."""
    if len(start) == USUAL_HEADER:
        in_memory = BytesIO(start)
        with suppress(Exception):
            found = _surveyed(in_memory, path)
            if in_memory.read(2) in PIXELS_BEGIN:  # else it stopped where the start of the file was cut off
                return found
        stream.seek(0)
        return _surveyed(stream, path)
    return _surveyed(BytesIO(start), path)


def _surveyed(stream: BinaryIO, path: str) -> Survey:
    start = stream.read(START_BYTES)
    stream.seek(0)
    has_preamble = start[128:132] == b"DICM"
    if has_preamble and DeflatedExplicitVRLittleEndian.encode() in start:
        dataset = _inflated(stream)
    else:
        dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=not has_preamble, specific_tags=TAGS)
    meta_class = str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    if MediaStorageDirectoryStorage in (meta_class, str(dataset.get("SOPClassUID", ""))):
        return "index"
    if "Rows" not in dataset or "Columns" not in dataset or dataset.get("Modality") in NOT_PICTURES:
        return "other"
    from core.images.dicom_stacks import place_single, stacks_of, stored_places  # which asks here for each frame

    found = instance_of(dataset, path)
    if found.frames == 1:
        found = place_single(found, dataset)
    # A header may announce more frames than there is room for; what is wrong with it is said where pixels are read.
    if found.frames > 1 and len(dataset.get(OF_FRAMES[1]) or ()) == found.frames:
        found = replace(found, stacks=stacks_of(stored_places(dataset, found.frames)))
    return found if found.series else "other"


def _inflated(stream: BinaryIO) -> Dataset:
    """The header of a deflated data set (PS3.5 section A.5), of which no more than a header needs is inflated."""
    stream.seek(132)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag.group != 2)
    unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream.read(LONGEST_HEADER), LONGEST_HEADER)
    dataset = read_dataset(
        BytesIO(unpacked), False, True, stop_when=lambda tag, *_: tag.group >= 0x7FE0, specific_tags=TAGS
    )
    dataset.file_meta = FileMetaDataset(meta)
    return dataset


def instance_of(dataset: Dataset, path: str) -> Instance:
    """The facts of a header. UIDs are the file's own: they are compared, and never stored from here."""
    # Each value is taken out once: to ask a data set for a word that it does not have is dear.
    said = {WORDS[tag]: dataset[tag].value for tag in dataset.keys() & WORDS.keys()}
    kinds = [str(word).strip() for word in many(said.get("ImageType"))]
    is_grey = int(said.get("SamplesPerPixel") or 1) == 1 and said.get("PhotometricInterpretation") != "PALETTE COLOR"
    position, orientation = (
        numbers(said.get(word), count) for word, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6))
    )
    spacing = numbers(said.get("PixelSpacing"), 2)
    return Instance(
        path=path,
        study=_text(said, "StudyInstanceUID"),
        series=_text(said, "SeriesInstanceUID"),
        sop=_text(said, "SOPInstanceUID"),
        rows=int(said.get("Rows") or 0),
        columns=int(said.get("Columns") or 0),
        number=_whole(said.get("InstanceNumber")),
        frames=max(1, _whole(said.get("NumberOfFrames") or 1)),
        position=position,  # type: ignore[arg-type]
        orientation=orientation,  # type: ignore[arg-type]
        spacing_mm=spacing if spacing and min(spacing) > 0 else None,  # type: ignore[arg-type]
        photometric=_text(said, "PhotometricInterpretation")[:16] if is_grey else "RGB",
        is_localiser="LOCALIZER" in kinds[2:3] or "CT_SOM5 TOP" in kinds or "SCOUT" in kinds,
        keys=_keys(said, dataset, kinds),
        patient=_patient(said),
        rescale=_rescale(said),
        modality=next((word for word in [_text(said, "Modality")] if word in terms_of("modality")), ""),
    )


def _keys(said: Mapping[str, Any], dataset: Dataset, kinds: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Values that may be shown: numbers, and words of the standard's and the makers' lists."""
    found: dict[str, str] = {}
    for what, word, unit in KEYS:
        number = _number(said.get(word)) if what not in found else None
        if number is not None:
            found[what] = f"{number:g}{unit}"
    if "b-value" not in found:
        for tag in B_VALUES:
            number = _number(dataset[tag].value) if tag in dataset else None
            if number is not None:
                found["b-value"] = f"{number % 1_000_000:g}"  # GE adds a thousand million
                break
    told = [word for word in kinds[2:] if word in terms_of("image_type")]
    return (("kind", " ".join(told)), *found.items()) if told else tuple(found.items())


def _patient(said: Mapping[str, Any]) -> str:
    """A hash of the patient's number, so that it is nowhere held; empty without one."""
    number, issuer = _text(said, "PatientID"), _text(said, "IssuerOfPatientID")
    return hashlib.sha256(f"{issuer}/{number}".encode("utf-8", "surrogateescape")).hexdigest()[:16] if number else ""


def _rescale(said: Mapping[str, Any]) -> bool | None:
    """Whether a rescale changes values; None without one."""
    if "ModalityLUTSequence" in said:
        return True
    slope, inter = (_number(said.get(word)) for word in ("RescaleSlope", "RescaleIntercept"))
    return None if slope is None and inter is None else (1.0 if slope is None else slope, inter or 0.0) != (1.0, 0.0)


def told_of_frame(dataset: Dataset, frame: int, word: str) -> Dataset | None:
    """The first item of a functional group (PS3.3 C.7.6.16.1.1): with the frame, else with what is said of all frames.

    Args:
        frame: as stored, counted from 0.
        word: the keyword of the group's sequence.
    """
    shared, each = (dataset.get(groups) or [] for groups in OF_FRAMES)
    for groups in (each[frame : frame + 1], shared[:1]):
        told = groups[0].get(word) if groups else None
        if told:
            found: Dataset = told[0]
            return found
    return None


def many(value: Any) -> list[Any]:
    """The values of an element that may have none, one or several."""
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]


def numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """So many numbers, or None."""
    try:
        found = tuple(float(number) for number in many(value))
    except (TypeError, ValueError):
        return None
    return found if len(found) == count else None


def _number(value: Any) -> float | None:
    try:
        first = next(iter(many(value)), None)
        return None if first is None else float(first)
    except (TypeError, ValueError):
        return None


def _whole(value: Any) -> int:
    number = _number(value)
    return int(number) if number is not None and abs(number) < 1e9 else 0


def _text(said: Mapping[str, Any], word: str) -> str:
    return str(said.get(word) or "").strip()
