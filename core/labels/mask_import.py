"""Masks into Readroom: files become the whole masks of a reader on the cases that they belong to.

A mask comes in voxel on voxel or not at all. What stands there already stays as it is, so that the same files can be
imported again; what somebody has painted over since is never taken back.
"""

import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.errors import CoreError, InvalidInput, Unavailable, some_of
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.case_finder import CaseFinder
from core.images.decoded import Pixels
from core.images.dicom_start import looks_like_dicom
from core.images.grids import Grid, grid_in_words, grid_of, is_uneven
from core.images.headers import count_instances
from core.images.mask_reading import LabelMap, read_label_map
from core.images.planes import Frames, Segments
from core.images.pseudonyms import load_secret, pseudonymous_uid
from core.images.records import (
    Case,
    FileStatus,
    ImportedFile,
    get_case,
    get_cases,
    list_cases,
    list_import_files,
    record_import_file,
)
from core.images.sources import SourceFile, list_sources, read_source
from core.labels.mask_names import (
    MaskValues,
    Meant,
    demand_structures,
    is_called_mask,
    readings_of,
    structures_of,
    structures_of_segments,
)
from core.labels.masks import compose_mask, get_mask_edit, list_painted, put_mask, read_mask
from core.labels.records import NewLabel, find_current_label, new_event, put_label
from core.labels.report_names import hidden_words, report_names
from core.people.accounts import ensure_user
from core.people.roles import demand_of
from core.progress import Progress, stop_if_asked
from core.projects.changes import present_names
from core.projects.records import Project, get_project
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.store.files import Files

READER_OF_MASKS = "imported masks"  # whose masks they are where nobody is named
PREFIX = "masks: "  # before the path of a mask in the report of an import
SECONDS_BETWEEN_REPORTS = 0.5
NAMED_AT_MOST = 8
NO_MEMORY = "Reading this mask needs more memory than there is."


@dataclass(frozen=True)
class MaskImport:
    """What became of the files: masks stored (one for each structure of a case), there already, and files refused."""

    added: int
    unchanged: int
    failed: int
    cases: int


@dataclass
class _Masks:
    """What stays the same from file to file, and what was counted."""

    connection: sqlite3.Connection
    settings: Settings
    project: Project
    structures: tuple[str, ...]
    finder: CaseFinder
    values: MaskValues
    reader: str
    actor: Actor
    threshold: float
    secret: bytes
    added: int = 0
    unchanged: int = 0
    by_size: dict[tuple[int, ...], list[int]] = field(default_factory=dict)  # cases, by their voxels a side, sorted


@dataclass(frozen=True)
class _OnGrid:
    """A mask whose name is no image's, and what that name says all the same."""

    file: SourceFile
    name: str
    meant: Meant


class _Nameless(InvalidInput):
    """No image is called as a mask is."""


def list_mask_files(project: Project, given: Path, images: Sequence[Path], settings: Settings) -> list[SourceFile]:
    """The files of a folder or zip of masks. Where images are imported from it too, only what is called a mask."""
    files = [file for file in list_sources([given], settings) if not file.is_system]
    whole, structures = given.resolve(), demand_structures(project)
    if not any(whole == image.resolve() or whole in image.resolve().parents for image in images):
        return files
    return [file for file in files if is_called_mask(file.source, structures)]


