"""The one way in: files become cases of a project, each in one transaction, or are refused with a reason."""

import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from core.errors import InvalidInput
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.crosswalk import note, sealed_entry
from core.images.import_report import ImportReport, left_of, report_of
from core.images.import_units import import_units, let_wait
from core.images.known_files import KnownFile, find_known, series_key
from core.images.known_units import skip_known
from core.images.label_maps import find_label_maps
from core.images.label_table import TableRow
from core.images.matching import match_rows
from core.images.one_import import LabelsOf, OnCase, OneImport, Reader
from core.images.path_names import PathNames
from core.images.pseudonyms import load_secret
from core.images.reading_children import ReadingChildren
from core.images.records import (
    HoldBack,
    list_import_files,
    put_import_series,
    set_of_drawn,
)
from core.images.refused_files import RefusedFiles
from core.images.sealed_paths import keep_paths, read_paths
from core.images.series import MOST_STACKS
from core.images.series_report import is_odd, list_series, number_series, number_unopened, series_to_json
from core.images.sources import SourceFile, is_index_name, list_sources, quiet_only
from core.images.stored_files import StoredFiles
from core.images.time_points import part_called, split_time_points
from core.images.units import Unit, find_units, folders_of_volumes
from core.people.roles import demand_of
from core.progress import Progress
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.files import Files

SERIES_AT_ONCE = 1000  # told of in one transaction


