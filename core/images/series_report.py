"""What an import found out about each series, for people: of what it is made, what becomes of it and what is odd."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Any

from core.images.series import Group, Kind, depths_of
from core.images.units import Unit

MOST_DEPTHS = 2000  # of one part, so that a row stays small; a longer one is drawn by its ends
NAMED_AT_MOST = 8
# How `core.images.series` and `dicom_stacks` begin to say which part of a series or object this is.
OF_A_PART = ("The series holds ", "The object holds ")


@dataclass(frozen=True, slots=True)
class Part:
    """What becomes one case, or an image of its own. `depths_mm` lie along the normal of the slices, from the first."""

    kind: Kind
    name: str
    files: int
    frames: int
    rows: int
    columns: int
    spacing_mm: tuple[float, float] | None
    slice_spacing_mm: float | None
    oddities: tuple[str, ...]
    depths_mm: tuple[float, ...] = ()

    @property
    def is_odd(self) -> bool:
        """Whether somebody should see it before it comes in. That a localiser lies apart is as it should be."""
        return bool(self.oddities) and self.kind != "localiser"


TOLD = tuple(field.name for field in fields(Part))


@dataclass(frozen=True, slots=True)
class Series:
    """One DICOM series of an import. `folder` is called as its files are."""

    number: int
    modality: str
    folder: str
    files: int
    copies: int
    parts: tuple[Part, ...]

    @property
    def is_odd(self) -> bool:
        return any(part.is_odd for part in self.parts)

    @property
    def oddities(self) -> tuple[str, ...]:
        """All that is odd about it, each sentence once; into which parts it falls is said of all together."""
        named = [part for part in self.parts if part.name]
        said = [f"{part.name} ({part.frames} {'frames' if part.frames > 1 else 'frame'})" for part in named]
        parts = [f"It falls into {len(named)} parts: {'; '.join(said[:NAMED_AT_MOST])}."] if len(named) > 1 else []
        if len(named) > NAMED_AT_MOST:
            parts = [f"{parts[0][:-1]}; and {len(named) - NAMED_AT_MOST} more."]
        others = (sentence for part in self.parts for sentence in part.oddities if not sentence.startswith(OF_A_PART))
        return tuple(dict.fromkeys([*parts, *others]))


def number_series(units: Sequence[Unit]) -> dict[str, int]:
    """The number of each series by what stands for it, in the order of their first files."""
    numbers: dict[str, int] = {}
    for unit in units:
        if unit.group is not None:
            numbers.setdefault(unit.series, len(numbers) + 1)
    return numbers


def number_unopened(units: Sequence[Unit], after: int) -> dict[str, int]:
    """The same of series of which no file was opened and one was refused: they are tried again as a whole."""
    damaged = {unit.known.series for unit in units if unit.known and unit.known.refusal} - {""}
    return {series: number for number, series in enumerate(sorted(damaged), after + 1)}


def list_series(units: Sequence[Unit]) -> Iterator[Series]:
    """The series among the units by number (`number_series`), one after the other."""
    by_series: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        if unit.group is not None:
            by_series[unit.series].append(unit)
    for number, its in enumerate(by_series.values(), 1):
        files = [file for unit in its for file in unit.all_files]
        places = {(file.place, file.member) for file in files}  # an object of several cases is one file
        folders = Counter(PurePosixPath(file.source).parent.as_posix() for file in files)
        folder = folders.most_common(1)[0][0]
        groups = [unit.group for unit in its if unit.group]
        yield Series(
            number,
            groups[0].instances[0].modality,
            "" if folder == "." else folder,
            len(places),
            sum(len(unit.copies) for unit in its),
            tuple(sorted(map(_part, groups), key=lambda part: _natural(part.name))),
        )


def is_odd(unit: Unit) -> bool:
    """Whether somebody should see it before it comes in."""
    return unit.group is not None and _part(unit.group).is_odd


def say_what_becomes(group: Group) -> str:
    """What a group of instances becomes, with what is odd about it."""
    part = _part(group)
    size = f"{part.columns} x {part.rows}"
    if group.geometry is not None:
        becomes = f"Becomes one volume of {part.frames} frames, {size}."
    elif part.frames > 1:
        becomes = f"Becomes one case of {part.frames} frames, {size}."
    else:
        becomes = f"Becomes an image, {size}."
    return " ".join([becomes, *part.oddities])


def series_to_json(series: Series) -> dict[str, Any]:
    """The facts as they are stored; `number` is their key."""
    return {
        "modality": series.modality,
        "folder": series.folder,
        "files": series.files,
        "copies": series.copies,
        "parts": [{name: getattr(part, name) for name in TOLD} for part in series.parts],
    }


def series_from_json(number: int, told: dict[str, Any]) -> Series:
    parts = [
        Part(
            **{
                **part,
                "spacing_mm": tuple(part["spacing_mm"]) if part["spacing_mm"] else None,
                "oddities": tuple(part["oddities"]),
                "depths_mm": tuple(part["depths_mm"]),
            }
        )
        for part in told["parts"]
    ]
    return Series(number, told["modality"], told["folder"], told["files"], told["copies"], tuple(parts))


def _natural(text: str) -> list[tuple[int, str]]:
    """`echo 80` after `echo 9`."""
    return [(int(word), "") if word.isdigit() else (-1, word) for word in re.split(r"(\d+)", text)]


def _part(group: Group) -> Part:
    first, geometry = group.instances[0], group.geometry
    depths: tuple[float, ...] = ()
    frames = first.frames
    if group.kind == "volume":
        depths, frames = depths_of(group.instances), len(group.instances)
    elif group.stack is not None:
        depths, frames = group.stack.depths_mm, len(group.stack.frames)
    return Part(
        kind=group.kind,
        name=group.name,
        files=len(group.instances),
        frames=frames,
        rows=first.rows,
        columns=first.columns,
        spacing_mm=geometry.spacing_mm if geometry else first.spacing_mm,
        slice_spacing_mm=geometry.slice_spacing_mm if geometry else None,
        oddities=group.said,
        depths_mm=depths if len(depths) <= MOST_DEPTHS else (),
    )
