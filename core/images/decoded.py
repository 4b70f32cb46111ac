"""What a file says once it is read: real values, how to show them, and a few technical facts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from core.errors import CoreError, InvalidInput
from core.settings import Settings

Pixels = np.ndarray[Any, np.dtype[Any]]
Photometric = Literal["MONOCHROME1", "MONOCHROME2", "RGB"]
SpacingAt = Literal["patient", "detector"]
# How grey levels rise over a window where that is no straight line: as a sigmoid, or by a table in runs of
# (entries, grey level 0 to 255).
Curve = Literal["sigmoid"] | tuple[tuple[int, int], ...]
Affine = tuple[tuple[float, ...], ...]  # 4 x 4: (column, row, frame, 1) to LPS millimetres

# No image within the limit on pixels needs more bytes than this for each of them (three channels of 16 bit are 6).
MOST_BYTES_PER_PIXEL = 8
LEAST_FILE_LIMIT = 1 << 20
LARGEST_VALUE = 1e30  # far from where sums and differences of float32 overflow
MOST_ENTRIES = 65536  # of a table (PS3.3 C.11.2.1.1)


QUOTE = re.compile(r"['\"`“‘]")


@dataclass(frozen=True)
class Window:
    """A grey-level window in the units of the stored values.

    Of a table the width is the number of its entries, and `centre - width / 2` the value of the first one. It is kept
    in the 256 grey levels that are ever seen of it, not in its own heights: that is exact, whatever its shape, and
    takes some 2 kB, whatever its length, where it only rises or only falls.
    """

    name: str
    centre: float
    width: float
    curve: Curve | None = None

    @classmethod
    def told(cls, name: str, centre: float, width: float, curve: Any = None) -> "Window":
        """The window that JSON tells.

        Raises:
            ValueError: its curve is none.
        """
        if curve is None or curve == "sigmoid":
            return cls(name, centre, width, curve)
        runs = tuple((int(entries), int(level)) for entries, level in curve)
        fits = all(entries > 0 and 0 <= level <= 255 for entries, level in runs)
        if not runs or not fits or sum(entries for entries, _ in runs) > MOST_ENTRIES:
            raise ValueError("no table of grey levels")
        return cls(name, centre, width, runs)

    def to_json(self) -> dict[str, Any]:
        """As it is sent, and as prepared files are named by: a straight line as before there were curves."""
        plain = {"name": self.name, "centre": self.centre, "width": self.width}
        return plain if self.curve is None else {**plain, "curve": self.curve}


class Change(NamedTuple):
    """What happened to an attribute: kept, cleaned, replaced, emptied, removed or added, and by which rule.

    The value of before is nowhere. `path` has the tags from the outside in; items of a sequence are counted
    together in `times`.
    """

    path: str
    name: str
    done: str
    rule: str
    times: int = 1


@dataclass(frozen=True)
class InstanceHeader:
    """The de-identified header of one DICOM instance as the bytes of a file, and how it came to be so."""

    sop_uid: str  # the pseudonymous one
    content: bytes
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class DecodedImage:
    """One image: `pixels` is (rows, columns) or (rows, columns, 3), of uint8, int16, uint16 or float32.

    Of a volume or a cine, which have several `frames`, those are the first axis.
    """

    pixels: Pixels
    photometric: Photometric = "MONOCHROME2"
    modality: str | None = None
    view: str | None = None
    frames: int = 1
    spacing_mm: tuple[float, float] | None = None  # between rows, between columns
    spacing_at: SpacingAt | None = None
    slice_spacing_mm: float | None = None  # between frames
    affine: Affine | None = None
    windows: tuple[Window, ...] = ()
    patient: str | None = None  # a pseudonym
    patient_number: str | None = None  # that of the number alone, where the header also says whose number it is
    attributes: dict[str, str] = field(default_factory=dict)
    headers: tuple[InstanceHeader, ...] = ()  # one for each frame, or the one of a multi-frame object
    to_check: str | None = None  # why somebody has to look at the pixels before readers see them
    oddities: tuple[str, ...] = ()  # what a person should know of it, in sentences
    crosswalk: str | None = None  # a sealed line that says whose pseudonym it is, where the project keeps such
    device: str = ""  # stands for what made the image, so that a template of blacked-out boxes is found again

    @property
    def picture(self) -> Pixels:
        """What stands for the whole in a thumbnail: the image, or the middle frame."""
        return self.pixels if self.frames == 1 else np.asarray(self.pixels[self.frames // 2])


def without_quotes(text: str) -> str:
    """What an error says up to the first thing that it quotes: what is quoted may be a name, and hold quotes itself."""
    said, *quoted = QUOTE.split(text, maxsplit=1)
    return f"{said}..." if quoted else said


CUT_OFF = re.compile(r"bytes of pixel data is less than expected \((\d+) vs (\d+) bytes\)")  # as pydicom says it


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged file into a sentence about that file."""
    try:
        yield
    except (CoreError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except MemoryError as error:
        raise InvalidInput(
            f"This {what} needs more memory than there is; make the image smaller. Received: {error}"
        ) from error
    except (
        BaseException
    ) as error:  # decoders raise anything at all on hostile bytes; those in Rust panic beside Exception
        if short := CUT_OFF.search(str(error)):
            there, all_of_it = (int(number) for number in short.groups())
            raise InvalidInput(
                f"The file ends before its pixels do; copy or export it again. "
                f"Received: {there:,} of {all_of_it:,} bytes of pixels"
            ) from error
        # a decoder may quote the value it stumbled on, and that may be a name
        said = without_quotes(" ".join(str(error).split()))[:200]
        raise InvalidInput(
            f"This {what} is damaged, incomplete or of a rare kind; export it again. "
            f"Received: {type(error).__name__}{': ' + said if said else ''}"
        ) from error


def content_of(source: Path | bytes) -> bytes:
    """The bytes of a file, or the bytes themselves."""
    return source if isinstance(source, bytes) else source.read_bytes()


def file_limit(settings: Settings) -> int:
    """Bytes beyond which no file can be an image within the limit on pixels."""
    return max(LEAST_FILE_LIMIT, settings.max_image_pixels * MOST_BYTES_PER_PIXEL)


def check_size(rows: int, columns: int, settings: Settings) -> None:
    """Refuse, before any pixel is decoded, an image without pixels or with absurdly many."""
    if rows < 1 or columns < 1:
        raise InvalidInput(f"The image has no pixels; export it again. Received: {columns} x {rows} pixels")
    if rows * columns > settings.max_image_pixels:
        raise InvalidInput(
            f"The image has more than {settings.max_image_pixels:,} pixels, the limit against decompression bombs; "
            f"raise max_image_pixels in settings.toml if it is genuine. Received: {columns} x {rows} pixels"
        )


def real_values(array: Pixels) -> Pixels:
    """The array in one of the four stored types, equal in value (float64 is rounded to float32).

    Raises:
        InvalidInput: it holds NaN or infinity, or whole numbers that float32 cannot hold exactly.
    """
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    array = native(array)
    if np.issubdtype(array.dtype, np.floating):
        return _real_floats(array)
    if array.dtype in (np.uint8, np.uint16, np.int16):
        return np.ascontiguousarray(array)
    return _narrowed(array)


def native(array: Pixels) -> Pixels:
    """The same values in this machine's byte order."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def whole_numbers(array: Pixels) -> Pixels:
    """Floats that are all whole numbers, as the narrowest stored whole type; others unchanged."""
    if np.isfinite(array).all() and np.array_equal(array, np.rint(array)) and np.abs(array).max() < 65536:
        return _narrowed(array.astype(np.int64))
    return array


def _real_floats(array: Pixels) -> Pixels:
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise InvalidInput(
            f"The image holds values that are not numbers; replace them and export it again. "
            f"Received: {bad} pixels of NaN or infinity"
        )
    largest = float(np.abs(array).max())
    if largest > LARGEST_VALUE:
        raise InvalidInput(f"The image holds values beyond {LARGEST_VALUE:g}; rescale it. Received: {largest:g}")
    return np.ascontiguousarray(array, dtype=np.float32)


def _narrowed(array: Pixels) -> Pixels:
    return np.ascontiguousarray(array, dtype=whole_type(int(array.min()), int(array.max())))


def whole_type(low: int, high: int) -> type[np.int16 | np.uint16 | np.float32]:
    """The stored type that keeps whole numbers from `low` to `high` exactly.

    Raises:
        InvalidInput: none does.
    """
    for kind in (np.int16, np.uint16):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return kind
    if max(-low, high) > 1 << 24:
        raise InvalidInput(
            f"The image holds whole numbers beyond 16,777,216, which cannot be kept exactly; rescale it. "
            f"Received: {low} to {high}"
        )
    return np.float32
