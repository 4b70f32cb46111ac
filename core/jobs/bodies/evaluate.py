"""Evaluation: a model is measured on a split of a snapshot."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.errors import Conflict
from core.jobs.kind import Kind, action_of_split
from core.people.roles import Action

if TYPE_CHECKING:
    from core.jobs.context import JobContext


log = logging.getLogger("readroom.jobs")


def actions_of(arguments: Mapping[str, Any]) -> frozenset[Action]:
    return frozenset({action_of_split(arguments.get("split"))})


KIND = Kind(
    name="evaluate",
    words="Evaluation",
    lane="work",
    action="train",
    attempts_allowed=3,
    remedy="Wait until other jobs have ended, or close other programs, then resume.",
    actions_of=actions_of,
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Measure a model on a split of a snapshot, on test with the criteria of reviews that wait for it locked; or, with
    `folds`, the models of all folds together."""
    context.progress.report(context.job.fraction, "Starting")  # the imports below take seconds
    from core.evaluation.run import evaluate_model
    from core.reviews.meetings import note_shown

    given = context.job.arguments
    if "folds" in given:
        from core.evaluation.cross_validation import cross_validate

        return cross_validate(
            context.connection, context.files, context.settings, [int(number) for number in given["folds"]],
            context.actor, context.progress, job=context.job.id,
        )  # fmt: skip
    model, snapshot, split = int(given["model"]), int(given["snapshot"]), given["split"]
    result = evaluate_model(
        context.connection,
        context.files,
        context.settings,
        model,
        snapshot,
        split,
        context.actor,
        context.progress,
        job=context.job.id,
    )
    if split == "test":  # whoever asked is about to see it; an evaluation is counted by itself
        try:
            note_shown(context.connection, model, snapshot, counts=False, actor=context.actor)
        except Conflict as error:  # criteria that change in this moment: the next look locks them
            log.warning("%s", error)
    return result