def import_masks(
    connection: sqlite3.Connection,
    settings: Settings,
    project: Project,
    sources: Sequence[SourceFile],
    *,
    job: int,
    actor: Actor,
    progress: Progress,
    values: MaskValues | None = None,
    reader: str | None = None,
    threshold: float = 0.5,
) -> MaskImport:
    """Bring in masks (`list_mask_files`); each file is reported under the job, with its masks or a reason.

    A mask belongs to the image of its name; where there is none, to the only case that has its grid, where that is no
    case of another mask.

    Killed at any moment and started again with the same job, it goes on where it was.

    Args:
        values: which structure each number of a label map is (`parse_mask_values`); else the project's order.
        reader: whose masks they are; a reader of this name is made where there is none.
        threshold: which fraction of a fractional segmentation is enough.

    Raises:
        InvalidInput: the project has no structures.
        NotAllowed: the actor may not import here.
        Stopped: somebody asked to stop; what came in stays.
    """
    demand_of(connection, actor, "import", project.id)
    structures = demand_structures(project)
    painter = ensure_user(connection, reader or READER_OF_MASKS, kind="imported").name
    finder = CaseFinder(connection, settings, project.id)
    masks = _Masks(
        connection, settings, project, structures, finder, values or {}, painter, actor, threshold,
        load_secret(settings),
    )  # fmt: skip
    names = report_names(settings, project, job, PREFIX, sources)
    done = {row.path: row for row in list_import_files(connection, job)}
    attempts = Attempts(settings.home / "imports" / f"{job}.masks.reading")
    rows: list[ImportedFile] = []
    nameless: list[tuple[SourceFile, str]] = []
    reported = time.monotonic()
    with OpenArchives(settings) as archives:
        for position, file in enumerate(sources):
            stop_if_asked(progress)
            if time.monotonic() - reported > SECONDS_BETWEEN_REPORTS:
                progress.report(position / len(sources), f"{position} of {len(sources)} masks")
                reported = time.monotonic()
            name = names[file.path]
            if name in done:
                rows.append(done[name])
                continue
            with attempts.of(name) as is_poison:
                try:
                    rows.append(_import_one(masks, file, name, archives, job, is_poison))
                except _Nameless:
                    nameless.append((file, name))
        rows += _import_by_grid(masks, nameless, archives, attempts, job, progress)
    cases = sorted({row.case for row in rows if row.case is not None and row.status != "failed"})
    for case_id in cases:
        _say_finished(masks, case_id)
    failed = sum(row.status == "failed" for row in rows)
    report = MaskImport(masks.added, masks.unchanged, failed, len(cases))
    add_audit(connection, actor, "import masks", f"project {project.id}", job=job, reader=painter,
              added=report.added, unchanged=report.unchanged, failed=failed)  # fmt: skip
    return report


def _import_one(
    masks: _Masks, file: SourceFile, name: str, archives: OpenArchives, job: int, is_poison: bool
) -> ImportedFile:
    def recorded(status: FileStatus, case: int | None, reason: str) -> ImportedFile:
        return record_import_file(masks.connection, job, name, status, case, reason)

    if is_poison:
        return recorded("failed", None, "Reading this mask ended the import twice, so it was left out.")
    try:
        content = read_source(file, archives, masks.settings)
        if looks_like_dicom(content):
            case, found, left_out = _segments_on_case(masks, content, file.source, job)
        else:
            label_map = read_label_map(content, masks.settings, name=file.path)
            case, meant = _find_case(masks, file.source, label_map)
            found, left_out = dict(_masks_of(masks, label_map, case, meant)), ""
        with writing(masks.connection):
            status, case_id, reason = _put(masks, case, found)
            return recorded(status, case_id, reason + left_out)
    except (Unavailable, _Nameless):
        raise
    except MemoryError:
        return recorded("failed", None, NO_MEMORY)
    except CoreError as error:
        return recorded("failed", None, str(error))


def _import_by_grid(
    masks: _Masks,
    nameless: Sequence[tuple[SourceFile, str]],
    archives: OpenArchives,
    attempts: Attempts,
    job: int,
    progress: Progress,
) -> list[ImportedFile]:
    """The masks whose names are no image's, once all others are in: each on the only case that has its grid.

    Several for one case must be of one image and of a structure each, as their names say; else none of them comes in.
    """
    rows: list[ImportedFile] = []
    found: dict[int, list[_OnGrid]] = defaultdict(list)

    def refused(name: str, reason: str) -> None:
        rows.append(record_import_file(masks.connection, job, name, "failed", None, reason))

    def attempt(file: SourceFile, name: str, do: Callable[[LabelMap], None]) -> None:
        stop_if_asked(progress)
        with attempts.of(name):
            try:
                do(read_label_map(read_source(file, archives, masks.settings), masks.settings, name=file.path))
            except Unavailable:
                raise
            except MemoryError:
                refused(name, NO_MEMORY)
            except CoreError as error:
                refused(name, str(error))

    for file, name in nameless:

        def look(label_map: LabelMap, file: SourceFile = file, name: str = name) -> None:
            case = _only_case_on_grid(masks, label_map)
            found[case.id].append(_OnGrid(file, name, _meant_by_name(masks, file.source)))

        attempt(file, name, look)
    for case_id, its in found.items():
        case = get_case(masks.connection, case_id)
        meant = [one.meant for one in its]
        clash = len({one.image for one in meant}) > 1 or len({one.structure for one in meant}) < len(meant)
        clash = clash or (len(meant) > 1 and any(one.structure is None for one in meant))
        for one in its:
            if clash:
                refused(
                    one.name,
                    f"No image of this name is in the project, and {len(its)} masks lie on the grid of case {case.id}, "
                    f"the only one that has it; call the right one as its image. Received: {len(its)} masks for it",
                )
                continue

            def put(label_map: LabelMap, one: _OnGrid = one, case: Case = case) -> None:
                masks_of = dict(_masks_of(masks, label_map, case, one.meant))
                with writing(masks.connection):
                    status, its_case, reason = _put(masks, case, masks_of, replaces=False)
                    said = f" No image is called as this mask; case {case.id} is the only one that has its grid."
                    rows.append(record_import_file(masks.connection, job, one.name, status, its_case, reason + said))

            attempt(one.file, one.name, put)
    return rows


