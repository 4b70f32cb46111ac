"""The steps of a meeting up to its failures. Each fits 1280 x 800; lists within may scroll, the page does not."""

import base64
import re
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
import streamlit as st

from core.evaluation.pairs import list_pairs
from core.projects.schema import Classification, Generation, Regression, Segmentation
from core.reviews.criteria import Measured, Outcome
from core.reviews.flow import FLOW_NOTE, describe_flow
from core.reviews.flow_picture import describe_flow_in_words, draw_svg
from core.reviews.model_card import describe_card, describe_comparison, list_limits
from core.reviews.operating_point import describe_operating_point
from core.reviews.population import describe_population
from core.reviews.reference_standard import FEW_CASES, PairAgreement, ReferenceStandard, describe_reference
from core.reviews.reliability import Reliability, measure_reliability
from dashboard import (
    abstention_view,
    charts,
    drawn_view,
    evaluation_view,
    numbers_view,
    painted_view,
    places,
    quantity_view,
    session,
    theme,
    wording,
)
from dashboard.meeting_form import draw_criteria_editor
from dashboard.meeting_shown import POPULATION_TAB
from dashboard.meeting_view import Meeting

PANE_PX = 500
DRAWN_PX = 330  # of pairs of images, below the headline
CALIBRATION = {
    "ece": ("Calibration error, ECE", 0.0, 1.0),
    "brier": ("Brier score", 0.0, 1.0),
    "calibration_slope": ("Calibration slope", 0.0, 2.0),
    "calibration_intercept": ("Calibration intercept", -2.0, 2.0),
}
STATE_SIGNS = {"met": "✓ met", "not met": "✗ not met", "not met (undefined)": "✗ not met (undefined)"}


def draw_card(meeting: Meeting) -> None:
    """What the model is for and made of; beside it the criteria, and after the opening its limits."""
    left, right = st.columns([3, 2], gap="large")
    card = describe_card(session.db(), meeting.project, meeting.review)
    rows = "".join(f"<dt>{escape(title)}</dt><dd>{_with_hash(text)}</dd>" for title, text in card.items())
    with left.container(height=PANE_PX, border=False):
        st.subheader("Intended use and model card", anchor=False)
        st.html(f'<dl class="rr-facts">{rows}</dl>')
    with right.container(height=PANE_PX, border=False):
        st.subheader("Criteria", anchor=False)
        told = [one.sentence for one in meeting.review.criteria]
        st.html(_list(told) if told else '<p class="rr-quiet">None were set.</p>')
        if not meeting.review.is_locked:
            draw_criteria_editor(meeting.review)
        st.caption(meeting.looks.sentence)


def _with_hash(text: str) -> str:
    """HTML; a hash stands small, so that it keeps to its line."""
    return re.sub(r"\b[0-9a-f]{64}\b", r"<code>\g<0></code>", escape(text))


def draw_population(meeting: Meeting) -> None:
    """How cases came into the snapshot, drawn; cases, patients, answers and attributes of each split, as a table. Only
    the tab that is open is drawn."""
    drawn, counted = st.tabs(["Flow of cases", "Population"], key=POPULATION_TAB, on_change="rerun")
    told = f"Snapshot {meeting.snapshot.name}, {meeting.snapshot.hash[:12]}, split by patient."
    if meeting.snapshot.leaks_allowed_because:
        told += f" It has leaks between its splits, allowed because: {meeting.snapshot.leaks_allowed_because}"
    told = " ".join(filter(None, (told, meeting.snapshot.loss)))
    if drawn.open:
        with drawn.container(height=PANE_PX, border=False):
            _draw_flow(meeting)
            st.caption(f"{FLOW_NOTE} {told}")
    if counted.open:
        with counted.container(height=PANE_PX, border=False):
            _draw_counts(meeting)
            st.caption(told)


