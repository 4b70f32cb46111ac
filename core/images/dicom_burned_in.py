"""Which DICOM images may have a name in their pixels, so that a person has to look at them first.

Burned-in text cannot be found reliably by machine, so the header decides, on the side of caution.
"""

import hashlib
import hmac
import re

from pydicom.dataset import Dataset

from core.images.deidentify_profile import terms_of
from core.projects.deidentification import Deidentification

BURNED_IN_MODALITIES = {"US", "SC", "XC", "OT", "ES", "IVUS"}
GREY_MODALITIES = {"CT", "MR", "CR", "DX", "MG", "RG", "RF", "XA", "PX", "IO", "NM", "PT", "BMD"}
TRUSTED_MODALITIES = {"CT", "MR", "CR", "DX", "MG"}
SECONDARY_CAPTURE = re.compile(r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.7(\.[1-4])?")
OFTEN = "Images of this kind often carry the patient's name in their pixels"


def reason_to_check(dataset: Dataset, options: Deidentification) -> str | None:
    """Why somebody has to look at the pixels first; None where the header lets the image pass."""
    modality = str(dataset.get("Modality") or "").strip()
    named = modality if modality in terms_of("modality") else "unknown"
    said = str(dataset.get("BurnedInAnnotation") or "").strip().upper()
    kind = _image_type(dataset)
    if said == "YES":
        return "The header says that text is burned into the pixels."
    if modality in BURNED_IN_MODALITIES:
        return f"{OFTEN}: modality {modality}."
    if SECONDARY_CAPTURE.fullmatch(str(dataset.get("SOPClassUID", ""))) or "ConversionType" in dataset:
        return f"{OFTEN}: a secondary capture."
    if "SCREEN SAVE" in kind:
        return f"{OFTEN}: a screen capture."
    if named == "unknown":
        return "The header does not say what made the image, so that names in its pixels cannot be ruled out."
    if modality in GREY_MODALITIES and not str(dataset.get("PhotometricInterpretation", "")).startswith("MONOCHROME"):
        return f"A colour image from a grey modality is mostly a screen capture: {modality} in colour."
    if said == "NO":
        return None
    if options.strict_pixels:
        return "The header does not say whether text is burned in, and the project is strict."
    if modality not in TRUSTED_MODALITIES:
        return f"The header does not say whether text is burned in: modality {modality}."
    if kind[:2] == ["ORIGINAL", "PRIMARY"]:
        return None
    if "DERIVED" in kind[:1] or "SECONDARY" in kind[1:2]:
        return f"The header of this derived {modality} image does not say whether text is burned in."
    return f"The header says neither that this {modality} image is an original one nor whether text is burned in."


def device_of(dataset: Dataset, secret: bytes) -> str:
    """Stands for what makes such images, so that a template is found again: it says nothing by itself."""
    words = ("Modality", "Rows", "Columns", "Manufacturer", "ManufacturerModelName")
    text = "device " + "/".join(str(dataset.get(word) or "").strip() for word in words)
    return "D" + hmac.new(secret, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:16]


def _image_type(dataset: Dataset) -> list[str]:
    value = dataset.get("ImageType") or []
    return [str(word).strip().upper() for word in ([value] if isinstance(value, str) else value)]
