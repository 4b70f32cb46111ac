"""From real values to what is seen: by a person on the screen, and by a network, through the same steps."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol, get_args

import numpy as np
from PIL import Image

from core.errors import InvalidInput
from core.images.decoded import Curve, Pixels, Window

LOW_PERCENT, HIGH_PERCENT = 0.1, 99.9
AS_STORED, PERCENTILES, TRAINING_SET = "as stored", "percentiles", "training set"
# In Hounsfield units, so for CT alone; the viewer has the same.
PRESETS = {
    name: Window(name, float(centre), float(width))
    for name, width, centre in (
        ("lung", 1500, -600),
        ("soft tissue", 400, 40),
        ("brain", 80, 40),
        ("bone", 2500, 480),
        ("liver", 150, 90),
        ("mediastinum", 350, 50),
        ("stroke", 40, 40),
        ("subdural", 300, 100),
        ("temporal bone", 2800, 600),
    )
}
WINDOWS = (AS_STORED, PERCENTILES, TRAINING_SET, *PRESETS)
Resize = Literal["stretch", "pad", "crop", "scale"]
SCALED = "scale"
MOST_SQUARES = 8  # that a cropped image may be long
MOST_SCALED = 1 << 25  # pixels at another size, so that an absurd spacing does not fill the memory
NARROWEST_WIDTH = 1e-6  # of a constant image; the viewer has the same floor

Spacing = tuple[float, float]  # mm between rows, between columns


@dataclass(frozen=True)
class InputSpec:
    """What a network takes in: (size, size, channels) of uint8; with `neighbours` the channels of so many frames on
    either side too, those before first (2.5-D).

    `window_values` are centre and width of the window of the training set, once they were measured. `pixel_mm` is the
    side of a pixel in mm where images are brought to one scale (`resize` is scale), once that is settled.
    """

    size: int
    channels: int = 1
    resize: Resize = "stretch"
    window: str = AS_STORED
    neighbours: int = 0
    window_values: tuple[float, float] | None = None
    pixel_mm: float | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.size, self.size, self.channels * (2 * self.neighbours + 1)

    def to_json(self) -> dict[str, Any]:
        """As a model keeps it, and as prepared files are named by."""
        told = told_of(self)
        unsaid = {"neighbours": not self.neighbours, "pixel_mm": self.pixel_mm is None}
        return {key: value for key, value in told.items() if not unsaid.get(key)}

    def __post_init__(self) -> None:
        if self.window not in WINDOWS:
            raise InvalidInput(f"The window is {', '.join(WINDOWS)}. Received: {self.window!r}")
        if not 8 <= self.size <= 2048 or self.channels not in (1, 3) or self.resize not in get_args(Resize):
            raise InvalidInput(
                f"A network's input has 8 to 2048 pixels a side, 1 or 3 channels, stretched, padded, cropped or to "
                f"scale. Received: {self}"
            )
        if self.pixel_mm is not None and (self.resize != SCALED or not self.pixel_mm > 0):
            raise InvalidInput(
                f"A pixel has a size in mm where images are brought to one scale, and one above 0. Received: {self}"
            )


class HasWindow(Protocol):
    """A spec of what a network takes in."""

    @property
    def window(self) -> str: ...
    @property
    def window_values(self) -> tuple[float, float] | None: ...


def told_of(spec: Any) -> dict[str, Any]:
    """A spec as a model keeps it; without the values of a window that it does not have."""
    told = asdict(spec)
    if told["window_values"] is None:
        del told["window_values"]
    else:
        told["window_values"] = list(told["window_values"])
    return told


def apply_window(pixels: Pixels, centre: float, width: float, curve: Curve | None = None) -> Pixels:
    """Grey levels as float32 from 0 to 1: 0 at `centre - width / 2`, 1 at `centre + width / 2`.

    This is LINEAR_EXACT of DICOM PS3.3 C.11.2.1.3.2, which unlike LINEAR does not assume
    whole numbers; the viewer does the same.

    Args:
        curve: by which they rise instead: SIGMOID (C.11.2.1.3.1), which has no ends, or a table (C.11.2.1.1), whose
            entries are spread over the window; below it the first counts, above it the last.
    """
    width = max(float(width), NARROWEST_WIDTH)
    low = float(centre) - width / 2
    if curve is not None:
        return _by_sigmoid(pixels, float(centre), width) if curve == "sigmoid" else _by_table(pixels, low, width, curve)
    # float32 would lose a narrow window on large values
    values: Pixels = np.array(pixels, np.float64 if width < 1 else np.float32)
    values -= values.dtype.type(low)
    values /= values.dtype.type(width)
    return np.clip(values, 0, 1, out=values).astype(np.float32, copy=False)


def _by_sigmoid(pixels: Pixels, centre: float, width: float) -> Pixels:
    with np.errstate(over="ignore"):  # far below the centre, where it is 0
        return (1 / (1 + np.exp(-4 * (pixels.astype(np.float64) - centre) / width))).astype(np.float32)


def _by_table(pixels: Pixels, low: float, width: float, runs: tuple[tuple[int, int], ...]) -> Pixels:
    """What is between two entries goes by the nearer one."""
    entries, levels = zip(*runs, strict=True)
    table: Pixels = np.repeat(np.array(levels, np.float32) / 255, entries)
    places = np.floor((pixels.astype(np.float64) - low) * (len(table) / width) + 0.5)
    return table[np.clip(places, 0, len(table) - 1).astype(np.intp)]


def display_window(pixels: Pixels, windows: Sequence[Window] = ()) -> Window:
    """The window an image is first seen with: the file's, else 0.1 % to 99.9 % of the values; colour is left alone."""
    if pixels.ndim == 3:
        most = 255.0 if pixels.dtype == np.uint8 else 65535.0
        return Window("as stored", most / 2, most)
    if windows:
        return windows[0]
    low, high = _percentiles(pixels)
    return Window("0.1 % to 99.9 %", (low + high) / 2, max(high - low, NARROWEST_WIDTH))


