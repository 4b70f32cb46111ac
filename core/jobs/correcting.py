"""One click from corrected labels to a new review: snapshot, training, both models on the same test cases."""

import sqlite3
from dataclasses import dataclass

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, get_snapshot, list_snapshots
from core.errors import InvalidInput
from core.jobs.asking import ask_training
from core.jobs.records import Job, list_jobs_after
from core.people.roles import demand_of
from core.progress import Progress
from core.projects.records import Project
from core.reviews.corrections import Corrections, find_corrections
from core.reviews.meetings import Review
from core.reviews.renewing import find_renewed
from core.store.audit import Actor
from core.store.files import Files
from core.training.recipe import with_batch
from core.training.records import Model, Run, free_name, get_run, get_run_of_weights, list_runs
from core.training.repeat import trained_batch


@dataclass(frozen=True)
class Retraining:
    """What was asked for, and what is other than before."""

    snapshot: Snapshot
    run: Run
    job: Job
    corrections: Corrections


@dataclass(frozen=True)
class Followed:
    """A retraining after a review: its training, then the measuring of both models, and the new review once it is
    prepared."""

    training: Job
    measuring: Job | None
    review: Review | None

    @property
    def is_over(self) -> bool:
        """Whether all was measured, so that the new review can meet."""
        return self.measuring is not None and self.measuring.state == "done"

    @property
    def newest_job(self) -> Job:
        return self.measuring or self.training


def ask_retraining(
    connection: sqlite3.Connection,
    files: Files,
    project: Project,
    model: Model,
    *,
    review: Review | None = None,
    actor: Actor,
    progress: Progress,
) -> Retraining:
    """Freeze the cases of a model's snapshot anew, each in its split, with today's references; train the same recipe
    on it with the same seed; evaluate on test.

    Args:
        review: of this model. After the training a new one is prepared, with its criteria and this model to compare
            with, and both models are measured on the corrected test cases (`core.jobs.bodies.review_again`).

    Raises:
        InvalidInput: no reference has changed since, the model was trained for a fold, or is an ensemble.
        NotAllowed: the actor may not freeze, train and open test results here.
        CoreError: whatever freezing and training refuse.
    """
    for action in ("freeze", "train", "open test results"):
        demand_of(connection, actor, action, project.id)
    if members := [member["name"] for member in model.facts.get("members", ())]:
        raise InvalidInput(
            f"An ensemble is not trained; retrain from a review of a member, {', '.join(members)}. "
            f"Received: {model.name}"
        )
    before = get_run_of_weights(connection, get_run(connection, model.run))
    if before.fold is not None:
        raise InvalidInput(f"A model of one fold is trained again from the page Train. Received: {model.name}")
    stood_on = get_snapshot(connection, project.id, before.snapshot)
    corrections = find_corrections(connection, stood_on)
    if not (corrections.changed or corrections.gone):
        raise InvalidInput(f"No reference of snapshot {stood_on.name} has changed since. Received: {model.name}")
    snapshot = freeze_snapshot(
        connection,
        files,
        project,
        _free(stood_on.name, {one.name for one in list_snapshots(connection, project.id)}),
        like=stood_on,
        folds=stood_on.folds,
        seed=stood_on.seed,
        allow_leaks=stood_on.leaks_allowed_because,
        actor=actor,
        progress=progress,
    )
    run, job = ask_training(
        connection,
        project,
        snapshot,
        with_batch(before.recipe, trained_batch(before)),
        name=_free(model.name, {one.name for one in list_runs(connection, project.id)}),
        choice=before.told.get("choice"),
        evaluate="test",
        sources=before.told.get("sources"),
        reviewed=review.id if review else None,
        actor=actor,
    )
    return Retraining(snapshot, run, job, corrections)


def list_followed(connection: sqlite3.Connection, review: Review) -> list[Followed]:
    """The retrainings that were asked for from a review, newest first, each as far as it has come."""
    measured: dict[int, Job] = {}  # of each retrained model the newest
    for job in list_jobs_after(connection, review.project, "review_again", review.id):
        measured.setdefault(job.arguments["model"], job)
    found = []
    for training in list_jobs_after(connection, review.project, "train", review.id):
        model = (training.result or {}).get("model_id")
        made = find_renewed(connection, review, model) if model else None
        found.append(Followed(training, measured.get(model) if model else None, made))
    return found


def _free(name: str, taken: set[str]) -> str:
    """`first, corrected`, then `first, corrected 2`, ..."""
    return free_name(name.partition(", corrected")[0] + ", corrected", taken)
