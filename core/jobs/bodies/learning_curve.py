"""The learning curve by training-set size: what more cases would bring."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="learning_curve",
    words="Learning curve",
    lane="train",
    action="train",
    attempts_allowed=3,
    remedy="Close other programs, or take a smaller batch or image size, then resume: parts that are done stay.",
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Train a recipe on parts of a training split; the result has the curve, its law and the forecast."""
    context.progress.report(context.job.fraction, "Starting")  # the imports below take seconds
    from core.datasets.records import get_snapshot
    from core.training.device import device_named, list_devices
    from core.training.learning_curve import run_learning_curve
    from core.training.recipe import recipe_from_json

    given = context.job.arguments
    found = run_learning_curve(
        context.connection,
        context.files,
        get_snapshot(context.connection, given["project"], given["snapshot"]),
        recipe_from_json(given["recipe"]),
        given["fold"],
        given["fractions"],
        given["most_minutes"],
        context.folder,
        device_named(context.device, list_devices()),
        context.progress,
        sources=given.get("sources", {}),
    )
    context.progress.report(1.0, found["sentence"])
    return {**found, "snapshot": given["snapshot"], "network": given["recipe"]["network"]}
