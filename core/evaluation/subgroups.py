"""How a model does on the parts of a split: a classifier by any attribute, by pairs of them, and where it does worst;
of every task, the numbers of its evaluation again for each value of an attribute."""

import itertools
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.datasets.records import Snapshot, SnapshotCase, list_attribute_values, list_attributes, map_attribute
from core.datasets.splits import list_view
from core.evaluation.operating import Scored
from core.evaluation.records import Evaluation, find_predictions, list_measured
from core.evaluation.run import SEED, measurable_cases
from core.images.records import Case, get_cases
from core.measures.classified import predict_classes
from core.measures.groups import FEWEST_PATIENTS, Answers, Group, Metric, Where, measure_groups
from core.measures.segmentation import Compared
from core.tasks import module_of, trainable_schema
from core.tasks.classification import schema_of, thresholds_of
from core.training.records import Model

MOST_VALUES = 8  # numbers with more of them are put into four ranges, words beyond that into "other"
RANGES = 4
MOST_GROUPS = 20  # an attribute with more values as they stand names cases rather than groups
MOST_TRIED = 400  # slices; each is a comparison more that chance can win
UNKNOWN, OTHER = "not given", "other"
Words = Sequence[str] | np.ndarray  # of an attribute, one a case


def read_attributes(connection: sqlite3.Connection, case_ids: Sequence[int]) -> dict[str, list[str]]:
    """What is known of the cases beside their pixels, by name, one word or range a case; what is the same for all, or
    different for almost each, is left out."""
    told = {name: values for name, values in read_known(connection, case_ids).items() if not is_a_name(values)}
    grouped = {name: group_values(values) for name, values in told.items()}
    return {name: values for name, values in grouped.items() if len(set(values)) > 1}


def read_known(connection: sqlite3.Connection, case_ids: Sequence[int]) -> dict[str, list[str]]:
    """Attributes as they were given and what is known of the image, by name, one word a case; "" where nothing is."""
    cases = get_cases(connection, case_ids)
    names = sorted({name for case in cases for name in case.attributes})
    given = {name: [case.attributes.get(name, "") for case in cases] for name in names}
    return given | {"image " + name: values for name, values in _of_the_image(cases).items()}


def is_a_name(values: Sequence[str]) -> bool:
    """Whether words are different for more than half of the cases: a number of a study, a remark."""
    words = {value for value in values if value and number_of(value) is None}
    return 2 * len(words) > len(values)


def _of_the_image(cases: Sequence[Case]) -> dict[str, list[str]]:
    return {
        "width": [str(case.columns) for case in cases],
        "height": [str(case.rows) for case in cases],
        "modality": [case.modality or "" for case in cases],
        "view": [case.view or "" for case in cases],
    }


def group_values(values: Sequence[str]) -> list[str]:
    """Numbers of many kinds as four ranges with about as many cases each; rare words as "other"."""
    known = [value for value in values if value]
    kinds = Counter(known)
    if len(kinds) <= MOST_VALUES:
        return [value or UNKNOWN for value in values]
    if _are_numbers(values):
        numbers = [number_of(value) for value in values]
        names = _ranges([n for n in numbers if n is not None])
        return [UNKNOWN if n is None else names[n] for n in numbers]
    often = {value for value, _ in kinds.most_common(MOST_VALUES - 1)}
    return [value if value in often else OTHER if value else UNKNOWN for value in values]


def list_groupable(connection: sqlite3.Connection, snapshot: Snapshot) -> list[str]:
    """The attributes whose values tell groups of a snapshot's cases apart: words of few kinds, and numbers, which are
    cut into ranges."""
    return [
        name
        for name, n in list_attributes(connection, snapshot.id).items()
        if n <= MOST_GROUPS or _are_numbers(list_attribute_values(connection, snapshot.id, name))
    ]


def cut_attribute(values: Sequence[str]) -> list[str]:
    """The group of each case by one attribute, "" where it is not known: words as they stand, numbers of many kinds in
    the ranges of `group_values`, which is where the tab of subgroups cuts them too."""
    if len(set(filter(None, values))) <= MOST_VALUES or not _are_numbers(values):
        return list(values)
    return [group if value else "" for group, value in zip(group_values(values), values, strict=True)]


