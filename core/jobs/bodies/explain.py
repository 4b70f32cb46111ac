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
    """Draw what a model looked at on one case, with `scores` how good that map is; loaded models stay in `kept`."""
    from core.evaluation.volume_doubt import asks_volume_doubt, explain_volume_doubt
    from core.explain.run import explain_case

    arguments, progress = context.job.arguments, context.progress
    if asks_volume_doubt(context.connection, arguments):
        return explain_volume_doubt(context.connection, context.files, arguments, context.folder, progress)
    result = explain_case(context.connection, context.files, arguments, context.folder, progress, context.kept)
    if arguments.get("scores"):
        from core.explain.scores import score_map

        result["scores"] = score_map(context.connection, context.files, arguments, result, progress, context.kept)
    return result
