"""Which files become one case: a first pass over the headers, and the slices of a series read into one volume."""

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import PurePosixPath

from core.errors import InvalidInput
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.decoded import DecodedImage
from core.images.known_files import KnownFile
from core.images.reading_children import ReadingChildren
from core.images.series import Group, Instance, group_instances, measure
from core.images.slices import Slices, joined
from core.images.sources import SourceFile
from core.images.surveys import survey_files
from core.images.volumes import check_volume_size
from core.progress import Progress, stop_if_asked
from core.settings import Settings
from core.store.growing import GrowingArray

DIED_TWICE = "Reading this file ended the import twice, so it was left out; export it again."
SECONDS_BETWEEN_REPORTS = 0.5


@dataclass(frozen=True, slots=True)
class Unit:
    """Files that become one case, in the order of its frames; most units are a single file."""

    files: tuple[SourceFile, ...]
    group: Group | None = None
    copies: tuple[tuple[SourceFile, SourceFile], ...] = ()  # files of an instance that is in the unit, and that one
    is_index: bool = False  # a DICOMDIR
    known: KnownFile | None = None  # what became of them before: they were not opened
    series: str = ""  # what stands for their DICOM series, where their headers were looked at

    @property
    def all_files(self) -> tuple[SourceFile, ...]:
        """Its files, copies included."""
        return (*self.files, *(copy for copy, _ in self.copies))

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
    """A volume put together; `failed` are the files that could not be read, with the reason.

    Its pixels are those of the file in which they are `written`, where they could be written as they came.
    """

    image: DecodedImage | None
    file_hash: str
    taken: tuple[SourceFile, ...]
    failed: Mapping[str, str] = field(default_factory=dict)
    written: GrowingArray | None = None


def find_units(
    sources: Sequence[SourceFile],
    archives: OpenArchives,
    settings: Settings,
    attempts: Attempts,
    progress: Progress,
    skipped: Mapping[str, object],
    known: Mapping[str, KnownFile] | None = None,
    key_of: Callable[[Instance], str] = lambda instance: f"{instance.study} {instance.series}",
    *,
    part_of: Callable[[SourceFile, int], SourceFile] = lambda file, part: file,
    reader: ReadingChildren | None = None,
) -> list[Unit]:
    """The units of an import in the order of their first files; every file is in one of them.

    Killed and started again it finds the same ones, as it looks at all files each time, `known` ones excepted: those
    are opened only where a further file of their series has come.

    Args:
        skipped: files by path that are no images of their own, whatever they hold.
        known: files by path that need not be opened.
        key_of: what `known` calls the series of an instance, and from here on everybody.
        part_of: of a multi-frame object that becomes several cases, the file that stands for one of them.
        reader: looks at the headers; without it this process does.
    """
    known = known or {}
    look = _Look(archives, attempts, progress, len(sources), skipped, reader, key_of)
    by_path = {file.path: file for file in sources}
    look.at([file for file in by_path.values() if file.path not in known])
    woken = {path for path in by_path.keys() & known.keys() if known[path].series in look.found}
    look.at([file for file in by_path.values() if file.path in woken])
    asleep = known.keys() - woken
    units = _known_units([file for file in by_path.values() if file.path in asleep], known)
    parts: dict[str, list[Unit]] = {}
    for series in list(look.found):  # what was told of one goes once its units are there
        for group in group_instances(look.found.pop(series)):
            files = tuple(by_path[instance.path] for instance in group.instances)
            if len(files) > 1:
                copies = tuple((by_path[copy.path], by_path[kept.path]) for copy, kept in group.copies)
                unit = Unit(files, group, copies, series=series)
                units |= {file.path: unit for file in unit.all_files}
                continue
            # copies of a single image come in, and are reported, as those of other formats are
            (whole,), group = files, _of_one_image(group)
            if group.part is None:
                units[whole.path] = Unit(files, group, series=series)
            else:
                part = Unit((part_of(whole, group.part),), group, series=series)
                parts.setdefault(whole.path, []).append(part)
    return _ordered(by_path.values(), units, parts, look.indexes)


def _ordered(
    files: Iterable[SourceFile], units: Mapping[str, Unit], parts: Mapping[str, Sequence[Unit]], indexes: Container[str]
) -> list[Unit]:
    """The units by their first files; each file that is in none is one by itself."""
    found: list[Unit] = []
    met = set[int]()  # units of several files
    for file in files:
        unit = units.get(file.path) or Unit((file,), is_index=file.path in indexes)
        if file.path in parts:
            found += parts[file.path]
        elif id(unit) not in met:
            found.append(unit)
        if len(unit.files) > 1:
            met.add(id(unit))
    return found