def to_uint8(pixels: Pixels, photometric: str, windows: Sequence[Window] = ()) -> Pixels:
    """What is seen, as uint8 of (rows, columns) or (rows, columns, 3): windowed, and black where X-rays were few."""
    if pixels.ndim == 3 and pixels.dtype == np.uint8:
        return pixels
    window = display_window(pixels, windows)
    if pixels.dtype.kind in "iu":
        return _through_table(pixels, window, photometric == "MONOCHROME1")
    return _levels(pixels, window, photometric == "MONOCHROME1")


def windows_for(spec: HasWindow, windows: Sequence[Window]) -> Sequence[Window]:
    """What a spec's window makes of the windows of an image's file; none for the percentiles."""
    if spec.window == AS_STORED:
        return windows
    if spec.window == TRAINING_SET:
        assert spec.window_values is not None  # measured before anything is seen by it
        return (Window(TRAINING_SET, *spec.window_values),)
    return () if spec.window == PERCENTILES else (PRESETS[spec.window],)


def check_window_values(values: Sequence[float]) -> None:
    """Raise `InvalidInput` unless these are centre and width of a window, or 0, 0 where they are to be measured."""
    if len(values) != 2 or values[1] < 0 or (values[1] == 0 and values[0] != 0):
        raise InvalidInput(
            f"window_values are a centre and a width above 0, or 0,0 to measure them on the training cases. "
            f"Received: {','.join(f'{value:g}' for value in values)}"
        )


def refuse_window(window: str, modality: str | None, dtype: str) -> None:
    """Refuse a window in Hounsfield units for values that are none.

    Raises:
        InvalidInput: the image is no CT; without a modality (NIfTI), its values cannot be below zero.
    """
    if window in PRESETS and (modality or "CT") != "CT":
        raise InvalidInput(f"The window {window} is in Hounsfield units, for CT alone. Received: {modality}")
    if window in PRESETS and modality is None and np.dtype(dtype).kind == "u":
        raise InvalidInput(
            f"The window {window} is in Hounsfield units, which go below zero. "
            f"Received: an image of unknown kind, {dtype}"
        )