def import_paths(
    connection: sqlite3.Connection,
    files: Files,
    settings: Settings,
    project: Project,
    paths: Sequence[Path],
    *,
    table: Mapping[str, TableRow] | None,
    patient_from: str | None,
    job: int,
    actor: Actor,
    on_case: OnCase,
    progress: Progress,
    root: Path | None = None,
    label_table: Path | None = None,
    on_skipped: OnCase | None = None,
    labels_of: LabelsOf | None = None,
    apart: AbstractSet[Path] = frozenset(),
    reader: Reader | ReadingChildren | None = None,
    volume: int | None = None,
    hold_back: HoldBack = "nothing",
    only: AbstractSet[str] | None = None,
    only_new: bool = False,
    quiet_seconds: float | None = None,
) -> ImportReport:
    """Import files, folders and zips. One bad file never stops the rest.

    Killed at any moment and started again with the same job, it goes on where it was:
    a case, its labels and the record of its file appear in one transaction or not at all.

    Args:
        table: what a label table says (`map_columns`), by path relative to the imported folder.
        patient_from: a regular expression on the source; its first group, or the whole match, is the patient.
        on_case: called with each new case and its row, in the case's transaction; a `CoreError` refuses the file.
        root: the folder that sources are relative to; else each given folder or zip.
        label_table: the table's own file, which is then no failure when it lies in the folder.
        on_skipped: called likewise for a file whose case was there before.
        labels_of: the answers of cases in words, by case id, to name opposite labels of same pixels.
        apart: files that come in by themselves, such as masks that lie among the images.
        volume: of files of four dimensions only this time point, counted from 1.
        reader: reads a file's bytes; else this process does. `ReadingChildren` read several files side by side.
        hold_back: what is looked at and waits for somebody's word: `odd` series, or `all`, which stores no image.
        only: of the files only these, by what reports call them (`list_import_files`).
        only_new: files that an import has met before are left out, whatever became of them.
        quiet_seconds: files in whose folder something was written more recently are left out.

    Raises:
        NotAllowed: the actor may not import into this project.
        InvalidInput: `patient_from` is not a regular expression.
        Unavailable: the disk is full or the database is held; what was imported stays.
        Stopped: somebody asked to stop; what was imported stays.
    """
    demand_of(connection, actor, "import", project.id)
    names = PathNames(load_secret(settings), project.deidentification)
    secret = load_secret(settings)
    found = list_sources([Path(path) for path in paths], settings, root=root)
    if any(is_index_name(file.name) for file in found):
        from core.images.dicomdir import list_missing  # brings pydicom along

        found += list_missing(found)
    if apart:
        found = [file for file in found if file.member is not None or file.location.resolve() not in apart]
    if quiet_seconds is not None:
        found = quiet_only(found, quiet_seconds, time.time())
    refused = RefusedFiles(settings, secret, project.id, project.deidentification)

    def find_met(files: Sequence[SourceFile]) -> dict[str, KnownFile]:
        met = find_known(connection, secret, project.id, files)
        if only is None:  # else somebody asks for certain files to be read, whatever became of them before
            found = refused.find(files)
            met |= {path: one for path, one in found.items() if path not in met or not met[path].is_in}
        return met

    met = find_met(found)
    found = split_time_points(found, settings, volume, unopened=[path for path, one in met.items() if one.is_left()])
    met |= find_met([file for file in found if file.time_point is not None])
    maps = find_label_maps([file.source for file in found])
    # from here on files and patients go by what the database calls them
    sources, table = names.hide(found, table, maps)
    met = {hidden.path: met[file.path] for file, hidden in zip(found, sources, strict=True) if file.path in met}
    found.clear()  # 30 MB of 100,000 files
    label_maps = names.of_maps(maps)
    if names.paths:
        keep_paths(settings, job, {**read_paths(settings, job), **names.paths})  # of a resumed job what it knew
    _note_patients(settings, project, names)
    # a mask of the same name as its image would make the image's row fit two files
    named = [file.source for file in sources if file.source not in label_maps]
    pattern = _pattern(patient_from)
    done = {file.path: file for file in list_import_files(connection, job)}
    attempts = Attempts(files.root / "imports" / f"{job}.reading")
    parts = _Parts(names)
    asked_parts = frozenset(only or ()) - {file.path for file in sources}  # of stacks, which no file is named by
    others = [] if only is None else [file for file in sources if not parts.is_wanted(file, only, asked_parts)]
    left_out = {file.path for file in others}
    sources = [file for file in sources if file.path not in left_out]
    # what this job did itself before it was killed is looked at again, so that it finds the same units
    known = {
        file.path: one
        for file in sources
        if file.path not in done and (one := met.get(file.path)) and one.is_left(only_new=only_new)
    }
    stored = StoredFiles(files, job)
    try:
        with OpenArchives(settings) as archives, closing(attempts):
            units = find_units(
                sources, archives, settings, attempts, progress, label_maps, known,
                lambda instance: series_key(secret, instance),
                part_of=parts.of,
                reader=reader if isinstance(reader, ReadingChildren) else None,
            )  # fmt: skip
            if parts.files:
                keep_paths(settings, job, {**read_paths(settings, job), **names.paths})
                units = _parts_met(units, find_met(parts.files), done, only, only_new=only_new)
                sources = [part for file in sources for part in parts.by_whole.get(file.path, [file])]
                others += [file for file in sources if only is not None and file.path not in only]
                sources = [file for file in sources if only is None or file.path in only]
                named += [part.source for part in parts.files]
            if only_new:
                units = [unit for unit in units if unit.known is None]
                sources = [file for unit in units for file in unit.all_files]
            numbers = number_series(units)
            series = list_series(units)
            while told := {one.number: series_to_json(one) for one in islice(series, SERIES_AT_ONCE)}:
                put_import_series(connection, job, told)
            matched = match_rows(table, [*named, *folders_of_volumes(units)])
            rows_by_source = parts.with_rows(matched.rows)
            what = OneImport(
                connection, stored.files, settings, project, rows_by_source, pattern, job, actor, on_case, on_skipped,
                labels_of, secret, label_table, label_maps, names, reader, archives, attempts, numbers,
                number_unopened(units, len(numbers)), refused, set_of_drawn(connection),
            )  # fmt: skip
            refused.fresh.update(unit.files[0].path for unit in units if unit.is_index)
            skip_known(what, units, done, progress, carried_out=hold_back != "all")
            new = [unit for unit in units if unit.known is None and unit.files[0].path not in done]
            new.sort(key=lambda unit: any(file.path in attempts.doubtful for file in unit.files))
            waiting = [unit for unit in new if hold_back == "all" or (hold_back == "odd" and is_odd(unit))]
            for unit in waiting:
                done |= {row.path: row for row in let_wait(what, unit, progress)}
            held = {id(unit) for unit in waiting}
            import_units(what, [unit for unit in new if id(unit) not in held], done, len(sources), progress)
    finally:
        stored.finish(connection)
    series_of = {file.path: unit.series for unit in units for file in unit.all_files if file.path in refused.fresh}
    refused.remember(sources, done, series_of)
    rows_of = [done[file.path] for file in sources]
    report = report_of(
        rows_of,
        (*matched.warnings, *names.warnings()) if only is None else (),
        left_of(sources, rows_of).union(file.location for file in others),
        names,
    )
    add_audit(connection, actor, "import", f"project {project.id}", job=job, imported=report.imported,
              skipped=report.skipped, failed=report.failed, waiting=report.waiting)  # fmt: skip
    progress.report(1.0, report.told)
    return report


