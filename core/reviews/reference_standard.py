"""What a snapshot's references stand on: whose answers, by which rule, and how far the readers agree.

Agreement is that of the answers which count today, over all cases of the project: cases on which readers are tied are
in no snapshot, and without them the readers would seem to agree. Kappa is Cohen's (1960,
doi:10.1177/001316446002000104), of each pair of readers on the cases that both have read; Krippendorff's alpha is that
of all readers at once.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from core.datasets.records import Snapshot
from core.measures.agreement import cohen_kappa, krippendorff_alpha
from core.measures.estimates import Estimate
from core.projects.schema import Classification, Regression, quantity_names

MOST_PAIRS = 10
FEW_CASES = 10  # below this a kappa is not worth its decimals


@dataclass(frozen=True)
class PairAgreement:
    """Two readers on the `n` cases that both have answered; `value` None carries a `reason`."""

    one: str
    other: str
    n: int
    agreed: int | None
    value: float | None  # kappa, or the mean absolute difference of two numbers
    reason: str = ""
    low: float | None = None  # of kappa, over patients
    high: float | None = None
    of: str = ""  # the quantity, where a project asks for several


@dataclass(frozen=True)
class ReferenceStandard:
    """Readers with how many of the project's cases each has answered, and how they agree, most common cases first."""

    rule: str
    readers: tuple[tuple[str, int], ...]
    cases: int
    read_by_several: int
    measure: str  # what `PairAgreement.value` is; "" where pairs are not compared
    pairs: tuple[PairAgreement, ...]
    alpha: Estimate | None = None  # Krippendorff's, of classes


def describe_reference(connection: sqlite3.Connection, snapshot: Snapshot) -> ReferenceStandard:
    """By which rule a snapshot was settled, and how the readers of its project agree."""
    answers = _list_answers(connection, snapshot.project)
    counted = Counter(reader for said in answers.values() for reader in said)
    several = {case: said for case, said in answers.items() if len(said) > 1}
    number = isinstance(snapshot.schema, Regression)
    compared = number or isinstance(snapshot.schema, Classification)
    patients = _number_patients(connection, several)
    quantities = quantity_names(snapshot.schema) or ("",)  # of one, its name goes without saying
    shown: list[PairAgreement] = []
    if compared:
        common = {pair: _in_common(pair, several, number=number) for pair in combinations(sorted(counted), 2)}
        most = sorted(common, key=lambda pair: -len(common[pair]))[:MOST_PAIRS]  # an interval takes its time
        shown = [
            _compare(pair, common[pair], patients, number, of) for pair in most if common[pair] for of in quantities
        ]
    rule = snapshot.reference_rule
    return ReferenceStandard(
        rule=f"the newest answer of {rule.reader}" if rule.reader else RULES[rule.kind],
        readers=tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0]))),
        cases=len(answers),
        read_by_several=len(several),
        measure=("mean absolute difference" if number else "Cohen's kappa") if compared else "",
        pairs=tuple(shown[:MOST_PAIRS]),
        alpha=_alpha(several, patients) if shown and not number else None,
    )


RULES = {
    "majority": "what most readers say; ties stay out",
    "median": "the median of the readers' numbers",
    "only": "the answer of the only reader",
    "reader": "the newest answer of one reader",
}


def _list_answers(connection: sqlite3.Connection, project_id: int) -> dict[int, dict[str, str]]:
    """{case: {reader: the stored text of the answer}}; "" stands for an unusable image."""
    found: dict[int, dict[str, str]] = {}
    rows = connection.execute(
        """SELECT current_labels.case_id, users.name, iif(labels.unusable, '', labels.value) AS said
           FROM current_labels JOIN labels ON labels.id = current_labels.label
           JOIN users ON users.id = current_labels.reader WHERE current_labels.project = ?""",
        (project_id,),
    )
    for row in rows:
        found.setdefault(row["case_id"], {})[row["name"]] = row["said"] or ""
    return found


def _number_patients(connection: sqlite3.Connection, case_ids: Iterable[int]) -> dict[int, int]:
    """{case: a number from 0 of its patient}."""
    rows = connection.execute(
        "SELECT id, patient FROM cases WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(case_ids)),)
    ).fetchall()
    numbers = {name: at for at, name in enumerate(sorted({row["patient"] for row in rows}))}
    return {row["id"]: numbers[row["patient"]] for row in rows}


def _in_common(
    pair: tuple[str, str], several: Mapping[int, Mapping[str, str]], *, number: bool
) -> dict[int, tuple[str, str]]:
    """{case: what each of two readers says} of those that both have read; of numbers, where both say one."""
    one, other = pair
    both = {case: (said[one], said[other]) for case, said in several.items() if one in said and other in said}
    return {case: said for case, said in both.items() if all(said)} if number else both


def _compare(
    pair: tuple[str, str], common: Mapping[int, tuple[str, str]], patients: Mapping[int, int], number: bool, of: str
) -> PairAgreement:
    both = list(common.values())
    if number:
        distance = sum(abs(_number(a, of) - _number(b, of)) for a, b in both) / len(both)
        return PairAgreement(*pair, len(both), None, distance, of=of)
    words, codes = np.unique(both, return_inverse=True)
    first, second = codes.reshape(-1, 2).T
    own = np.unique([patients[case] for case in common], return_inverse=True)[1]
    found = cohen_kappa(first, second, len(words), own)
    agreed = sum(a == b for a, b in both)
    return PairAgreement(*pair, len(both), agreed, found.value, found.reason, found.low, found.high)


def _number(said: str, of: str) -> float:
    value = json.loads(said)
    return float(value["values"][of] if of else value["value"])


def _alpha(several: dict[int, dict[str, str]], patients: dict[int, int]) -> Estimate:
    words = sorted({word for said in several.values() for word in said.values()})
    counts = np.array([[list(said.values()).count(word) for word in words] for said in several.values()])
    return krippendorff_alpha(counts, np.array([patients[case] for case in several]))