def _are_numbers(values: Sequence[str]) -> bool:
    return all(number_of(value) is not None for value in values if value)


def number_of(text: str) -> float | None:
    """A word as a number, or None."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if np.isfinite(found) else None


def _ranges(numbers: Sequence[float]) -> dict[float, str]:
    """The range of each number, named by the least and the greatest in it: no number could be meant by two names."""
    kinds = np.unique(numbers)
    inner = np.quantile(numbers, np.linspace(0, 1, RANGES + 1)[1:-1])
    at = np.searchsorted(np.unique(inner), kinds, side="right")
    ends = {part: (kinds[at == part].min(), kinds[at == part].max()) for part in np.unique(at)}
    names = {part: f"{low:g} to {high:g}" if low < high else f"{low:g}" for part, (low, high) in ends.items()}
    return {float(number): names[part] for number, part in zip(kinds, at, strict=True)}


def answers_of(model: Model, seen: Scored, of_class: str) -> Answers:
    """What the model decided about one class, at its frozen thresholds."""
    schema, k = schema_of(model.facts), seen.classes.index(of_class)
    thresholds = thresholds_of(schema, model.calibration)
    decided = predict_classes(seen.scores, multi_label=schema.multi_label, thresholds=thresholds)
    return Answers(
        seen.targets[:, k] == 1,
        decided[:, k] == 1,
        seen.scores[:, k],
        (decided == seen.targets).all(axis=1),
        seen.patient_numbers,
    )


def measure_subgroups(
    answers: Answers, attributes: Mapping[str, Sequence[str]], names: Sequence[str], metric: Metric
) -> list[Group]:
    """One group for each value of an attribute, or for each pair of values of two."""
    return measure_groups(answers, groups_by(attributes, names), metric)


def find_worst(
    answers: Answers, attributes: Mapping[str, Sequence[str]], metric: Metric, *, most: int = 5
) -> tuple[list[Group], int]:
    """The slices by one attribute or by two that are most surely worse than the rest, and how many were tried.

    Small ones are not tried: the worst of many small ones is always bad. Order: by the upper end of the difference.
    """
    found = measure_groups(answers, list_slices(attributes), metric)
    return choose_worst(found, lower_is_worse=True, most=most)


def list_slices(attributes: Mapping[str, Words]) -> dict[Where, np.ndarray]:
    """The groups by one attribute or by two that are large enough to be tried, each bool `(cases,)`."""
    groups: dict[Where, np.ndarray] = {}
    attributes = {name: np.asarray(values) for name, values in attributes.items()}  # once: this takes the longest
    for names in [(name,) for name in attributes] + list(itertools.combinations(attributes, 2)):
        for where, inside in groups_by(attributes, names).items():
            if inside.sum() >= FEWEST_PATIENTS and len(groups) < MOST_TRIED:
                groups[where] = inside
    return groups


def choose_worst(groups: Sequence[Group], *, lower_is_worse: bool, most: int = 5) -> tuple[list[Group], int]:
    """The groups that are most surely worse than the rest, by the end of the difference's interval that is nearer to
    none, and how many were compared."""
    sign = 1.0 if lower_is_worse else -1.0

    def nearest(one: Group) -> float:
        return sign * ((one.difference.high if lower_is_worse else one.difference.low) or 0.0)

    found = [one for one in groups if not one.small and one.difference.high is not None]
    worse = [one for one in found if one.difference.value is not None and sign * one.difference.value < 0]
    return sorted(worse, key=lambda one: (nearest(one), one.where))[:most], len(found)


def cases_in(attributes: Mapping[str, Words], where: Where) -> np.ndarray:
    """Which of the cases are in a group, bool `(cases,)`."""
    return np.asarray(np.logical_and.reduce([np.asarray(attributes[name]) == value for name, value in where]))


def mistakes_in(answers: Answers, inside: np.ndarray, metric: Metric) -> np.ndarray:
    """Positions of the cases of a group that lower this metric, the most surely wrong first."""
    wrong = {
        "sensitivity": answers.positive & ~answers.called,
        "specificity": ~answers.positive & answers.called,
    }.get(metric, ~answers.right)
    at = np.flatnonzero(inside & wrong)
    gap = np.abs(answers.scores[at] - answers.positive[at])
    return np.asarray(at[np.argsort(-gap, kind="stable")])


def most_typical_in(inside: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Positions of the cases of a group, the nearest to its middle first."""
    at = np.flatnonzero(inside)
    return np.asarray(at[np.argsort(distance[at], kind="stable")])


