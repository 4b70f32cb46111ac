"""Training: a run becomes a model."""

import logging
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import CoreError
from core.jobs.kind import Kind, action_of_split
from core.people.roles import Action
from core.progress import Portion

if TYPE_CHECKING:
    from core.jobs.context import JobContext

TRAINED = 0.97  # the share of a training job that the training itself takes

log = logging.getLogger("readroom.jobs")


def actions_of(arguments: Mapping[str, Any]) -> frozenset[Action]:
    """Asking for the evaluation that follows takes what asking for it alone takes."""
    asked: set[Action] = {"train"}
    if arguments.get("evaluate"):
        asked.add(action_of_split(arguments["evaluate"]))
    return frozenset(asked)


def has_kept(connection: sqlite3.Connection, folder: Path, arguments: Mapping[str, Any]) -> bool:
    """Whether a further attempt would go on from something; begun anew it would want as much memory as before."""
    from core.training import kept

    return kept.has_kept(connection, folder, int(arguments.get("run", 0)))


KIND = Kind(
    name="train",
    words="Training",
    lane="train",
    action="train",
    attempts_allowed=3,
    remedy=(
        "Close other programs and resume, it goes on from its checkpoint where it has one; or train with a smaller "
        "batch, image size or network."
    ),
    stop_grace_seconds=180.0,
    actions_of=actions_of,
    has_kept=has_kept,
)


def run(context: "JobContext") -> Mapping[str, Any]:
    """Train a run, then check once whether its explanations can be trusted, so that nobody waits for that later."""
    context.progress.report(context.job.fraction, "Starting")  # the imports below take seconds
    from core.tasks import task_module
    from core.training.device import device_named, list_devices
    from core.training.records import get_model
    from core.training.run import run_training

    run_id = int(context.job.arguments["run"])
    result = run_training(
        context.connection,
        context.files,
        context.settings,
        run_id,
        context.folder,
        device_named(context.device, list_devices()),
        Portion(context.progress, 0.0, TRAINED),
    )
    if context.job.arguments.get("repeats"):
        result = {**result, "repetition": _compare(context, int(result["model_id"]))}
    goes_on = not context.progress.should_stop()
    if goes_on:
        task = task_module(get_model(context.connection, None, int(result["model_id"])).task)
        if not (task.PAINTS or task.DRAWS):
            _check_explanations(context, int(result["model_id"]))
        # what a job that is done says last
        context.progress.report(1.0, f"Model {result['model']} is stored", seconds_left=0.0)
    # A run that was stopped has left its best weights too, and nobody else may come after it.
    result = {**result, **_join_ensemble(context, run_id)}
    if goes_on and context.job.arguments.get("evaluate"):
        _queue_evaluation(context, int(result["model_id"]), run_id)
    return result


def _join_ensemble(context: "JobContext", run_id: int) -> dict[str, Any]:
    """The ensemble that was asked for with this run and others, once all of them have left their models; or why there
    is none of them."""
    from core.training.ensemble import join_ensemble

    try:
        made = join_ensemble(context.connection, context.files, run_id, context.actor)
    except CoreError as error:  # the model is made and good
        log.warning("The ensemble was not made: %s", error)
        return {"no_ensemble": str(error)}
    if made is None:
        return {}
    log.info("Ensemble %s is there", made.name)
    return {"ensemble": made.name}


def _queue_evaluation(context: "JobContext", model_id: int, run_id: int) -> None:
    """What the request for training asked for when the model is there: its numbers on a split, or a new review."""
    from core.jobs.records import add_job, find_job
    from core.training.records import get_run

    run = get_run(context.connection, run_id)
    wanted = {"model": model_id, "snapshot": run.snapshot, "split": context.job.arguments["evaluate"]}
    kind = "evaluate"
    if review := context.job.arguments.get("review"):  # measuring is then a part of what comes after
        kind, wanted = "review_again", {"model": model_id, "review": review}
    if find_job(context.connection, kind, wanted) is None:  # an attempt before this one may have asked
        add_job(context.connection, kind, wanted, project=run.project, actor=context.actor)


def _compare(context: "JobContext", model_id: int) -> dict[str, Any]:
    """Whether the model is the one that it repeats; kept as a fact of the model."""
    from core.training.records import get_model, get_run, get_run_of_weights, set_model_fact
    from core.training.repeat import compare_repetition

    pair = [get_model(context.connection, None, number) for number in (context.job.arguments["repeats"], model_id)]
    first, again = pair
    runs = [get_run_of_weights(context.connection, get_run(context.connection, model.run)) for model in pair]
    found = compare_repetition(context.files, first, runs[0], again, runs[1]).to_json()
    set_model_fact(context.connection, model_id, "repetition", found)
    log.info(found["sentence"])
    return found


def _check_explanations(context: "JobContext", model_id: int) -> None:
    from core.explain.run import check_explanations

    try:
        context.progress.report(TRAINED, "Checking the explanations")
        check_explanations(context.connection, context.files, model_id, Portion(context.progress, TRAINED, 1.0))
    except CoreError as error:  # the model is made and good; its first explanation will say the same
        log.warning("The explanations were not checked: %s", error)