def demand_spacing(spec: object, spacing_mm: Spacing | None, whose: str = "") -> None:
    """Raise `InvalidInput` where images are brought to one scale, and nothing tells that of this one."""
    if isinstance(spec, InputSpec) and spec.resize == SCALED and spacing_mm is None:
        to = f", {spec.pixel_mm:g} mm a pixel" if spec.pixel_mm else ""
        raise InvalidInput(
            f"Images are brought to one scale here{to}, and this file does not tell how far apart its pixels are; "
            f"export it with its pixel spacing (DICOM), or take a model that fits images into its square (resize pad). "
            f"Received: no pixel spacing{whose}"
        )


def model_input(
    pixels: Pixels,
    photometric: str,
    windows: Sequence[Window],
    spec: InputSpec,
    spacing_mm: Spacing | None = None,
) -> Pixels:
    """What a network sees, as uint8 of (size, size, channels); training, prediction and explanation all call this.

    Args:
        spacing_mm: between rows and between columns, where that is known; here and below it counts only to scale.

    Raises:
        InvalidInput: images are brought to one scale, and there is no spacing, or an absurd one.
    """
    picture = Image.fromarray(to_uint8(pixels, photometric, windows_for(spec, windows)))
    picture = picture.convert("L" if spec.channels == 1 else "RGB")
    if spec.resize == "stretch":
        seen = np.asarray(_resized(picture, spec.size, spec.size))
    else:
        seen = _in_proportion(picture, spec, spacing_mm)
    return seen.reshape(spec.size, spec.size, spec.channels)


def model_mask(mask: Pixels, spec: InputSpec, spacing_mm: Spacing | None = None) -> Pixels:
    """A mask (rows, columns) as it lies on what a network sees: uint8 of (size, size), the nearest pixel of each."""
    place = place_in_square(mask.shape[0], mask.shape[1], spec, spacing_mm)
    picture = Image.fromarray(np.ascontiguousarray(mask, np.uint8))
    whole = np.zeros((spec.size, spec.size), np.uint8)
    scaled = np.asarray(picture.resize((place.width, place.height), Image.Resampling.NEAREST))
    whole[place.rows, place.columns] = scaled[place.rows_seen, place.columns_seen]
    return whole


def from_square(values: Pixels, rows: int, columns: int, spec: InputSpec, spacing_mm: Spacing | None = None) -> Pixels:
    """A map (size, size) over what a network saw, back on the image's own pixels: float32 of (rows, columns); 0 where
    it saw nothing of the image."""
    part = np.ascontiguousarray(off_square(values, rows, columns, spec, spacing_mm), np.float32)
    return np.asarray(Image.fromarray(part).resize((columns, rows), Image.Resampling.BILINEAR))


@dataclass(frozen=True)
class Place:
    """Where an image, scaled to `width` and `height`, lies in the square of `side` that a network sees, in pixels of
    the square; it begins before the square (`left` or `top` below 0) where it is cut."""

    left: int
    top: int
    width: int
    height: int
    side: int

    @property
    def rows(self) -> slice:
        """Of the square, those that show the image."""
        return _shown(self.top, self.height, self.side)

    @property
    def columns(self) -> slice:
        return _shown(self.left, self.width, self.side)

    @property
    def rows_seen(self) -> slice:
        """Of the scaled image, those that the square shows."""
        return slice(self.rows.start - self.top, self.rows.stop - self.top)

    @property
    def columns_seen(self) -> slice:
        return slice(self.columns.start - self.left, self.columns.stop - self.left)


def _shown(first: int, length: int, side: int) -> slice:
    return slice(max(first, 0), min(first + length, side))


def off_square(values: Pixels, rows: int, columns: int, spec: InputSpec, spacing_mm: Spacing | None = None) -> Pixels:
    """A map (size, size, ...) over what a network saw, without borders and with 0 where the image was cut: of the
    proportions of the image, in the square's resolution."""
    place = place_in_square(rows, columns, spec, spacing_mm)
    whole = np.zeros((place.height, place.width, *values.shape[2:]), values.dtype)
    whole[place.rows_seen, place.columns_seen] = values[place.rows, place.columns]
    return whole


