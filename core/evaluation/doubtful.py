"""Lists of cases that deserve a second look: the label, the readers, a twin, or the image may be what is wrong."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.datasets.leaks import are_known, learnt_of
from core.datasets.records import SnapshotCase
from core.evaluation.far import Distances
from core.evaluation.operating import Scored
from core.evaluation.subgroups import number_of
from core.images.records import get_cases
from core.images.similarity import find_near_duplicates
from core.labels.answers import value_text
from core.labels.records import list_current_labels
from core.measures.classified import predict_classes
from core.measures.label_errors import suspect_labels
from core.progress import Progress
from core.projects.changes import present_names, under_present_names
from core.projects.records import Project
from core.projects.schema import Classification
from core.store.files import Files
from core.tasks.classification import thresholds_of
from core.training.ensemble import runs_learnt
from core.training.records import Model
from core.training.request import cases_of_run

Apart = Callable[[int, int], tuple[float, str]]  # of two cases: how far their references are apart, and words for it
LEAST_SURE = 0.05  # this share of the cases is listed, those of which a model is least sure


@dataclass(frozen=True)
class Doubtful:
    """A case and why it is listed."""

    case_id: int
    why: str


def suspect_references(schema: Classification, seen: Scored) -> list[Doubtful]:
    """Cases whose reference the model contradicts confidently, the surest first."""
    at = suspect_labels(seen.targets, seen.scores, multi_label=schema.multi_label)
    found = []
    for k in at.tolist():
        given = [name for name, one in zip(schema.names, seen.targets[k], strict=True) if one]
        least = min((float(seen.scores[k][schema.names.index(name)]) for name in given), default=None)
        told = f"{', '.join(given)} at {least:.2f}" if least is not None else "a class that is not named"
        found.append(Doubtful(seen.case_ids[k], f"labelled {told}"))
    return found


def disagreed_with(
    connection: sqlite3.Connection, project: Project, model: Model, schema: Classification, seen: Scored
) -> list[Doubtful]:
    """Cases on which the model decides otherwise than some reader does, most readers first; then those on which the
    readers disagree with each other."""
    thresholds = thresholds_of(schema, model.calibration)
    decided = predict_classes(seen.scores, multi_label=schema.multi_label, thresholds=thresholds)
    names = present_names(connection, project)
    readers: dict[int, list[str]] = defaultdict(list)
    for label in list_current_labels(connection, seen.case_ids):
        if label.value is not None:
            readers[label.case_id].append(value_text(label.value))
    found = []
    for case_id, chosen in zip(seen.case_ids, decided, strict=True):
        said = {"classes": [name for name, taken in zip(schema.names, chosen, strict=True) if taken]}
        own, answers = value_text(under_present_names(said, names)), readers[case_id]
        against, kinds = sum(one != own for one in answers), len(set(answers))
        if against or kinds > 1:
            apart = ", who disagree" if kinds > 1 else ""
            found.append(
                (-against, kinds < 2, Doubtful(case_id, f"against {against} of {len(answers)} readers{apart}"))
            )
    return [one for *_, one in sorted(found, key=lambda row: row[:2])]


def least_sure(schema: Classification, seen: Scored) -> list[Doubtful]:
    """The cases of which the model is least sure, by the probability of what it finds most likely (Hendrycks and
    Gimpel 2017, arXiv:1610.02136). Of what it is wrongly sure of this says nothing: `core.evaluation.far` does."""
    sure = np.maximum(seen.scores, 1 - seen.scores).min(axis=1) if schema.multi_label else seen.scores.max(axis=1)
    order = np.argsort(sure, kind="stable")[: max(1, round(LEAST_SURE * len(sure)))]
    return [Doubtful(seen.case_ids[k], f"sure at {sure[k]:.2f}") for k in order.tolist()]


def far_from_training(found: Distances, case_ids: Sequence[int]) -> list[Doubtful]:
    """The cases that the network sees further from its training cases than the limit, the most distant first."""
    order = np.argsort(-found.distance, kind="stable")
    return [
        Doubtful(case_ids[k], f"{found.distance[k] / max(found.limit, 1e-12):.1f} times the usual limit")
        for k in order.tolist()
        if found.distance[k] > found.limit
    ]


def unlike_training(
    case_ids: Sequence[int], known: Mapping[str, Sequence[str]], trained: Mapping[str, Sequence[str]]
) -> list[Doubtful]:
    """Cases of which something is known that no training case has: a scanner, a view, a size beyond all of theirs.

    Args:
        known, trained: values of each attribute, one a case, as they were given.
    """
    found: dict[int, list[str]] = defaultdict(list)
    for name, values in known.items():
        usual = {value for value in trained.get(name, ()) if value}
        numbers = [number for value in usual if (number := number_of(value)) is not None]
        for case_id, value in zip(case_ids, values, strict=True):
            if not value or value in usual or not usual:
                continue
            number = number_of(value)
            if number is not None and len(numbers) == len(usual):
                if min(numbers) <= number <= max(numbers):
                    continue
                found[case_id].append(f"{name} {value}, trained on {min(numbers):g} to {max(numbers):g}")
            else:
                found[case_id].append(f"{name} {value}, not in training")
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return [Doubtful(case_id, "; ".join(told)) for case_id, told in ordered]


def find_twins(
    connection: sqlite3.Connection, files: Files, seen: Scored, progress: Progress
) -> list[tuple[Doubtful, Doubtful]]:
    """Pairs of cases that show nearly the same image; those with different references come first."""
    answer = dict(zip(seen.case_ids, seen.targets.tolist(), strict=True))

    def apart(one: int, other: int) -> tuple[float, str]:
        return (0.0, "") if answer[one] == answer[other] else (1.0, "another reference")

    return pair_twins(connection, files, seen.case_ids, apart, progress)


def pair_twins(
    connection: sqlite3.Connection, files: Files, case_ids: Sequence[int], apart: Apart, progress: Progress
) -> list[tuple[Doubtful, Doubtful]]:
    """Pairs of cases that show nearly the same image, those whose references are furthest apart first."""
    cases = get_cases(connection, case_ids)
    pairs = find_near_duplicates(files, cases, progress)
    by_hash: dict[str, list[int]] = defaultdict(list)
    for case in cases:
        by_hash[case.pixel_hash].append(case.id)
    told = [(one.case_id, one.other_id, f"correlation {one.correlation:.3f}") for one in pairs]
    told += [(same[0], other, "the same pixels") for same in by_hash.values() for other in same[1:]]
    found = []
    for one, other, alike in told:
        far, words = apart(one, other)
        said = [f"{alike} with {of}{', ' * bool(words)}{words}" for of in (other, one)]
        found.append((-far, (Doubtful(one, said[0]), Doubtful(other, said[1]))))
    return [pair for _, pair in sorted(found, key=lambda row: row[0])]


def unlearnt(connection: sqlite3.Connection, model: Model, cases: Sequence[SnapshotCase]) -> list[SnapshotCase]:
    """The cases whose patients and pixels a model was not trained on: what was learnt by heart it does not
    contradict."""
    runs = runs_learnt(connection, model)
    learnt = learnt_of(case for run in runs for case in cases_of_run(connection, run)[0])
    return [case for case, known in zip(cases, are_known(cases, learnt), strict=True) if not known]
