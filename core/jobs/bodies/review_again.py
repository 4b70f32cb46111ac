"""A new review after a retraining: prepared first, then both models are measured on the corrected test cases."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.jobs.kind import Kind
from core.progress import Portion

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="review_again",
    words="Review of a retraining",
    lane="work",
    action="open test results",
    attempts_allowed=3,
    remedy="Wait until other jobs have ended, or close other programs, then resume: what is done is not done again.",
)
MEASURED, COMPARED = 0.5, 0.95  # shares of the progress bar

log = logging.getLogger("readroom.jobs")


def run(context: "JobContext") -> Mapping[str, Any]:
    """Prepare the review of a retrained model, measure it and the model of before on test, and compare them.

    Each step is done once, however often an attempt is killed: there is one review, and one look by each model. The
    review comes first, so that its criteria are there before the results. The model of before is measured only where it
    has learnt none of these cases.
    """
    context.progress.report(context.job.fraction, "Starting")  # the imports below take seconds
    from core.datasets.records import get_snapshot
    from core.evaluation.comparison import demand_unseen
    from core.evaluation.run import evaluate_model, split_cases
    from core.reviews.meetings import get_review
    from core.reviews.model_card import describe_verdict
    from core.reviews.renewing import renew_review
    from core.training.records import get_model

    model = get_model(context.connection, None, int(context.job.arguments["model"]))
    earlier = get_review(context.connection, model.project, int(context.job.arguments["review"]))
    made = renew_review(context.connection, earlier, model, actor=context.actor)
    snapshot = get_snapshot(context.connection, model.project, made.snapshot)
    before = get_model(context.connection, model.project, earlier.model)
    about = (context.connection, context.files, context.settings)
    asked = (snapshot.id, "test", context.actor)
    evaluate_model(*about, model.id, *asked, Portion(context.progress, 0.0, MEASURED), job=context.job.id)
    result: dict[str, Any] = {"review": made.id, "name": made.name, "model": model.name, "before": before.name}
    try:
        demand_unseen(context.connection, [before], split_cases(context.connection, snapshot, "test", None))
    except InvalidInput as refusal:
        log.warning("%s", refusal)
        return {**result, "comparison": [str(refusal)]}
    told = Portion(context.progress, MEASURED, COMPARED)
    evaluate_model(*about, before.id, *asked, told, job=context.job.id)
    context.progress.report(COMPARED, "Comparing on the same cases")
    comparison = list(describe_verdict(context.connection, made))
    context.progress.report(1.0, f"Review {made.id} is prepared")
    return {**result, "comparison": comparison}