def groups_by(attributes: Mapping[str, Words], names: Sequence[str]) -> dict[Where, np.ndarray]:
    values = [np.unique(np.asarray(attributes[name])).tolist() for name in names]
    found = {tuple(zip(names, one, strict=True)): None for one in itertools.product(*values)}
    groups = {where: cases_in(attributes, where) for where in found}
    return {where: inside for where, inside in groups.items() if inside.any() and not inside.all()}


def measure_by_value(
    connection: sqlite3.Connection, model: Model, snapshot: Snapshot, evaluation: Evaluation, attribute: str
) -> dict[str, dict[str, Any]]:
    """{value of the attribute, or range of it: the document of an evaluation on the cases that have it}, in the order
    of the values.

    Cases of which the attribute is not known are in none of them.
    """
    fold = evaluation.result.get("fold")
    cases = [case for case in list_view(connection, snapshot.id, fold) if case.split == evaluation.split]
    groups = dict[str, list[SnapshotCase]]()
    cut = cut_cases(connection, attribute, cases)
    for case, group in sorted(zip(cases, cut, strict=True), key=lambda pair: _rank(pair[1])):
        if group:
            groups.setdefault(group, []).append(case)
    measured = measurable_cases(connection, model, cases)
    answered = read_answers(connection, model, snapshot, evaluation, measured)
    return {
        value: _measure(model, snapshot, evaluation, answered, known)
        for value, members in groups.items()
        if (known := [case for case in members if case.case_id in answered])
    }


def cut_cases(connection: sqlite3.Connection, attribute: str, cases: Sequence[SnapshotCase]) -> list[str]:
    """The group of each case by an attribute (`cut_attribute`); "" where it is not known."""
    value_of = map_attribute(connection, attribute, [case.case_id for case in cases])
    return cut_attribute([value_of.get(case.case_id, "") for case in cases])


def list_cuts(connection: sqlite3.Connection, snapshot: Snapshot, fold: int | None, attribute: str) -> list[str]:
    """The groups that a criterion by this attribute is asked of, over the test cases, of which their attributes are
    read and nothing else."""
    tested = [case for case in list_view(connection, snapshot.id, fold) if case.split == "test"]
    return sorted(set(filter(None, cut_cases(connection, attribute, tested))), key=_rank)


def _rank(group: str) -> tuple[float, str]:
    """Ranges and numbers by where they begin, words by the alphabet behind them."""
    number = number_of(group.split(" to ")[0])
    return (float("inf") if number is None else number, group)


def read_answers(
    connection: sqlite3.Connection,
    model: Model,
    snapshot: Snapshot,
    evaluation: Evaluation,
    cases: Sequence[SnapshotCase],
) -> Mapping[int, Any]:
    """What an evaluation left, by case: the scores, or of a task that paints one comparison for each structure."""
    schema = trainable_schema(snapshot.schema)
    if not module_of(schema).PAINTS:
        return find_predictions(connection, model.id, [case.case_id for case in cases])
    by_case: dict[int, dict[str, Compared]] = {}
    for row in list_measured(connection, evaluation.id):
        told = {key: getattr(row, key) for key in Compared.__dataclass_fields__}
        told |= {key: float("nan") for key, value in told.items() if value is None}
        by_case.setdefault(row.case_id, {})[row.structure] = Compared(**told)
    return {case_id: [ones[name] for name in evaluation.result["structures"]] for case_id, ones in by_case.items()}


def _measure(
    model: Model,
    snapshot: Snapshot,
    evaluation: Evaluation,
    answered: Mapping[int, Any],
    cases: Sequence[SnapshotCase],
) -> dict[str, Any]:
    schema = trainable_schema(snapshot.schema)
    task = module_of(schema)
    found: Any = [answered[case.case_id] for case in cases]
    targets: Any
    if task.PAINTS:
        targets = evaluation.result["unit"]
    else:
        targets, found = task.encode_targets(schema, [case.value for case in cases]), np.array(found)
    return task.measure(schema, targets, found, [case.patient for case in cases], model.calibration, seed=SEED)
