"""Drift on screen: the alarm on the home page and beside the registry, and the table of all that is watched."""

import streamlit as st

from core.jobs.records import add_job, find_job
from core.projects.records import Project
from core.reviews.drift import LEAST_NEW, REMEDY, RULE, DriftCheck, count_missing, find_drift
from core.training.records import Model
from dashboard import jobs_panel, messages, once, places, session, wording

TABLE_PX = 260


def draw_alarm(project: Project) -> None:
    """A warning where new cases differ from those that the model in production was made with; else nothing."""
    if alarm := find_alarm(project):
        say_alarm(alarm)


def find_alarm(project: Project) -> DriftCheck | None:
    """The newest check where it alarms, for whoever may see test results."""
    if not session.may("open test results", project):
        return None
    last = find_drift(session.db(), project.id)
    return last if last is not None and last.alarms else None


def say_alarm(alarm: DriftCheck) -> None:
    """What is different, and the way to the rest."""
    query: dict[str, places.Query] = {"project": alarm.project, "model": alarm.model, "tab": "drift"}
    with st.container(key=f"alarm_{alarm.project}", gap="xxsmall"):
        st.warning(alarm.told["sentence"], icon=":material/trending_up:")
        places.link("predict", "See the drift and what to do", icon=":material/arrow_forward:", **query)


def draw_drift(project: Project, production: Model | None) -> None:
    """The newest check, all its quantities, and a button for another."""
    if production is None:
        st.caption("Drift is watched of the model in production; no model of this project is. A review approves one.")
        places.link("meeting", "Prepare a review", project=project.id)
        return
    jobs_panel.watch_active_jobs(project.id, ("drift",))
    last = find_drift(session.db(), project.id)
    asked_last = find_job(session.db(), "drift", {"project": project.id}, states=jobs_panel.EVERY)
    jobs_panel.draw_failed(asked_last, since=last.made_at if last else None)
    told, button = st.columns([4, 1], vertical_alignment="center")
    # once a check could say something there are enough for the next
    unsaid = last is None or last.told["state"] == "too few"
    missing = count_missing(session.db(), production) if unsaid else 0
    button.button(
        "Check now", icon=":material/refresh:", key=once.key("drift_now"), on_click=once.callback(_ask),
        args=(project,), width="stretch",
        disabled=missing > 0, help="Of too few patients nothing can be said." if missing else None,
    )  # fmt: skip
    if missing:
        told.info(
            f"{LEAST_NEW - missing} of {LEAST_NEW} patients with new cases have come in since {production.name} went "
            f"into production; {missing} more are needed before a check can say anything. It then follows by itself.",
            icon=":material/hourglass_empty:",
        )
        return
    if last is None or unsaid:
        told.caption(
            f"Not checked yet, though {LEAST_NEW} patients with new cases are there: a check follows every import, and "
            "one a day."
        )
        return
    sentence = f"{last.told['sentence']} Checked {wording.moment(last.made_at)}."
    if last.alarms:
        told.warning(f"{sentence} {REMEDY}", icon=":material/trending_up:")
    else:
        told.info(sentence, icon=":material/info:")
    for note in last.told["notes"]:
        st.caption(note)
    if last.told["quantities"]:
        st.dataframe(
            [
                {
                    "": "⚠" if one["alarms"] else "",
                    "quantity": one["name"],
                    "distance": f"{one['distance']:.2f} ({one['low']:.2f} to {one['high']:.2f})",
                    "p, corrected": "< 0.001" if one["p"] < 0.001 else f"{one['p']:.3f}",
                    "snapshot": f"{one['before']} (n = {one['n_before']})",
                    "new": f"{one['now']} (n = {one['n_now']})",
                }
                for one in last.told["quantities"]
            ],
            hide_index=True,
            height=TABLE_PX,
            key="drift_table",
        )
        st.caption(f"{RULE} Beside each its median or commonest word.")


def _ask(project: Project) -> None:
    with messages.refusals_told():
        add_job(session.db(), "drift", {"project": project.id}, project=project.id, actor=session.actor())
