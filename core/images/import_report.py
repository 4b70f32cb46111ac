"""What became of the files of an import, in numbers and sentences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import some_of
from core.images.path_names import PathNames
from core.images.records import (
    CAME_IN,
    ImportedFile,
    count_files,
    wanted_again,
)
from core.images.sources import SourceFile

NAMED_AT_MOST = 3
# What a reason says, by which a report counts; reasons are stored, so a resumed import counts alike.
SAME_PIXELS = "Same pixels as case "
OPPOSITE_LABELS = " The labels are opposite: "


@dataclass(frozen=True)
class ImportReport:
    """What became of each file. `cases` counts the cases that the imported files made.

    `imported` counts all files that came in: `joined` of them as slices, `held` for a check of their pixels.
    `same_pixels` of them show what another case shows, `opposite_labels` of these with another answer.
    `waiting` files were only looked at. `left` is where files lie that another attempt would read: refused and waiting
    ones, each with its whole series.
    """

    imported: int
    skipped: int
    failed: int
    cases: int
    same_pixels: int
    opposite_labels: int
    files: tuple[ImportedFile, ...]
    warnings: tuple[str, ...]
    joined: int = 0
    held: int = 0
    waiting: int = 0
    left: frozenset[Path] = frozenset()

    @property
    def told(self) -> str:
        """The counts in a line; of what came in also how many cases that are, and what of it nobody sees yet."""
        waits = f", {self.waiting} wait" if self.waiting else ""
        further = [f"{self.cases} case{'s' if self.cases != 1 else ''}"] if self.joined else []
        if self.held:
            further.append(f"{self.held} file{'s' if self.held != 1 else ''} held for a check of the pixels")
        more = f"; {', '.join(further)}" if further else ""
        return f"{self.imported} imported, {self.skipped} skipped, {self.failed} refused{waits}{more}"


def report_of(
    done: Iterable[ImportedFile], warnings: tuple[str, ...], left: frozenset[Path], names: PathNames
) -> ImportReport:
    """Files by the paths that were given; sentences, which are stored with the job, by what the database calls them."""
    files = tuple(done)
    same = [file for file in files if file.status in CAME_IN and SAME_PIXELS in file.reason]
    opposite = [file for file in same if OPPOSITE_LABELS in file.reason]
    return ImportReport(
        **count_files(files),
        same_pixels=len(same),
        opposite_labels=len(opposite),
        files=tuple(_as_given(file, names) for file in files),
        warnings=(*warnings, *_warn_of_same_pixels(same, opposite)),
        waiting=sum(file.status == "waiting" for file in files),
        left=left,
    )


def left_of(sources: Sequence[SourceFile], rows: Sequence[ImportedFile]) -> frozenset[Path]:
    """Where the files lie that another attempt would read (`ImportReport.left`)."""
    wanted = wanted_again(rows, ("failed", "waiting"))
    return frozenset(file.location for file in sources if file.path in wanted)


def _as_given(file: ImportedFile, names: PathNames) -> ImportedFile:
    """For the person importing: by the path that was given."""
    return replace(file, path=names.real(file.path), reason=names.real_in(file.reason))


def _warn_of_same_pixels(same: Sequence[ImportedFile], opposite: Sequence[ImportedFile]) -> list[str]:
    """Among thousands of files nobody finds the few reasons that matter: one sentence says that they are there."""
    if not same:
        return []
    show = "1 file shows" if len(same) == 1 else f"{len(same):,} files show"
    named = some_of([file.path for file in opposite or same], NAMED_AT_MOST)
    return [
        f"{show} the same pixels as another case, {f'{len(opposite):,}' if opposite else 'none'} with opposite labels: "
        f"{named}. The reasons name the other cases."
    ]
