"""Which case a file beside an image belongs to: a mask, a page of boxes; found by the name of the image."""

import re
import sqlite3
from collections import defaultdict
from pathlib import PurePosixPath

from core.images.label_table import clean_path
from core.images.matching import SourceNames
from core.images.names import name_parts
from core.images.pseudonyms import load_secret, path_token
from core.images.records import find_numbered_case, find_same_source, list_case_sources
from core.settings import Settings

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".nii", ".nii.gz", ".nrrd")
CASE_NUMBER = re.compile(r"case[-_ ]?(\d+)")  # as an export of masks calls a case whose file has no name


class CaseFinder:
    """The cases of a project by what their files are called, whether names are stored or tokens."""

    def __init__(self, connection: sqlite3.Connection, settings: Settings, project_id: int) -> None:
        self._connection, self._project = connection, project_id
        self._secret = load_secret(settings)
        sources = list_case_sources(connection, project_id)
        self._names = SourceNames(sources, self._secret)
        self._in_folder: dict[str, list[str]] = defaultdict(list)
        for source in sources:
            self._in_folder[PurePosixPath(source).parent.name].append(source)

    def find(self, name: str) -> list[int]:
        """The cases meant by an image's path without its ending; folders count only where they tell cases apart.

        A series goes by its folder, where no other case lies in that.
        """
        wanted = clean_path(name)
        stem = PurePosixPath(wanted).name
        if "/" in wanted:  # first, as a file without an ending in no folder would be found by the mere name
            endings = ("", *IMAGE_ENDINGS, *map(str.upper, IMAGE_ENDINGS))
            if exact := {case for ending in endings for case in self._called(wanted + ending)}:
                return sorted(exact)
        if by_stem := self._called(stem):
            return by_stem
        numbered = CASE_NUMBER.fullmatch(stem)
        if numbered and (case := find_numbered_case(self._connection, self._project, numbered[1])):
            return [case.id]
        inside = self._in_folder.get(stem) or self._in_folder.get(path_token(self._secret, stem)) or []
        return self._cases(inside) if len(inside) == 1 else []

    def find_file(self, path: str) -> list[int]:
        """The cases meant by a file's own path or name, ending included; failing that, by its stem."""
        wanted = clean_path(path)
        name = PurePosixPath(wanted).name
        stem = name_parts(name)[0]
        return self._called(wanted) or self._called(name) or self.find(wanted[: len(wanted) - len(name)] + stem)

    def _called(self, name: str) -> list[int]:
        return self._cases(self._names.find(name)) if name else []

    def _cases(self, sources: list[str]) -> list[int]:
        found = [case for source in sources for case in find_same_source(self._connection, self._project, source)]
        return sorted({case.id for case in found})
