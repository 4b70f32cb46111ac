"""Explanation: what a model looked at on one case. It runs in the warm child."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="explain",
    words="Explanation",
    lane="explain",
    action="open test results",
    attempts_allowed=2,
    remedy="Wait until other jobs have ended, or close other programs, then ask again.",
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Draw what a model looked at on one case; loaded models stay in `kept`."""
    from core.explain.run import explain_case

    return explain_case(
        context.connection, context.files, context.job.arguments, context.folder, context.progress, context.kept
    )
