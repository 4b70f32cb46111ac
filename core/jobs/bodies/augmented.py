"""Augmented samples: what a recipe does to a snapshot's training images. It runs in the warm child."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="augmented",
    words="Augmented samples",
    lane="explain",
    action="train",
    attempts_allowed=2,
    remedy="Wait until other jobs have ended, or take a smaller image size, then ask again.",
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Draw the picture; the result names it."""
    context.progress.report(context.job.fraction, "Starting")  # the imports below take seconds
    from core.datasets.records import get_snapshot
    from core.training.augmented import make_samples
    from core.training.recipe import recipe_from_json

    given = context.job.arguments
    snapshot = get_snapshot(context.connection, given["project"], given["snapshot"])
    recipe = recipe_from_json(given["recipe"])
    key = make_samples(context.connection, context.files, snapshot, recipe, given["fold"], context.progress)
    return {"samples": key}