@dataclass
class _Parts:
    """Files that stand for the stacks of multi-frame objects, which a first look at their headers finds."""

    names: PathNames
    by_whole: dict[str, list[SourceFile]] = field(default_factory=dict)
    whole_source: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> list[SourceFile]:
        return [part for parts in self.by_whole.values() for part in parts]

    def of(self, file: SourceFile, part: int) -> SourceFile:
        """The file of one stack, called as a volume of a file of four dimensions is."""
        made = replace(file, path=self._called(file.path, part), source=self._called(file.source, part),
                       time_point=part)  # fmt: skip
        self.by_whole.setdefault(file.path, []).append(made)
        self.whole_source[made.source] = file.source
        return made

    def is_wanted(self, file: SourceFile, only: AbstractSet[str], asked_parts: AbstractSet[str]) -> bool:
        """Whether a file is among those that are asked for, itself or by one of its stacks."""
        if file.path in only or not asked_parts:
            return file.path in only
        real = self.names.real(file.path)
        return any(self.names.token(part_called(real, part)) in asked_parts for part in range(1, MOST_STACKS + 1))

    def with_rows(self, rows: Mapping[str, TableRow]) -> Mapping[str, TableRow]:
        """What a table says of an object holds for each of its stacks of which it says nothing else."""
        own = {part: rows[whole] for part, whole in self.whole_source.items() if whole in rows and part not in rows}
        return {**rows, **own} if own else rows

    def _called(self, path: str, part: int) -> str:
        return self.names.of(part_called(self.names.real(path), part))


def _parts_met(
    units: Sequence[Unit],
    met: Mapping[str, KnownFile],
    done: Mapping[str, object],
    only: AbstractSet[str] | None,
    *,
    only_new: bool,
) -> list[Unit]:
    """The units, of which those of stacks that were met before need not be read again; without what is not wanted."""
    found = []
    for unit in units:
        path = unit.files[0].path
        if only is not None and len(unit.files) == 1 and path not in only:
            continue
        one = met.get(path) if path not in done else None
        is_known = one is not None and one.is_left(only_new=only_new)
        found.append(replace(unit, group=None, known=one) if is_known else unit)
    return found


def _pattern(patient_from: str | None) -> re.Pattern[str] | None:
    if not patient_from:
        return None
    try:
        return re.compile(patient_from)
    except re.error as error:
        raise InvalidInput(
            f"The patient pattern must be a regular expression, such as ^(person\\d+)_. "
            f"Received: {patient_from} ({error})"
        ) from error


def _note_patients(settings: Settings, project: Project, names: PathNames) -> None:
    """Whose pseudonyms a label table's patients have, where the project keeps a crosswalk."""
    if project.deidentification.crosswalk_key:
        for name, said in names.patients.items():
            note(settings, project.id, sealed_entry(project.deidentification.crosswalk_key, name, f"patient /{said}"))
