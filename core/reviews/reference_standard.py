"""What a snapshot's references stand on: whose answers, by which rule, and how far the readers agree.

Agreement is that of the answers which count today, over all cases of the project: cases on which readers are tied are
in no snapshot, and without them the readers would seem to agree. Kappa is Cohen's (1960,
doi:10.1177/001316446002000104), of each pair of readers on the cases that both have read; Krippendorff's alpha is that
of all readers at once. Of numbers a pair has its mean difference, of painted structures the mean Dice of its masks.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from core.datasets.records import Snapshot
from core.images.records import get_cases
from core.labels.masks import compose_mask, list_painters
from core.measures.agreement import cohen_kappa, krippendorff_alpha
from core.measures.estimates import Estimate
from core.measures.intervals import number_patients
from core.measures.number_agreement import alpha_of_numbers, mean_difference
from core.projects.schema import Classification, LabelSchema, Regression, Segmentation, quantity_names

MOST_PAIRS = 10
FEW_CASES = 10  # below this a kappa is not worth its decimals
MOST_MASKS = 60  # cases of a pair whose masks are compared, the first by number: each is put together from its strokes


@dataclass(frozen=True)
class PairAgreement:
    """Two readers on the `n` cases that both have answered; `value` None carries a `reason`."""

    one: str
    other: str
    n: int
    agreed: int | None
    value: float | None  # kappa, the mean absolute difference of two numbers, or the mean Dice of two masks
    reason: str = ""
    low: float | None = None  # over patients
    high: float | None = None
    of: str = ""  # the structure, or the quantity where a project asks for several
    difference: Estimate | None = None  # of numbers: the mean of the one's less the other's


@dataclass(frozen=True)
class ReferenceStandard:
    """Readers with how many of the project's cases each has answered, and how they agree, most common cases first."""

    rule: str
    readers: tuple[tuple[str, int], ...]
    cases: int
    read_by_several: int
    measure: str  # what `PairAgreement.value` is; "" where pairs are not compared
    pairs: tuple[PairAgreement, ...]
    alphas: tuple[tuple[str, Estimate], ...] = ()  # Krippendorff's: (quantity, "" of one and of classes; alpha)
    alpha_cases: int = 0  # on which it stands: of numbers, those for which several readers say one


def describe_reference(connection: sqlite3.Connection, snapshot: Snapshot) -> ReferenceStandard:
    """By which rule a snapshot was settled, and how the readers of its project agree."""
    answers = _list_answers(connection, snapshot.project)
    counted = Counter(reader for said in answers.values() for reader in said)
    several = {case: said for case, said in answers.items() if len(said) > 1}
    measure, shown, alphas = "", list[PairAgreement](), list[tuple[str, Estimate]]()
    if isinstance(snapshot.schema, Segmentation):
        shown = _compare_painted(connection, snapshot, snapshot.schema, answers)
        measure = "mean Dice" if shown else ""
    elif isinstance(snapshot.schema, (Regression, Classification)):
        number = isinstance(snapshot.schema, Regression)
        measure = "mean absolute difference" if number else "Cohen's kappa"
        patients = _number_patients(connection, several)
        quantities = quantity_names(snapshot.schema) or ("",)  # of one, its name goes without saying
        common = {pair: _in_common(pair, several, number=number) for pair in combinations(sorted(counted), 2)}
        most = sorted(common, key=lambda pair: -len(common[pair]))[:MOST_PAIRS]  # an interval takes its time
        shown = [
            _compare(pair, common[pair], patients, number, of) for pair in most if common[pair] for of in quantities
        ][:MOST_PAIRS]
        if shown and number:
            alphas = [(of, _alpha_of(several, patients, of)) for of in quantities]
        elif shown:
            alphas = [("", _alpha(several, patients))]
    return ReferenceStandard(
        rule=_rule_of(snapshot),
        readers=tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0]))),
        cases=len(answers),
        read_by_several=len(several),
        measure=measure,
        pairs=tuple(shown),
        alphas=tuple(alphas),
        alpha_cases=sum(_tells_alpha(snapshot.schema, said) for said in several.values()),
    )


