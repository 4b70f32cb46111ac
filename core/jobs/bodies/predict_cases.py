"""Prediction of cases: a model answers cases of its project that it has not answered; the answers are kept."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="predict_cases",
    words="Prediction of cases",
    lane="work",
    action="open test results",
    attempts_allowed=3,
    remedy="Resume it: cases that are answered are not asked again.",
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Answer the cases that were asked for, or all that are new to the model."""
    from core.evaluation.batch import list_new_cases, predict_new_cases
    from core.training.records import get_model

    given = context.job.arguments
    model = get_model(context.connection, None, int(given["model"]))
    asked = given.get("cases")
    cases = list_new_cases(context.connection, model) if asked is None else [int(one) for one in asked]
    return predict_new_cases(context.connection, context.files, model, cases, context.progress)
