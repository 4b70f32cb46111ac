"""Single-frame DICOM: pixels in real-world values and a short allow-list of technical attributes.

Nothing else of the header leaves this module. Kinds of images that often carry names in
their pixels are refused here. References are to DICOM PS3.3 (2026c).
"""

import io
import logging
import re
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from core.errors import InvalidInput
from core.images.decoded import (
    Affine,
    DecodedImage,
    SpacingAt,
    Window,
    check_size,
    content_of,
    file_limit,
    reading,
)
from core.images.dicom_pixels import real_pixels
from core.images.orientation import split_letters
from core.images.pseudonyms import pseudonym
from core.settings import Settings

# pydicom quotes odd values in its warnings and its log, and those may be names. What matters is refused below.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

BURNED_IN_MODALITIES = {"US", "SC", "XC", "OT", "ES", "IVUS"}
NOT_PICTURES = {"SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "PR", "SR", "KO", "DOC", "REG"}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kinds .1 to .4
GREY_MODALITIES = {"CT", "MR", "CR", "DX", "MG", "RG", "RF", "XA", "PX", "IO", "NM", "PT", "BMD"}
PROJECTIONS = {"CR", "DX", "MG", "RG", "RF", "XA", "PX", "IO"}
CODE_STRING = re.compile(r"[A-Z0-9_ ]{1,16}")  # PS3.5 section 6.2, value representation CS
PLAIN_NAME = re.compile(r"[A-Za-z0-9 _.,/()+-]{1,64}")
SQUARE_ENOUGH = 0.01  # how far directions may be from unit vectors at right angles: headers are rounded
OLDEST_AGE = 90  # above 89 an age identifies (US 45 CFR 164.514)


def looks_like_dicom(content: bytes) -> bool:
    """With the preamble (PS3.10 section 7.1), or beginning directly with group 0002 or 0008."""
    if content[128:132] == b"DICM":
        return True
    return content[:4] in (b"\x02\x00\x00\x00", b"\x02\x00\x10\x00", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00") or (
        content[:4] in (b"\x08\x00\x00\x00", b"\x08\x00\x12\x00", b"\x08\x00\x16\x00", b"\x00\x08\x00\x05")
    )


def read_dicom(source: Path | bytes, settings: Settings, secret: bytes) -> DecodedImage:
    """The image of a single-frame DICOM object.

    `pixels` are real values: after the modality LUT or rescale, before any window.
    MONOCHROME1 stays as it is and is named in `photometric`.

    Raises:
        InvalidInput: no pixels, several frames, a kind that may carry burned-in text, damaged.
    """
    with reading("DICOM file"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = _parsed(content_of(source), settings)
        _refuse_pictureless(dataset)
        _refuse_burned_in(dataset)
        _refuse_several_frames(dataset)
        check_size(int(dataset.Rows), int(dataset.Columns), settings)
        pixels = real_pixels(dataset)
        spacing_mm, spacing_at = _spacing(dataset)
        return DecodedImage(
            pixels=pixels,
            photometric="RGB" if pixels.ndim == 3 else _grey_photometric(dataset),
            modality=_code(dataset, "Modality"),
            view=_view(dataset),
            spacing_mm=spacing_mm,
            spacing_at=spacing_at,
            affine=_affine(dataset),
            windows=_windows(dataset) if pixels.ndim == 2 else (),
            patient=_patient(dataset, secret),
            attributes=_attributes(dataset),
        )


def _parsed(content: bytes, settings: Settings) -> Dataset:
    has_preamble = content[128:132] == b"DICM"
    if has_preamble:
        _refuse_deflate_bomb(content, settings)
    dataset = pydicom.dcmread(io.BytesIO(content), force=not has_preamble)
    if "SOPClassUID" not in dataset and "PixelData" not in dataset:
        raise InvalidInput(f"The DICOM file holds no image; leave it out. Received: {_kind(dataset)}")
    if "TransferSyntaxUID" not in dataset.file_meta:
        # Without file meta information only uncompressed pixels are possible; pydicom knows what it parsed.
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(
            "1.2.840.10008.1.2" + ("" if implicit else ".1" if little else ".2")
        )
    return dataset


def _refuse_deflate_bomb(content: bytes, settings: Settings) -> None:
    """A deflated data set (PS3.5 section A.5) is inflated as a whole, so its size is tried out first."""
    stream = io.BytesIO(content)
    stream.seek(132)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag.group != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    start = stream.tell()
    limit = file_limit(settings)
    if len(zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[start:], limit + 1)) > limit:
        raise InvalidInput(f"The file unpacks to more than any image needs. Received: more than {limit:,} bytes")


# ---- what is refused


def _refuse_pictureless(dataset: Dataset) -> None:
    modality = _code(dataset, "Modality")
    has_pixels = any(word in dataset for word in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
    if not has_pixels or "Rows" not in dataset or "Columns" not in dataset or modality in NOT_PICTURES:
        lacking = "" if has_pixels else " without pixels"
        raise InvalidInput(f"The DICOM object is not an image; leave it out. Received: {_kind(dataset)}{lacking}")


def _refuse_burned_in(dataset: Dataset) -> None:
    modality = _code(dataset, "Modality")
    if str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        raise InvalidInput(
            "The header says that text is burned into the pixels, and it may name the patient; "
            "import it once full de-identification is there. Received: BurnedInAnnotation YES"
        )
    image_type = [str(word).upper() for word in _many(dataset.get("ImageType"))]
    is_capture = str(dataset.get("SOPClassUID", "")).startswith(SECONDARY_CAPTURE) or "SCREEN SAVE" in image_type
    if modality in BURNED_IN_MODALITIES or is_capture or "ConversionType" in dataset:
        raise InvalidInput(
            f"Images of this kind often carry the patient's name in their pixels; "
            f"import them once full de-identification is there. Received: {_kind(dataset)}"
        )
    if modality is None:
        raise InvalidInput(
            f"The header does not say what made the image, so burned-in names cannot be ruled out. "
            f"Received: {_kind(dataset)} without a modality"
        )
    if modality in GREY_MODALITIES and not str(dataset.get("PhotometricInterpretation", "")).startswith("MONOCHROME"):
        raise InvalidInput(
            f"A colour image from a grey modality is mostly a screen capture, which may show the patient's name; "
            f"import it once full de-identification is there. Received: {modality} in colour"
        )


def _refuse_several_frames(dataset: Dataset) -> None:
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise InvalidInput(
            f"Of DICOM, Readroom takes in single images today; volumes and cines follow. Received: {frames} frames"
        )


def _kind(dataset: Dataset) -> str:
    """The object's kind in the standard's words, never a value that a person typed."""
    uid = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    name = pydicom.uid.UID(str(uid)).name if uid else "no SOP class"
    further = [_code(dataset, "Modality"), _code(dataset, "ConversionType")]
    return f"{name} ({', '.join(word for word in further if word)})" if any(further) else name


# ---- the allow-list


def _grey_photometric(dataset: Dataset) -> Any:
    said = str(dataset.PhotometricInterpretation)
    if said not in ("MONOCHROME1", "MONOCHROME2"):
        raise InvalidInput(f"The image must be grey or colour. Received: photometric interpretation {said}")
    return said


def _attributes(dataset: Dataset) -> dict[str, str]:
    sex = _code(dataset, "PatientSex")
    found = {
        "sex": sex if sex in ("F", "M", "O") else None,
        "age": _age_years(dataset),
        "manufacturer": _plain(dataset, "Manufacturer"),
        "scanner": _plain(dataset, "ManufacturerModelName"),
        "body_part": _code(dataset, "BodyPartExamined"),
        "patient_orientation": _orientation(dataset),
    }
    return {key: value for key, value in found.items() if value}


def _age_years(dataset: Dataset) -> str | None:
    """Years from an age string such as 042Y or 006M (PS3.5 section 6.2, AS); 90 stands for 90 and above."""
    found = re.fullmatch(r"(\d{3})([DWMY])", str(dataset.get("PatientAge", "")).strip())
    if not found:
        return None
    years = int(found[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[found[2]]
    return f"{min(years, OLDEST_AGE):.2f}".rstrip("0").rstrip(".")


def _view(dataset: Dataset) -> str | None:
    parts = [_code(dataset, "ImageLaterality") or _code(dataset, "Laterality"), _code(dataset, "ViewPosition")]
    return " ".join(part for part in parts if part) or None


def _patient(dataset: Dataset, secret: bytes) -> str | None:
    """A pseudonym from the patient's number, else from the study's: images of one study show one patient."""
    number = str(dataset.get("PatientID") or "").strip()
    if number:
        return pseudonym(secret, f"patient {str(dataset.get('IssuerOfPatientID') or '').strip()}/{number}")
    study = str(dataset.get("StudyInstanceUID") or "").strip()
    return pseudonym(secret, f"study {study}") if study else None


def _spacing(dataset: Dataset) -> tuple[tuple[float, float] | None, SpacingAt | None]:
    """Millimetres between rows and between columns, and where they hold (10.7.1.3).

    In a projection, PixelSpacing is in the patient only where it was calibrated: by its own
    word, or because it differs from the spacing at the detector.
    """
    within, at_detector = (_pair(dataset.get(word)) for word in ("PixelSpacing", "ImagerPixelSpacing"))
    if within is None:
        return at_detector, "detector" if at_detector else None
    is_calibrated = "PixelSpacingCalibrationType" in dataset or (at_detector is not None and at_detector != within)
    return within, "detector" if _code(dataset, "Modality") in PROJECTIONS and not is_calibrated else "patient"


def _affine(dataset: Dataset) -> Affine | None:
    """How the image lies in the patient (C.7.6.2.1.1, equation C.7.6.2.1-1); None where a tag is absent or odd.

    One frame has no next one: the third axis is a millimetre across the image.
    """
    spacing = _pair(dataset.get("PixelSpacing"))
    directions = np.array([float(number) for number in _many(dataset.get("ImageOrientationPatient"))])
    origin = np.array([float(number) for number in _many(dataset.get("ImagePositionPatient"))])
    if spacing is None or directions.shape != (6,) or origin.shape != (3,) or not np.isfinite(origin).all():
        return None
    along_row, along_column = directions[:3], directions[3:]
    products = [along_row @ along_row, along_column @ along_column, 1 + along_row @ along_column]
    if not np.allclose(products, 1, atol=SQUARE_ENOUGH):  # unit vectors at right angles (C.7.6.2.1.1); NaN is none
        return None
    steps = (along_row * spacing[1], along_column * spacing[0], np.cross(along_row, along_column), origin)
    affine = np.vstack([np.column_stack(steps), [0, 0, 0, 1]])
    return tuple(tuple(float(number) for number in line) for line in affine)


def _orientation(dataset: Dataset) -> str | None:
    """Of an image without an affine, as projections are: where its rows and columns lead (C.7.6.1.1.1), as `L\\F`.

    Of four-footed animals the same letters mean other directions.
    """
    if _affine(dataset) is not None or _code(dataset, "AnatomicalOrientationType") == "QUADRUPED":
        return None
    said = "\\".join(str(word).strip() for word in _many(dataset.get("PatientOrientation")))
    return said if split_letters(said) else None


def _windows(dataset: Dataset) -> tuple[Window, ...]:
    """The file's windows (C.11.2.1.2), in the units of the real values."""
    centres, widths, names = (
        _many(dataset.get(word)) for word in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation")
    )
    found = []
    for at, (centre, width) in enumerate(zip(centres, widths, strict=False)):
        name = str(names[at]).strip() if at < len(names) else ""
        if np.isfinite([float(centre), float(width)]).all() and float(width) > 0:
            found.append(
                Window(name if PLAIN_NAME.fullmatch(name) else f"Window {at + 1}", float(centre), float(width))
            )
    return tuple(found)


def _pair(value: Any) -> tuple[float, float] | None:
    numbers = [float(number) for number in _many(value)]
    if len(numbers) != 2 or not all(0 < number < 1000 for number in numbers):
        return None
    return numbers[0], numbers[1]


def _many(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]


def _code(dataset: Dataset, word: str) -> str | None:
    said = str(dataset.get(word) or "").strip()
    return said if CODE_STRING.fullmatch(said) else None


def _plain(dataset: Dataset, word: str) -> str | None:
    said = str(dataset.get(word) or "").strip()
    return said if PLAIN_NAME.fullmatch(said) else None
