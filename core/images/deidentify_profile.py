"""The profile as data: what PS3.15 Table E.1-1 asks for, and the short list of what is kept (folder `profile`)."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from pydicom.datadict import dictionary_VM, dictionary_VR

FOLDER = Path(__file__).with_name("profile")
Check = Literal[
    "age", "code", "code_or_empty", "codes", "date", "datetime", "descriptor", "digits", "empty", "kernels",
    "known_uid", "number", "numbers", "orientation", "plain", "plains", "pseudonym", "sequence", "tag", "tags", "time",
    "uid",
]  # fmt: skip
CHECKS: tuple[Check, ...] = get_args(Check)
# What stands in a project's choices, by the word in the column `option`.
OPTIONS = {
    "patient": "retain_patient",
    "device": "retain_device",
    "descriptors": "clean_descriptors",
    "dates": "shift_dates",
    "times": "keep_times",
}


@dataclass(frozen=True)
class TableRow:
    """A row of Table E.1-1: `tag` is eight hex digits, or as `50xx,xxxx` in the few rows that stand for many."""

    tag: str
    name: str
    basic: str
    options: dict[str, str]


@dataclass(frozen=True)
class Kept:
    """An attribute that is kept, where, how its value is checked, and why."""

    tag: int
    keyword: str
    anywhere: bool  # also inside sequences; otherwise only in the data set itself
    check: Check
    terms: frozenset[str]
    low: float
    high: float
    option: str | None  # the project's choice that it needs
    reason: str
    vrs: frozenset[str]
    multiplicity: str


@cache
def table_rows() -> tuple[TableRow, ...]:
    """Table E.1-1, all of it."""
    return tuple(
        TableRow(row.pop("tag"), row.pop("name"), row.pop("basic"), {key: said for key, said in row.items() if said})
        for row in _csv("table_e_1_1.csv")
    )


@cache
def basic_actions() -> dict[int, str]:
    """The action of the Basic Profile by tag; the rows that stand for many groups (private
    attributes, curves, overlays) are rules of `core.images.deidentify`."""
    return {int(row.tag.replace(",", ""), 16): row.basic for row in table_rows() if "x" not in row.tag}


@cache
def kept_attributes() -> dict[int, Kept]:
    """Everything that is kept, by tag. What is not named here is removed, at every depth."""
    return {kept.tag: kept for kept in map(_kept, _csv("kept.csv"))}


@cache
def terms_of(name: str) -> frozenset[str]:
    """A list of words, one a line."""
    return frozenset((FOLDER / "terms" / f"{name}.txt").read_text("utf-8").splitlines())


def _kept(row: dict[str, str]) -> Kept:
    tag = int(row["tag"].replace(",", ""), 16)
    check, allowed = row["check"], row["allowed"]
    if check not in CHECKS:
        raise ValueError(f"{row['keyword']} has an unknown check: {check}")
    low, high, terms = 0.0, 0.0, frozenset[str]()
    if ".." in allowed:
        low, high = (float(part) for part in allowed.split(".."))
    elif allowed.startswith("@"):
        terms = terms_of(allowed[1:])
    elif allowed:
        terms = frozenset(allowed.split("|"))
    return Kept(
        tag=tag,
        keyword=row["keyword"],
        anywhere=row["where"] == "any",
        check=check,
        terms=terms,
        low=low,
        high=high,
        option=OPTIONS[row["option"]] if row["option"] else None,
        reason=row["reason"],
        vrs=frozenset(dictionary_VR(tag).split(" or ")),
        multiplicity=dictionary_VM(tag),
    )


def _csv(name: str) -> Iterator[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)
