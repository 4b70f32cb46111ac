"""Stored headers read back: what pydicom knows of them stays in this file and its neighbours."""

import io

import pydicom

from core.images.deidentify import header_bytes, say_pixels_cleaned


def header_with_clean_pixels(content: bytes) -> bytes:
    """A stored header that says, too, that a person has blacked out what was burned in."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    say_pixels_cleaned(dataset)
    return header_bytes(dataset)
