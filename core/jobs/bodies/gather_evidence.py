"""Evidence: how far methods of explanation can be trusted on a model, over many of its cases."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="gather_evidence",
    words="Explanation evidence",
    lane="work",
    action="train",
    attempts_allowed=2,
    remedy="Wait until other jobs have ended, or ask for fewer methods, then resume.",
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Judge the methods one after the other, each kept as soon as it is done; of a model that paints its doubt."""
    context.progress.report(context.job.fraction, "Starting")  # the imports below take seconds
    from core.explain.methods import DOUBT

    if context.job.arguments["methods"] == [DOUBT]:
        from core.evaluation.doubt_maps import gather_doubt_maps

        return gather_doubt_maps(
            context.connection, context.files, context.job.arguments, context.actor, context.progress
        )
    from core.explain.evidence import gather_evidence

    return gather_evidence(context.connection, context.files, context.job.arguments, context.actor, context.progress)
