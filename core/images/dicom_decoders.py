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

SYNTAXES: tuple[UID, ...] = (
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless,
    JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2K, RLELossless,
)  # fmt: skip


def decoder_findings() -> list[tuple[str, bool, str]]:
    """For each transfer syntax its name, whether it can be decoded, and by what or what is missing."""
    findings = []
    for syntax in SYNTAXES:
        decoder = get_decoder(syntax)
        if not syntax.is_encapsulated:
            findings.append((syntax.name, True, "needs no decoder"))
        elif decoder.is_available:
            findings.append((syntax.name, True, ", ".join(decoder.available_plugins)))
        else:
            findings.append((syntax.name, False, f"install one of: {'; '.join(decoder.missing_dependencies)}"))
    return findings
