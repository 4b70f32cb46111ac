"""Stored headers read back: what pydicom knows of them stays in this file and its neighbours."""

import io

LONGEST_VALUE = 200


def header_with_clean_pixels(content: bytes) -> bytes:
    """A stored header that says, too, that a person has blacked out what was burned in."""
    from pydicom import dcmread  # half a second, which an import of other kinds of files need not wait for

    from core.images.deidentify import header_bytes, say_pixels_cleaned

    dataset = dcmread(io.BytesIO(content))
    say_pixels_cleaned(dataset)
    return header_bytes(dataset)


def told_values(content: bytes) -> dict[str, str]:
    """The values of a stored header by tag, such as `(0008,0060)`; of a sequence how many items it has."""
    from pydicom import dcmread

    told = {}
    for element in dcmread(io.BytesIO(content)):
        if element.VR == "SQ":
            value = f"{len(element.value)} items"
        else:  # several values as DICOM writes them: ORIGINAL\\PRIMARY
            value = "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)
        told[f"({element.tag.group:04X},{element.tag.element:04X})"] = value[:LONGEST_VALUE]
    return told
