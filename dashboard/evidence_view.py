"""Explanations of a model on screen: which method can be trusted, by which numbers, and what it shows on average."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from core.datasets.records import get_snapshot, snapshot_counts
from core.explain.methods import DOUBT, METHODS, is_quick
from core.explain.overlay import VIRIDIS, draw_map
from core.explain.records import Evidence, find_evidence
from core.explain.verdict import CASES_NEEDED, CASES_OF_DOUBT, RULES
from core.jobs.explaining import ask_evidence
from core.people.roles import may
from core.tasks import task_module
from core.training.records import Model, get_run
from core.training.stored import sees_volumes
from dashboard import messages, session, wording
from dashboard.pictures import source_of

SYMBOLS = {"reliable": "✓", "not reliable": "✕", "not checked": "?"}
COLUMNS = {
    "randomisation": ("alike with shuffled weights", "Rank correlation, -1 to 1; low is good."),
    "faithfulness": ("beyond random places", "Insertion less deletion score, above that of the same map elsewhere."),
    "stability": ("alike under noise", "Rank correlation under noise of 1 % of the range; high is good."),
    "pointing": ("points at what was marked", "Share of maps whose highest place a reader marked."),
    "overlap": ("lies in what was marked", "Share of a map inside what readers marked."),
    "outside": ("beside the body", "Share of a map on the background at the image's border."),
}
BY_CHANCE = {"pointing": "marked_by_chance", "overlap": "marked_by_chance", "outside": "outside_by_chance"}
COUNTED = {"pointing": "n_marked", "overlap": "n_marked", "outside": "n_with_background"}
SEEN_ALONG = ("along the frames", "along the rows", "along the columns")
SIDE_PX = {2: 160, 3: 112}  # of a mean map of images, of each of the three sides of one of volumes
ASKED = "evidence_asked"
GRADIENT = ", ".join(f"rgb({', '.join(f'{part:.0f}' for part in colour)})" for colour in VIRIDIS)
LEGEND = (
    '<span class="rr-quiet">0 <span role="img" aria-label="Scale of the map from 0, low, to 1, high" '
    'style="display:inline-block;vertical-align:middle;width:9rem;height:0.7rem;'
    f'background:linear-gradient(to right, {GRADIENT})"></span> 1</span>'
)


def is_judged(model_id: int, method: str) -> bool:
    """Whether there is evidence, which then says more than the one check of a single map."""
    return method in find_evidence(session.db(), model_id)


def is_shown(model: Model, method: str, key: str = "") -> bool:
    """Whether a map is shown: one of a method that is not reliable on this model only after a deliberate click."""
    evidence = find_evidence(session.db(), model.id).get(method)
    failed = evidence is not None and evidence.standing.verdict == "not reliable"
    return not failed or bool(st.session_state.get(f"anyway_{model.id}_{method}{key}"))


def draw_standing(model: Model, method: str, key: str = "") -> bool:
    """How a method stands on a model, in a line; the answer is that of `is_shown`."""
    evidence = find_evidence(session.db(), model.id).get(method)
    if evidence is None:
        return True  # what the map itself was checked for is said with it
    standing = evidence.standing
    if standing.verdict != "not reliable":
        st.caption(f"{SYMBOLS[standing.verdict]} {standing.sentence}")
        return True
    st.warning(f"{METHODS[method].words}: {standing.sentence}", icon=":material/warning:")
    return st.toggle("Look at it anyway", key=f"anyway_{model.id}_{method}{key}")


def words_of(model: Model, method: str) -> str:
    """A method's name, with the sign of its verdict where it has one."""
    evidence = find_evidence(session.db(), model.id).get(method)
    sign = f"{SYMBOLS[evidence.standing.verdict]} " if evidence else ""
    return f"{sign}{METHODS[method].words}"


def draw_evidence(model: Model) -> None:
    """All methods, each with its verdict and numbers."""
    found = find_evidence(session.db(), model.id)
    heads = "".join(f'<th title="{escape(said)}">{title}</th>' for title, said in COLUMNS.values())
    rows = "".join(_row(name, found.get(name)) for name in METHODS)
    st.html(
        '<div class="rr-scroll" tabindex="0"><table class="rr-numbers"><tr><th>method</th><th>verdict</th>'
        f"{heads}</tr>{rows}</table></div>"
    )
    st.caption(
        f"{RULES} What it points at does not decide: a true map of a model that looks elsewhere misses the object too. "
        "95 % intervals by bootstrap over patients. Layers were chosen on validation."
    )


def draw_asking(model: Model) -> None:
    """Which methods to check, on how many cases of which split."""
    if not may(session.db(), session.current_user(), "train", model.project):
        return
    # What was asked is part of the key: the next one is another popover, and that is closed.
    with st.popover("Gather evidence", icon=":material/science:", key=f"evidence_{st.session_state.get(ASKED, 0)}"):
        paints = task_module(model.task).PAINTS
        if paints:
            methods = [DOUBT]
            st.caption("Its own map of doubt is held against where it is wrong, each case painted three times.")
        else:
            methods = _choose_methods(sees_volumes(model))
        split = st.segmented_control(
            "Cases of", ["validation", "train"], default="validation", required=True, key="evidence_split"
        )
        _say_too_few(model, split)
        cases = st.number_input(
            "How many",
            2,
            1000,
            CASES_OF_DOUBT if paints else CASES_NEEDED,
            key="evidence_cases",
            help=f"A verdict needs {CASES_NEEDED}{' on which it is wrong somewhere' if paints else ''}.",
        )
        st.button(
            "Start",
            type="primary",
            key="evidence_start",
            disabled=not methods,
            on_click=_ask,
            args=(model, tuple(methods), split, int(cases)),
        )


