"""How large the images of a snapshot are in mm, and the one pixel size that suits them all."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.images.records import Case

WHOLE_SHARE = 0.95  # of the training images, that have their place whole; the rest are cut at the edges
DIGITS = 3  # of a pixel size that is chosen: typed in again it is the same
DIFFER = 1.1  # times as large as another, from where sizes are no longer alike


@dataclass(frozen=True)
class Scales:
    """Of images, or slices of volumes: how many tell their pixel spacing, and of these the least, the median and the
    greatest side of a pixel and of an image (its longer one), in mm. `whole_mm`: no longer are `WHOLE_SHARE` of them.
    """

    known: int
    cases: int
    pixels_mm: tuple[float, float, float]
    sides_mm: tuple[float, float, float]
    whole_mm: float

    @property
    def pixels_differ(self) -> bool:
        return self.pixels_mm[2] > self.pixels_mm[0] * DIFFER

    @property
    def sides_differ(self) -> bool:
        """Whether images that are fitted into one square are no longer of one scale."""
        return self.sides_mm[2] > self.sides_mm[0] * DIFFER

    def told(self) -> str:
        least, median, greatest = self.pixels_mm
        what = f"pixels of {median:g} mm"
        if self.pixels_differ:
            what = f"pixels of {least:g} to {greatest:g} mm (median {median:g})"
        return what if self.known == self.cases else f"{what}, told by {self.known:,} of {self.cases:,}"

    def pixel_for(self, size: int) -> float:
        """The side in mm of a pixel of a square of `size` pixels: the median of the images' own, as nnU-Net takes it
        (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z), or larger, so that they have their place in it whole."""
        return float(f"{max(self.pixels_mm[1], self.whole_mm / size):.{DIGITS}g}")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "pixels_mm": list(self.pixels_mm), "sides_mm": list(self.sides_mm)}


def measure_scales(cases: Sequence[Case]) -> Scales | None:
    """Of the cases that tell their pixel spacing; None where none does.

    Pixels that are no squares count by the side of the square of the same area.
    """
    pixels, sides = list[float](), list[float]()
    for case in cases:
        if case.spacing_mm is not None:
            down, across = case.spacing_mm
            pixels.append((down * across) ** 0.5)
            sides.append(max(case.rows * down, case.columns * across))
    if not pixels:
        return None
    whole = sorted(sides)[round((len(sides) - 1) * WHOLE_SHARE)]
    return Scales(len(pixels), len(cases), _spread(pixels), _spread(sides), _rounded(whole))


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    least, median, greatest = min(values), statistics.median(values), max(values)
    return _rounded(least), _rounded(median), _rounded(greatest)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS + 1}g}")