def _draw_counts(meeting: Meeting) -> None:
    rows = describe_population(session.db(), meeting.snapshot, meeting.fold)
    body = "".join(
        f"<tr><td>{escape(row.title)}</td>{''.join(f'<td>{escape(cell)}</td>' for cell in row.cells)}</tr>"
        for row in rows
    )
    st.html(
        '<div class="rr-scroll"><table class="rr-numbers"><tr><th></th><th>train</th><th>validation</th>'
        f"<th>test</th></tr>{body}</table></div>"
    )


def _draw_flow(meeting: Meeting) -> None:
    """A picture of its own: `st.html` lets no drawing through."""
    flow = describe_flow(session.db(), meeting.snapshot, meeting.model, meeting.fold)
    shade = "light" if theme.is_light() else "dark"
    picture = draw_svg(flow, ink=theme.INK[shade], line=theme.QUIET[shade])
    source = base64.b64encode(picture.encode()).decode()
    st.html(
        f'<img class="rr-flow" alt="{escape(describe_flow_in_words(flow))}" src="data:image/svg+xml;base64,{source}">'
    )


def draw_reference(meeting: Meeting) -> None:
    """Whose answers the numbers are held against, and how far readers agree among themselves."""
    told = describe_reference(session.db(), meeting.snapshot)
    left, right = st.columns(2, gap="large")
    readers = [(name, f"{n:,}") for name, n in told.readers]
    with left.container(height=PANE_PX, border=False):
        st.subheader("Reference standard", anchor=False)
        st.markdown(f"The reference of a case is {told.rule}.")
        st.html(_table(("reader", "cases answered"), readers))
    with right.container(height=PANE_PX, border=False):
        st.subheader("Agreement of the readers", anchor=False)
        several = f"{told.read_by_several:,} of {wording.count(told.cases, 'case')} read by more than one reader."
        st.markdown(several)
        if told.pairs:
            _draw_pairs(told)
        elif told.read_by_several == 0:
            st.caption("With one reader a case nobody knows how far another would have agreed.")
        elif not told.measure:
            st.caption("No two readers have painted the same case.")


def _draw_pairs(told: ReferenceStandard) -> None:
    """Each pair of readers, then all of them together."""
    numbers, counted = any(one.difference for one in told.pairs), any(one.agreed is not None for one in told.pairs)
    head = ("readers", "n", *(["agree"] if counted else []), told.measure, *(["mean difference"] if numbers else []))
    st.html(_table(head, [_pair_row(one, counted=counted) for one in told.pairs]))
    for of, alpha in told.alphas:
        found = wording.interval(vars(alpha)) if alpha.value is not None else "undefined"
        st.markdown(
            f"Krippendorff's alpha of all readers{f', {of}' if of else ''}: **{found}**, n = "
            f"{told.alpha_cases:,}. {alpha.reason} {alpha.note}".strip()
        )
    which = "The mean difference is the first reader's less the second's: away from 0 one of them reads higher."
    beside = f" {which}" if numbers else ""
    st.caption(
        "Over all cases of the project: those on which readers are tied are in no snapshot. Intervals: jackknife over "
        f"patients; with fewer than {FEW_CASES} common cases they say little.{beside}"
    )


def _pair_row(one: PairAgreement, *, counted: bool) -> tuple[str, ...]:
    of = f": {one.of}" if one.of else ""
    agreed = ("–" if one.agreed is None else f"{one.agreed:,}",) if counted else ()
    value = wording.interval(vars(one)) if one.low is not None else wording.number(one.value)
    apart = (wording.difference(vars(one.difference)),) if one.difference else ()
    return (
        f"{one.one} and {one.other}{of}",
        f"{one.n:,}",
        *agreed,
        value + f" ({one.reason})" * bool(one.reason),
        *apart,
    )


