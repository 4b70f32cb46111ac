"""The model card of a review: what the model is for, what it was made of, and its limits in plain words.

After Mitchell et al., Model Cards for Model Reporting (2019, doi:10.1145/3287560.3287596).
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from core.datasets.records import Snapshot, get_snapshot, snapshot_counts
from core.errors import CoreError
from core.evaluation.comparison import compare_models
from core.evaluation.paired_errors import compare_errors
from core.evaluation.records import Evaluation, find_evaluation
from core.measures.calibration import COLDEST, HOTTEST, tell_reach, tell_rule
from core.measures.terms import term
from core.projects.records import Project
from core.projects.schema import Classification, Generation, Regression, Segmentation
from core.reviews.criteria import FEW_POSITIVES, Outcome
from core.reviews.meetings import Review, TestUse
from core.reviews.population import list_missing
from core.training.networks import tell_input
from core.training.records import Model, get_model, get_run

FEW_CASES = 100
NEAR_LIMIT = 1.001  # the search ends a little within the limits that it has
NOT_STATED = "not stated"
DRAWN_UNPAIRED = (
    "Which of the two draws better is not tested: drawn images have no pairs. Their distances may be held against each "
    "other only where both models learnt the same snapshot, for then the same judge has seen them."
)


def describe_card(connection: sqlite3.Connection, project: Project, review: Review) -> dict[str, str]:
    """Title and text of each line, in the order of reading."""
    model = get_model(connection, project.id, review.model)
    run = get_run(connection, model.run)
    trained = get_snapshot(connection, project.id, run.snapshot)
    counts = snapshot_counts(connection, trained)
    production = get_model(connection, project.id, review.production) if review.production else None
    weights = f"{model.parameters:,} parameter{'' if model.parameters == 1 else 's'}"
    fold = f", fold {run.fold} kept for test" if run.fold is not None else ""
    return {
        "Intended use": project.intended_use or NOT_STATED,
        "Project": f"{project.name}: {project.description}" if project.description else project.name,
        "Question": _question(trained),
        "Model": f"{model.name}: {run.recipe.network}, {weights}, input {tell_input(run.recipe)}, "
        f"made {model.created_at[:10]} by {run.created_by}",
        "Ensemble": _ensemble(model),
        "Compared with": production.name if production else "no model in production",
        "Trained on": f"{trained.name}{fold}: {_counted(counts, 'train')} to learn, "
        f"{_counted(counts, 'validation')} to tune",
        "Reviewed on": get_snapshot(connection, project.id, review.snapshot).name + ", split test",
        "Chosen on validation": _calibrated(model),
        "Model file": f"SHA-256 {model.keras_hash}",
    }


def describe_comparison(connection: sqlite3.Connection, review: Review) -> str:
    """The model that a review compares with, by its numbers on the same test cases; "" without one.

    Side by side only: which of the two is better is what `describe_verdict` says, which of drawn images nothing does.
    """
    if review.production is None:
        return ""
    other = get_model(connection, review.project, review.production)
    evaluation = find_evaluation(connection, other.id, review.snapshot)
    if evaluation is None:
        return f"{other.name}, with which it is compared, was not measured on these test cases."
    told = []
    for name, one in evaluation.result["metrics"].items():
        if one["value"] is not None:
            interval = "no interval" if one.get("low") is None else f"{one['low']:.3f} to {one['high']:.3f}"
            told.append(f"{term(name)} {one['value']:.3f} ({interval})")
    paired = " Which of the two is better is for the paired comparison to say."
    better = "" if "n_samples" in evaluation.result else paired
    return f"{other.name} on the same {evaluation.result['n_cases']:,} cases: {', '.join(told[:5])}.{better}"


def describe_verdict(connection: sqlite3.Connection, review: Review) -> tuple[str, ...]:
    """Whether the model is better than the one that it is compared with, paired on the same test cases: a sentence for
    each number that tells, or why none does; nothing where the other was not named or not measured."""
    if review.production is None or find_evaluation(connection, review.production, review.snapshot) is None:
        return ()
    model, other = (get_model(connection, review.project, one) for one in (review.model, review.production))
    if model.task == "generation":
        return (DRAWN_UNPAIRED,)
    snapshot = get_snapshot(connection, review.project, review.snapshot)
    try:
        if isinstance(snapshot.schema, Classification):
            return (str(compare_models(connection, other, model, snapshot, "test")["sentence"]),)
        paired = compare_errors(connection, other, model, snapshot, "test")
        return tuple(filter(None, (*paired.sentences, paired.note)))
    except CoreError as refusal:
        return (str(refusal),)


def list_limits(
    connection: sqlite3.Connection, project: Project, review: Review, evaluation: Evaluation, looks: TestUse
) -> list[str]:
    """What whoever uses the model must know, as sentences."""
    model = get_model(connection, project.id, review.model)
    snapshot = get_snapshot(connection, project.id, review.snapshot)
    result = evaluation.result
    told = []
    if not project.intended_use:
        told.append("Its intended use was never written down.")
    if get_run(connection, model.run).snapshot == snapshot.id:
        told.append("It was measured on images from the collection that it was trained on; elsewhere it may do worse.")
    if result["n_cases"] < FEW_CASES:
        told.append(
            f"It was measured on {result['n_cases']} cases only: the intervals are wide, and may be too narrow."
        )
    if missing := list_missing(connection, snapshot):
        told.append(
            f"Nothing is known of the patients' {' and '.join(missing)}: whom it serves worse was not measured."
        )
    for name, row in result.get("per_class", {}).items():
        if row["support"]["value"] < FEW_POSITIVES:
            told.append(
                f"Only {int(row['support']['value'])} test cases show {name}; its numbers can hardly be believed."
            )
    told += [_unmet(one) for one in review.outcomes or () if one.state != "met"]
    if looks.openings + looks.elsewhere + looks.evaluations > 2 or looks.known_before:
        told.append(looks.sentence)
    return (
        told + [str(warning) for warning in result.get("warnings", [])] + ([evaluation.loss] if evaluation.loss else [])
    )


def _say_temperature(told: Mapping[str, Any]) -> str:
    """What its logits are divided by, so that its probabilities mean what they say; whether the search ended at a limit
    of what it tries, which is no fit but a warning."""
    value, n = told["temperature"], f"n = {told['n']:,}" if "n" in told else "n not kept"
    said = f"temperature {value:.2f} ({n}): its logits are divided by it"
    if value >= HOTTEST / NEAR_LIMIT:
        return f"{said}, the highest that is tried, so on validation its probabilities told next to nothing"
    if value <= COLDEST * NEAR_LIMIT:
        return f"{said}, the lowest that is tried, so on validation nearly every answer was right"
    if value == 1:
        return f"{said}, so nothing is changed"
    return f"{said}, so that it is {'less' if value > 1 else 'more'} sure, as validation showed it should be"


def _unmet(one: Outcome) -> str:
    what = "could not be measured" if one.state == "not met (undefined)" else "was not met"
    return f"The criterion “{one.criterion.sentence}” {what}: {one.reason}."


def _question(snapshot: Snapshot) -> str:
    schema = snapshot.schema
    if isinstance(schema, Generation):
        return f"to draw images of {', '.join(schema.names)}; it answers nothing about one"
    if isinstance(schema, Classification):
        return f"which of {', '.join(schema.names)}" + (", several possible" if schema.multi_label else "")
    if isinstance(schema, Segmentation):
        return f"where {', '.join(schema.names)} is"
    if isinstance(schema, Regression):
        return ", ".join(f"{one.target} in {one.unit}" for one in schema.quantities)
    return snapshot.task


def _ensemble(model: Model) -> str:
    members = [str(one["name"]) for one in model.facts.get("members", ())]
    if not members:
        return "none: one network answers"
    if views := model.facts.get("views"):
        return f"the mean of what {members[0]} says of {len(views)} views of an image"
    return f"the mean of what {', '.join(members)} say"


def _counted(counts: Mapping[str, Mapping[str, Any]], split: str) -> str:
    return f"{counts[split]['images']:,} images of {counts[split]['patients']:,} patients"


def _calibrated(model: Model) -> str:
    """Thresholds and the like, which never saw the test split."""
    if model.task != "classification" and not any(
        model.calibration.get(key) for key in ("thresholds", "interval", "intervals")
    ):
        return "nothing"
    told = [
        f"{name} from {one['value']:.3f} on" + (f" ({rule})" if (rule := tell_rule(one)) else "")
        for name, one in (model.calibration.get("thresholds") or {}).items()
    ]
    if temperature := model.calibration.get("temperature"):
        told.append(_say_temperature(temperature))
    if interval := model.calibration.get("interval"):
        told.append(f"interval {tell_reach(interval)} (n = {interval['n']:,})")
    units = {one["target"]: one["unit"] for one in (model.facts, *model.facts.get("further", ())) if "target" in one}
    for name, one in (model.calibration.get("intervals") or {}).items():
        told.append(
            f"interval of {name} {tell_reach(one, units[name])} (n = {one['n']:,})" if one else f"no interval of {name}"
        )
    return "; ".join(told) or "nothing: the highest probability decides"
