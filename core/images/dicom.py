"""One DICOM object: its frames in real-world values, the de-identified header, and technical facts from that.

Nothing else of the header leaves this module. Kinds of images that often carry names in
their pixels are told by `to_check`. References are to DICOM PS3.3 (2026c).
"""

import io
import logging
import math
import re
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from core.errors import InvalidInput
from core.images.decoded import (
    Affine,
    DecodedImage,
    InstanceHeader,
    SpacingAt,
    check_size,
    content_of,
    file_limit,
    reading,
)
from core.images.deidentify import deidentify, header_bytes, left_as_it_is
from core.images.deidentify_alike import Alike
from core.images.deidentify_profile import terms_of
from core.images.dicom_burned_in import device_of, reason_to_check
from core.images.dicom_decoders import refuse_syntax
from core.images.dicom_frames import read_frames
from core.images.dicom_instances import NOT_PICTURES, many, numbers
from core.images.dicom_pixels import real_pixels
from core.images.dicom_stacks import said_in_groups
from core.images.dicom_unwrap import unwrap
from core.images.dicom_windows import WindowsSaid, windows_said
from core.images.orientation import split_letters
from core.images.series import STACK
from core.images.slices import windows_of
from core.images.volumes import check_volume_size
from core.projects.deidentification import Deidentification
from core.settings import Settings

# pydicom quotes odd values in its warnings and its log, and those may be names. What matters is refused below.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

PROJECTIONS = {"CR", "DX", "MG", "RG", "RF", "XA", "PX", "IO"}
CODE_STRING = re.compile(r"[A-Z0-9_ ]{1,16}")  # PS3.5 section 6.2, value representation CS
PLAIN_NAME = re.compile(r"[A-Za-z0-9 _.,/()+-]{1,64}")
NEAR_ONE = 0.01001  # how far from 1 products of directions may be, by which they are unit vectors at right angles
OLDEST_AGE = 90  # above 89 an age identifies (US 45 CFR 164.514)


def read_dicom(
    source: Path | bytes,
    settings: Settings,
    secret: bytes,
    options: Deidentification | None = None,
    *,
    alike: Alike | None = None,
    part: int | None = None,
) -> DecodedImage:
    """The image of a DICOM object: of a multi-frame one the volume, or its frames as they are stored.

    `pixels` are real values: after the modality LUT or rescale, before any window.
    MONOCHROME1 stays as it is and is named in `photometric`.

    Args:
        alike: what was made of headers before (`core.images.deidentify_alike`).
        part: of an object whose frames form several stacks only this one, counted from 1.

    Raises:
        InvalidInput: no pixels, too many of them, damaged.
    """
    options = options or Deidentification()
    with reading("DICOM file"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = _parsed(content_of(source), settings)
        _refuse_pictureless(dataset)
        count = max(1, int(dataset.get("NumberOfFrames") or 1))
        check_size(int(dataset.Rows), int(dataset.Columns), settings)
        check_volume_size((count, int(dataset.Rows), int(dataset.Columns)), settings)
        unwrap(dataset)
        frames = read_frames(dataset, count, part) if count > 1 else None
        pixels = frames.pixels if frames else real_pixels(dataset)
        is_colour = pixels.ndim == (4 if frames else 3)
        if frames and len(pixels) == 1:  # a stack of one frame
            pixels = pixels[0]
        made = deidentify(dataset, options, secret, alike) if options.enabled else left_as_it_is(dataset)
        facts = made.dataset
        header = InstanceHeader(
            str(facts.get("SOPInstanceUID", "")), header_bytes(facts, alike if options.enabled else None), made.changes
        )
        spacing_mm, spacing_at = _spacing(facts)
        groups = said_in_groups(dataset, 0)
        within_groups = frames.spacing_mm if frames else _pair(groups.get("PixelSpacing"))
        if within_groups:
            spacing_mm, spacing_at = within_groups, "patient"
        geometry = frames.stack.geometry if frames else None
        affine = _affine(dataset) or _affine(groups)
        shown = windows_said(dataset, frames.stack.frames if frames else (0,)) if not is_colour else WindowsSaid()
        of_several = {STACK: f"{frames.part} of {frames.parts}"} if frames and frames.part else {}
        if of_several and frames and frames.stack.name:
            of_several["part"] = frames.stack.name
        return DecodedImage(
            pixels=pixels,
            photometric="RGB" if is_colour else _grey_photometric(facts),
            modality=_code(facts, "Modality"),
            view=_view(facts),
            frames=len(frames.pixels) if frames else 1,
            spacing_mm=spacing_mm,
            spacing_at=spacing_at,
            slice_spacing_mm=geometry.slice_spacing_mm if geometry else None,
            affine=frames.affine if frames else affine,
            windows=windows_of(frames.pixels, {shown.windows}) if frames else shown.windows,
            patient=made.patient,
            patient_number=made.number,
            crosswalk=made.crosswalk,
            attributes={**_attributes(facts, dataset, affine), **(_cine(facts) if frames else {}), **of_several},
            headers=(header,),
            to_check=reason_to_check(dataset, options),
            oddities=(*(frames.stack.said if frames else ()), *shown.oddities, *_overlay(dataset, options)),
            device=device_of(dataset, secret),
        )


def _parsed(content: bytes, settings: Settings) -> Dataset:
    has_preamble = content[128:132] == b"DICM"
    if has_preamble:
        _refuse_by_meta(content, settings)
    dataset = pydicom.dcmread(io.BytesIO(content), force=not has_preamble)
    if "SOPClassUID" not in dataset and "PixelData" not in dataset:
        raise InvalidInput(f"The DICOM file holds no image; leave it out. Received: {_kind(dataset)}")
    if "TransferSyntaxUID" not in dataset.file_meta:
        # Without file meta information only uncompressed pixels are possible; pydicom knows what it parsed.
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(
            "1.2.840.10008.1.2" + ("" if implicit else ".1" if little else ".2")
        )
    elif not has_preamble:
        refuse_syntax(str(dataset.file_meta.TransferSyntaxUID))
    return dataset


def _refuse_by_meta(content: bytes, settings: Settings) -> None:
    """What nothing decodes, by its name. A deflated data set (PS3.5 section A.5) is inflated as a whole, so its size
    is tried out first."""
    stream = io.BytesIO(content)
    stream.seek(132)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag.group != 2)
    syntax = str(meta.get("TransferSyntaxUID") or "").strip()
    if syntax:
        refuse_syntax(syntax)
    if syntax != DeflatedExplicitVRLittleEndian:
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


