"""What stays the same from file to file of one import."""

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.decoded import DecodedImage
from core.images.decoding import decode
from core.images.known_files import NewlyKnown, is_passing, remember
from core.images.label_table import TableRow
from core.images.path_names import PathNames
from core.images.reading_children import ReadingChildren
from core.images.records import (
    Case,
    FileStatus,
    ImportedFile,
    record_import_file,
)
from core.images.refused_files import RefusedFiles
from core.images.shown import Shown
from core.images.sources import SourceFile
from core.images.units import Unit
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import writing
from core.store.files import Files

Reader = Callable[[bytes, str], DecodedImage]
OnCase = Callable[[sqlite3.Connection, Case, TableRow | None], None]
LabelsOf = Callable[[sqlite3.Connection, Sequence[Case]], Mapping[int, Sequence[str]]]


@dataclass(frozen=True)
class OneImport:
    """What stays the same from file to file."""

    connection: sqlite3.Connection
    files: Files
    settings: Settings
    project: Project
    rows: Mapping[str, TableRow]
    pattern: re.Pattern[str] | None
    job: int
    actor: Actor
    on_case: OnCase
    on_skipped: OnCase | None
    labels_of: LabelsOf | None
    secret: bytes
    label_table: Path | None
    label_maps: Mapping[str, str]
    names: PathNames
    reader: Reader | ReadingChildren | None
    archives: OpenArchives
    attempts: Attempts
    numbers: Mapping[str, int]  # of series, by what stands for them in `known_files`
    unopened: Mapping[str, int]  # the same of those of which no file is opened
    refused: RefusedFiles
    drawn: AbstractSet[str]  # hashes of pixels that models drew, whether they were kept as cases or not

    def record(self, unit: Unit, file: SourceFile, status: FileStatus, case: int | None, reason: str) -> ImportedFile:
        """The row of the report; from now on the file is known, unless it goes when everything is in."""
        with writing(self.connection):
            if not is_passing(self.settings, file):
                known = NewlyKnown(file, status, case, unit.series)
                remember(self.connection, self.secret, self.project.id, [known])
            number = self.numbers.get(unit.series)
            return record_import_file(self.connection, self.job, file.path, status, case, reason, number)

    def read(self, content: bytes, name: str, *, shown: bool) -> tuple[DecodedImage, Shown | None]:
        """The image of a file, and where its reader makes that in passing what it looks like."""
        if isinstance(self.reader, ReadingChildren):
            return self.reader.read(content, name, shown=shown)
        if self.reader:
            return self.reader(content, name), None
        options = self.project.deidentification
        return decode(content, self.settings, self.secret, name=name, options=options), None
