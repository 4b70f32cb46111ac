"""What an image of a generation is drawn for: its class, and sex and age where the table or the DICOM header said so.

They are frozen with the answer, for what is known of a case may be corrected later and a training must be repeatable.
"""

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.datasets.records import Candidate
from core.errors import InvalidInput
from core.images.records import get_cases
from core.projects.schema import Generation, LabelSchema, check_value

SEXES = ("F", "M")
# By the whole word: taken by its first letter `missing` would be a man, and `Mujer` too.
SPELLINGS = {"F": "F", "FEMALE": "F", "WOMAN": "F", "GIRL": "F", "M": "M", "MALE": "M", "MAN": "M", "BOY": "M"}
OLDEST = 150


def with_conditions(connection: sqlite3.Connection, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with `sex` and `age` beside their class, each where it is known."""
    cases = get_cases(connection, [candidate.case_id for candidate in candidates])
    return [
        replace(candidate, value={**candidate.value, **read_attributes(case.attributes)})
        for candidate, case in zip(candidates, cases, strict=True)
    ]


def read_attributes(attributes: Mapping[str, str]) -> dict[str, Any]:
    """`{"sex": "F", "age": 61.0}` of what is kept of a case; what is unknown or cannot be read is left out."""
    known: dict[str, Any] = {}
    sex = SPELLINGS.get(str(attributes.get("sex") or "").strip().upper())
    if sex:
        known["sex"] = sex
    try:
        age = float(str(attributes.get("age") or "").strip().rstrip("Yy"))
    except ValueError:
        return known
    return {**known, "age": age} if math.isfinite(age) and 0 <= age <= OLDEST else known


def check_frozen(schema: LabelSchema, value: object) -> dict[str, Any]:
    """An answer as a snapshot holds it: as `check_value`, and of a generation with what else it is drawn for.

    Raises:
        InvalidInput: it does not fit the schema.
    """
    if not isinstance(schema, Generation) or not isinstance(value, Mapping):
        return check_value(schema, value)
    rest = {key: value[key] for key in ("sex", "age") if key in value}
    answer = check_value(schema, {key: said for key, said in value.items() if key not in rest})
    if rest.get("sex", "F") not in SEXES:
        raise InvalidInput(f"Images are drawn for the sex {' or '.join(SEXES)}. Received: {rest['sex']!r}")
    age = rest.get("age", 0)
    if isinstance(age, bool) or not isinstance(age, (int, float)) or not 0 <= age <= OLDEST:
        raise InvalidInput(f"An age lies between 0 and {OLDEST} years. Received: {age!r}")
    return {**answer, **rest}
