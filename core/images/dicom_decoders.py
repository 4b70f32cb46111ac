"""Which DICOM transfer syntaxes this installation can decode (DICOM PS3.5, section 8 and Annex A)."""

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

ENCAPSULATED_UNCOMPRESSED = UID("1.2.840.10008.1.2.1.98")  # PS3.5 section A.4.11, for which pydicom has no word
SYNTAXES: tuple[UID, ...] = (
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
    ENCAPSULATED_UNCOMPRESSED,
    JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless,
    JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K, RLELossless,
)  # fmt: skip
NEED_NO_DECODER = frozenset([*(one for one in SYNTAXES if not one.is_encapsulated), ENCAPSULATED_UNCOMPRESSED])
OF_DICOM = "1.2.840.10008."  # what stands behind it was given by the standard, and by nobody who could mean a person


def decoder_findings() -> list[tuple[str, bool, str]]:
    """For each transfer syntax its name, whether it can be decoded, and by what or what is missing."""
    findings = []
    for syntax in SYNTAXES:
        if syntax in NEED_NO_DECODER:
            findings.append((syntax.name, True, "needs no decoder"))
            continue
        decoder = get_decoder(syntax)
        if decoder.is_available:
            findings.append((syntax.name, True, ", ".join(decoder.available_plugins)))
        else:
            findings.append((syntax.name, False, f"install one of: {'; '.join(decoder.missing_dependencies)}"))
    return findings


def refuse_syntax(said: str) -> None:
    """Refuse, before anything is decoded, an object in a transfer syntax that nothing here reads.

    Raises:
        InvalidInput: it names the syntax, and what to do.
    """
    if said in SYNTAXES:
        if said in NEED_NO_DECODER or said == JPEGExtended12Bit or get_decoder(said).is_available:
            return
        lacking = "; ".join(get_decoder(said).missing_dependencies)
        raise InvalidInput(
            f"The decoder for this file's transfer syntax is not installed; install one of: {lacking}. "
            f"Received: {UID(said).name}"
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