def place_in_square(rows: int, columns: int, spec: InputSpec, spacing_mm: Spacing | None = None) -> Place:
    """All of it where the image is stretched; where its proportions are kept, between borders (pad) or with what is
    beyond the square on both sides cut away (crop); to scale as large as it is, between borders and cut.

    Raises:
        InvalidInput: images are brought to one scale, and there is no spacing, or an absurd one.
    """
    if spec.resize == "stretch":
        return Place(0, 0, spec.size, spec.size, spec.size)
    if spec.resize == SCALED:
        width, height = _size_to_scale(rows, columns, spec, spacing_mm)
        return _in_the_middle(width, height, spec)
    longest = max(rows, columns)
    # a strip many times as long as wide would grow beyond memory: it has borders after all
    fitted = longest if spec.resize == "pad" else max(min(rows, columns), longest / MOST_SQUARES)
    width, height = (max(1, round(side * spec.size / fitted)) for side in (columns, rows))
    return _in_the_middle(width, height, spec)


def _in_the_middle(width: int, height: int, spec: InputSpec) -> Place:
    return Place((spec.size - width) // 2, (spec.size - height) // 2, width, height, spec.size)


def _size_to_scale(rows: int, columns: int, spec: InputSpec, spacing_mm: Spacing | None) -> tuple[int, int]:
    """Width and height of an image in the square's pixels, each of `pixel_mm`."""
    assert spec.pixel_mm is not None  # settled before anything is seen by it
    demand_spacing(spec, spacing_mm)
    assert spacing_mm is not None
    height, width = (
        max(1.0, side * own / spec.pixel_mm) for side, own in zip((rows, columns), spacing_mm, strict=True)
    )
    if width * height > MOST_SCALED:
        raise InvalidInput(
            f"At {spec.pixel_mm:g} mm a pixel this image would have {width:.3g} x {height:.3g} pixels; look at its "
            f"pixel spacing, or take larger pixels (pixel_mm). Received: {spacing_mm[0]:g} x {spacing_mm[1]:g} mm"
        )
    return round(width), round(height)


def _in_proportion(picture: Image.Image, spec: InputSpec, spacing_mm: Spacing | None) -> Pixels:
    place = place_in_square(picture.height, picture.width, spec, spacing_mm)
    whole = Image.new(picture.mode, (spec.size, spec.size))
    whole.paste(_resized(picture, place.width, place.height), (place.left, place.top))
    return np.asarray(whole)


def _resized(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Bilinear; when shrinking, Pillow widens the filter so that every pixel counts."""
    return picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _percentiles(pixels: Pixels) -> tuple[float, float]:
    if pixels.dtype.kind not in "iu":
        low, high = np.percentile(pixels, [LOW_PERCENT, HIGH_PERCENT])
        return float(low), float(high)
    # Counting beats sorting: 5 ms against 100 ms on a 4-megapixel radiograph.
    if pixels.dtype == np.uint8:  # Pillow counts without a copy of wider numbers
        least, counted = 0, np.cumsum(Image.fromarray(pixels.reshape(-1, pixels.shape[-1])).histogram())
    else:
        least = int(pixels.min())
        counted = np.cumsum(np.bincount(pixels.ravel().astype(np.int32) - least))
    low, high = (
        int(np.searchsorted(counted, percent / 100 * (pixels.size - 1), side="right")) + least
        for percent in (LOW_PERCENT, HIGH_PERCENT)
    )
    return float(low), float(high)


def _through_table(pixels: Pixels, window: Window, inverted: bool) -> Pixels:
    """Window whole numbers by looking each value up."""
    plain = np.dtype(f"u{pixels.dtype.itemsize}")
    if plain.itemsize > 2:
        return _levels(pixels, window, inverted)
    seen: Pixels = np.take(_table(pixels.dtype.str, window, inverted), np.ascontiguousarray(pixels).view(plain))
    return seen


@lru_cache(maxsize=16)
def _table(dtype: str, window: Window, inverted: bool) -> Pixels:
    """What is seen of each whole number of a type, in the order of their bits: the same for all slices of a series."""
    bits = 8 * np.dtype(dtype).itemsize
    return _levels(np.arange(1 << bits, dtype=f"u{bits // 8}").view(dtype), window, inverted)


def _levels(values: Pixels, window: Window, inverted: bool) -> Pixels:
    grey: Pixels = np.rint(apply_window(values, window.centre, window.width, window.curve) * 255).astype(np.uint8)
    return np.invert(grey) if inverted else grey
