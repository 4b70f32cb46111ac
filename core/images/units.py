"""Which files become one case: a first pass over the headers, and the slices of a series read into one volume."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from core.errors import InvalidInput
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.decoded import DecodedImage
from core.images.dicom_instances import Survey, survey
from core.images.series import Group, Instance, group_instances, measure
from core.images.slices import Slices, joined
from core.images.sources import SourceFile, read_source
from core.images.volumes import check_volume_size
from core.progress import Progress, stop_if_asked
from core.settings import Settings

DIED_TWICE = "Reading this file ended the import twice, so it was left out; export it again."
SECONDS_BETWEEN_REPORTS = 0.5

Decode = Callable[[bytes, str], DecodedImage]


@dataclass(frozen=True)
class Unit:
    """Files that become one case, in the order of its frames; most units are a single file."""

    files: tuple[SourceFile, ...]
    group: Group | None = None
    copies: tuple[tuple[SourceFile, SourceFile], ...] = ()  # files of an instance that is in the unit, and that one
    is_index: bool = False  # a DICOMDIR

    @property
    def source(self) -> str:
        """What the case goes by: its first frame's file."""
        return self.files[0].source

    @property
    def folder(self) -> str:
        """The folder of the files; empty where they lie in several."""
        folders = {PurePosixPath(file.source).parent.as_posix() for file in self.files}
        only = folders.pop() if len(folders) == 1 else "."
        return "" if only == "." else only


@dataclass(frozen=True)
class ReadUnit:
    """A volume put together; `failed` are the files that could not be read, with the reason."""

    image: DecodedImage | None
    file_hash: str
    taken: tuple[SourceFile, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


def find_units(
    sources: Sequence[SourceFile],
    archives: OpenArchives,
    settings: Settings,
    attempts: Attempts,
    progress: Progress,
    skipped: Mapping[str, object],
) -> list[Unit]:
    """The units of an import in the order of their first files; every file is in one of them.

    Killed and started again it finds the same ones, as it looks at all files each time.

    Args:
        skipped: files by path that are no images of their own, whatever they hold.
    """
    found: dict[str, Instance] = {}
    indexes = set()
    reported = time.monotonic()
    for position, file in enumerate(sources):
        if time.monotonic() - reported > SECONDS_BETWEEN_REPORTS:
            stop_if_asked(progress)
            progress.report(0.0, f"looked at {position} of {len(sources)} files", file=file.path)
            reported = time.monotonic()
        if file.refusal or file.is_system or file.path in skipped:
            continue
        seen = _surveyed(file, archives, settings, attempts)
        if isinstance(seen, Instance):
            found[file.path] = seen
        elif seen == "index":
            indexes.add(file.path)
    by_path = {file.path: file for file in sources}
    units: dict[str, Unit] = {}
    for group in group_instances(found.values()):
        files = tuple(by_path[instance.path] for instance in group.instances)
        copies = tuple((by_path[copy.path], by_path[kept.path]) for copy, kept in group.copies)
        if len(files) == 1:  # copies of a single image come in, and are reported, as those of other formats are
            copies = ()
        unit = Unit(files, group, copies)
        units |= {file.path: unit for file in (*files, *(copy for copy, _ in copies))}
    ordered: dict[int, Unit] = {}
    for file in sources:
        unit = units.get(file.path) or Unit((file,), is_index=file.path in indexes)
        ordered.setdefault(id(unit), unit)
        units[file.path] = unit
    return list(ordered.values())


def folders_of_volumes(units: Sequence[Unit]) -> list[str]:
    """Folders that hold one volume and no further case, so that a label table may name the folder."""
    count = Counter(PurePosixPath(file.source).parent.as_posix() for unit in units for file in unit.files[:1])
    return [unit.folder for unit in units if len(unit.files) > 1 and unit.folder and count[unit.folder] == 1]


def read_unit(
    unit: Unit, decode: Decode, archives: OpenArchives, settings: Settings, attempts: Attempts, progress: Progress
) -> ReadUnit:
    """The volume of a unit of several files. A slice that cannot be read is left out, and said to be missing.

    Raises:
        InvalidInput: the volume has more voxels than the settings allow.
    """
    group = unit.group
    assert group is not None
    first = group.instances[0]
    check_volume_size((len(unit.files), first.rows, first.columns), settings)
    slices, failed = Slices(len(unit.files)), {}
    taken: list[tuple[SourceFile, Instance]] = []
    digest = hashlib.sha256()
    for file, instance in zip(unit.files, group.instances, strict=True):
        stop_if_asked(progress)
        with attempts.of(file.path) as is_poison:
            try:
                if is_poison:
                    raise InvalidInput(DIED_TWICE)
                content = read_source(file, archives, settings)
                slices.add_image(decode(content, file.source))
            except InvalidInput as error:
                failed[file.path] = str(error)
            else:
                digest.update(hashlib.sha256(content).digest())
                taken.append((file, instance))
    image = _image(group, slices, [instance for _, instance in taken], len(failed)) if taken else None
    return ReadUnit(image, digest.hexdigest(), tuple(file for file, _ in taken), failed)


def _image(group: Group, slices: Slices, taken: Sequence[Instance], lost: int) -> DecodedImage:
    part = {"part": group.name} if group.name else {}
    left_out = (f"{lost} of its files could not be read.",) if lost else ()
    if len(taken) == 1:
        (image,) = slices.images
        image = replace(image, pixels=slices.pixels()[0], oddities=(*group.oddities, *left_out, *image.oddities))
    else:
        geometry = measure(taken) if lost or group.geometry is None else group.geometry
        image = joined(slices, geometry, (*group.oddities, *left_out, *geometry.oddities))
    return replace(image, attributes={**image.attributes, **part})


def _surveyed(file: SourceFile, archives: OpenArchives, settings: Settings, attempts: Attempts) -> Survey:
    with attempts.of(file.path, only_header=True) as is_poison:
        if is_poison:
            return "other"
        try:
            if file.member is None:
                with file.location.open("rb") as stream:
                    return survey(stream, file.path)
            with archives.opened(file.location, file.member) as stream:
                return survey(stream, file.path)
        except (InvalidInput, OSError):  # said when it is read for its pixels
            return "other"
