"""When a model says nothing: a limit chosen on validation for a stated aim, and cases unlike all it was trained on.

The rule is frozen with the model: there is one at most, and it is never changed. What it keeps back is read by a
person. A new aim makes a new model, as a new operating point does.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.datasets.records import get_snapshot
from core.errors import Conflict, InvalidInput
from core.evaluation.doubtful import unlike_training
from core.evaluation.operating import Scored, read_scored
from core.evaluation.records import find_abstention, store_abstention
from core.evaluation.subgroups import is_a_name, read_known
from core.measures.abstaining import LEAST_ANSWERED, choose_limit, risk_coverage, sureness
from core.measures.classified import predict_classes
from core.measures.thresholds import share_of
from core.people.roles import demand_of
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.tasks.classification import schema_of, thresholds_of
from core.training.ensemble import member_ids, runs_behind
from core.training.records import Model, get_run
from core.training.request import training_cases

CURVE_POINTS = 200  # kept of the curve


def find_rule(connection: sqlite3.Connection, model_id: int) -> dict[str, Any] | None:
    """The rule frozen with a model, as `try_limit` or `freeze_rule` made it; None where it answers always."""
    return find_abstention(connection, model_id)


def try_limit(connection: sqlite3.Connection, model: Model, aim: float) -> dict[str, Any]:
    """What a classifier would answer on validation so that the share `aim` of its answers is right; nothing is kept.

    Returns:
        `{"aim", "limit", "coverage", "accuracy", "n", "n_patients", "curve"}`: estimates with intervals over patients,
        and `curve` with lists `limits`, `coverage` and `accuracy`.

    Raises:
        InvalidInput: the aim is no share, no limit keeps it, or the model was not evaluated on validation.
    """
    if not 0.5 <= aim < 1:
        raise InvalidInput(f"An aim is a share of right answers from 0.5 to below 1. Received: {aim}")
    if member_ids(model):
        raise InvalidInput(
            f"What one member was validated on another has learnt, so no limit is chosen for an ensemble. "
            f"Received: {model.name}"
        )
    seen = _validated(connection, model)
    schema = schema_of(model.facts)
    thresholds = thresholds_of(schema, model.calibration)
    decided = predict_classes(seen.scores, multi_label=schema.multi_label, thresholds=thresholds)
    right = (decided == seen.targets).all(axis=1)
    sure = sureness(seen.scores, multi_label=schema.multi_label)
    curve, n = risk_coverage(sure, right), len(sure)
    at = choose_limit(curve, aim, n)
    if at is None:
        raise InvalidInput(
            f"No limit keeps this aim on validation with at least {LEAST_ANSWERED} cases answered; choose a lower aim. "
            f"Received: {aim:g}, with {n} cases of which {int(right.sum())} are right"
        )
    limit, patients = float(curve.limits[at]), seen.patient_numbers
    answered, every = sure >= limit, np.ones(n, bool)
    some = np.unique(np.linspace(0, len(curve.limits) - 1, CURVE_POINTS).round().astype(int))
    return {
        "aim": aim,
        "limit": limit,
        "coverage": share_of(answered, every, patients, "There is no case.").to_json(),
        "accuracy": share_of(right & answered, answered, patients, "Nothing is answered.").to_json(),
        "n": n,
        "n_answered": int(answered.sum()),
        "n_patients": len(set(seen.patients)),
        "curve": {
            name: values[some].tolist()
            for name, values in (
                ("limits", curve.limits), ("coverage", curve.coverage), ("accuracy", curve.accuracy)
            )
        },
    }  # fmt: skip


def _validated(connection: sqlite3.Connection, model: Model) -> Scored:
    """The stored answers on validation, of the snapshot that the model was trained on: never those of test."""
    run = get_run(connection, model.run)
    return read_scored(connection, model, get_snapshot(connection, model.project, run.snapshot), "validation")


def freeze_rule(
    connection: sqlite3.Connection,
    model: Model,
    *,
    aim: float | None = None,
    most_half_width: float | None = None,
    unlike: bool = True,
    actor: Actor,
) -> dict[str, Any]:
    """Freeze when a model says nothing.

    Args:
        aim: of a classifier, the share of its answers that shall be right (`try_limit`).
        most_half_width: of a number, the widest half of its interval with which it still answers, in its unit.
        unlike: whether cases unlike all that it was trained on are kept back too.

    Raises:
        Conflict: the model has a rule.
        InvalidInput: as `try_limit`; or the rule does not go with the task, or would keep nothing back.
        NotAllowed: the actor may not train in the project.
    """
    if aim is not None and model.task != "classification":
        raise InvalidInput(f"An aim of right answers is for classifiers. Received: {model.task}")
    if most_half_width is not None and (model.task != "regression" or not 0 < most_half_width < float("inf")):
        raise InvalidInput(
            f"A widest interval is for numbers, and above 0. Received: {most_half_width:g}, {model.task}"
        )
    if aim is None and most_half_width is None and not unlike:
        raise InvalidInput("Name an aim, a widest interval, or keep back what is unlike training. Received: none")
    rule: dict[str, Any] = {"unlike": unlike}
    if aim is not None:
        rule |= try_limit(connection, model, aim)
    if most_half_width is not None:
        rule["most_half_width"] = most_half_width
    with writing(connection):
        demand_of(connection, actor, "train", model.project)
        if find_abstention(connection, model.id) is not None:
            raise Conflict(
                f"This model has a rule already; make another model of it for another rule. Received: {model.name}"
            )
        store_abstention(connection, model, rule, actor)
        told = {key: rule[key] for key in ("aim", "limit", "most_half_width", "unlike") if key in rule}
        add_audit(connection, actor, "freeze abstention", f"model {model.id}", **told)
    return rule


def withheld_by_scores(model: Model, rule: Mapping[str, Any] | None, scores: Sequence[float]) -> str:
    """Why one answer is kept back by what the model says of it; "" where it is not."""
    if rule is None:
        return ""
    if "limit" in rule:
        multi_label = schema_of(model.facts).multi_label
        sure = float(sureness(np.asarray([scores]), multi_label=multi_label)[0])
        if sure < rule["limit"]:
            return f"sure at {sure:.3f}, below {rule['limit']:.3f}"
    if "most_half_width" in rule:
        interval = model.calibration.get("interval")
        if interval is None:
            return "its interval is not known"
        if interval["half_width"] > rule["most_half_width"]:
            return f"within ±{interval['half_width']:.3g}, wider than ±{rule['most_half_width']:.3g}"
    return ""


def read_withheld(
    connection: sqlite3.Connection,
    model: Model,
    rule: Mapping[str, Any] | None,
    scores: Mapping[int, Sequence[float]],
) -> dict[int, str]:
    """Of those cases whose answer is kept back why, by case."""
    if rule is None or not scores:
        return {}
    found = {case_id: why for case_id, one in scores.items() if (why := withheld_by_scores(model, rule, one))}
    if rule["unlike"]:
        for case_id, why in find_unlike(connection, model, list(scores)).items():
            found[case_id] = "; ".join(part for part in (found.get(case_id), why) if part)
    return found


def find_unlike(connection: sqlite3.Connection, model: Model, case_ids: Sequence[int]) -> dict[int, str]:
    """Those of the cases of which something is known that no training case has, with what that is.

    What is different for almost every training case, a number of a study, tells nothing and is left out.
    """
    train: set[int] = set()
    for run in runs_behind(connection, model):
        learnt, _ = training_cases(connection, get_snapshot(connection, run.project, run.snapshot), run.fold)
        train |= {case.case_id for case in learnt}
    trained = {name: values for name, values in read_known(connection, sorted(train)).items() if not is_a_name(values)}
    known = read_known(connection, case_ids)
    known = {name: values for name, values in known.items() if name in trained}
    return {one.case_id: one.why for one in unlike_training(case_ids, known, trained)}