def _choose_methods(volumes: bool) -> list[str]:
    methods = st.multiselect(
        "Methods",
        list(METHODS),
        default=[name for name, method in METHODS.items() if is_quick(method, volumes=volumes)],
        format_func=lambda name: METHODS[name].words,
        key="evidence_methods",
    )
    slow = "All others" if volumes else "RISE, LIME and Kernel SHAP"
    st.caption(f"{slow} ask the model up to some thousand times for each case; the job says how long.")
    return methods


def draw_means(model: Model) -> None:
    """What each class's maps show on average."""
    found = find_evidence(session.db(), model.id)
    if not found:
        return
    st.subheader("Mean maps", anchor=False)
    method = st.segmented_control(
        "Method",
        list(found),
        default=next(iter(found)),
        required=True,
        format_func=lambda name: words_of(model, name),
        key=f"means_of_{model.id}",
        label_visibility="collapsed",
    )
    told = found[method].told
    pictures = "".join(_mean_picture(name, mean) for name, mean in told["means"].items())
    st.html(f'<div style="display:flex;gap:1.4rem;flex-wrap:wrap">{pictures}</div><p>{LEGEND}</p>')
    st.caption(
        f"{METHODS[method].sentence} Mean over the cases that the model put into each class, {told['split']}; each map "
        "counts alike. Places are those of what the network sees" + _said_of_sides(told["means"])
    )


def _said_of_sides(means: Mapping[str, Any]) -> str:
    first = next(iter(means.values()), None)
    deep = bool(first and first["map"] and isinstance(first["map"][0][0], list))
    return f"; of a volume the highest value {', '.join(SEEN_ALONG)}." if deep else "."


def _ask(model: Model, methods: tuple[str, ...], split: str, cases: int) -> None:
    with messages.refusals_told():
        ask_evidence(session.db(), model, methods, split=split, cases=cases, actor=session.actor())
        st.session_state[ASKED] = st.session_state.get(ASKED, 0) + 1


def _say_too_few(model: Model, split: str) -> None:
    """Before minutes are spent: a split that is too small for a verdict."""
    run = get_run(session.db(), model.run)
    if run.fold is not None:
        return
    n = snapshot_counts(session.db(), get_snapshot(session.db(), model.project, run.snapshot))[split]["images"]
    if n < CASES_NEEDED:
        st.warning(
            f"{split.capitalize()} has {n:,} cases; a verdict needs {CASES_NEEDED}. With fewer the "
            "numbers come without one." + (" Train may have enough." if split == "validation" else ""),
            icon=":material/warning:",
        )


def _row(name: str, evidence: Evidence | None) -> str:
    method = METHODS[name]
    head = f'<td title="{escape(method.sentence)}" style="white-space:nowrap"><b>{escape(method.words)}</b></td>'
    if evidence is None:
        blank = "<td>–</td>" * len(COLUMNS)
        return f'<tr class="few">{head}<td style="white-space:nowrap">? not checked</td>{blank}</tr>'
    standing, told = evidence.standing, evidence.told
    verdict = f'<b style="white-space:nowrap">{SYMBOLS[standing.verdict]} {standing.verdict}</b>'
    needed = f" of {CASES_NEEDED} needed" if told["n_cases"] < CASES_NEEDED else ""
    sample = f"n = {told['n_cases']:,}{needed}, {told['split']}"
    cells = "".join(_cell(told, key) for key in COLUMNS)
    few = ' class="few"' if standing.verdict == "not checked" else ""
    why = escape(standing.sentence)
    return f'<tr{few}>{head}<td title="{why}">{verdict}<br><small>{sample}</small></td>{cells}</tr>'


def _cell(told: Mapping[str, Any], key: str) -> str:
    measure = told["measures"][key]
    if key not in BY_CHANCE:
        return measure_cell(measure)
    chance = f" <small>chance {wording.number(told['measures'][BY_CHANCE[key]]['value'])}</small>"
    return measure_cell(measure, beside=chance, more=f", n = {told[COUNTED[key]]:,}")


def measure_cell(measure: Mapping[str, Any], *, beside: str = "", more: str = "") -> str:
    """HTML: a table's cell of a number with its interval, and what stands beside the one and behind the other."""
    if measure["value"] is None:
        return f'<td title="{escape(measure.get("reason", ""))}">–</td>'
    low, high = measure["low"], measure["high"]
    interval = "no interval" if low is None else f"{wording.number(low)} to {wording.number(high)}"
    note = escape(measure.get("note", ""))
    value = wording.number(measure["value"])
    return f'<td title="{note}"><b>{value}</b>{beside}<br><small>{interval}{more}</small></td>'


def _mean_picture(name: str, mean: Mapping[str, Any]) -> str:
    import numpy as np

    values = np.array(mean["map"])
    # of a volume what it shows seen from three sides: along frames, rows and columns
    sides = [values] if values.ndim == 2 else [values.max(axis=axis) for axis in range(3)]
    titles = [""] if values.ndim == 2 else [f" {along}" for along in SEEN_ALONG]
    pictures = " ".join(
        f'<img alt="Mean map of {escape(name)}{title}" title="{title.strip()}" width="{SIDE_PX[values.ndim]}" '
        f'height="{SIDE_PX[values.ndim]}" src="{source_of(draw_map(side))}">'
        for side, title in zip(sides, titles, strict=True)
    )
    return (
        f'<figure style="margin:0">{pictures}<figcaption>{escape(name)} '
        f'<span class="rr-quiet">n = {mean["n"]:,}</span></figcaption></figure>'
    )
