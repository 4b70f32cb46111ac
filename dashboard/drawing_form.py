"""What to draw, what was drawn, and which of it is kept: the parts of the page Draw."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from core.jobs.bodies.generate import FOLDER
from core.jobs.context import job_folder
from core.jobs.records import Job
from core.projects.records import Project, list_projects
from core.training.drawn import Wanted
from core.training.keeping import keep_drawn, takes_drawn
from core.training.records import Model
from dashboard import drawn_view, messages, once, places, session, wording
from dashboard.pictures import source_of

MOST_AT_ONCE = MOST_SHOWN = 64
OPEN = "open"


def draw_wanted(model: Model) -> tuple[Wanted, int, int]:
    """Class, sex and age as the model knows them, how many, and the seed."""
    shown = model.calibration["shown"]
    sexes = [OPEN, *(sex for sex, count in shown["sex"].items() if count)]
    columns = st.columns([3, 2, 2, 2, 2], vertical_alignment="bottom")
    name = columns[0].selectbox("Class", list(shown["classes"]), key=f"draw_class_{model.id}")
    sex = columns[1].selectbox(
        "Sex", sexes, key=f"draw_sex_{model.id}", disabled=len(sexes) == 1, help=_why(len(sexes) > 1, "sex")
    )
    ages = shown["age"]
    age = columns[2].number_input(
        "Age, years",
        *((float(ages["low"]), float(ages["high"])) if ages else (None, None)),
        value=None,
        step=1.0,
        placeholder=OPEN,
        disabled=ages is None,
        key=f"draw_age_{model.id}",
        help=_why(ages is not None, "age"),
    )
    n = columns[3].number_input("Images", 1, MOST_AT_ONCE, 16, key="draw_n")
    seed = columns[4].number_input(
        "Seed", 0, 2**31 - 1, 0, key="draw_seed", help="The same seed draws the same images; take another for others."
    )
    return Wanted(name, None if sex == OPEN else sex, age), int(n), int(seed)


def _why(known: bool, what: str) -> str:
    if known:
        return f"Open leaves the {what} to the model, which has seen all kinds."
    return f"The model was shown no {what}: label tables and DICOM headers of its images did not say."


def draw_result(job: Job, project: Project) -> None:
    """The images of a drawing, numbered, and the way to keep some of them."""
    document = job.result or {}
    folder = job_folder(session.settings(), job.id) / FOLDER
    there = [row for row in document.get("images", ()) if (folder / row["file"]).is_file()]
    rows = there[:MOST_SHOWN]
    if not rows:
        st.info("These images are no longer there; draw them again with the same seed.", icon=":material/delete_sweep:")
        return
    st.html(
        f'<div class="rr-grid rr-drawn">{"".join(_tile(folder, row) for row in rows)}</div>'
        f'<p class="rr-quiet">{escape(_told(document))} {_say_shown(len(rows), len(there))}{drawn_view.SYNTHETIC}</p>'
    )
    _draw_keeping(folder, document, [row["place"] for row in rows], project)


def _told(document: Mapping[str, Any]) -> str:
    wanted = ", ".join(str(value) for value in document["wanted"].values())
    return f"{document['model']} drew {wanted}; seed {document['seed']}."


def _say_shown(shown: int, there: int) -> str:
    """That the command line drew more than are shown and offered here; nothing where these are all."""
    return f"Here are the first {shown:,} of {there:,}. " if shown < there else ""


def _tile(folder: Path, row: Mapping[str, Any]) -> str:
    source = source_of((folder / row["file"]).read_bytes())
    return (
        f'<a><div class="rr-shot rr-pair rr-alone"><img src="{source}" alt="drawn image">'
        f'<span class="rr-synthetic">synthetic {row["place"] + 1}</span></div></a>'
    )


def _draw_keeping(folder: Path, document: Mapping[str, Any], all_places: Sequence[int], project: Project) -> None:
    name = document["wanted"]["class"]
    targets = {
        one.id: one
        for one in list_projects(session.db(), seen_by=session.current_user())
        if one.task == "classification" and takes_drawn(session.db(), one, name) and session.may("import", one)
    }
    with st.expander("Keep some as synthetic cases", icon=":material/inventory_2:"):
        if not targets:
            st.caption(
                f"Synthetic cases help to train a classification: there is no project of one with the class {name} "
                f"into which you may import."
            )
            return
        chosen = st.pills(
            "Which",
            all_places,
            default=all_places,
            selection_mode="multi",
            format_func=lambda place: str(place + 1),
            key=f"draw_keep_{folder.parent.name}",
        )
        into = st.selectbox(
            "Project",
            list(targets),
            index=0 if len(targets) == 1 else None,  # of several none is meant until it is chosen
            placeholder="Which one they are for",
            format_func=lambda number: targets[number].name,
            key="draw_into",
        )
        st.caption(
            "They stay marked for ever, nobody is given them to read, and a snapshot takes them into train and nowhere "
            "else, when it is asked to."
        )
        ready = bool(chosen) and into is not None
        if st.button("Keep", key=once.key("draw_keep"), icon=":material/save:", disabled=not ready) and into:
            with messages.refusals_shown():
                kept = keep_drawn(session.db(), session.files(), targets[into], folder, list(chosen), session.actor())
                messages.say(f"{wording.count(len(kept), 'synthetic image')} kept in {targets[into].name}.")
                places.go("cases", project=into)