def _kind(dataset: Dataset) -> str:
    """The object's kind in the standard's words, never a value that a person typed."""
    uid = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    name = pydicom.uid.UID(str(uid)).name if uid else "no SOP class"
    modality = _code(dataset, "Modality")
    further = [modality if modality in terms_of("modality") else None]
    return f"{name} ({', '.join(word for word in further if word)})" if any(further) else name


# ---- the allow-list


def _grey_photometric(dataset: Dataset) -> Any:
    said = str(dataset.get("PhotometricInterpretation", "unknown"))
    if said not in ("MONOCHROME1", "MONOCHROME2"):
        raise InvalidInput(f"The image must be grey or colour. Received: photometric interpretation {said}")
    return said


def _attributes(dataset: Dataset, raw: Dataset, affine: Affine | None) -> dict[str, str]:
    sex = _code(dataset, "PatientSex")
    found = {
        "sex": sex if sex in ("F", "M", "O") else None,
        "age": _age_years(dataset),
        "manufacturer": _plain(dataset, "Manufacturer"),
        "scanner": _plain(dataset, "ManufacturerModelName"),
        "body_part": _code(dataset, "BodyPartExamined"),
        "patient_orientation": None if affine else _orientation(raw),
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
    directions, origin = (
        [float(number) for number in many(dataset.get(word))]
        for word in ("ImageOrientationPatient", "ImagePositionPatient")
    )
    if spacing is None or len(directions) != 6 or len(origin) != 3 or not all(map(math.isfinite, origin)):
        return None
    along_row, along_column = directions[:3], directions[3:]
    products = [_dot(along_row, along_row), _dot(along_column, along_column), 1 + _dot(along_row, along_column)]
    if not all(abs(product - 1) <= NEAR_ONE for product in products):  # unit vectors at right angles; NaN is none
        return None
    (a, b, c), (d, e, f) = along_row, along_column
    across = (b * f - c * e, c * d - a * f, a * e - b * d)
    lines = zip(along_row, along_column, across, origin, strict=True)
    first_three = tuple((row * spacing[1], column * spacing[0], step, start) for row, column, step, start in lines)
    return (*first_three, (0.0, 0.0, 0.0, 1.0))


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(here * there for here, there in zip(one, other, strict=True))


def _orientation(dataset: Dataset) -> str | None:
    """Of an image without an affine, as projections are: where its rows and columns lead (C.7.6.1.1.1), as `L\\F`.

    Of four-footed animals the same letters mean other directions.
    """
    if _code(dataset, "AnatomicalOrientationType") == "QUADRUPED":
        return None
    said = "\\".join(str(word).strip() for word in many(dataset.get("PatientOrientation")))
    return said if split_letters(said) else None


def _cine(dataset: Dataset) -> dict[str, str]:
    """How long a frame of a cine lasts (C.7.6.5), where one number tells it."""
    time, rate = (numbers(dataset.get(word), 1) for word in ("FrameTime", "CineRate"))
    if not time and rate and rate[0] > 0:
        time = (1000 / rate[0],)
    return {"frame_ms": f"{time[0]:g}"} if time and 0 < time[0] < 1e6 else {}


def _overlay(dataset: Dataset, options: Deidentification) -> tuple[str, ...]:
    """Graphics of group 60xx (C.9.2) are no part of the pixels, also where they lie in bits above the stored ones."""
    if not any(tag.group & 0xFF00 == 0x6000 for tag in dataset.keys()):  # noqa: SIM118 (no element is read)
        return ()
    kept = "left out, as it may hold text" if options.enabled else "kept in the header"
    return (f"An overlay (graphics beside the pixels) was {kept}; the pixels are as they were.",)


def _pair(value: Any) -> tuple[float, float] | None:
    pair = [float(number) for number in many(value)]
    if len(pair) != 2 or not all(0 < number < 1000 for number in pair):
        return None
    return pair[0], pair[1]


def _code(dataset: Dataset, word: str) -> str | None:
    said = str(dataset.get(word) or "").strip()
    return said if CODE_STRING.fullmatch(said) else None


def _plain(dataset: Dataset, word: str) -> str | None:
    said = str(dataset.get(word) or "").strip()
    return said if PLAIN_NAME.fullmatch(said) else None
