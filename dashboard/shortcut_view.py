"""Shortcut checks on screen: what predicts the label without the picture, and whether the model follows it."""

from collections.abc import Mapping
from html import escape

import streamlit as st

from core.datasets.records import Snapshot
from core.errors import CoreError
from core.evaluation.operating import Scored
from core.evaluation.shortcuts import Shortcut, check_shortcuts, warn_of
from core.projects.schema import Classification
from core.training.records import Model
from dashboard import numbers_view, places, remembered, session, wording


def draw_shortcuts(schema: Classification, model: Model, snapshot: Snapshot, view: Mapping[str, places.Query]) -> None:
    """A row for each kind of fact, with n, AUC and rank correlation, both with intervals."""
    home, split = str(session.settings().home), str(view["split"])
    try:
        seen = remembered.scored(home, model.id, snapshot.id, split, snapshot.erased_cases)
    except CoreError as refusal:
        st.info(str(refusal), icon=":material/info:")
        return
    usual = len(schema.names) - 1 if len(schema.names) == 2 else 0
    of_class = st.segmented_control(
        "Class", schema.names, default=schema.names[usual], required=True, key="shortcut_class",
        label_visibility="collapsed",
    )  # fmt: skip
    found = _checked(home, model.id, snapshot.id, split, of_class, tuple(seen.case_ids), seen)
    # Names of attributes come from somebody's table: as HTML they are escaped, as Markdown they would be followed.
    st.html(
        "".join(f'<p class="rr-said"><b>⚠</b> {escape(sentence)}</p>' for sentence in warn_of(found).values())
        or "<p></p>"
    )
    if any(one.auc.value is not None for one in found) and not warn_of(found):
        st.success("Nothing that was looked at is shown to predict the class well.", icon=":material/check:")
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{one.n_cases:,}</td><td>{one.n_patients:,}</td>"
        f"{numbers_view.cells(vars(one.auc), 0, 1)}"
        f"{numbers_view.cells(vars(one.follows), -1, 1, wording.difference)}</tr>"
        for one in found
    )
    st.html(
        '<div class="rr-scroll"><table class="rr-numbers rr-whole"><tr><th>facts</th><th>n</th><th>patients</th>'
        '<th colspan="2">AUC of these facts alone</th><th colspan="2">the score follows them, within a class</th></tr>'
        f"{rows}</table></div>"
    )
    st.caption(
        f"How well {of_class} is told from these facts without the picture: logistic regression, five folds by "
        "patient, DeLong's interval; 0.5 and less is chance. Right: rank correlation of the model's score with what "
        "the facts predict, among cases of the same reference (bootstrap over patients, seed 0); above zero the model "
        "may have learnt them, or what goes with them, such as how ill somebody is."
    )


@st.cache_data(max_entries=16, ttl=3600, show_spinner="Predicting the class without the picture…")
def _checked(
    home: str, model: int, snapshot: int, split: str, of_class: str, case_ids: tuple[int, ...], _seen: Scored
) -> list[Shortcut]:
    return check_shortcuts(session.db(), session.files(), _seen, of_class)
