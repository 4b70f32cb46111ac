"""How a DICOM object says that its grey values should be shown (PS3.3 C.11.2), as far as windows can tell it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi

from core.images.decoded import Window
from core.images.deidentify_values import clean_words
from core.images.dicom_instances import many, numbers, told_of_frame

NEARLY = 0.01  # of its whole height: a table this close to a straight line looks like one


@dataclass(frozen=True)
class WindowsSaid:
    """The windows in the units of the real values; `oddities` says where the object asks for more than a window."""

    windows: tuple[Window, ...] = ()
    oddities: tuple[str, ...] = ()


def windows_said(dataset: Dataset, order: Sequence[int] = (0,)) -> WindowsSaid:
    """The windows of an object (C.11.2.1.2), of an enhanced one those of its frames; else that of its table.

    Where the frames differ, one window for all is what a reader needs, and the middle frame's is taken: it stands for
    the whole in a thumbnail, too.

    Args:
        order: which stored frame each frame of the case is.
    """
    each = [_of_frame(dataset, number) for number in order]
    middle = each[len(each) // 2]
    found = _windows(middle)
    if not found:
        return _of_table(dataset)
    oddities = []
    if any(_windows(one) != found for one in each if one is not middle):  # most often it is one for all
        oddities.append("Its frames have windows of their own; that of the middle one is taken for all.")
    function = str(middle.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function == "SIGMOID":
        oddities.append(f"Its VOI LUT function is SIGMOID; it is shown by a linear window {_reach(found[0])}.")
    return WindowsSaid(found, tuple(oddities))


def _of_frame(dataset: Dataset, number: int) -> Dataset:
    """Where the windows of a frame stand: in the data set, with the frame, or with what is said of all frames."""
    if "WindowCenter" in dataset:
        return dataset
    told = told_of_frame(dataset, number, "FrameVOILUTSequence")
    return dataset if told is None else told


def _windows(said: Dataset) -> tuple[Window, ...]:
    centres, widths, names = (
        many(said.get(word)) for word in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation")
    )
    found = []
    for at, (centre, width) in enumerate(zip(centres, widths, strict=False)):
        name = clean_words(str(names[at])) if at < len(names) else ""
        if np.isfinite([float(centre), float(width)]).all() and float(width) > 0:
            found.append(Window(name or f"Window {at + 1}", float(centre), float(width)))
    return tuple(found)


def _of_table(dataset: Dataset) -> WindowsSaid:
    """A VOI table (C.11.2.1.1) is shown as the window of the values that it spreads over the screen."""
    tables = dataset.get("VOILUTSequence")
    described = numbers(tables[0].get("LUTDescriptor"), 3) if tables else None
    if not described:
        return WindowsSaid()
    entries, first, _ = described
    width = entries or 65536.0  # 0 stands for what no 16 bits can say
    if int(dataset.get("PixelRepresentation") or 0) and first > 32767:
        first -= 65536
    window = Window("VOI table", first + width / 2, width)
    shape = _shape_of_table(dataset, int(width))
    said = f"Its VOI LUT {shape}; it is shown by a window {_reach(window)}."
    return WindowsSaid((window,), (said,) if shape else ())


def _shape_of_table(dataset: Dataset, entries: int) -> str:
    """What a table does that no window does; empty where it rises in a straight line."""
    table = dataset.VOILUTSequence[0]
    first = int(table["LUTDescriptor"].value[1])
    try:
        heights = apply_voi(np.arange(first, first + entries, dtype=np.int32), dataset).astype(float)
    except Exception:  # noqa: BLE001 (pydicom raises anything on a table that makes no sense; the pixels are sound)
        return "cannot be read"
    low, high = float(heights.min()), float(heights.max())
    if low == high:
        return "is the same for all values"
    rising = np.linspace(low, high, len(heights))
    if np.abs(heights - rising).max() <= max(1.0, NEARLY * (high - low)):
        return ""
    if np.abs(heights - rising[::-1]).max() <= max(1.0, NEARLY * (high - low)):
        return "is inverted (black for white)"
    return "is not linear"


def _reach(window: Window) -> str:
    return f"from {window.centre - window.width / 2:g} to {window.centre + window.width / 2:g}"
