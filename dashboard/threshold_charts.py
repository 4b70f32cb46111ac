"""The figures about a threshold: what it finds and clears, and what deciding by it is worth."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.measures.thresholds import DecisionCurve
from dashboard import theme
from dashboard.charts import QUIET, finished

BAND = "rgba(86,180,233,0.16)"
HEIGHT = 300


def draw_sweep(cuts: np.ndarray, found: np.ndarray, cleared: np.ndarray, frozen: float | None) -> dict[str, Any]:
    """Sensitivity and specificity over the threshold, with a dotted line at the frozen one, where there is one, as a
    figure's document.

    A move of the slider changes one line of it (`mark_chosen`): to build the rest anew takes longer than all else.
    """
    figure, colours = go.Figure(), theme.series_colours(light=theme.is_light())
    for at, (name, values) in enumerate({"sensitivity": found, "specificity": cleared}.items()):
        figure.add_scatter(
            x=cuts.round(3).tolist(), y=values.round(5).tolist(), name=name, mode="lines",
            line={"color": colours[at], "width": 2, "shape": "hv"},
            hovertemplate=f"{name} %{{y:.3f}} from %{{x:.3f}} on<extra></extra>",
        )  # fmt: skip
    if frozen is not None:
        figure.add_vline(x=frozen, line={"color": QUIET, "dash": "dot", "width": 1})
    drawn = finished(figure, "Sensitivity and specificity", "threshold", "", height=HEIGHT, square=True)
    told = drawn.to_dict()
    del told["layout"]["template"]  # every figure gets it again, and from a document it is checked word by word
    return dict(told)


def mark_chosen(sweep: dict[str, Any], chosen: float) -> go.Figure:
    """The figure of `draw_sweep` with a line at the chosen threshold."""
    line = {"color": theme.series_colours(light=theme.is_light())[2], "width": 2}
    place = {"type": "line", "x0": chosen, "x1": chosen, "y0": 0, "y1": 1, "xref": "x", "yref": "y domain"}
    layout = {**sweep["layout"], "shapes": [*sweep["layout"].get("shapes", ()), {**place, "line": line}]}
    return go.Figure({**sweep, "layout": layout})


def draw_decision_curve(curve: DecisionCurve, frozen: float | None) -> go.Figure:
    """Net benefit of the model with its interval, of calling everybody, and of calling nobody."""
    figure, colours = go.Figure(), theme.series_colours(light=theme.is_light())
    if curve.low[0] is not None:
        figure.add_scatter(
            x=[*curve.thresholds, *reversed(curve.thresholds)],
            y=[*curve.high, *reversed(curve.low)],
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=BAND,
            hoverinfo="skip",
            showlegend=False,
        )
    lines = {"model": (curve.net_benefit, colours[0], "solid"), "call all": (curve.treat_all, colours[1], "dash"),
             "call nobody": ([0.0] * len(curve.thresholds), QUIET, "dot")}  # fmt: skip
    for name, (values, colour, dash) in lines.items():
        figure.add_scatter(
            x=curve.thresholds, y=values, name=name, mode="lines", line={"color": colour, "dash": dash, "width": 2},
            hovertemplate=f"{name} %{{y:.3f}} at %{{x:.2f}}<extra></extra>",
        )  # fmt: skip
    top = max(*curve.net_benefit, *(high for high in curve.high if high is not None), 0.05)
    if frozen is not None:
        figure.add_vline(x=frozen, line={"color": QUIET, "dash": "dot", "width": 1})
    finished(figure, f"Decision curve (n = {curve.n:,})", "threshold probability", "net benefit", height=HEIGHT)
    figure.update_yaxes(range=[-0.3 * top, 1.1 * top])
    figure.update_xaxes(range=[0, 1])
    return figure
