"""Drafts: what a chosen model would answer, shown to readers where the project's administrator wants it.

Off until somebody chooses a model. Where readers answer blind first, nobody sees a draft of a case before their own
first answer, whatever their role: a draft that was seen cannot be unseen.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput
from core.evaluation.answering import answer_cases
from core.evaluation.batch import fit_for
from core.evaluation.painted_drafts import demand_offered_structures
from core.evaluation.records import find_decision, find_predictions, list_unpredicted
from core.images.records import Case
from core.labels.records import find_current_label
from core.people.roles import demand_of
from core.progress import Progress
from core.projects.changes import present_names, under_present_names
from core.projects.records import Project, get_project, store_assist_model
from core.projects.schema import Classification
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.store.files import Files
from core.tasks import task_module
from core.training.records import Model, get_model
from core.training.stored import sees_volumes

DRAFTED = ("classification", "segmentation")  # tasks of which drafts are offered


@dataclass(frozen=True)
class Draft:
    """What a model says of a case: an answer, and its score for each class by the name of today."""

    model: Model
    value: dict[str, Any]
    scores: dict[str, float]


def set_assist_model(
    connection: sqlite3.Connection, project: Project, model_id: int | None, *, actor: Actor
) -> Project:
    """Choose whose answers readers of a project are offered as drafts; None: nobody's.

    Raises:
        NotFound: the project has no such model.
        InvalidInput: its classes or structures are no longer those of the project, or it answers with neither.
        NotAllowed: the actor does not administer the project.
    """
    with writing(connection):
        demand_of(connection, actor, "administer", project.id)
        before = get_project(connection, project.id)
        if model_id is not None:
            model = get_model(connection, project.id, model_id)
            if model.task not in DRAFTED:
                raise InvalidInput(
                    f"Drafts are offered of classes and of painted structures. "
                    f"Received: {model.name}, of a {model.task}"
                )
            if model.task == "segmentation":
                demand_offered_structures(connection, before, model)
            missing = [name for name in model_classes(connection, before, model) if name not in _offered(before)]
            if missing:
                raise InvalidInput(
                    f"This model answers with classes that the project no longer offers; choose another. "
                    f"Received: {model.name} with {', '.join(missing)}"
                )
        store_assist_model(connection, before, model_id)
        told = {"before": before.assist_model, "after": model_id}
        add_audit(connection, actor, "set assisting model", f"project {project.id}", **told)
        return get_project(connection, project.id)


def find_draft(connection: sqlite3.Connection, project: Project, case: Case, reader: str) -> Draft | None:
    """The draft of a case for one reader; None where there is none, or none that they may see yet.

    Of classes alone: what a model painted is laid over the image (`core.evaluation.painted_drafts`).
    """
    if project.assist_model is None or not isinstance(project.schema, Classification):
        return None
    if project.blind_first and find_current_label(connection, case.id, reader) is None:
        return None
    model = get_model(connection, project.id, project.assist_model)
    decided = find_decision(connection, model.id, case.id)
    if decided is None:
        return None
    value = under_present_names(decided[0], present_names(connection, project))
    if not set(value.get("classes", ())) <= set(_offered(project)):
        return None  # a class that was retired: nobody could accept it
    return Draft(model, value, name_scores(connection, project, model, decided[1]))


def count_without_draft(connection: sqlite3.Connection, project: Project) -> int:
    """How many cases the chosen model has not looked at yet; 0 where none is chosen."""
    if project.assist_model is None:
        return 0
    return len(_waiting(connection, project, get_model(connection, project.id, project.assist_model)))


def make_drafts(connection: sqlite3.Connection, files: Files, project: Project, progress: Progress) -> dict[str, Any]:
    """Let the chosen model look at every case that it has not seen; the body of a job.

    Returns:
        `{"model", "model_id", "cases", "refused"}`: how many it looked at, and of each case that it cannot take in
        `{"case", "reason"}`: of those readers find no draft.

    Raises:
        InvalidInput: no model is chosen.
        Stopped: somebody asked to stop; what was found until then is kept.
    """
    if project.assist_model is None:
        raise InvalidInput(f"Choose a model for the drafts of this project first. Received: {project.name}")
    model = get_model(connection, project.id, project.assist_model)
    asked, refused = fit_for(connection, model, _waiting(connection, project, model))
    answer_cases(connection, files, model, asked, progress)
    return {"model": model.name, "model_id": model.id, "cases": len(asked), "refused": refused}


def _waiting(connection: sqlite3.Connection, project: Project, model: Model) -> list[int]:
    volumes = sees_volumes(model) or task_module(model.task).PAINTS  # slice by slice, or as they are
    return list_unpredicted(connection, project.id, model.id, volumes=volumes)


def model_classes(connection: sqlite3.Connection, project: Project, model: Model) -> tuple[str, ...]:
    """The classes that a model tells apart, in its own order, by the names they have today."""
    names = present_names(connection, project)
    return tuple(names.get(name, name) for name in model.facts.get("classes", ()))


def name_scores(
    connection: sqlite3.Connection, project: Project, model: Model, scores: Sequence[float]
) -> dict[str, float]:
    """A model's scores by the names of today; classes that it never learned are not among them."""
    return dict(zip(model_classes(connection, project, model), map(float, scores), strict=True))


def name_predictions(
    connection: sqlite3.Connection, project: Project, model: Model, case_ids: Sequence[int]
) -> dict[int, dict[str, float]]:
    """The stored scores of those of the cases that have some, by case and name."""
    classes = model_classes(connection, project, model)
    found: Mapping[int, Sequence[float]] = find_predictions(connection, model.id, case_ids)
    return {case_id: dict(zip(classes, scores, strict=True)) for case_id, scores in found.items()}


def _offered(project: Project) -> tuple[str, ...]:
    schema = project.schema
    return tuple(label.name for label in schema.offered) if isinstance(schema, Classification) else ()
