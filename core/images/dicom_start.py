"""Whether a file is DICOM, told by its first bytes; and what a first look may say of it.

Without pydicom, which takes half a second to import: files of other kinds are told apart here.
"""

from typing import Literal

from core.images.series import Instance

START_BYTES = 4096
LONGEST_HEADER = 4 << 20
REPRESENTATIONS = frozenset(  # PS3.5 section 6.2
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)
FIRST_ODD_ELEMENT = 0x10  # the high byte: no element of group 0008 that comes first lies behind
LONGEST_FIRST = 64  # bytes of a first element in implicit encoding: a character set, an image type, a UID

Survey = Instance | Literal["index", "other"]


def looks_like_dicom(content: bytes) -> bool:
    """With the preamble (PS3.10 section 7.1), or beginning directly with an element of group 0002 or 0008."""
    if content[128:132] == b"DICM":
        return True
    if len(content) < 8:
        return False
    if content[:2] == b"\x00\x08":  # big endian is always explicit
        return content[4:6] in REPRESENTATIONS
    if content[:2] not in (b"\x02\x00", b"\x08\x00") or content[3] >= FIRST_ODD_ELEMENT:
        return False
    return content[4:6] in REPRESENTATIONS or int.from_bytes(content[4:8], "little") <= LONGEST_FIRST
