"""What the name of a mask file and the numbers in it say: which image, and which structure each number is."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.errors import InvalidInput, some_of
from core.images.label_maps import MASK_FOLDER, MASK_NAME
from core.images.names import name_parts
from core.projects.records import Project
from core.projects.schema import Segmentation

ANY = "*"
BETWEEN = "_. -"  # an image's name and a structure's
NAMED_AT_MOST = 5

MaskValues = Mapping[str, str]  # {"1": "anterior", "*": "other"}; an empty structure leaves a number out


@dataclass(frozen=True)
class Meant:
    """A reading of a mask's name: the image's path without ending, and the structure where the file has only one."""

    image: str
    structure: str | None


def demand_structures(project: Project) -> tuple[str, ...]:
    """The names of the structures of a project, retired ones included.

    Raises:
        InvalidInput: it has none.
    """
    if not isinstance(project.schema, Segmentation):
        raise InvalidInput(f"Only segmentation projects have masks. Received: {project.name}, {project.task}")
    return project.schema.names


def parse_mask_values(text: str, structures: Sequence[str]) -> dict[str, str]:
    """`1=anterior,2=posterior` as a mapping; `*` is every other number, and `3=` leaves a number out.

    Raises:
        InvalidInput: it does not read so, or names no structure of the project.
    """
    found: dict[str, str] = {}
    by_name = {plain_name(name): name for name in structures}
    for pair in (pair.strip() for pair in text.split(",") if pair.strip()):
        number, equals, name = (part.strip() for part in pair.partition("="))
        if not equals or not (number == ANY or (number.isascii() and number.isdigit())):
            raise InvalidInput(f"Numbers of a mask read like 1=anterior,2=posterior. Received: {text}")
        if name and plain_name(name) not in by_name:
            raise InvalidInput(f"The structures are {', '.join(structures)}. Received: {name!r}")
        found[number if number == ANY else str(int(number))] = by_name[plain_name(name)] if name else ""
    return found


def readings_of(path: str, structures: Sequence[str]) -> Iterator[Meant]:
    """What a mask's path may mean, the likeliest first; the caller takes the first whose image is there.

    `liver/x.png`, `x/liver.nii.gz` and `x_liver.png` hold one structure; `x.png` and `x_seg.nii.gz` all of them.
    """
    by_name = {plain_name(name): name for name in structures}
    parts = PurePosixPath(path)
    stem, folders = name_parts(parts.name)[0], list(parts.parts[:-1])
    places = [at for at, folder in enumerate(folders) if plain_name(folder) in by_name]
    if places:  # a folder for each structure
        at = places[-1]
        inside = "/".join([*folders[:at], *folders[at + 1 :], stem])
        yield Meant(inside, by_name[plain_name(folders[at])])
    if plain_name(stem) in by_name:  # a file for each structure in the image's folder
        for folder in reversed(range(len(folders))):
            if not MASK_FOLDER.fullmatch(folders[folder]):
                yield Meant("/".join(folders[: folder + 1]), by_name[plain_name(stem)])
    yield Meant("/".join([*folders, stem]), None)
    cuts = [(stem[:at], plain_name(stem[at + 1 :])) for at in reversed(range(1, len(stem))) if stem[at] in BETWEEN]
    for name in sorted(structures, key=len, reverse=True):
        # Cut from the stem as it is written, the longest first: made plain, the image `x - y` would be shorter.
        for image in [image for image, rest in cuts if rest == plain_name(name)]:
            for one in dict.fromkeys((image, image.rstrip(BETWEEN))):
                yield Meant("/".join([*folders, one]), name)
    named = MASK_NAME.fullmatch(stem)
    if named:
        yield Meant("/".join([*folders, named["image"]]), None)


def is_called_mask(path: str, structures: Sequence[str]) -> bool:
    """Whether the name of a file among images says that it is a mask: `labels/x.png`, `x_mask.png`, `x_liver.png`."""
    parts = PurePosixPath(path)
    if any(MASK_FOLDER.fullmatch(folder) for folder in parts.parts[:-1]):
        return True
    if MASK_NAME.fullmatch(name_parts(parts.name)[0]):
        return True
    return any(meant.structure is not None for meant in readings_of(path, structures))


def structures_of(numbers: Sequence[int], structures: Sequence[str], values: MaskValues) -> dict[str, list[int]]:
    """The numbers of a label map that each structure is; structures without any are there as well.

    Without a mapping 1 is the project's first structure, 2 the second; a project of one structure takes all for it.

    Raises:
        InvalidInput: a number means nothing.
    """
    found: dict[str, list[int]] = {name: [] for name in structures if not values or name in values.values()}
    unknown = []
    for number in numbers:
        if values:
            name = values.get(str(number), values.get(ANY))
        elif len(structures) == 1:
            name = structures[0]
        else:
            name = structures[number - 1] if number <= len(structures) else None
        if name is None:
            unknown.append(str(number))
        elif name:
            found[name].append(number)
    if unknown:
        known = ", ".join(f"{number}={name}" for number, name in (values or _in_order(structures)).items())
        raise InvalidInput(
            f"The mask has numbers that mean no structure; say which, for example --mask-values "
            f"{unknown[0]}={structures[0]}. Received: {some_of(unknown, NAMED_AT_MOST)}, known are {known}"
        )
    return found


def structures_of_segments(
    segments: Mapping[int, str], structures: Sequence[str], values: MaskValues
) -> dict[str, list[int]]:
    """The numbered segments of a DICOM object that each structure is, by their names or by a mapping of numbers.

    A single segment is the single structure of a project, whatever it is called; segments that mean none stay out.
    """
    by_name = {plain_name(name): name for name in structures}
    found: dict[str, list[int]] = {}
    for number, called in segments.items():
        name = values.get(str(number), values.get(ANY)) if values else by_name.get(plain_name(called))
        if name is None and not values and len(segments) == len(structures) == 1:
            name = structures[0]
        if name:
            found.setdefault(name, []).append(number)
    return found


def plain_name(name: str) -> str:
    """A name without regard to case, to blanks and to what no file name may hold, as names of files are written."""
    return re.sub(r'[\s\-_<>:"/\\|?*]+', "_", name.strip().casefold())


def _in_order(structures: Sequence[str]) -> dict[str, str]:
    return {str(at): name for at, name in enumerate(structures, 1)}
