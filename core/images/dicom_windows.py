"""How a DICOM object says that its grey values should be shown (PS3.3 C.11.2): by windows and by tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from core.images.decoded import MOST_ENTRIES, Pixels, Window
from core.images.deidentify_profile import terms_of
from core.images.deidentify_values import clean_words
from core.images.dicom_instances import many, numbers, told_of_frame
from core.images.render import apply_window

BITS = range(8, 17)  # of an entry
MOST_RUNS = 4096  # of equal grey levels in a table: a rising one has 256, and noise is no way to look at an image
UNREADABLE = "cannot be read"


@dataclass(frozen=True)
class WindowsSaid:
    """The windows in the units of the real values; `oddities` says what of the object's wishes was not done."""

    windows: tuple[Window, ...] = ()
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Table:
    """A table as a window; why it is none, when the window is a straight line over its values; and a remark."""

    window: Window | None
    trouble: str = ""
    remark: str = ""


def windows_said(dataset: Dataset, order: Sequence[int] = (0,)) -> WindowsSaid:
    """Every way to see the object that it offers, the first of which is the usual one.

    An object may have tables, windows or both, any of which may be chosen (C.11.2.1.1, C.11.2.1.2). Tables come first:
    who sends one means that curve, and the windows beside it for displays that know no tables.

    Where the frames differ, one window for all is what a reader needs, and the middle frame's is taken: it stands for
    the whole in a thumbnail, too.

    Args:
        order: which stored frame each frame of the case is.
    """
    each = [_of_frame(dataset, number) for number in order]
    middle = each[len(each) // 2]
    found = _said(middle, dataset)
    if not found.windows:
        return _said(dataset, dataset)
    if any(_said(one, dataset).windows != found.windows for one in each if one is not middle):  # most often all agree
        told = "Its frames have windows of their own; that of the middle one is taken for all."
        return replace(found, oddities=(told, *found.oddities))
    return found


def _of_frame(dataset: Dataset, number: int) -> Dataset:
    """Where the windows of a frame stand: in the data set, with the frame, or with what is said of all frames."""
    if "WindowCenter" in dataset:
        return dataset
    told = told_of_frame(dataset, number, "FrameVOILUTSequence")
    return dataset if told is None else told


def _said(said: Dataset, dataset: Dataset) -> WindowsSaid:
    """Of a data set, or of a frame in it."""
    items = _items(said)
    tables = [_table_of(item, at, len(items), dataset) for at, item in enumerate(items, 1)]
    shown = [table.window for table in tables if table.window and not table.trouble]
    windows = (*shown, *_windows(said))
    troubles = [table.trouble for table in tables if table.trouble]
    oddities = [table.remark for table in tables if table.remark]
    if troubles and shown:
        oddities.append(f"{len(troubles)} of its {len(tables)} VOI LUTs cannot be shown; the others are offered.")
    elif troubles:
        windows = windows or tuple(table.window for table in tables[:1] if table.window)
        shown_by = f"a window {_reach(windows[0])}" if windows else "a window from its own values"
        oddities.append(f"Its VOI LUT {troubles[0]}; it is shown by {shown_by}.")
    return WindowsSaid(windows, tuple(dict.fromkeys(oddities)))


def _windows(said: Dataset) -> tuple[Window, ...]:
    """Its windows (C.11.2.1.2) with their function (C.11.2.1.3); LINEAR counts as LINEAR_EXACT, half a value away."""
    centres, widths, names = (
        many(said.get(word)) for word in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation")
    )
    is_sigmoid = str(said.get("VOILUTFunction") or "").strip().upper() == "SIGMOID"
    found = []
    for at, (centre, width) in enumerate(zip(centres, widths, strict=False)):
        name = _name(names[at] if at < len(names) else "") or f"Window {at + 1}"
        if np.isfinite([float(centre), float(width)]).all() and float(width) > 0:
            found.append(Window(name, float(centre), float(width), "sigmoid" if is_sigmoid else None))
    return tuple(found)


def _name(explanation: object) -> str:
    """What is left of an explanation, which is free text, when only known words stay."""
    return clean_words(str(explanation), terms_of("window"))


# ---- tables


def _table_of(item: Dataset, at: int, of: int, dataset: Dataset) -> _Table:
    try:
        return _table(item, at, of, dataset)
    except Exception:  # noqa: BLE001 (pydicom raises anything on a table that makes no sense; the pixels are sound)
        return _Table(None, UNREADABLE)


def _items(said: Dataset) -> Sequence[Dataset]:
    try:
        items = said.get("VOILUTSequence")
    except Exception:  # noqa: BLE001 (as above)
        return ()
    return items if isinstance(items, Items) else ()  # it may be of another kind


def _table(item: Dataset, at: int, of: int, dataset: Dataset) -> _Table:
    """A VOI table (C.11.2.1.1); as a plain window where that shows the same to a grey level."""
    described = numbers(item.get("LUTDescriptor"), 3)
    if not described or not all(number.is_integer() for number in described):
        return _Table(None, UNREADABLE)
    first, bits = int(described[1]), int(described[2])
    entries = int(described[0]) % MOST_ENTRIES or MOST_ENTRIES  # 0 stands for what no 16 bits can say
    if first > 32767 and _has_negative_values(dataset):
        first -= 65536
    name = _name(item.get("LUTExplanation") or "") or (f"VOI table {at}" if of > 1 else "VOI table")
    plain = Window(name, first + entries / 2, float(entries))
    words = _words(item, entries, bits, dataset)
    if words is None or bits not in BITS:
        return _Table(plain, UNREADABLE)
    used = _used_bits(words, bits)
    runs, is_straight = _looked_at(words.tobytes(), used)
    if len(runs) == 1:
        return _Table(plain, "is the same for all values")
    if len(runs) > MOST_RUNS:
        return _Table(plain, "goes up and down too often to be kept")
    remark = f"A VOI LUT of it says {bits} bits and uses {used}; it is shown as one of {used}." if used != bits else ""
    return _Table(plain if is_straight else replace(plain, curve=runs), remark=remark)


def _has_negative_values(dataset: Dataset) -> bool:
    """Whether values may be below 0, so that the first one of a table has a sign, however it is written."""
    return bool(int(dataset.get("PixelRepresentation") or 0)) or float(dataset.get("RescaleIntercept") or 0) < 0


def _words(item: Dataset, entries: int, bits: int, dataset: Dataset) -> Pixels | None:
    """The entries as uint16, whether they are written as numbers or as words; None where there are not so many.

    Entries of 8 bits stand in words or, two by two, in half as many (C.11.1.1.1).
    """
    said = item["LUTData"].value
    if isinstance(said, bytes):
        is_little = dataset.file_meta.TransferSyntaxUID.is_little_endian
        words = np.frombuffer(said, "<u2" if is_little else ">u2").astype("<u2")
    else:
        words = (np.array(many(said), np.int64) & 0xFFFF).astype("<u2")
    if bits == 8 and len(words) == (entries + 1) // 2 < entries:
        words = words.view(np.uint8)[:entries].astype("<u2")
    return words if len(words) == entries else None


def _used_bits(words: Pixels, said: int) -> int:
    """How many bits the entries have; not as said where they do not fit, or fill less than a quarter of the range.

    Some devices name the bits of a word and not those in it: the image would be nearly black.
    """
    used = max(BITS[0], int(words.max()).bit_length())
    return said if said - 2 < used <= said else used


@lru_cache(maxsize=16)
def _looked_at(words: bytes, bits: int) -> tuple[tuple[tuple[int, int], ...], bool]:
    """A table in runs of one grey level, and whether a plain window of its width shows the same to a grey level.

    It is the same in all slices of a series, and in all frames of most objects.
    """
    levels = np.rint(np.frombuffer(words, "<u2") * (255 / (2**bits - 1))).astype(int)
    starts = np.flatnonzero(np.r_[True, levels[1:] != levels[:-1]])
    counts = np.diff(np.r_[starts, len(levels)])
    plain = np.rint(apply_window(np.arange(len(levels)), len(levels) / 2, len(levels)) * 255)
    is_straight = bool(np.abs(plain - levels).max() <= 1)
    return tuple(zip(counts.tolist(), levels[starts].tolist(), strict=True)), is_straight


def _reach(window: Window) -> str:
    return f"from {window.centre - window.width / 2:g} to {window.centre + window.width / 2:g}"
