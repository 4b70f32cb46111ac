"""The figures about measured numbers: how they are spread, and how a model's agree with the reference."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.evaluation.pairs import Pair
from core.measures.calibration import half_width_at, tell_reach
from dashboard import theme, wording
from dashboard.charts import QUIET, finished, quieten

BINS = 24
AGREEMENT_HEIGHT = 300  # with tiles, their sentences and the tabs above it the page fits on 1280 x 800
ROOM = 0.05  # of the range, on both sides of the outermost points
BAND_POINTS = 64  # of its edge, which bends where numbers change their sign
BAND, SHADE = "rgba(86,180,233,0.16)", "rgba(125,136,148,0.16)"


def draw_spread(numbers: Mapping[str, Sequence[float]], title: str) -> go.Figure:
    """A small histogram for each split, all over one axis, so that a split that lacks a range is seen."""
    every = [number for some in numbers.values() for number in some]
    low, high = (min(every), max(every)) if every else (0.0, 1.0)
    bins = {"start": low, "end": high + (high - low) / BINS, "size": (high - low) / BINS or 1.0}
    figure = make_subplots(rows=len(numbers), shared_xaxes=True, vertical_spacing=0.06, row_titles=[*numbers])
    colours = theme.series_colours(light=theme.is_light())
    for row, (split, some) in enumerate(numbers.items(), start=1):
        figure.add_histogram(
            x=list(some),
            xbins=bins,
            name=split,
            marker={"color": colours[0]},
            hovertemplate=f"{split}: %{{y}} with %{{x}}<extra></extra>",
            showlegend=False,
            row=row,
            col=1,
        )
    finished(figure, "", "", "", height=70 + 80 * len(numbers))
    figure.update_xaxes(title=title, row=len(numbers), col=1)
    figure.update_yaxes(nticks=3, rangemode="tozero")
    figure.update_layout(bargap=0.06, margin={"b": 40})
    quiet = theme.QUIET["light" if theme.is_light() else "dark"]
    figure.update_annotations(font={"size": 12, "color": quiet})
    quieten(figure)
    return figure


def draw_pairs(pairs: Sequence[Pair], unit: str, interval: Mapping[str, Any] | None) -> go.Figure:
    """What the model says over the reference, with the line on which both are equal and the model's interval about it.

    A point that is clicked carries its case.
    """
    ends = _range([number for pair in pairs for number in (pair.reference, pair.predicted)])
    figure = go.Figure()
    if interval is not None:
        said = np.linspace(*ends, BAND_POINTS)
        reach = half_width_at(interval, said)
        figure.add_scatter(
            x=[*(said - reach), *(said + reach)[::-1]],
            y=[*said, *said[::-1]],
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=BAND,
            hoverinfo="skip",
            name=f"{tell_reach(interval, unit)}, meant for {wording.percent(interval['level'])} of cases",
        )
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": QUIET, "dash": "dot"}, hoverinfo="skip", name="both equal"
    )
    _add_points(figure, pairs, unit, [pair.reference for pair in pairs], [pair.predicted for pair in pairs])
    finished(figure, "Predicted against reference", f"reference, {unit}", f"predicted, {unit}", height=AGREEMENT_HEIGHT)
    figure.update_xaxes(range=ends)
    figure.update_yaxes(range=ends)
    return figure


def draw_differences(pairs: Sequence[Pair], unit: str, metrics: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Differences over means (Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8).

    Bias and limits are lines, their intervals are shaded. A point that is clicked carries its case.
    """
    means = [(pair.reference + pair.predicted) / 2 for pair in pairs]
    ends, figure = _range(means), go.Figure()
    lines = {"bias": "solid", "limit_low": "dash", "limit_high": "dash"}
    for name, dash in lines.items():
        measure = metrics[name]
        if measure["value"] is None:
            continue
        if measure["low"] is not None:
            figure.add_hrect(y0=measure["low"], y1=measure["high"], fillcolor=SHADE, line_width=0, layer="below")
        words = "bias" if name == "bias" else "limit"
        figure.add_hline(
            y=measure["value"],
            line={"color": QUIET, "dash": dash, "width": 1.5},
            annotation={"text": f"{words} {wording.measured(measure['value'])}", "font": {"size": 11}},
            annotation_position="top right",
        )
    _add_points(figure, pairs, unit, means, [pair.predicted - pair.reference for pair in pairs])
    finished(
        figure, "Difference (Bland-Altman)", f"mean of both, {unit}", "predicted − reference", height=AGREEMENT_HEIGHT
    )
    figure.update_xaxes(range=ends)
    quiet = theme.QUIET["light" if theme.is_light() else "dark"]
    figure.update_annotations(font={"color": quiet})
    return figure


def clicked_case(event: Any) -> int | None:
    """The case of the point that was clicked, from `st.plotly_chart`'s answer."""
    points = event["selection"]["points"] if event else []
    if not points or not points[0].get("customdata"):
        return None
    return int(points[0]["customdata"][0])


def _add_points(figure: go.Figure, pairs: Sequence[Pair], unit: str, x: Sequence[float], y: Sequence[float]) -> None:
    told = [
        [
            pair.case_id,
            wording.given(pair.reference),
            wording.measured(pair.predicted),
            wording.measured(pair.predicted - pair.reference),
        ]
        for pair in pairs
    ]
    figure.add_scatter(
        x=list(x),
        y=list(y),
        mode="markers",
        marker={"size": 8, "opacity": 0.8, "color": theme.series_colours(light=theme.is_light())[0]},
        unselected={"marker": {"opacity": 0.8}},
        customdata=told,
        hovertemplate=f"case %{{customdata[0]}}<br>reference %{{customdata[1]}} {unit}<br>"
        f"predicted %{{customdata[2]}} {unit}<br>difference %{{customdata[3]}} {unit}<extra>open</extra>",
        showlegend=False,
    )
    figure.update_layout(clickmode="event+select")


def _range(numbers: Sequence[float]) -> list[float]:
    """From the least to the greatest, with room for the dots at the ends."""
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    room = ROOM * (high - low) or 1.0
    return [low - room, high + room]
