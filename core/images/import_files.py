"""The report of an import as the person importing reads it: with the paths, as long as those are kept."""

import re
import sqlite3
import threading
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.images.pseudonyms import named
from core.images.records import CAME_IN, ImportedFile, list_import_series, mark_import_files, walk_import_files
from core.images.sealed_paths import changed_at, read_paths
from core.images.series_report import Series, series_from_json
from core.settings import Settings

# What stands behind a file of which there is nothing more to say.
MERE = re.compile(
    r"Joined into case \d+, frame \d+ of \d+\.|Slice \d+ of \d+ of this series\.|Mask of case \d+: [^.]*\.|"
    r"\d+ boxes on [^.]*\."
)

NOTED = "noted"  # came in, with something to look at: same pixels, opposite labels, something odd
MOST_KEPT, KEPT_SECONDS = 2, 600.0  # a report of 100,000 files takes 50 MB


@dataclass(frozen=True, slots=True)
class ToldSeries:
    """A series of an import with what became of its files: how many of each status, and the cases they are in."""

    series: Series
    counts: Mapping[str, int]
    cases: tuple[int, ...]

    @property
    def what(self) -> str:
        """What it is, in a few words: `CT, 28 files in head/axial`."""
        files = "1 file" if self.series.files == 1 else f"{self.series.files:,} files"
        kind = self.series.modality or "unknown modality"
        return f"{kind}, {files}{f' in {self.series.folder}' if self.series.folder else ''}"

    @property
    def becomes(self) -> str:
        """What its parts are: `1 volume of 28 frames, 512 x 512; 1 localiser`."""
        words: Counter[str] = Counter()
        for part in self.series.parts:
            size = f"{part.columns} x {part.rows}"
            if part.kind == "localiser":
                words[f"localiser, {size}"] += 1
            elif part.frames > 1:
                words[f"volume of {part.frames} frames, {size}"] += 1
            else:
                words[f"image, {size}"] += 1
        return "; ".join(f"{count} {_plural(word, count)}" for word, count in words.items())


def _plural(word: str, count: int) -> str:
    """`volume of 28 frames` in the plural where there are several."""
    first, space, rest = word.partition(" ")
    if count == 1:
        return word
    bare = first.rstrip(",")
    return f"{bare}s{first[len(bare) :]}{space}{rest}"


@dataclass(frozen=True)
class Report:
    """All that an import did, as it is read: `counts` by status and of what is `NOTED`, which `noted` says by file."""

    files: tuple[ImportedFile, ...]
    noted: tuple[bool, ...]
    counts: Mapping[str, int]
    series: tuple[ToldSeries, ...]
    warnings: tuple[str, ...]

    def select(self, words: Collection[str] = (), text: str = "") -> list[ImportedFile]:
        """The files of any of these statuses, or noted where that is among them, whose name or reason has the text;
        without words all. `series 3` as text is a series."""
        found = list(self.files)
        if words:
            also = NOTED in words
            pairs = zip(self.files, self.noted, strict=True)
            found = [file for file, is_noted in pairs if file.status in words or (also and is_noted)]
        text = text.casefold()
        if number := re.fullmatch(r"series (\d+)", text):
            return [file for file in found if file.series == int(number[1])]
        if text:
            found = [file for file in found if text in file.path.casefold() or text in file.reason.casefold()]
        return found


class _Kept:
    """The reports that somebody is looking at: each click asks for one anew, and names of 100,000 files take seconds
    to read back. Not for long, since the paths themselves expire."""

    def __init__(self) -> None:
        self._reports: OrderedDict[Hashable, tuple[float, Report]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> Report | None:
        with self._lock:
            oldest = time.monotonic() - KEPT_SECONDS
            for other in [other for other, (made, _) in self._reports.items() if made < oldest]:
                del self._reports[other]
            if key not in self._reports:
                return None
            self._reports.move_to_end(key)
            return self._reports[key][1]

    def keep(self, key: Hashable, report: Report) -> None:
        with self._lock:
            self._reports[key] = time.monotonic(), report
            while len(self._reports) > MOST_KEPT:
                self._reports.popitem(last=False)


_kept = _Kept()


def read_report(
    connection: sqlite3.Connection,
    settings: Settings,
    job: int,
    *,
    warnings: Sequence[str] = (),
    with_paths: bool = True,
) -> Report:
    """The report of a job so far; it is read anew only where something of it has changed.

    Args:
        warnings: what the job's result warns of, in which files are named by tokens.
        with_paths: as `list_named_files`.
    """
    mark = mark_import_files(connection, job)
    key = (settings.home, job, with_paths, tuple(warnings), mark, changed_at(settings, job) if with_paths else None)
    if report := _kept.find(key):
        return report
    paths = read_paths(settings, job) if with_paths else {}
    files = _named_files(connection, job, paths)
    noted = tuple(_is_noted(file) for file in files)
    series = _told_series(connection, job, files, paths)
    counts: dict[str, int] = {**Counter[str](file.status for file in files), NOTED: sum(noted)}
    said = tuple(named(warning, paths) for warning in warnings)
    report = Report(tuple(files), noted, counts, tuple(series), said)
    _kept.keep(key, report)
    return report


def _is_noted(file: ImportedFile) -> bool:
    return file.status in CAME_IN and bool(file.reason) and not MERE.fullmatch(file.reason)


def list_named_files(
    connection: sqlite3.Connection, settings: Settings, job: int, *, with_paths: bool = True
) -> list[ImportedFile]:
    """What a job did with each file so far, by path; by its token once the paths have expired.

    Sentences name files by tokens too; those of this job are read back.

    Args:
        with_paths: False for everybody but the person who imports: tokens then, as the database has them.
    """
    return _named_files(connection, job, read_paths(settings, job) if with_paths else {})


def _named_files(connection: sqlite3.Connection, job: int, paths: Mapping[str, str]) -> list[ImportedFile]:
    files = (
        replace(file, path=paths.get(file.path, file.path), reason=named(file.reason, paths))
        for file in walk_import_files(connection, job)
    )
    return sorted(files, key=lambda file: file.path)


def _told_series(
    connection: sqlite3.Connection, job: int, files: Sequence[ImportedFile], paths: Mapping[str, str]
) -> list[ToldSeries]:
    of_series: dict[int | None, list[ImportedFile]] = defaultdict(list)
    for file in files:
        of_series[file.series].append(file)
    folders = _folders(paths)
    found = []
    for number, told in list_import_series(connection, job):
        series = series_from_json(number, told)
        series = replace(series, folder=folders.get(series.folder, series.folder))
        its = of_series.get(number, ())
        cases = {file.case for file in its if file.case is not None}
        found.append(ToldSeries(series, dict(Counter(file.status for file in its)), tuple(sorted(cases))))
    return found


def _folders(paths: Mapping[str, str]) -> dict[str, str]:
    """What the folders of files are called, by their tokens: a path and its token have the same parts."""
    found: dict[str, str] = {}
    for token, path in paths.items():
        tokens, names = token.split("/"), path.replace("\\", "/").split("/")
        if len(tokens) == len(names):
            for at in range(1, len(tokens)):
                found.setdefault("/".join(tokens[:at]), "/".join(names[:at]))
    return found
