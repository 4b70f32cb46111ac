"""Augmented images on the page Train: what the recipe as set on the form does to the snapshot's images."""

import streamlit as st

from core.datasets.records import Snapshot
from core.jobs.asking_trials import ask_samples, samples_arguments
from core.jobs.records import find_job
from core.projects.records import Project
from core.store.files import Files
from core.training.augmented import TIMES, describe_samples, read_samples, samples_key, sees_volumes
from core.training.recipe import Recipe
from dashboard import jobs_panel, messages, session
from dashboard.pictures import source_of

ALT = f"A few training images, a row each: first as they enter the network, then {TIMES} times augmented"


def draw_augmented(project: Project, snapshot: Snapshot, recipe: Recipe, fold: int | None) -> None:
    """The picture where it was drawn, else the job that draws it, else the button that asks for it."""
    files = Files(session.settings().home)
    what = "volume, by one of its frames" if sees_volumes(recipe) else "image"
    st.caption(
        f"Each row shows one {what}: first unchanged, as the finished model will see it, then {TIMES} times "
        "as training changes it at random"
        f"{', masks outlined' if snapshot.task == 'segmentation' else ''}. {describe_samples(recipe)}"
    )
    picture = read_samples(files, samples_key(snapshot, recipe, fold))
    if picture:
        st.html(f'<img class="rr-samples" alt="{ALT}" src="{source_of(picture)}">')
        return
    arguments = samples_arguments(snapshot, recipe, fold)
    last = find_job(session.db(), "augmented", arguments, states=("queued", "running", "failed"))
    if st.button(
        "Show augmented images",
        icon=":material/auto_awesome_motion:",
        key="train_augmented",
        disabled=bool(snapshot.loss) or bool(last and last.is_active),
    ):
        with messages.refusals_shown():
            ask_samples(session.db(), files, project, snapshot, recipe, fold=fold, actor=session.actor())
            st.rerun()
    if last:
        jobs_panel.watch_job(last)
