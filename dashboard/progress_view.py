"""Where a project stands on its way from images to a reviewed model."""

from html import escape

import streamlit as st

from core.datasets.records import list_snapshots
from core.evaluation.records import list_evaluations
from core.labels.worklist import LabelProgress
from core.projects.records import Project
from core.projects.schema import Classification
from core.training.records import list_models
from dashboard import places, session, wording


def draw_steps(project: Project, progress: LabelProgress) -> None:
    """Six steps with what is there of each; the next one is marked. Other tasks end with the labels for now."""
    snapshots = list_snapshots(session.db(), project.id)
    models = list_models(session.db(), project.id)
    evaluations = sum(len(list_evaluations(session.db(), model_id=model.id)) for model in models[:20])
    steps = [
        ("import_images", "Import", progress.total, wording.count(progress.total, "case")),
        ("label", "Label", progress.referenced, f"{progress.referenced:,} of {progress.total:,} have a reference"),
        ("snapshots", "Freeze", len(snapshots), wording.count(len(snapshots), "snapshot")),
        ("train", "Train", len(models), wording.count(len(models), "model")),
        ("evaluate", "Evaluate", evaluations, wording.count(evaluations, "evaluation")),
        ("review", "Review", 0, "case by case" if evaluations else "after an evaluation"),
    ]
    open_to_me = {place.name for place in session.open_places(project)}
    if not isinstance(project.schema, Classification):
        steps = steps[:2]  # what is painted or measured is kept for the tasks' own releases
    steps = [step for step in steps if step[0] in open_to_me]
    following = next((at for at, step in enumerate(steps) if not step[2]), len(steps) - 1)
    st.html(
        '<div class="rr-steps">'
        + "".join(
            f'<a class="{"next" if at == following else ""}" target="_self" '
            f'href="{escape(places.address(name, project=project.id))}">'
            f"<b>{at + 1}. {title}</b><small>{escape(said)}</small>"
            f"<small>{'next step' if at == following else ''}</small></a>"
            for at, (name, title, _, said) in enumerate(steps)
        )
        + "</div>"
    )
