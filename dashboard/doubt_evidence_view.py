"""Evidence for the doubt of a model that paints: whether its map marks where the model is wrong, by which numbers."""

from html import escape

import streamlit as st

from core.explain.methods import DOUBT
from core.explain.records import DoubtMaps, find_doubt_maps
from core.explain.verdict import CASES_NEEDED, RULES_OF_DOUBT
from core.training.records import Model
from dashboard import evidence_view, messages, places, session

COLUMNS = {
    "finds_errors": (
        "higher where it is wrong",
        "Area under the ROC curve within a case; by chance 0.5, high is good.",
    ),
    "beyond_edge": (
        "beyond the painted edge",
        "By how much that exceeds nearness to the edge of what was painted, where any model errs most.",
    ),
    "randomisation": evidence_view.COLUMNS["randomisation"],
    "stability": evidence_view.COLUMNS["stability"],
}


def draw_doubt_maps(model: Model) -> None:
    """Each structure with its verdict and numbers, or what to do where nothing was gathered."""
    found = find_doubt_maps(session.db(), model.id)
    if found is None:
        messages.show_empty(
            "Its doubt was not checked yet",
            "Gather evidence: it tells whether the map of doubt marks where this model is wrong.",
        )
        return
    heads = "".join(f'<th title="{escape(said)}">{title}</th>' for title, said in COLUMNS.values())
    rows = "".join(_row(name, found) for name in found.told["structures"])
    st.html(
        '<div class="rr-scroll" tabindex="0"><table class="rr-numbers"><tr><th>structure</th><th>verdict</th>'
        f"{heads}</tr>{rows}</table></div>"
    )
    st.caption(f"{RULES_OF_DOUBT} 95 % intervals by bootstrap over patients.")


def draw_standing(model: Model, structure: str) -> bool:
    """How doubt about a structure stands on a model, in a line; whether its map is to be shown."""
    found = find_doubt_maps(session.db(), model.id)
    if found is None or structure not in found.told["structures"]:
        _say(model, "? Not checked: that this map marks where the model is wrong.")
        return True
    standing = found.standing(structure)
    if standing.verdict != "not reliable":
        _say(model, f"{evidence_view.SYMBOLS[standing.verdict]} {standing.sentence}")
        return True
    st.warning(f"Doubt about “{structure}”: {standing.sentence}", icon=":material/warning:")
    return st.toggle("Look at it anyway", key=f"anyway_{model.id}_{DOUBT}_{structure}")


def _say(model: Model, text: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(text, width="content")
        places.link("explanations", "Evidence", project=model.project, model=model.id)


def _row(name: str, found: DoubtMaps) -> str:
    told, standing = found.told["structures"][name], found.standing(name)
    sign = evidence_view.SYMBOLS[standing.verdict]
    needed = f" of {CASES_NEEDED} needed" if told["n_wrong"] < CASES_NEEDED else ""
    sample = f"n = {told['n_wrong']:,}{needed}, {found.told['split']}"
    cells = "".join(evidence_view.measure_cell(told["measures"][key]) for key in COLUMNS)
    few = ' class="few"' if standing.verdict == "not checked" else ""
    return (
        f'<tr{few}><td>{escape(name)}</td><td title="{escape(standing.sentence)}"><b style="white-space:nowrap">'
        f"{sign} {standing.verdict}</b><br><small>{sample}</small></td>{cells}</tr>"
    )
