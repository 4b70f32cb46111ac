"""Drift: whether new cases are like those that the model in production was made with."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="drift",
    words="Drift check",
    lane="work",
    action="open test results",
    attempts_allowed=2,
    remedy="Resume it: cases that are answered are not asked again.",
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Compare the cases imported since promotion with those of the snapshot."""
    from core.reviews.drift import check_drift

    return check_drift(context.connection, context.files, int(context.job.arguments["project"]), context.progress)
