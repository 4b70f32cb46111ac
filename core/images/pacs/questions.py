"""What is asked of a PACS and what it answers: the same for both protocols. Nothing of it is ever stored."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO, Protocol

from core.errors import InvalidInput

MOST_STUDIES = 200  # more are no list that somebody reads
UID = re.compile(r"[0-9][0-9.]{0,63}")  # PS3.5 section 9.1, as lenient as the servers are
CODE = re.compile(r"[A-Z0-9_ ]{1,16}")  # PS3.5 section 6.2, CS
LONGEST_TEXT = 64  # PS3.5 section 6.2, LO


@dataclass(frozen=True)
class Question:
    """Which studies are looked for; what is empty asks for nothing. The patient's number is in no representation."""

    modality: str = ""
    since: date | None = None
    until: date | None = None
    description: str = ""  # a part of it
    patient: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.modality and not CODE.fullmatch(self.modality):
            raise InvalidInput(f"A modality is a code such as CT, MR or DX. Received: {self.modality}")
        if self.since and self.until and self.since > self.until:
            raise InvalidInput(f"The first day lies after the last. Received: {self.since} to {self.until}")
        for what, text in (("description", self.description), ("patient's number", self.patient)):
            if len(text) > LONGEST_TEXT or "\\" in text or not text.isprintable():
                raise InvalidInput(
                    f"The {what} has at most {LONGEST_TEXT} characters, without backslash. "
                    f"Received: {len(text)} characters"
                )

    @property
    def dates(self) -> str:
        """As DICOM writes a range of dates (PS3.4 section C.2.2.2.5); empty for all."""
        first, last = (f"{day:%Y%m%d}" if day else "" for day in (self.since, self.until))
        return f"{first}-{last}" if first or last else ""

    @property
    def patterns(self) -> list[str]:
        """The description between wildcards in the usual spellings, as servers tell letters apart by case (PS3.4
        section C.2.2.2.4); one empty pattern where none is asked for."""
        words = self.description.strip("*")
        spellings = dict.fromkeys((words, words.upper(), words.lower(), words.capitalize(), words.title()))
        return [f"*{spelling}*" if spelling else "" for spelling in spellings]

    def fits(self, study: "Study") -> bool:
        """Whether an answer is one: a server may leave out a key that it does not know (PS3.4 section C.2.2.1.3)."""
        if self.modality and study.modalities and self.modality not in study.modalities:
            return False
        day = study.day
        if (self.since or self.until) and not (day and (self.since or day) <= day <= (self.until or day)):
            return False
        if self.patient and "*" not in self.patient and "?" not in self.patient and study.patient != self.patient:
            return False
        words = self.description.strip("*").casefold()
        return "*" in words or "?" in words or words in study.description.casefold()


@dataclass(frozen=True)
class Study:
    """A study as a PACS lists it, for the eyes of whoever asked."""

    uid: str = field(repr=False)
    dated: str = ""  # as the PACS writes it: 20260131
    modalities: tuple[str, ...] = ()
    description: str = field(default="", repr=False)
    patient_name: str = field(default="", repr=False)
    patient: str = field(default="", repr=False)
    series: int | None = None
    instances: int | None = None

    @property
    def day(self) -> date | None:
        """The date, where it is one."""
        try:
            return date.fromisoformat(self.dated)
        except ValueError:
            return None


@dataclass(frozen=True)
class Series:
    """A series of a study."""

    uid: str = field(repr=False)
    modality: str = ""


@dataclass(frozen=True)
class Instance:
    """An object of a series; `sop_class` is empty where the PACS does not say it."""

    uid: str = field(repr=False)
    sop_class: str = ""


@dataclass(frozen=True)
class Answer:
    """The studies that were found; `more` where the PACS has further ones."""

    studies: tuple[Study, ...]
    more: bool


Receive = Callable[[str], AbstractContextManager[BinaryIO]]  # by instance UID: what the bytes of its file go into


class Client(Protocol):
    """A PACS that can be asked. Every call may raise `Unavailable`, `NotAllowed` or `InvalidInput`, in sentences
    without any name of a patient or number of a study: jobs keep them."""

    def test(self) -> str:
        """Whether it answers to us, in words."""

    def find_studies(self, question: Question) -> Answer:
        """The studies that fit."""

    def list_series(self, study: str) -> list[Series]:
        """The series of a study."""

    def list_instances(self, study: str, series: str) -> list[Instance]:
        """The objects of a series."""

    def fetch(self, study: str, series: str, instances: Sequence[Instance], receive: Receive) -> None:
        """Let these objects come. What the PACS has not is left out without a word: the caller counts."""


def answer_of(studies: Iterable[Study], *, more: bool = False) -> Answer:
    """Each study once, newest first, and no more than somebody reads."""
    by_uid = {study.uid: study for study in studies}
    ordered = sorted(by_uid.values(), key=lambda study: (study.dated, study.uid), reverse=True)
    return Answer(tuple(ordered[:MOST_STUDIES]), more or len(ordered) > MOST_STUDIES)


def check_uid(text: str) -> str:
    """The UID itself.

    Raises:
        InvalidInput: it is none, so that nobody can ask for something else by it.
    """
    if not UID.fullmatch(text):
        raise InvalidInput(f"The number of a study has digits and dots. Received: {len(text)} other characters")
    return text