def _meant_by_name(masks: _Masks, source: str) -> Meant:
    """What a name says where no image is called so: the structure, if it ends in one."""
    readings = list(readings_of(source, masks.structures))
    return next((meant for meant in readings if meant.structure is not None), readings[-1])


def _only_case_on_grid(masks: _Masks, label_map: LabelMap) -> Case:
    """The only case of the project on whose voxels a mask lies; of pictures, the only one of its size.

    Raises:
        InvalidInput: there is none, or there are several.
    """
    if not masks.by_size:
        for case in list_cases(masks.connection, masks.project.id):
            masks.by_size.setdefault(_size((case.frames, case.rows, case.columns)), []).append(case.id)
    alike = get_cases(masks.connection, masks.by_size.get(_size(label_map.grid.shape), []))
    fitting = [case for case in alike if _fits(label_map, case)]
    if len(fitting) == 1:
        return fitting[0]
    grid = "size" if label_map.grid.affine is None else "grid"
    if fitting:
        raise InvalidInput(
            f"No image of this name is in the project, and several have the {grid} of this mask; call it as its image. "
            f"Received: cases {some_of([str(case.id) for case in fitting], NAMED_AT_MOST)}"
        )
    raise InvalidInput(
        f"No image of this name is in the project, and none that has the {grid} of this mask; import it first, or call "
        f"the mask as its image. Received: a mask of {grid_in_words(label_map.grid)}"
    )


def _size(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(shape))


def _find_case(masks: _Masks, source: str, label_map: LabelMap) -> tuple[Case, Meant]:
    """The case that a mask's name means; of several of that name the one that it fits."""
    for meant in readings_of(source, masks.structures):
        found = masks.finder.find(meant.image)
        if len(found) == 1:
            return get_case(masks.connection, found[0]), meant
        if found:
            fitting = [case for case in get_cases(masks.connection, found) if _fits(label_map, case)]
            if len(fitting) == 1:
                return fitting[0], meant
            raise InvalidInput(
                f"Several images go by this name; put the mask into a folder of the same path as its image. "
                f"Received: cases {', '.join(map(str, found[:5]))}"
            )
    raise _Nameless("No image of this name is in the project.")


def _fits(label_map: LabelMap, case: Case) -> bool:
    try:
        label_map.on(_grid(case))
    except InvalidInput:
        return False
    return True


def _grid(case: Case) -> Grid:
    return grid_of(case.frames, case.rows, case.columns, case.affine, uneven=is_uneven(case))


def _masks_of(masks: _Masks, label_map: LabelMap, case: Case, meant: Meant) -> Iterator[tuple[str, Pixels]]:
    """The mask of each structure that the file speaks of, those that it finds nowhere included."""
    numbers = label_map.on(_grid(case))
    present = [int(number) for number in np.flatnonzero(np.bincount(numbers.reshape(-1))) if number]
    if meant.structure is not None:
        yield meant.structure, numbers != 0
        return
    for structure, its in structures_of(present, masks.structures, masks.values).items():
        yield structure, np.isin(numbers, its)


def _segments_on_case(masks: _Masks, content: bytes, source: str, job: int) -> tuple[Case, dict[str, Pixels], str]:
    """The masks of a DICOM object, on the case whose instances it refers to; and what of it was left out."""
    from core.images.dicom_masks import read_segments  # pydicom, for masks that are DICOM alone

    segments = read_segments(content, masks.settings, threshold=masks.threshold)
    meant = structures_of_segments(segments.names, masks.structures, masks.values)

    def called(numbers: Iterable[int]) -> str:
        words = [
            f"{number}={hidden_words(masks.settings, masks.project, job, segments.names[number])}" for number in numbers
        ]
        return some_of(words, NAMED_AT_MOST)

    if not meant:
        raise InvalidInput(
            f"No segment is called as a structure of the project ({', '.join(masks.structures)}); say which is which, "
            f"for example --mask-values {min(segments.names)}={masks.structures[0]}. Received: {called(segments.names)}"
        )
    case, frames = _case_of_segments(masks, segments, next(iter(meant.values())), source)
    found = {structure: segments.drawn(numbers, frames) for structure, numbers in meant.items()}
    out = sorted(set(segments.names) - {number for numbers in meant.values() for number in numbers})
    return case, found, f" Left out, as no structure is called so: {called(out)}." if out else ""


