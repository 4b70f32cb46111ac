"""What the database calls files and folders: each part of a path by a token of its own, the ending left readable.

So everything that works with paths works with tokens: two files of one folder still share it, a path still ends in
another, and what a person writes is found once it is turned into tokens in the same way.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from core.images.label_table import TableRow
from core.images.matching import match_rows
from core.images.names import name_parts
from core.images.pseudonyms import TOKEN_PATH, named, path_token, patient_name
from core.images.sources import SourceFile
from core.projects.deidentification import Deidentification

RASTER = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
SHORTEST = 4  # letters of a name that is looked for in a sentence; shorter ones are in every word
OLDEST_AGE = 90
# Columns of a label table that say who somebody is, in whatever spelling.
IDENTIFYING = re.compile(
    r"(patient_?|subject_?|first_?|last_?|sur|family_?|full_?)?names?|mrn|ssn|dob|(date_?of_?)?birth_?(date|day)?|"
    r"accession(_?(number|no|id))?|(street_?)?address|zip(_?code)?|e?_?mail|(tele)?phone(_?number)?|"
    r"(medical_?)?record_?(number|no|id)|insurance(_?(number|no|id))?|(patient|subject|person)_?(id|number|no|key)|"
    r"(study|series|sop)_?(instance_?)?uid|study_?id",
    re.IGNORECASE,
)


@dataclass
class PathNames:
    """The names of one import. A project without de-identification keeps all of them.

    A PNG, JPEG or TIFF that the label table names keeps the name it has there: it is the key by which labels come and
    go, chosen by whoever made the table.
    """

    secret: bytes
    options: Deidentification
    paths: dict[str, str] = field(default_factory=dict)  # what was hidden, by its token
    patients: dict[str, str] = field(default_factory=dict)  # what the table calls them, by pseudonym

    def of(self, path: str) -> str:
        """What a path is called."""
        if not self.options.enabled:
            return path
        token = path_token(self.secret, path)
        self.paths[token] = path
        return token

    def real(self, token: str) -> str:
        """The path that was hidden behind a token."""
        return self.paths.get(token, token)

    def real_in(self, text: str) -> str:
        """A sentence with the paths that were hidden in it."""
        return named(text, self.paths)

    def same(self, stored: str, source: str) -> bool:
        """Whether a case that is there came from this source: by its token, or by the name that a table gave it."""
        token = self.of(stored)
        return source in (stored, token) or source.endswith(f"/{token}")

    def patient(self, said: str) -> str:
        """What a patient is called of whom a label table or a file's name tells."""
        if not self.options.enabled:
            return said
        name = patient_name(self.secret, said)
        if name != said:
            self.patients[name] = said
        return name

    def of_maps(self, label_maps: Mapping[str, str]) -> dict[str, str]:
        """Masks and their images, both by what they are called."""
        return {self.of(mask): self.of(image) for mask, image in label_maps.items()}

    def hide(
        self, sources: Sequence[SourceFile], table: Mapping[str, TableRow] | None, skipped: Iterable[str]
    ) -> tuple[list[SourceFile], dict[str, TableRow] | None]:
        """The files and the rows of the table by what they are called from here on.

        Args:
            skipped: sources that no row is about, such as masks.
        """
        if not self.options.enabled:
            return list(sources), dict(table) if table is not None else None
        left_out = set(skipped)
        found = match_rows(table, [file.source for file in sources if file.source not in left_out]).rows
        shown = {source: row.path for source, row in found.items() if _is_key(source, row)}
        hidden = [
            replace(
                file,
                path=file.path if shown.get(file.source) == file.path else self.of(file.path),
                source=shown[file.source] if file.source in shown else self.of(file.source),
                refusal=self.without_names(file.refusal, file) if file.refusal else None,
            )
            for file in sources
        ]
        keys = set(shown.values())
        rows = {
            path if path in keys else self.of(path): self._row(row, path if path in keys else self.of(path))
            for path, row in (table or {}).items()
        }
        return hidden, rows if table is not None else None

    def without_names(self, text: str, file: SourceFile) -> str:
        """A sentence about a file without any of its names."""
        if not self.options.enabled:
            return text
        for path in (file.path, file.source, file.member or "", str(file.location)):
            for part in (path, PurePosixPath(path).name, name_parts(path)[0], *PurePosixPath(path).parts):
                if len(part) >= SHORTEST and part in text and not TOKEN_PATH.fullmatch(part):
                    text = text.replace(part, self.of(part))
        return text

    def _row(self, row: TableRow, path: str) -> TableRow:
        return replace(
            row,
            path=path,
            patient=self.patient(row.patient) if row.patient else None,
            attributes={name: self._attribute(name, value) for name, value in row.attributes.items()},
        )

    def _attribute(self, name: str, value: str) -> str:
        plain = name.strip().replace(" ", "_").replace("-", "_")
        if IDENTIFYING.fullmatch(plain):
            return self.patient(value)
        if plain.lower() in ("age", "patient_age", "age_years") and re.fullmatch(r"\d+(\.\d+)?", value.strip()):
            return value if float(value) < OLDEST_AGE else str(OLDEST_AGE)
        return value


def _is_key(source: str, row: TableRow) -> bool:
    return name_parts(source)[1].lower() in RASTER and not row.from_case_column