def _tells_alpha(schema: LabelSchema, said: Mapping[str, str]) -> bool:
    """Whether what readers say of a case counts; who could not use an image has said no number, but is of a class."""
    return not isinstance(schema, Regression) or sum(map(bool, said.values())) > 1


def _rule_of(snapshot: Snapshot) -> str:
    rule = snapshot.reference_rule
    return f"the newest answer of {rule.reader}" if rule.reader else RULES[rule.kind]


def _compare_painted(
    connection: sqlite3.Connection, snapshot: Snapshot, schema: Segmentation, answers: Mapping[int, Mapping[str, str]]
) -> list[PairAgreement]:
    """Of each pair of readers and each structure the mean Dice of their masks."""
    painters: dict[int, list[str]] = {}
    for case_id, reader in list_painters(connection, snapshot.project):
        if answers.get(case_id, {}).get(reader):  # who says that an image cannot be used has not painted it
            painters.setdefault(case_id, []).append(reader)
    common: dict[tuple[str, str], list[int]] = {}
    for case_id, readers in sorted(painters.items()):
        for pair in combinations(sorted(readers), 2):
            common.setdefault(pair, []).append(case_id)
    shown: list[PairAgreement] = []
    for pair in sorted(common, key=lambda pair: -len(common[pair])):
        if len(shown) + len(schema.names) > MOST_PAIRS and shown:
            break
        shown += _compare_masks(connection, schema, pair, common[pair])
    return shown


def _compare_masks(
    connection: sqlite3.Connection, schema: Segmentation, pair: tuple[str, str], case_ids: list[int]
) -> list[PairAgreement]:
    """Of each structure; where neither has painted it there is nothing to overlap, and the case is left out."""
    cases, found = get_cases(connection, case_ids[:MOST_MASKS]), []
    for structure in schema.names:
        dices, patients, empty = list[float](), list[str](), 0
        for case in cases:
            one, other = (compose_mask(connection, case, reader, structure) > 0 for reader in pair)
            painted = int(one.sum()) + int(other.sum())
            if painted:
                dices.append(2 * int((one & other).sum()) / painted)
                patients.append(case.patient)
            empty += not painted
        told = [f"{empty:,} more are empty to both"] if empty else []
        if len(case_ids) > len(cases):
            told.append(f"the first {len(cases)} of {len(case_ids):,} common cases")
        mean = mean_difference(np.array(dices), number_patients(patients))
        low, high = (None if end is None else min(1.0, max(0.0, end)) for end in (mean.low, mean.high))
        reason = "; ".join(filter(None, ["neither has painted it" if not dices else mean.note, *told]))
        found.append(PairAgreement(*pair, len(dices), None, mean.value, reason, low, high, structure))
    return found


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
    own = np.unique([patients[case] for case in common], return_inverse=True)[1]
    if number:
        apart = np.array([_number(a, of) - _number(b, of) for a, b in both])
        mean, far = mean_difference(apart, own), mean_difference(np.abs(apart), own)
        low = None if far.low is None else max(0.0, far.low)
        return PairAgreement(*pair, len(both), None, far.value, far.note, low, far.high, of, mean)
    words, codes = np.unique(both, return_inverse=True)
    first, second = codes.reshape(-1, 2).T
    found = cohen_kappa(first, second, len(words), own)
    agreed = sum(a == b for a, b in both)
    return PairAgreement(*pair, len(both), agreed, found.value, found.reason, found.low, found.high)


def _number(said: str, of: str) -> float:
    value = json.loads(said)
    return float(value["values"][of] if of else value["value"])


def _alpha_of(several: Mapping[int, Mapping[str, str]], patients: Mapping[int, int], of: str) -> Estimate:
    """Of a quantity; who could not use an image has said no number."""
    said = [[_number(text, of) for text in answers.values() if text] for answers in several.values()]
    return alpha_of_numbers(said, np.array([patients[case] for case in several]))


def _alpha(several: dict[int, dict[str, str]], patients: dict[int, int]) -> Estimate:
    words = sorted({word for said in several.values() for word in said.values()})
    counts = np.array([[list(said.values()).count(word) for word in words] for said in several.values()])
    return krippendorff_alpha(counts, np.array([patients[case] for case in several]))
