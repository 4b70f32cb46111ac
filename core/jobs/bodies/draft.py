"""Drafts: what a project's model says of each case, offered to its readers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.jobs.kind import Kind

if TYPE_CHECKING:
    from core.jobs.context import JobContext

KIND = Kind(
    name="draft",
    words="Drafts",
    lane="work",
    action="administer",
    attempts_allowed=3,
    remedy="Resume it: cases that the model has looked at are not asked again.",
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Let the model that a project has chosen look at every case, so that readers find drafts."""
    from core.evaluation.drafts import make_drafts
    from core.projects.records import get_project

    project = get_project(context.connection, int(context.job.arguments["project"]))
    return make_drafts(context.connection, context.files, project, context.progress)