def _of_one_image(group: Group) -> Group:
    """Without what tells one image from others: 100,000 images of a series each hold the few that are left."""
    (instance,) = group.instances
    bare = replace(instance, path="", series="", sop="", number=0, position=None, orientation=None, keys=(), patient="",
                   rescale=None)  # fmt: skip
    return _the_same(replace(group, instances=(bare,), copies=()))


@lru_cache(maxsize=32)
def _the_same(group: Group) -> Group:
    return group


@dataclass
class _Look:
    """The first pass, over headers alone: the instances by series, and by path the indexes among the files.

    The UIDs of a series are not kept: what stands for it stands in their place.
    """

    archives: OpenArchives
    attempts: Attempts
    progress: Progress
    total: int
    skipped: Mapping[str, object]
    reader: ReadingChildren | None
    key_of: Callable[[Instance], str]
    found: dict[str, list[Instance]] = field(default_factory=dict)
    indexes: set[str] = field(default_factory=set)
    count: int = 0
    reported: float = field(default_factory=time.monotonic)

    def at(self, files: Sequence[SourceFile]) -> None:
        looked_at = [file for file in files if not (file.refusal or file.is_system or file.path in self.skipped)]
        with closing(survey_files(looked_at, self.archives, self.attempts, self.reader)) as surveys:
            for file, seen in surveys:
                self.count += 1
                if time.monotonic() - self.reported > SECONDS_BETWEEN_REPORTS:
                    stop_if_asked(self.progress)
                    self.progress.report(0.0, f"looked at {self.count} of {self.total} files")
                    self.reported = time.monotonic()
                if isinstance(seen, Instance):
                    its = self.found.setdefault(series := self.key_of(seen), [])
                    # Of a series that is there already its slices hold the name that the first of them has.
                    its.append(replace(seen, path=file.path, study="", series=its[0].series if its else series))
                elif seen == "index":
                    self.indexes.add(file.path)


def _known_units(files: Sequence[SourceFile], known: Mapping[str, KnownFile]) -> dict[str, Unit]:
    """Files that need not be opened, by path; those that became frames of one case together."""
    together: dict[tuple[int | None, str], list[SourceFile]] = defaultdict(list)
    for file in files:
        one = known[file.path]
        in_a_case = one.case is not None and one.series and one.status != "skipped"
        together[(one.case, "" if in_a_case else file.path)].append(file)
    units = [Unit(tuple(some), known=known[some[0].path]) for some in together.values()]
    return {file.path: unit for unit in units for file in unit.files}


def folders_of_volumes(units: Sequence[Unit]) -> list[str]:
    """Folders that hold one volume and no further case, so that a label table may name the folder."""
    count = Counter(PurePosixPath(file.source).parent.as_posix() for unit in units for file in unit.files[:1])
    return [unit.folder for unit in units if len(unit.files) > 1 and unit.folder and count[unit.folder] == 1]


def read_unit(
    unit: Unit, read: Callable[[SourceFile], tuple[DecodedImage, str]], progress: Progress, file: GrowingArray
) -> ReadUnit:
    """The volume of a unit of several files. A slice that cannot be read is left out, and said to be missing.

    Args:
        read: the image of a file and the SHA-256 of its bytes.
        file: takes the slices as they come.
    """
    group = unit.group
    assert group is not None
    slices, failed = Slices(len(unit.files), file), {}
    taken: list[tuple[SourceFile, Instance]] = []
    digest = hashlib.sha256()
    for source, instance in zip(unit.files, group.instances, strict=True):
        stop_if_asked(progress)
        try:
            image, file_hash = read(source)
            slices.add_image(image)
        except InvalidInput as error:
            failed[source.path] = str(error)
        else:
            digest.update(bytes.fromhex(file_hash))
            taken.append((source, instance))
    image_of_all = _image(group, slices, [instance for _, instance in taken], len(failed)) if taken else None
    written = slices.file if len(taken) > 1 else None
    return ReadUnit(image_of_all, digest.hexdigest(), tuple(source for source, _ in taken), failed, written)


def check_unit(unit: Unit, settings: Settings) -> None:
    """Refuse, before anything of it is read, a volume with more voxels than the settings allow.

    Raises:
        InvalidInput: it has.
    """
    if unit.group is not None and len(unit.files) > 1:
        first = unit.group.instances[0]
        check_volume_size((len(unit.files), first.rows, first.columns), settings)


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
