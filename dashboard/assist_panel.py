"""For a project's administrator: whose answers readers are offered as drafts, and who is asked to read what."""

import streamlit as st

from core.evaluation.drafts import DRAFTED, count_without_draft, set_assist_model
from core.jobs.asking import ask_drafts
from core.jobs.records import find_job
from core.labels.assignments import list_assigned, unassign_cases
from core.projects.records import Project, get_project
from core.training.records import list_models
from dashboard import answers_view, jobs_panel, messages, once, session, wording

ANSWERED = (
    "Readers see the model's answer and accept it, change it or reject it; which of these is stored with their answer. "
)
PAINTED = (
    "Readers find what the model painted under “Painted by others”: they lay it over the image, take it over and "
    "correct it, or leave it; which of these is stored with their answer. "
)


def draw_assist_choice(project: Project) -> None:
    """Off, or one of the models; with the cases that it has not looked at yet."""
    if project.task not in DRAFTED:
        return
    models = {model.id: model.name for model in list_models(session.db(), project.id)}
    with st.expander("Drafts of a model", icon=":material/auto_awesome:"):
        if not models:
            st.caption("A trained model can propose its answer to readers. There is none in this project yet.")
            return
        st.caption(
            (PAINTED if project.task == "segmentation" else ANSWERED)
            + (
                "Readers answer blind first here, so a draft appears after a reader's own first answer."
                if project.blind_first
                else "Readers see it before they answer: that can pull their answers towards the model's."
            )
        )
        choices = [None, *models]
        st.selectbox(
            "Drafts",
            choices,
            index=choices.index(project.assist_model) if project.assist_model in choices else 0,
            format_func=lambda number: "off" if number is None else models[number],
            key=f"assist_model_{project.assist_model}",
            on_change=_choose,
            args=(project, f"assist_model_{project.assist_model}"),
        )
        waiting = count_without_draft(session.db(), project)
        jobs_panel.watch_active_jobs(project.id, ("draft",))
        if waiting:
            st.caption(f"{wording.count(waiting, 'case')} without a draft yet.")
            last = find_job(session.db(), "draft", {"project": project.id}, states=jobs_panel.EVERY)
            jobs_panel.draw_failed(last)
            done = (last and last.result) or {}
            if done.get("model_id") == project.assist_model:
                answers_view.draw_refused(project, done.get("refused", ()))
            st.button(
                "Let the model look at them", key=once.key("assist_run"), on_click=once.callback(_ask), args=(project,)
            )


def draw_assignments(project: Project) -> None:
    """Who was asked to read how much, and how far they are."""
    told = list_assigned(session.db(), project.id)
    if not told:
        return
    with st.expander("Who was asked to read what", icon=":material/assignment_ind:"):
        for one in told:
            left, right = st.columns([4, 1], vertical_alignment="center")
            left.progress(
                one.answered / one.cases, text=f"{one.reader}: {one.answered:,} of {one.cases:,} cases answered"
            )
            right.button(
                "Take back",
                key=f"unassign_{one.reader}",
                on_click=_unassign,
                args=(project, one.reader),
                help="Ask no longer; answers stay.",
                width="stretch",
            )


def _choose(project: Project, field: str) -> None:
    with messages.refusals_told():
        changed = set_assist_model(session.db(), project, st.session_state[field], actor=session.actor())
        if changed.assist_model is not None and count_without_draft(session.db(), changed):
            ask_drafts(session.db(), changed, actor=session.actor())


def _ask(project: Project) -> None:
    with messages.refusals_told():
        ask_drafts(session.db(), get_project(session.db(), project.id), actor=session.actor())


def _unassign(project: Project, reader: str) -> None:
    with messages.refusals_told():
        gone = unassign_cases(session.db(), project, reader, actor=session.actor())
        messages.say(f"{reader} is no longer asked to read {wording.count(gone, 'case')}.")
