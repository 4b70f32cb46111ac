"""From a file to an image, by what the file holds and not by its name."""

import re
from pathlib import Path

from core.errors import InvalidInput
from core.images.archives import TABLES
from core.images.decoded import DecodedImage, Window, content_of, file_limit
from core.images.deidentify_alike import Alike
from core.images.dicom_start import looks_like_dicom
from core.images.names import name_parts
from core.images.nifti import nifti_version, read_nifti
from core.images.nrrd import MAGIC, read_nrrd
from core.images.raster import read_raster
from core.projects.deidentification import Deidentification
from core.settings import Settings

__all__ = ["DecodedImage", "Window", "decode", "kind_of"]

RASTER_STARTS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
}
# What people drop into a folder of images, so that the refusal can name it.
OTHER_STARTS = {
    b"GIF8": "a GIF image",
    b"BM": "a BMP image",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000 image",
    b"\xff\x4f\xff\x51": "a JPEG 2000 codestream",
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip archive inside an archive or under another name",
    b"PK\x05\x06": "an empty zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"%PDF": "a PDF document",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
}
OF_TEXTS = bytes(byte for byte in range(256) if byte >= 32 or byte in b"\t\n\r\f")


def decode(
    source: Path | bytes,
    settings: Settings,
    secret: bytes,
    *,
    name: str = "",
    options: Deidentification | None = None,
    alike: Alike | None = None,
) -> DecodedImage:
    """The image of a PNG, JPEG, TIFF, DICOM, NIfTI or NRRD file, given by its path or its bytes.

    Args:
        secret: the home's secret, for pseudonyms (`core.images.pseudonyms.load_secret`).
        options: what of a DICOM header the project keeps; the defaults without it.
        name: the file's name for the refusal, when `source` is bytes; one that ends in `#3` asks for the third volume
            of a file of four dimensions, or of a multi-frame object of several stacks.
        alike: what was made of the headers of files before, so that those of one series are cheap.

    Raises:
        InvalidInput: the file holds no image that Readroom takes in; the sentence says why.
        OSError: the file cannot be read from disk.
    """
    name = name or (source.name if isinstance(source, Path) else "")
    if isinstance(source, Path) and source.stat().st_size > file_limit(settings):
        raise InvalidInput(
            f"The file is larger than any image within the limit of {settings.max_image_pixels:,} pixels. "
            f"Received: {source.stat().st_size:,} bytes"
        )
    content = content_of(source)
    kind = kind_of(content)
    if kind in ("PNG", "JPEG", "TIFF"):
        return read_raster(content, settings)
    asked = re.search(r"#(\d{1,6})$", name)
    part = int(asked[1]) if asked else None
    if kind == "DICOM":
        from core.images.dicom import read_dicom  # pydicom and its decoders, which no other kind needs

        return read_dicom(content, settings, secret, options, alike=alike, part=part)
    if kind == "NIfTI":
        return read_nifti(content, settings, time_point=part)
    if kind == "NRRD":
        return read_nrrd(content, settings)
    raise InvalidInput(refusal_of(content, name))


def kind_of(content: bytes) -> str:
    """`PNG`, `JPEG`, `TIFF`, `DICOM`, `NIfTI`, `NRRD`, or a few words on what else it is."""
    if looks_like_dicom(content):  # first, as a DICOM preamble may begin like a TIFF (PS3.10 section 7.1)
        return "DICOM"
    if nifti_version(content) is not None:
        return "NIfTI"
    if content.startswith(MAGIC):
        return "NRRD"
    for start, kind in RASTER_STARTS.items():
        if content.startswith(start):
            return kind
    if not content:
        return "an empty file"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "a WebP image"
    for start, kind in OTHER_STARTS.items():
        if content.startswith(start):
            return kind
    return "a text file" if _is_text(content[:1024]) else "a file of an unknown kind"


def refusal_of(content: bytes, name: str) -> str:
    """Why a file of none of these kinds is not taken in; its first bytes tell as much as all of them."""
    kind, suffix = kind_of(content), name_parts(name)[1].lower()
    if not content:
        return "The file is empty; copy or export it again. Received: 0 bytes"
    if "archive" in kind or (kind == "a gzip file" and suffix != ".nii.gz"):
        return f"Unpack it first, and import the files in it. Received: {kind}"
    if suffix in (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".nii", ".nii.gz", ".nrrd"):
        return f"The name ends in {suffix} but the content does not fit; export the image again. Received: {kind}"
    if suffix in TABLES and kind == "a text file":
        return "A table is no image; name it as the label table, or leave it out. Received: a text file"
    return f"Readroom takes in PNG, JPEG, TIFF, DICOM, NIfTI and NRRD; save the image as one of these. Received: {kind}"


def _is_text(start: bytes) -> bool:
    return not start.translate(None, OF_TEXTS)
