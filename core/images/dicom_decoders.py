"""Which DICOM transfer syntaxes this installation can decode (DICOM PS3.5, section 8 and Annex A)."""

import imagecodecs
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from core.errors import InvalidInput

# What pydicom does not decode, and but for the first has no word for (PS3.5 Annex A, PS3.6 table A-1): `dicom_unwrap`.
ENCAPSULATED_UNCOMPRESSED = UID("1.2.840.10008.1.2.1.98")
DEFLATED_FRAMES = UID("1.2.840.10008.1.2.8.1")
JPEG_XL = tuple(UID(f"1.2.840.10008.1.2.4.{last}") for last in (110, 111, 112))
NAMES = dict(
    zip(
        (DEFLATED_FRAMES, *JPEG_XL),
        ("Deflated Image Frame Compression", "JPEG XL Lossless", "JPEG XL JPEG Recompression", "JPEG XL"),
        strict=True,
    )
)
SYNTAXES: tuple[UID, ...] = (
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
    ENCAPSULATED_UNCOMPRESSED, DEFLATED_FRAMES,
    JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless,
    JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K, RLELossless,
    *JPEG_XL,
)  # fmt: skip
NEED_NO_DECODER = frozenset(
    [*(one for one in SYNTAXES if one not in NAMES and not one.is_encapsulated), ENCAPSULATED_UNCOMPRESSED,
     DEFLATED_FRAMES]
)  # fmt: skip
OF_DICOM = "1.2.840.10008."  # what stands behind it was given by the standard, and by nobody who could mean a person


def decoder_findings() -> list[tuple[str, bool, str]]:
    """For each transfer syntax its name, whether it can be decoded, and by what or what is missing."""
    return [(NAMES.get(syntax, syntax.name), *_decoder_of(syntax)) for syntax in SYNTAXES]


def _decoder_of(syntax: UID) -> tuple[bool, str]:
    if syntax in NEED_NO_DECODER:
        return True, "needs no decoder"
    if syntax in JPEG_XL:
        return (True, "imagecodecs") if imagecodecs.JPEGXL.available else (False, "install one of: imagecodecs")
    decoder = get_decoder(syntax)
    if decoder.is_available:
        return True, ", ".join(decoder.available_plugins)
    if syntax == JPEGExtended12Bit:
        return True, "imagecodecs"
    return False, f"install one of: {'; '.join(decoder.missing_dependencies)}"


def refuse_syntax(said: str) -> None:
    """Refuse, before anything is decoded, an object in a transfer syntax that nothing here reads.

    Raises:
        InvalidInput: it names the syntax, and what to do.
    """
    if said in SYNTAXES:
        there, what = _decoder_of(UID(said))
        if there:
            return
        raise InvalidInput(
            f"The decoder for this file's transfer syntax is not installed; {what}. "
            f"Received: {NAMES.get(UID(said), UID(said).name)}"
        )
    raise InvalidInput(
        f"The file is in a transfer syntax that Readroom does not decode; "
        f"export it uncompressed, or as JPEG 2000 or RLE. Received: {_named(said)}"
    )


def _named(said: str) -> str:
    """Only what the standard gave away is repeated: any other number may have been made from a person's."""
    if (name := UID(said).name) != said:
        return f"{name} ({said})"
    return said if said.startswith(OF_DICOM) and UID(said).is_valid else "one that is not of the standard"
