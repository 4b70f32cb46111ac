"""The mark by which a drawn image says, in the file itself, that it is of no patient."""

import struct

from core.errors import InvalidInput

KEYWORD = "Synthetic"
SYNTHETIC = "synthetic: drawn by a model, no patient"
PNG = b"\x89PNG\r\n\x1a\n"
TEXTS = (b"tEXt", b"iTXt")


def refuse_synthetic(start: bytes) -> None:
    """For an import, whose cases may be read and tested on.

    Args:
        start: the first bytes of a file, among which a PNG of `core.training.samples` has its mark.

    Raises:
        InvalidInput: it is a drawn image.
    """
    if says_synthetic(start):
        raise InvalidInput(
            "A model drew this image, so it is no case to be read or tested on. To learn from drawn images, let "
            "`readroom generate` keep them with `--into PROJECT`. Received: a PNG that is marked as synthetic"
        )


def says_synthetic(start: bytes) -> bool:
    """Whether the texts among the first bytes of a PNG say that it was drawn (chunks: PNG specification, section 5)."""
    if not start.startswith(PNG):
        return False
    at = len(PNG)
    while at + 8 <= len(start):
        size, kind = struct.unpack(">I4s", start[at : at + 8])
        if kind in TEXTS:
            keyword, _, text = start[at + 8 : at + 8 + size].partition(b"\0")
            if keyword == KEYWORD.encode() and text.lstrip(b"\0").startswith(SYNTHETIC.partition(":")[0].encode()):
                return True
        at += 12 + size
    return False