def draw_criteria(meeting: Meeting) -> None:
    """Every criterion with what was found, and pass or fail; the limits in plain words."""
    left, right = st.columns([9, 4], gap="large")
    with left.container(height=PANE_PX + 60, border=False):
        st.subheader("Criteria", anchor=False)
        outcomes = meeting.review.outcomes or ()
        st.html(outcome_table(outcomes) if outcomes else '<p class="rr-quiet">None were set before the opening.</p>')
        if any(part.group and part.is_small for one in outcomes for part in one.parts):
            st.caption("Greyed: fewer than 30 patients or 10 cases of the class; such a group does not pass.")
        if point := describe_operating_point(meeting.schema, meeting.evaluation.result):
            st.caption(point)
    with right.container(height=PANE_PX, border=False):
        st.subheader("Limits in plain words", anchor=False)
        limits = list_limits(session.db(), meeting.project, meeting.review, meeting.evaluation, meeting.looks)
        st.html(_list(limits))


def outcome_table(outcomes: Sequence[Outcome]) -> str:
    """HTML: a row for each criterion, and for each subgroup of one."""
    rows = []
    for one in outcomes:
        alone = one.parts[0] if len(one.parts) == 1 and not one.parts[0].group else None
        sign = STATE_SIGNS[one.state]
        # of groups that miss it, each says so in its own row
        reason = f"<br><small>{escape(one.reason)}</small>" if one.reason and (alone or one.state == "met") else ""
        ends = numbers_view.scale_of(one.criterion.metric, [vars(part) for part in one.parts])
        shown = _numbers(alone, ends) if alone else "<td></td><td></td>"
        rows.append(f"<tr><td><b>{escape(one.criterion.sentence)}</b></td>{shown}<td>{sign}{reason}</td></tr>")
        for part in () if alone else one.parts:
            few = ' class="few"' if part.is_small else ""
            told = f"{STATE_SIGNS[part.state]}<br><small>{escape(part.reason)}</small>"
            rows.append(f"<tr{few}><td>&emsp;{escape(part.group)}</td>{_numbers(part, ends)}<td>{told}</td></tr>")
    head = "<tr><th>criterion</th><th>found, 95 % interval</th><th>n</th><th></th></tr>"
    return f'<div class="rr-scroll"><table class="rr-numbers">{head}{"".join(rows)}</table></div>'


def _numbers(part: Measured, ends: tuple[float, float]) -> str:
    of = f"{part.n_of:,} of " if part.n_of is not None else ""
    measure = vars(part)
    line = numbers_view.whiskers(measure, *ends, thin=True)
    return (
        f"<td><b>{wording.number(part.value)}</b><br><small>{evaluation_view.say_ends(measure)}</small>{line}</td>"
        f"<td>{of}{part.n_cases:,}<br><small>{wording.count(part.n_patients, 'patient')}</small></td>"
    )


def draw_numbers(meeting: Meeting) -> None:
    """The headline numbers, and the matrix, the agreement, the structures or the drawn images."""
    evaluation, schema = meeting.evaluation, meeting.schema
    result = evaluation.result
    at = 0
    if isinstance(schema, Regression):
        result, at = quantity_view.choose_part(result, schema, f"meeting_{evaluation.id}")
        quantity_view.draw_headline(result)
    elif isinstance(schema, Generation):
        drawn_view.draw_headline(result)
    else:
        evaluation_view.draw_headline(result)
    if isinstance(schema, Generation):
        with st.container(height=DRAWN_PX, border=False):
            drawn_view.draw_pairs(result, meeting.project)
            st.caption(drawn_view.describe_sample(result))
    elif isinstance(schema, Classification):
        left, right = st.columns([4, 7], gap="medium")
        with left:
            evaluation_view.draw_matrix(
                result,
                multi_label=schema.multi_label,
                open_cell=lambda reference, predicted, of: places.go(
                    "review", **meeting.view, reference=reference, predicted=predicted, of_class=of
                ),
                key=f"meeting_{evaluation.id}",
            )
        with right.container(height=330, border=False):
            evaluation_view.draw_class_table(result)
    elif isinstance(schema, Regression):
        pairs = list_pairs(session.db(), meeting.model, meeting.snapshot, schema, "test", meeting.fold, at)
        quantity_view.draw_agreement(
            result,
            pairs,
            open_case=lambda case: places.go("review", **meeting.view, result="all", case=case),
            key=f"meeting_{evaluation.id}_{at}",
        )
    elif isinstance(schema, Segmentation):
        painted_view.draw_structure_table(result)
    told = [evaluation_view.describe_sample(result, test_uses=None), describe_comparison(session.db(), meeting.review)]
    rule = evaluation.result.get("abstention")
    if rule and not isinstance(schema, Classification):  # of classes it stands with the threshold
        told.append(f"It keeps answers back. {abstention_view.describe_tested(rule)}")
    st.caption(" ".join(filter(None, told)))


