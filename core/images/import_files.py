"""The report of an import as the person importing reads it: with the paths, as long as those are kept."""

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.images.pseudonyms import TOKEN_PATH
from core.images.records import ImportedFile, list_import_files, list_import_series
from core.images.sealed_paths import read_paths
from core.images.series_report import Series, series_from_json
from core.settings import Settings

# What stands behind a file of which there is nothing more to say.
MERE = re.compile(
    r"Joined into case \d+, frame \d+ of \d+\.|Slice \d+ of \d+ of this series\.|Mask of case \d+: [^.]*\.|"
    r"\d+ boxes on [^.]*\."
)


@dataclass(frozen=True)
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


def list_named_files(connection: sqlite3.Connection, settings: Settings, job: int) -> list[ImportedFile]:
    """What a job did with each file so far, by path; by its token once the paths have expired.

    Sentences name files by tokens too; those of this job are read back.
    """
    paths = read_paths(settings, job)
    files = [
        replace(file, path=paths.get(file.path, file.path), reason=named(file.reason, paths))
        for file in list_import_files(connection, job)
    ]
    return sorted(files, key=lambda file: file.path)


def list_told_series(
    connection: sqlite3.Connection, settings: Settings, job: int, files: Sequence[ImportedFile] | None = None
) -> list[ToldSeries]:
    """The series of a job by their numbers.

    Args:
        files: `list_import_files` or `list_named_files` of the job, where the caller has them.
    """
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    cases: dict[int, dict[int, None]] = defaultdict(dict)
    for file in list_import_files(connection, job) if files is None else files:
        if file.series is not None:
            counts[file.series][file.status] += 1
            if file.case is not None:
                cases[file.series][file.case] = None
    folders = _folders(read_paths(settings, job))
    found = []
    for number, told in list_import_series(connection, job).items():
        series = series_from_json(number, told)
        series = replace(series, folder=folders.get(series.folder, series.folder))
        found.append(ToldSeries(series, dict(counts[number]), tuple(sorted(cases[number]))))
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


def named(text: str, paths: Mapping[str, str]) -> str:
    """A sentence with the paths in place of their tokens."""
    return TOKEN_PATH.sub(lambda found: paths.get(found[0], found[0]), text)
