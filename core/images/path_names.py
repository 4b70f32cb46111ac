"""What the database calls the files of one import: tokens, but for what a label table names as its own key."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from core.images.label_table import TableRow
from core.images.names import name_parts
from core.images.pseudonyms import path_token
from core.images.sources import SourceFile
from core.projects.deidentification import Deidentification

RASTER = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
SHORTEST = 4  # letters of a stem that is looked for in a sentence; shorter ones are in every word


class PathNames:
    """Names for files and folders that may themselves name patients.

    A PNG, JPEG or TIFF that the label table names keeps the name it has there: it is the key by which labels come and
    go, chosen by whoever made the table. Everything else, and all of DICOM and NIfTI, goes by `path_token`. A project
    without de-identification keeps all names.
    """

    def __init__(
        self, secret: bytes, options: Deidentification, rows: Mapping[str, TableRow], sources: Sequence[SourceFile]
    ) -> None:
        self._secret, self._options, self._rows = secret, options, rows
        self.paths = {self.of_report(file): file.path for file in sources}

    def of_case(self, file: SourceFile) -> str:
        """What stands in a case's `source`."""
        return self._shown(file) or path_token(self._secret, file.source)

    def of_report(self, file: SourceFile) -> str:
        """What stands in the row of the import's report; `paths` gives the path for each."""
        shown = self._shown(file)
        return shown if shown and shown == file.path else path_token(self._secret, file.path)

    def hidden_in(self, text: str, file: SourceFile, also: Sequence[str] = ()) -> str:
        """A sentence about a file without any of its names."""
        if not self._options.enabled:
            return text
        for path in (file.path, file.source, str(file.location), file.member or "", *also):
            name, stem = PurePosixPath(path).name, name_parts(path)[0]
            for part in (path, name, stem, *PurePosixPath(path).parts[:-1]):
                if len(part) >= SHORTEST and part in text and part != self._shown(file):
                    text = text.replace(part, path_token(self._secret, path))
        return text

    def _shown(self, file: SourceFile) -> str | None:
        if not self._options.enabled:
            return file.source
        row = self._rows.get(file.source)
        is_raster = name_parts(file.source)[1].lower() in RASTER
        return row.path if row is not None and is_raster and not row.from_case_column else None