def _case_of_segments(masks: _Masks, segments: Segments, numbers: Sequence[int], source: str) -> tuple[Case, Frames]:
    """The case that most of the instances are in that an object refers to; failing that, the one of its name."""
    from core.images.dicom_masks import frames_of_case

    uids = sorted({name for uid in segments.referenced for name in (uid, pseudonymous_uid(masks.secret, uid))})
    counts = count_instances(masks.connection, masks.project.id, uids)
    most = [case for case, count in counts.items() if count == max(counts.values())]
    named = (masks.finder.find(meant.image) for meant in readings_of(source, masks.structures))
    candidates = most or next((found for found in named if found), [])
    if not candidates:
        raise InvalidInput(
            "The images that this object was drawn on are not in the project; import them first, or call the file as "
            f"its image. Received: references to {len(segments.referenced)} instances"
        )
    fitting = []
    for case in get_cases(masks.connection, candidates):
        frames = frames_of_case(masks.connection, Files(masks.settings.home), case, masks.secret)
        if len(candidates) == 1 or _draws(segments, numbers, frames):
            fitting.append((case, frames))
    if len(fitting) != 1:
        raise InvalidInput(
            f"Which of several cases this object was drawn on cannot be told. "
            f"Received: cases {', '.join(map(str, candidates[:5]))}"
        )
    return fitting[0]


def _draws(segments: Segments, numbers: Sequence[int], frames: Frames) -> bool:
    try:
        segments.drawn(numbers, frames)
    except InvalidInput:
        return False
    return True


def _put(
    masks: _Masks, case: Case, found: Mapping[str, Pixels], *, replaces: bool = True
) -> tuple[FileStatus, int, str]:
    """Store what differs from what stands there, in the caller's transaction; the row of the report.

    Args:
        replaces: a mask may take the place of another one. Of a mask that is known by its grid alone nothing tells that
            it is another version of one that is there.

    Raises:
        InvalidInput: it `replaces` none, and the reader has another mask of one of these structures on the case.
    """
    stored, same, kept = [], [], []
    # as they are called by now: an import takes minutes, in which a structure may be renamed
    names = present_names(masks.connection, get_project(masks.connection, masks.project.id))
    for structure, mask in ((names.get(name, name), mask) for name, mask in found.items()):
        before = read_mask(masks.connection, case.id, masks.reader, structure)
        if not before.edit and not mask.any():
            continue
        if before.edit and np.array_equal(compose_mask(masks.connection, case, masks.reader, structure), mask):
            same.append(structure)
        elif before.edit and not replaces:
            raise InvalidInput(
                f"No image of this name is in the project, and case {case.id}, the only one that has the grid of this "
                f"mask, has another mask of {structure}; call the mask as its image to replace that. "
                f"Received: a mask whose name is no image's"
            )
        elif before.edit and get_mask_edit(masks.connection, before.edit).made_in != "import":
            kept.append(structure)
        else:
            put_mask(
                masks.connection, case, structure, mask, masks.actor, event=new_event(), reader=masks.reader,
                made_in="import",
            )  # fmt: skip
            stored.append(structure)
    masks.added += len(stored)
    masks.unchanged += len(same) + len(kept)
    said = [f"Mask of case {case.id}: {', '.join(stored)}."] if stored else []
    said += [f"Already there on case {case.id}: {', '.join(same)}."] if same else []
    said += [f"{masks.reader} has painted {', '.join(kept)} since, and that stays."] if kept else []
    said = said or [f"Nothing is painted in this mask of case {case.id}."]
    return "imported" if stored or not (same or kept) else "skipped", case.id, " ".join(said)


def _say_finished(masks: _Masks, case_id: int) -> None:
    """The reader's answer on a case: it is finished, and these structures were found.

    That the reader called it unusable stays, as what they painted does: a file says nothing of that.
    """
    with writing(masks.connection):
        project = get_project(masks.connection, masks.project.id)
        painted = {one.structure for one in list_painted(masks.connection, case_id, reader=masks.reader)}
        value = {"structures": [name for name in demand_structures(project) if name in painted]}
        label = find_current_label(masks.connection, case_id, masks.reader)
        if label is not None and (label.unusable or label.value == value):
            return
        new = NewLabel(
            event=new_event(),
            case_id=case_id,
            reader=masks.reader,
            value=value,
            schema_version=project.schema_version,
            made_in="import",
        )
        put_label(masks.connection, project, new, entered_by=masks.actor.name)