def draw_curves(meeting: Meeting) -> None:
    """ROC and precision-recall with their areas and intervals; where the thresholds were chosen."""
    assert isinstance(meeting.schema, Classification)
    result = meeting.evaluation.result
    evaluation_view.draw_curves(result, multi_label=meeting.schema.multi_label)
    decided = evaluation_view.describe_thresholds(result) or "The class of the highest probability is decided for."
    st.caption(f"{evaluation_view.describe_bands(result)} {decided}")


def draw_calibration(meeting: Meeting) -> None:
    """Whether 0.8 means that eight of ten are of the class."""
    assert isinstance(meeting.schema, Classification)
    names, result = list(meeting.schema.names), meeting.evaluation.result
    of = st.segmented_control(
        "Class", names, default=names[-1], required=True, key="meeting_calibrated", label_visibility="collapsed"
    )
    told = measure_reliability(session.db(), meeting.snapshot, meeting.evaluation, of)
    left, right = st.columns([6, 5], gap="large")
    left.plotly_chart(
        draw_reliability(told), config=charts.NO_TOOLBAR, key=f"reliability_{of}", alt="Share over mean score"
    )
    with right:
        measures = result["per_class"][of]
        numbers_view.draw_table(measures, CALIBRATION)
        if "ece" not in measures:
            st.caption("Measured by an earlier version; evaluate again for the calibration error, slope and intercept.")
        st.caption(
            f"n = {told.n:,}. Each dot stands for equally many cases: their mean score, the share that is of the "
            "class, and its 95 % Wilson interval (several images of a patient count less: design effect). On the line "
            "the probabilities mean what they say: error 0, slope 1, intercept 0. Intervals of the numbers: bootstrap "
            "over patients."
        )


def draw_reliability(told: Reliability) -> go.Figure:
    """Share of the class over the mean score, with Wilson intervals, against the line of perfect calibration."""
    figure, accent = go.Figure(), theme.series_colours(light=theme.is_light())[0]
    line = {"color": charts.QUIET, "dash": "dot"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, hoverinfo="skip", showlegend=False)
    figure.add_scatter(
        x=[one.mean_score for one in told.bins],
        y=[one.share for one in told.bins],
        mode="markers",
        marker={"size": 9, "color": accent},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [one.high - one.share for one in told.bins],
            "arrayminus": [one.share - one.low for one in told.bins],
            "color": accent,
        },
        customdata=[one.n for one in told.bins],
        hovertemplate="score %{x:.3f}, share %{y:.3f}<br>n = %{customdata}<extra></extra>",
        showlegend=False,
    )
    title = f"Calibration of {told.of}"
    return charts.finished(figure, title, "mean score", "share of the class", height=430, square=True)


def _list(sentences: Sequence[str]) -> str:
    return f'<ul class="rr-said">{"".join(f"<li>{escape(one)}</li>" for one in sentences)}</ul>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="rr-scroll"><table class="rr-numbers"><tr>{titles}</tr>{body}</table></div>'
