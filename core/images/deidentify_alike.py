"""Attributes that say the same in file after file of an import are cleaned, and written, once.

The slices of a series differ in a few numbers; most of what scanner and study say of themselves comes a thousand
times. What is remembered is what `core.images.deidentify` made of the bytes of one attribute, for these very bytes
alone, and never longer than the process that reads.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from core.projects.deidentification import Deidentification

if TYPE_CHECKING:  # a reader has one of these before it knows whether it will need pydicom
    from pydicom.dataelem import DataElement, RawDataElement
    from pydicom.dataset import Dataset

    from core.images.deidentify_profile import Kept
    from core.images.deidentify_values import Patient

LONGEST_VALUE = 2048
MOST_VALUES = 5000
OF_THE_PATIENT = frozenset({"date", "datetime", "pseudonym", "sequence"})  # checks whose outcome hangs on who it is
# What is assigned to once the walk is over, so that the element of one file must not be that of another.
ASSIGNED = frozenset({0x00100010, 0x00100020, 0x00120062, 0x00120063, 0x00120064, 0x00280303})
CHARACTER_SET = 0x00080005

Notes = Counter[tuple[str, str, str, str]]
Key = tuple[object, ...]
Charset = bytes | str | Literal[False] | None


@dataclass(frozen=True)
class Cleaned:
    """What became of an attribute: the clean element, None where it was left out, and what is noted of it."""

    element: "DataElement | None"
    notes: Notes


@dataclass
class Alike:
    """What was cleaned before, by the bytes it was made of; `written` are clean elements as bytes of a header."""

    _of: tuple[Deidentification, bytes] | None = None
    _cleaned: dict[Key, Cleaned] = field(default_factory=dict)
    # Of what was done, by whether dates were moved: the same in each such header.
    said: "dict[bool, list[DataElement]]" = field(default_factory=dict)
    written: dict[int, bytes] = field(default_factory=dict)  # by the identity of an element that is held here

    def begin(self, options: Deidentification, secret: bytes) -> None:
        """For a data set under these options; what others made is forgotten, and all of it once it is too much."""
        if self._of != (options, secret) or len(self._cleaned) > MOST_VALUES:
            self._of = (options, secret)
            self._cleaned.clear()
            self.said.clear()
            self.written.clear()

    def find(self, key: Key) -> Cleaned | None:
        return self._cleaned.get(key)

    def add(self, key: Key, cleaned: Cleaned) -> None:
        self._cleaned[key] = cleaned
        if cleaned.element is not None:
            self.written[id(cleaned.element)] = b""  # to be written when a header needs it

    def say(self, moved: bool, elements: "list[DataElement]") -> None:
        self.said[moved] = elements
        self.written |= {id(element): b"" for element in elements}


def charset_of(dataset: "Dataset") -> Charset:
    """The character set as the file says it, in which texts of the data set are; False where that cannot be told."""
    found = dataset.get_item(CHARACTER_SET) if CHARACTER_SET in dataset else None
    said = found.value if found is not None else None
    return said if said is None or isinstance(said, (bytes, str)) else False


def key_of(dataset: "Dataset", tag: int, kept: "Kept", patient: "Patient", charset: Charset) -> Key | None:
    """All that the outcome for an attribute of the data set itself hangs on; None where that is not its bytes alone.

    Args:
        charset: of the data set (`charset_of`).
    """
    found = dataset.get_item(tag)
    if not found.is_raw or not isinstance(found.value, bytes) or len(found.value) > LONGEST_VALUE:
        return None
    raw = cast("RawDataElement", found)
    if tag in ASSIGNED or (raw.VR is None and len(kept.vrs) > 1):  # signed or not: another attribute says it
        return None
    if kept.check == "sequence" and (raw.VR != "SQ" or raw.is_implicit_VR):  # within which the same may hold
        return None
    if charset is False:
        return None
    who = (patient.pseudonym, patient.days) if kept.check in OF_THE_PATIENT else None
    return tag, raw.VR, raw.value, raw.is_implicit_VR, raw.is_little_endian, charset, who
