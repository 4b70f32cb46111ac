"""Acceptance criteria as data: what a model must reach on the test split, written down before anybody looks.

A criterion names a metric of the task, where it has several classes or structures the one it is about, and a number;
it may ask the same of the bound of the 95 % interval, which is not met where a class is of one patient, and of every
subgroup of an attribute, where a subgroup of fewer than 30 patients, or 10 cases of the class, cannot pass. As text,
for people and for the command line: "sensitivity of pneumonia at least 0.90, lower bound at least 0.85", "accuracy by
sex at least 0.80", "dice of liver at least 0.9", "mae at most 5", "memorised at most 0.01".
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from core.errors import InvalidInput
from core.measures.paired import OF_ONE_PATIENT
from core.projects.schema import Generation, Regression, quantity_names
from core.tasks import TrainableSchema

Way = Literal["at least", "at most"]
State = Literal["met", "not met", "not met (undefined)"]
MOST_CRITERIA = 12  # more do not fit the step of a meeting, and nobody decides by them
SAME_NUMBER = 1e-9  # relative: what sums of shares lose in their last digits
FEW_PATIENTS, FEW_POSITIVES = 30, 10  # below either, a subgroup's number is greyed and does not pass

OVERALL: Mapping[str, tuple[str, ...]] = {
    "classification": ("accuracy", "balanced_accuracy", "f1_macro", "auc", "average_precision"),
    "segmentation": ("dice", "iou", "surface_dice", "hd95_mm", "hd95_px", "volume_error_percent"),
    "regression": ("mae", "rmse", "r2", "coverage"),
    "generation": ("fid_like", "class_consistency", "memorised"),
}
OF_A_CLASS = ("recall", "specificity", "precision", "f1", "auc", "average_precision")
LOWER_IS_BETTER = ("mae", "rmse", "hd95_mm", "hd95_px", "volume_error_percent", "fid_like", "memorised")
OF_DRAWN = ("class_consistency", "memorised")
SHARES = (
    "accuracy", "balanced_accuracy", "f1_macro", "dice", "iou", "surface_dice", "coverage", *OF_A_CLASS, *OF_DRAWN,
)  # fmt: skip
SAID = {"recall": "sensitivity"}  # as a criterion is written; the numbers' own name comes second
UNDERSTOOD = {"sensitivity": "recall", "ppv": "precision", "ap": "average_precision", "f1 macro": "f1_macro"}
_WAY = r"(?P<{}>at least|at most|>=|<=|≥|≤)"
_NUMBER = r"(?P<{}>\d+(?:\.\d+)?)"
_FORM = re.compile(
    r"(?P<metric>[a-z0-9_ ]+?)(?: (?:of|for) (?P<of>.+?))?(?: (?:by|in every subgroup of) (?P<by>.+?))? "
    + _WAY.format("way")
    + " ?"
    + _NUMBER.format("value")
    + r"(?:, ?(?P<side>lower|upper)(?: bound)? "
    + _WAY.format("bound_way")
    + " ?"
    + _NUMBER.format("bound")
    + ")?",
    re.IGNORECASE,
)
_NO_SUBGROUP = re.compile(
    r",? (?:and )?no subgroup(?: (?:by|of) (?P<by>.+?))? (?P<side>below|above) " + _NUMBER.format("value"),
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Criterion:
    """`of` is a class or structure, "" for the whole; `by` an attribute whose every subgroup must reach it.

    `bound` is asked of the lower bound of the interval where more is better, else of the upper one.
    """

    metric: str
    way: Way
    value: float
    of: str = ""
    by: str = ""
    bound: float | None = None

    @property
    def sentence(self) -> str:
        words = SAID.get(self.metric, self.metric.replace("_", " "))
        of, by = f" of {self.of}" if self.of else "", f" by {self.by}" if self.by else ""
        side = "lower" if self.way == "at least" else "upper"
        bound = f", {side} bound {self.way} {_plain(self.bound)}" if self.bound is not None else ""
        return f"{words}{of}{by} {self.way} {_plain(self.value)}{bound}"


@dataclass(frozen=True)
class Measured:
    """What was found for the whole split (`group` "") or for one subgroup, and whether that meets the criterion."""

    group: str
    n_cases: int
    n_patients: int
    n_of: int | None  # cases of the class or structure that the criterion is about
    value: float | None
    low: float | None
    high: float | None
    state: State
    reason: str = ""

    @property
    def is_small(self) -> bool:
        """Whether a subgroup is too small to be believed."""
        return self.n_patients < FEW_PATIENTS or (self.n_of is not None and self.n_of < FEW_POSITIVES)


@dataclass(frozen=True)
class Outcome:
    """A criterion and what became of it. `parts` has one entry, or one for each subgroup."""

    criterion: Criterion
    state: State
    reason: str
    parts: tuple[Measured, ...]


def parse_criterion(text: str) -> Criterion:
    """
    Raises:
        InvalidInput: the text is not of the form that a criterion has.
    """
    found = _FORM.fullmatch(" ".join(text.split()))
    if found is None:
        raise InvalidInput(
            'A criterion reads like "sensitivity of pneumonia at least 0.90, lower bound at least 0.85", '
            f'"accuracy by sex at least 0.80" or "mae at most 5, no subgroup above 7". Received: {text}'
        )
    metric = found["metric"].strip().lower()
    way, bound_way = _way(found["way"]), _way(found["bound_way"]) if found["bound_way"] else None
    expected = "lower" if way == "at least" else "upper"
    if found["side"] and (found["side"].lower() != expected or bound_way != way):
        raise InvalidInput(f"What must be {way} a number has its {expected} bound {way} another. Received: {text}")
    return Criterion(
        metric=UNDERSTOOD.get(metric, metric.replace(" ", "_")),
        way=way,
        value=float(found["value"]),
        of=found["of"] or "",
        by=found["by"] or "",
        bound=float(found["bound"]) if found["bound"] else None,
    )


def parse_criteria(texts: Sequence[str], attributes: Sequence[str]) -> list[Criterion]:
    """Sentences, of which each may end in what no subgroup may fall short of ("…, no subgroup by sex below 0.80"): that
    is a criterion of its own, where no attribute is named one for each of `attributes`.

    Raises:
        InvalidInput: a sentence has another form, or asks for subgroups twice or of nothing.
    """
    found: list[Criterion] = []
    for text in texts:
        said = " ".join(text.split())
        ending = _NO_SUBGROUP.search(said)
        if ending is None or ending.end() != len(said):
            found.append(parse_criterion(said))
            continue
        one = parse_criterion(said[: ending.start()])
        names = [ending["by"]] if ending["by"] else list(attributes)
        if one.by or (one.way == "at least") != (ending["side"].lower() == "below") or not names:
            side = "below" if one.way == "at least" else "above"
            raise InvalidInput(
                f'Subgroups are asked for once, of an attribute that the cases have: "no subgroup by sex {side} '
                f'{one.value:g}". Received: {text}'
            )
        found.append(one)
        found += [replace(one, by=name, value=float(ending["value"]), bound=None) for name in names]
    return found


def _way(text: str) -> Way:
    return "at least" if text.lower() in ("at least", ">=", "≥") else "at most"


def check_criteria(
    criteria: Sequence[Criterion], schema: TrainableSchema, task: str, attributes: Collection[str]
) -> None:
    """Refuse what could never be looked up in the numbers of this task.

    Args:
        attributes: those that cases of the snapshot have.

    Raises:
        InvalidInput: an unknown metric, class, structure or attribute, a number that cannot be reached, one criterion
            twice, or too many.
    """
    if len(criteria) > MOST_CRITERIA:
        raise InvalidInput(f"Choose at most {MOST_CRITERIA} criteria. Received: {len(criteria)}")
    for at, one in enumerate(criteria):
        if one in criteria[:at]:
            raise InvalidInput(f"Write each criterion once. Received twice: {one.sentence}")
        _check_metric(one, schema, task)
        if one.by and one.by not in attributes:
            known = ", ".join(sorted(attributes)) or "none"
            raise InvalidInput(f"Subgroups are those of an attribute of the cases, here {known}. Received: {one.by}")
        better: Way = "at most" if one.metric in LOWER_IS_BETTER else "at least"
        if one.way != better:
            raise InvalidInput(f"{one.metric} is asked to be {better} a number. Received: {one.sentence}")
        for number in filter(None, (one.value, one.bound)):
            if one.metric in SHARES and number > 1:
                raise InvalidInput(f"{one.metric} lies between 0 and 1. Received: {number:g}")
        if one.bound is not None and (one.bound > one.value if one.way == "at least" else one.bound < one.value):
            raise InvalidInput(
                f"The bound of an interval lies beyond its number: ask less of it. Received: {one.sentence}"
            )


def _check_metric(one: Criterion, schema: TrainableSchema, task: str) -> None:
    if isinstance(schema, Generation) and (one.of or one.by):
        raise InvalidInput(
            f"Drawn images are measured as one set: ask without a class and without subgroups. Received: {one.sentence}"
        )
    names = quantity_names(schema) if isinstance(schema, Regression) else schema.names
    known = OF_A_CLASS if task == "classification" and one.of else OVERALL[task]
    if one.of and one.of not in names:
        told = ", ".join(names) or "none: it says one number"
        raise InvalidInput(f"This project knows {told}. Received: {one.of}, in: {one.sentence}")
    if isinstance(schema, Regression) and schema.further and one.metric == "coverage" and not one.of:
        raise InvalidInput(f"Each quantity has an interval of its own: name one. Received: {one.sentence}")
    if one.metric not in known:
        whole = "" if one.of or task != "classification" or one.metric not in OF_A_CLASS else " Name its class."
        told = ", ".join(SAID.get(name, name) for name in known)
        raise InvalidInput(f"A criterion here is about {told}.{whole} Received: {one.metric}, in: {one.sentence}")


def judge(criterion: Criterion, parts: Sequence[Measured], *, n_cases: int = 0) -> Outcome:
    """One verdict from the whole split or from all subgroups: met where every part is. Of `n_cases` those that are in
    no subgroup are told."""
    if not parts:
        return Outcome(criterion, "not met (undefined)", f"No test case says its {criterion.by}.", ())
    undefined = [part for part in parts if part.state == "not met (undefined)"]
    missed = [part for part in parts if part.state == "not met"]
    state: State = "not met" if missed else "not met (undefined)" if undefined else "met"
    reason = "; ".join(f"{part.group}: {part.reason}" if part.group else part.reason for part in missed or undefined)
    left_out = n_cases - sum(part.n_cases for part in parts)
    if criterion.by and left_out > 0:
        of = f"{left_out:,} of {n_cases:,} cases do not say their {criterion.by} and are in no group"
        reason = f"{reason}; {of}" if reason else of
    return Outcome(criterion, state, reason, tuple(parts))


def measured(criterion: Criterion, result: Mapping[str, Any], group: str = "") -> Measured:
    """Look a criterion up in the document of an evaluation (`core.evaluation.run`), of all cases or of a subgroup.

    A subgroup that is too small to be believed does not pass: that it reaches the number may be chance.
    """
    found, n_of = _look_up(criterion, result)
    state, reason = _compare(criterion, found)
    one = Measured(
        group=group,
        n_cases=result["n_cases"],
        n_patients=result["n_patients"],
        n_of=n_of,
        value=found.get("value"),
        low=found.get("low"),
        high=found.get("high"),
        state=state,
        reason=reason,
    )
    if not group or state != "met" or not one.is_small:
        return one
    least = f"{one.n_patients} of at least {FEW_PATIENTS} patients"
    if n_of is not None:
        least += f", {n_of} of at least {FEW_POSITIVES} cases of {criterion.of}"
    return replace(one, state="not met (undefined)", reason=f"too few to tell, {least}")


def _look_up(criterion: Criterion, result: Mapping[str, Any]) -> tuple[Mapping[str, Any], int | None]:
    nothing = {"value": None, "reason": f"This evaluation has no {criterion.metric}; evaluate again."}
    if not criterion.of:
        return result["metrics"].get(criterion.metric) or nothing, None
    if "per_structure" in result:
        return (
            result["per_structure"][criterion.of].get(criterion.metric) or nothing,
            result["counts"][criterion.of]["painted"],
        )
    if "per_target" in result:
        return result["per_target"][criterion.of]["metrics"].get(criterion.metric) or nothing, None
    row = result["per_class"][criterion.of]
    return row.get(criterion.metric) or nothing, int(row["support"]["value"])


def _compare(criterion: Criterion, found: Mapping[str, Any]) -> tuple[State, str]:
    value = found.get("value")
    if value is None:
        return "not met (undefined)", str(found.get("reason") or "The number is undefined.")
    more = criterion.way == "at least"
    if not _reaches(value, criterion.value, more=more):
        return "not met", f"it is {_told_beside(value, criterion.value)}"
    if criterion.bound is None:
        return "met", ""
    bound = found.get("low" if more else "high")
    if bound is None:
        return "not met (undefined)", str(found.get("note") or "There is no interval.")
    if not _reaches(bound, criterion.bound, more=more):
        return "not met", f"the {'lower' if more else 'upper'} bound is {_told_beside(bound, criterion.bound)}"
    if OF_ONE_PATIENT in str(found.get("note", "")):
        return "not met (undefined)", f"{OF_ONE_PATIENT}: the interval is too narrow to promise a bound"
    return "met", ""


def _plain(number: float) -> str:
    """With every digit and without an exponent: people correct sentences, and they are read again."""
    return np.format_float_positional(number, trim="-")


def _reaches(value: float, wanted: float, *, more: bool) -> bool:
    """A mean of three recalls of 0.7 ends a digit below it; that is no number short of 0.7."""
    return math.isclose(value, wanted, rel_tol=SAME_NUMBER) or (value > wanted if more else value < wanted)


def _told_beside(value: float, wanted: float) -> str:
    """A number with three digits, or with as many more as it takes to lie on its own side of what was asked for."""
    texts = (f"{value:.{digits}g}" for digits in range(3, 18))
    return next(text for text in texts if float(text) != wanted and (float(text) > wanted) == (value > wanted))


def criteria_json(criteria: Sequence[Criterion]) -> list[dict[str, Any]]:
    return [asdict(one) for one in criteria]


def criteria_from_json(told: Sequence[Mapping[str, Any]]) -> tuple[Criterion, ...]:
    return tuple(Criterion(**one) for one in told)


def outcomes_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [asdict(one) for one in outcomes]


def outcomes_from_json(told: Sequence[Mapping[str, Any]]) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(
            Criterion(**one["criterion"]), one["state"], one["reason"], tuple(Measured(**part) for part in one["parts"])
        )
        for one in told
    )
