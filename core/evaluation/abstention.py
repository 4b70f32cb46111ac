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
from core.evaluation.records import count_test_uses, find_abstention, store_abstention
from core.evaluation.subgroups import is_a_name, read_known
from core.measures.abstaining import LEAST_ANSWERED, choose_limit, risk_coverage, sureness
from core.measures.calibration import half_width_at
from core.measures.classified import predict_classes
from core.measures.shares import share_of
from core.people.roles import demand_of
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.tasks import regression
from core.tasks.classification import schema_of, thresholds_of
from core.training.ensemble import joins_several, runs_behind
from core.training.records import Model, get_run
from core.training.request import cases_of_run

CURVE_POINTS = 200  # kept of the curve
AUDITED = ("aim", "limit", "most_half_width", "most_half_widths", "unlike")


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
    if joins_several(model):
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
    most_half_widths: Mapping[str, float] | None = None,
    unlike: bool = True,
    actor: Actor,
) -> dict[str, Any]:
    """Freeze when a model says nothing.

    Args:
        aim: of a classifier, the share of its answers that shall be right (`try_limit`).
        most_half_width: of a number, the widest half of its interval with which it still answers, in its unit.
        most_half_widths: the same of several quantities by name, each in its own unit.
        unlike: whether cases unlike all that it was trained on are kept back too.

    Returns:
        The rule, with `test_uses`: how often its snapshot's test cases had been looked at before.

    Raises:
        Conflict: the model has a rule.
        InvalidInput: as `try_limit`; or the rule does not go with the task, or would keep nothing back.
        NotAllowed: the actor may not train in the project.
    """
    if aim is not None and model.task != "classification":
        raise InvalidInput(f"An aim of right answers is for classifiers. Received: {model.task}")
    widths = limit_widths(model, most_half_width, most_half_widths or {})
    if aim is None and not widths and not unlike:
        raise InvalidInput("Name an aim, a widest interval, or keep back what is unlike training. Received: none")
    rule: dict[str, Any] = {"unlike": unlike}
    if aim is not None:
        rule |= try_limit(connection, model, aim)
    rule |= widths
    run = get_run(connection, model.run)
    with writing(connection):
        demand_of(connection, actor, "train", model.project)
        if find_abstention(connection, model.id) is not None:
            raise Conflict(
                f"This model has a rule already; make another model of it for another rule. Received: {model.name}"
            )
        rule["test_uses"] = count_test_uses(connection, run.snapshot, run.fold)  # before it was frozen
        store_abstention(connection, model, rule, actor)
        told = {key: rule[key] for key in AUDITED if key in rule}
        add_audit(connection, actor, "freeze abstention", f"model {model.id}", **told)
    return rule


def limit_widths(model: Model, width: float | None, widths: Mapping[str, float]) -> dict[str, Any]:
    """The part of a rule that limits intervals: `{"most_half_width"}`, of several quantities `{"most_half_widths":
    {name: {"value", "unit"}}}`, each in its own unit; nothing where neither is given.

    Raises:
        InvalidInput: the model says no number, no such one, or several and one width is meant for all; or what is
            limited has no interval, so that every answer would be kept back.
    """
    given = [*([] if width is None else [width]), *widths.values()]
    if given and (model.task != "regression" or not all(0 < one < float("inf") for one in given)):
        raise InvalidInput(
            f"A widest interval is for numbers, and above 0. "
            f"Received: {', '.join(f'{one:g}' for one in given)}, {model.task}"
        )
    if not given:
        return {}
    schema = regression.schema_of(model.facts)
    units = {one.target: one.unit for one in schema.quantities}
    if schema.further and width is not None:
        raise InvalidInput(
            f"{', '.join(units)} have a unit each: name the widest interval of each by itself. Received: {width:g}"
        )
    if widths and not schema.further:
        raise InvalidInput(f"This model says one number; give one widest interval. Received: {', '.join(widths)}")
    if unknown := [name for name in widths if name not in units]:
        raise InvalidInput(f"The quantities are {', '.join(units)}. Received: {', '.join(unknown)}")
    intervals = dict(zip(units, regression.intervals_of(schema, model.calibration), strict=True))
    if blind := [name for name in widths or units if intervals[name] is None]:
        raise InvalidInput(
            f"A width limits an interval, and validation gave none of {', '.join(blind)}: every answer would be kept "
            f"back. Received: {', '.join(f'{one:g}' for one in given)}"
        )
    if width is not None:
        return {"most_half_width": width}
    return {
        "most_half_widths": {name: {"value": widths[name], "unit": units[name]} for name in units if name in widths}
    }


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
        half = float(half_width_at(interval, scores[0]))
        if half > rule["most_half_width"]:
            return f"within ±{half:.3g}, wider than ±{rule['most_half_width']:.3g}"
    # Half an answer is none: where one quantity is too wide the others are kept back with it.
    limits = rule.get("most_half_widths", {})
    return "; ".join(_too_wide(model, limits, scores)) if limits else ""


def _too_wide(model: Model, limits: Mapping[str, Mapping[str, Any]], scores: Sequence[float]) -> list[str]:
    """Of several quantities those whose interval is wider than the rule allows, with both widths in their unit."""
    found, said = [], dict(zip(regression.output_names(regression.schema_of(model.facts)), scores, strict=True))
    for name, most in limits.items():
        interval = (model.calibration.get("intervals") or {}).get(name)
        if interval is None:
            found.append(f"the interval of {name} is not known")
        elif (half := float(half_width_at(interval, said[name]))) > most["value"]:
            found.append(f"{name} within ±{half:.3g} {most['unit']}, wider than ±{most['value']:.3g} {most['unit']}")
    return found


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
        learnt, _ = cases_of_run(connection, run)
        train |= {case.case_id for case in learnt}
    trained = {name: values for name, values in read_known(connection, sorted(train)).items() if not is_a_name(values)}
    known = read_known(connection, case_ids)
    known = {name: values for name, values in known.items() if name in trained}
    return {one.case_id: one.why for one in unlike_training(case_ids, known, trained)}
