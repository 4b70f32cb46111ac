"""Whom a snapshot is about: cases, patients, answers and attributes of each split, as a table for people."""

import sqlite3
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.datasets.records import Snapshot, SnapshotCase, list_attributes, map_attribute
from core.datasets.splits import SPLITS, list_view
from core.projects.schema import Regression, numbers_of

MOST_VALUES = 6  # of an attribute that are counted one by one
FIRST = ("sex", "age", "site")
MOST_ATTRIBUTES = 8


@dataclass(frozen=True)
class PopulationRow:
    """One line of the table: what is told, and for train, validation and test what there is of it."""

    title: str
    cells: tuple[str, str, str]


def describe_population(connection: sqlite3.Connection, snapshot: Snapshot, fold: int | None) -> list[PopulationRow]:
    """Cases, patients, what the references say, and the attributes that the cases have; sex, age and site first."""
    cases = list_view(connection, snapshot.id, fold)
    by_split = [[case for case in cases if case.split == split] for split in SPLITS]
    rows = [
        _row("cases", [f"{len(part):,}" for part in by_split]),
        _row("patients", [f"{len({case.patient for case in part}):,}" for part in by_split]),
    ]
    if isinstance(snapshot.schema, Regression):
        schema = snapshot.schema
        for at, one in enumerate(schema.quantities):
            numbers = [[float(numbers_of(schema, case.value)[at]) for case in part] for part in by_split]
            rows.append(_row(f"{one.target}, {one.unit}", [_spread(part) for part in numbers]))
    else:
        rows.append(_row("reference", [_answers(part) for part in by_split]))
    known = list_attributes(connection, snapshot.id)
    named = sorted(known, key=lambda name: (FIRST.index(name.lower()) if name.lower() in FIRST else len(FIRST), name))
    for name in named[:MOST_ATTRIBUTES]:
        value_of = map_attribute(connection, name, [case.case_id for case in cases])
        parts = [[value_of.get(case.case_id, "") for case in part] for part in by_split]
        rows.append(_row(name, [_attribute(part) for part in parts]))
    return rows


def list_missing(connection: sqlite3.Connection, snapshot: Snapshot) -> list[str]:
    """Which of sex, age and site nothing is known of."""
    known = {name.lower() for name in list_attributes(connection, snapshot.id)}
    return [name for name in FIRST if name not in known]


def _row(title: str, cells: Sequence[str]) -> PopulationRow:
    train, validation, test = cells
    return PopulationRow(title, (train, validation, test))


def _answers(cases: Sequence[SnapshotCase]) -> str:
    said = Counter(
        name for case in cases for name in (case.value.get("classes", case.value.get("structures")) or ["none of them"])
    )
    return _counted(said, len(cases))


def _attribute(values: Sequence[str]) -> str:
    """Counts of a few values, the spread of many numbers, and how many say nothing."""
    said = [value for value in values if value]
    silent = f"; {len(values) - len(said):,} not known" if len(said) < len(values) else ""
    if not said:
        return "not known" if values else "–"
    counted = Counter(said)
    if len(counted) <= MOST_VALUES:
        return _counted(counted, len(values)) + silent
    try:
        return _spread([float(value) for value in said]) + silent
    except ValueError:
        return f"{len(counted):,} different values{silent}"


def _counted(counted: Counter[str], total: int) -> str:
    return ", ".join(f"{name}: {n:,} ({100 * n / total:.0f} %)" for name, n in sorted(counted.items())) or "–"


def _spread(numbers: Sequence[float]) -> str:
    if not numbers:
        return "–"
    return f"median {statistics.median(numbers):g} ({min(numbers):g} to {max(numbers):g})"
