"""When a model says nothing, on screen: the aim, what it costs in coverage, and the rule once it is frozen."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.errors import CoreError
from core.evaluation.abstention import find_rule, freeze_rule, try_limit
from core.evaluation.records import say_times
from core.evaluation.withheld import find_measured_rule
from core.measures.calibration import tell_reach
from core.people.roles import may
from core.projects.schema import Regression
from core.tasks.regression import intervals_of, schema_of
from core.training.records import Model
from dashboard import charts, messages, places, session, theme, wording

HEIGHT_PX = 250
UNLIKE = "Also keep back cases unlike all that it was trained on"
UNLIKE_HELP = "Of which something is known that no training case has: a scanner, a view, a size beyond all of theirs."


def draw_abstention(model: Model) -> None:
    """The frozen rule; or the way to one, for whoever may train."""
    rule = find_rule(session.db(), model.id)
    if rule is not None:
        frozen = f"Frozen {wording.moment(rule['made_at'])} by {rule['made_by']}"
        st.text(f"{frozen}; it holds here, in CSV and on the command line.")
        _draw_rule(rule)
        _draw_tested(model)
        return
    st.caption("This model answers always. A rule is frozen once, with the model: “no answer: read it yourself”.")
    if not may(session.db(), session.current_user(), "train", model.project):
        return
    options, shown = st.columns([2, 3], gap="large")
    aim = most = None
    widths: dict[str, float] = {}
    with options:
        if model.task == "classification":
            share = st.slider("Right among its answers, %", 50, 99, 95, key="abstain_aim")
            aim = share / 100
        elif model.task == "regression":
            schema = schema_of(model.facts)
            if schema.further:
                widths = _ask_widths(schema, model)
            else:
                most = st.number_input("Answer while half its interval is at most", 0.0, key="abstain_most") or None
                (one,) = intervals_of(schema, model.calibration)
                st.caption(f"Its interval is {_known(one)}, in {schema.unit}.")
        unlike = st.toggle(UNLIKE, True, key="abstain_unlike", help=UNLIKE_HELP)
    with shown:
        tried = _try(model, aim)
        if tried:
            _draw_rule(tried | {"unlike": unlike})
    with options:
        st.button(
            "Freeze this rule", icon=":material/lock:", type="primary", key="abstain_freeze",
            disabled=(aim is not None and not tried) or not (aim or most or widths or unlike),
            on_click=_freeze, args=(model, aim, most, widths, unlike),
            help="For ever: another rule takes another model.",
        )  # fmt: skip


def _try(model: Model, aim: float | None) -> dict[str, Any]:
    if aim is None:
        return {}
    try:
        return try_limit(session.db(), model, aim)
    except CoreError as refusal:
        st.info(str(refusal), icon=":material/info:")
        query = {"project": model.project, "model": model.id, "split": "validation"}
        places.link("evaluate", "Evaluate on validation", **query)
        return {}


def _ask_widths(schema: Regression, model: Model) -> dict[str, float]:
    """The widest interval of each quantity in its own unit; those left at 0 are not limited."""
    st.caption("Answer while half the interval is at most (0: any)")
    columns, asked, told = st.columns(2), {}, []
    for at, (one, known) in enumerate(zip(schema.quantities, intervals_of(schema, model.calibration), strict=True)):
        told.append(f"{one.target} {_known(known, one.unit)}")
        asked[one.target] = columns[at % 2].number_input(f"{one.target}, {one.unit}", 0.0, key=f"abstain_most_{at}")
    st.caption(f"Its intervals: {'; '.join(told)}.")
    return {name: width for name, width in asked.items() if width}


def _known(interval: Mapping[str, Any] | None, unit: str = "") -> str:
    if interval is None:
        return "unknown"
    return f"{tell_reach(interval, unit)} ({interval['level']:.0%}, n = {interval['n']})"


def _freeze(model: Model, aim: float | None, most: float | None, widths: dict[str, float], unlike: bool) -> None:
    with messages.refusals_told():
        freeze_rule(
            session.db(), model, aim=aim, most_half_width=most, most_half_widths=widths, unlike=unlike,
            actor=session.actor(),
        )  # fmt: skip
        messages.say("The rule is frozen with the model.")


def _draw_rule(rule: Mapping[str, Any]) -> None:
    if "limit" in rule:
        uses = rule.get("test_uses", 0)
        late = f" It was frozen after the test split had been used {say_times(uses)}." if uses else ""
        st.markdown(
            f"Answers where it is sure at **{rule['limit']:.3f}** or more. On **validation**, where the limit was "
            f"chosen (so these numbers flatter), it answers **{_share(rule['coverage'])}** of {rule['n']} cases of "
            f"{rule['n_patients']} patients, and of those **{_share(rule['accuracy'])}** rightly "
            f"(n = {rule['n_answered']}; aim {wording.percent(rule['aim'])}).{late}"
        )
        st.plotly_chart(_curve(rule), config=charts.NO_TOOLBAR, key="abstain_curve", alt="Risk over coverage")
    if "most_half_width" in rule:
        st.markdown(f"Answers while half its interval is at most {rule['most_half_width']:g}.")
    for name, most in rule.get("most_half_widths", {}).items():
        st.markdown(f"Answers while half the interval of {name} is at most {most['value']:g} {most['unit']}.")
    if rule["unlike"]:
        st.caption("It says nothing about cases unlike all that it was trained on.")


def _draw_tested(model: Model) -> None:
    """What the rule gives on test, which had no say in it; else the way there, which is a look at that split."""
    told = find_measured_rule(session.db(), model)
    if told is None:
        st.caption(
            "Not told on **test** yet: it is measured with an evaluation on test that follows the rule, and counts as "
            "one use of that split."
        )
        places.link("evaluate", "Evaluate on test", project=model.project, model=model.id, split="test")
        return
    st.markdown(describe_tested(told))


def describe_tested(told: Mapping[str, Any]) -> str:
    """Coverage and errors of a frozen rule on test, as sentences."""
    answered = (
        f"On **test** it answers **{_share(told['coverage'])}** of {told['n']:,} cases of "
        f"{wording.count(told['n_patients'], 'patient')}"
    )
    if "error" not in told:
        return f"{answered} (n = {told['n_answered']:,}). {_describe_parts(told)}".strip()
    aim = f"; aim {wording.percent(told['aim'])} right" if "aim" in told else ""
    return (
        f"{answered}, and of those **{_share(told['error'])}** wrongly (n = {told['n_answered']:,}{aim}); had it "
        f"answered all, {_share(told['error_of_all'])} would be wrong."
    )


def _describe_parts(told: Mapping[str, Any]) -> str:
    """Mean errors or overlap among the answered beside those among the withheld; "" of an evaluation before they were
    told apart."""
    return " ".join(
        f"{name}: **{_mean(one['answered'])}** among the answered, {_mean(one['withheld'])} among those kept back."
        for name, one in told.get("parts", {}).items()
    )


def _mean(one: Mapping[str, Any]) -> str:
    """`2.41 (1.90 to 3.02; n = 44)`, or that nothing is there."""
    if one["value"] is None:
        return "none (n = 0)"
    ends = "no interval"
    if one["low"] is not None:
        ends = f"{wording.measured(one['low'])} to {wording.measured(one['high'])}"
    return f"{wording.measured(one['value'])} ({ends}; n = {one['n']:,})"


def _share(one: Mapping[str, Any]) -> str:
    """`92.0 % (83.1 to 96.4)`, or that there is no such number and why."""
    if one["value"] is None:
        return f"undefined: {one['reason']}"
    if one["low"] is None:
        return f"{100 * one['value']:.1f} % (no interval)"
    return f"{100 * one['value']:.1f} % ({100 * one['low']:.1f} to {100 * one['high']:.1f})"


def _curve(rule: Mapping[str, Any]) -> go.Figure:
    """The share of errors among the answered over the share that is answered; dotted the chosen limit."""
    figure, colour = go.Figure(), theme.series_colours(light=theme.is_light())[0]
    curve = rule["curve"]
    figure.add_scatter(
        x=curve["coverage"], y=[1 - one for one in curve["accuracy"]], mode="lines", customdata=curve["limits"],
        line={"color": colour, "width": 2},
        hovertemplate="risk %{y:.3f} at coverage %{x:.3f}, limit %{customdata:.3f}<extra></extra>",
    )  # fmt: skip
    figure.add_vline(x=rule["coverage"]["value"], line={"color": charts.QUIET, "dash": "dot"})
    figure.update_layout(height=HEIGHT_PX, margin={"l": 8, "r": 8, "t": 8, "b": 8}, showlegend=False)
    figure.update_xaxes(title=f"coverage: share answered (validation, n = {rule['n']})", range=[0, 1.02])
    figure.update_yaxes(title="risk: errors among answered", rangemode="tozero")
    return figure
