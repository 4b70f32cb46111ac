"""The learning-rate range test: which rates teach a network something on a snapshot."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="find_rate",
    words="Learning-rate test",
    lane="train",
    action="train",
    attempts_allowed=2,
    remedy="Close other programs, or take a smaller batch or image size, then start it again.",
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Try rising learning rates on a snapshot; the result has the losses and the rate to take."""
    context.progress.report(context.job.fraction, "Starting")  # the imports below take seconds
    from core.datasets.records import get_snapshot
    from core.training.device import device_named, list_devices
    from core.training.find_rate import run_rate_test
    from core.training.recipe import recipe_from_json

    given = context.job.arguments
    found = run_rate_test(
        context.connection,
        context.files,
        get_snapshot(context.connection, given["project"], given["snapshot"]),
        recipe_from_json(given["recipe"]),
        given["fold"],
        device_named(context.device, list_devices()),
        context.progress,
        sources=given.get("sources", {}),
    )
    context.progress.report(1.0, found.sentence)
    return {**found.to_json(), "snapshot": given["snapshot"], "network": given["recipe"]["network"]}
