"""What would make a model look better than it is: one patient, or one image, in two splits, or what a model drew that
has learnt from another split.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Literal, Protocol

from core.errors import CoreError, some_of

LeakKind = Literal["patient", "same pixels", "near-duplicate", "drawn"]
Learnt = tuple[Collection[str], Collection[str]]  # the patients and the pixels that a model has learnt from
NAMED_CASES = 6  # in one sentence; all are in `case_ids`
NAMED_LEAKS = 5


@dataclass(frozen=True)
class Leak:
    """One patient or one image in several splits; the sentence names the cases."""

    kind: LeakKind
    case_ids: tuple[int, ...]
    splits: tuple[str, ...]
    sentence: str


class LeaksFound(CoreError):
    """The snapshot was refused; `leaks` has everything that was found."""

    def __init__(self, leaks: Sequence[Leak]) -> None:
        self.leaks = tuple(leaks)
        named = " ".join(leak.sentence for leak in self.leaks[:NAMED_LEAKS])
        more = f" And {len(self.leaks) - NAMED_LEAKS} more." if len(self.leaks) > NAMED_LEAKS else ""
        super().__init__(
            f"The splits leak: what is learnt would be tested on itself. Split by patient, or allow it with a reason "
            f"that stays with the snapshot. Received: {len(self.leaks)} leaks. {named}{more}"
        )


class Image(Protocol):
    """What is known again of a case, whatever it is called."""

    @property
    def patient(self) -> str: ...
    @property
    def pixel_hash(self) -> str: ...


class SplitCase(Image, Protocol):
    """What the check needs to know of a case."""

    @property
    def case_id(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def split(self) -> str: ...


def find_leaks(cases: Sequence[SplitCase], near_duplicates: Sequence[tuple[int, int]] = ()) -> list[Leak]:
    """Every patient, every image and every near-duplicate that is in more than one split.

    Args:
        near_duplicates: confirmed pairs of positions in `cases` (see `duplicates.find_near_duplicates`).
    """
    leaks = [
        _leak("patient", some, f"Patient {some[0].patient} is in {{splits}}: {{names}}.")
        for some in _in_several_splits(cases, [case.patient for case in cases])
        if not _is_stand_in(some)  # for which the next check says it
    ]
    leaks += [
        _leak("same pixels", some, "The same pixels are in {splits}: {names}.")
        for some in _in_several_splits(cases, [case.pixel_hash for case in cases])
    ]
    for one, other in near_duplicates:
        some = [cases[one], cases[other]]
        if some[0].split != some[1].split and some[0].pixel_hash != some[1].pixel_hash:
            leaks.append(_leak("near-duplicate", some, "Nearly the same image is in {splits}: {names}."))
    return leaks


def are_known(cases: Iterable[Image], learnt: Learnt) -> list[bool]:
    """Which of the cases are of a patient, or have the pixels, that something was learnt from."""
    patients, pixels = learnt
    return [case.patient in patients or case.pixel_hash in pixels for case in cases]


def learnt_of(cases: Iterable[Image]) -> Learnt:
    """What is learnt from these cases."""
    told = list(cases)
    return {case.patient for case in told}, {case.pixel_hash for case in told}


def find_drawn_leaks(
    cases: Sequence[SplitCase], drawn: Sequence[SplitCase], learnt: Mapping[str, Learnt], drew: Mapping[int, str]
) -> list[Leak]:
    """Every model that drew images of train and has learnt from cases of validation or test.

    Args:
        drawn: the images of train that models drew.
        learnt: the patients and the pixels that each model has learnt from.
        drew: by which of these models a drawn image is, by case.
    """
    leaks = []
    held_out = [case for case in cases if case.split != "train"]
    for model, known_to_it in learnt.items():
        known = list(compress(held_out, are_known(held_out, known_to_it)))
        first = next((case for case in drawn if drew.get(case.case_id) == model), None)
        if known and first:
            told = "A model that has learnt from other splits drew images of train; draw them by a model of this split"
            leaks.append(_leak("drawn", [first, *known], f"{told}. It links {{splits}}: {{names}}."))
    return leaks


def _is_stand_in(cases: Sequence[SplitCase]) -> bool:
    """Whether no patient was known, so that the import named one after the pixels."""
    return all(case.patient == f"case:{case.pixel_hash[:16]}" for case in cases)


def _in_several_splits(cases: Sequence[SplitCase], keys: Sequence[Hashable]) -> Iterator[list[SplitCase]]:
    together: dict[Hashable, list[SplitCase]] = defaultdict(list)
    for key, case in zip(keys, cases, strict=True):
        together[key].append(case)
    return (some for some in together.values() if len({case.split for case in some}) > 1)


def _leak(kind: LeakKind, cases: Sequence[SplitCase], sentence: str) -> Leak:
    splits = tuple(split for split in ("train", "validation", "test") if any(case.split == split for case in cases))
    # Each split is named by a case of its own before the rest, so that both sides of the leak can be looked at.
    firsts = [next(case for case in cases if case.split == split) for split in splits]
    ordered = firsts + [case for case in cases if case not in firsts]
    names = some_of([f"{case.source} (case {case.case_id}, {case.split})" for case in ordered], NAMED_CASES)
    return Leak(
        kind,
        tuple(case.case_id for case in cases),
        splits,
        sentence.format(splits=" and ".join(splits), names=names),
    )
