"""The figures. Each takes plain numbers and gives a Plotly figure in the colours of the theme, dark or light.

Class colours come from the project's schema, so that a class has one colour on every screen;
other series take the same ten colour-blind-safe colours in order.
"""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from dashboard import theme

QUIET = "rgba(125,136,148,0.8)"
# Low to high in even steps, from the ground to the accent: what a cell says stands out from its shade on both pages.
DARK_SHADES = ["#161d26", "#1b3344", "#1f4a66", "#27658b", "#2f7fb0", "#56b4e9"]
LIGHT_SHADES = ["#eff4f8", "#d5e6f3", "#b5d3ea", "#8bbbdd", "#4f93c6", "#0b66a8"]
LEARNING_HEIGHT = 190  # with the warning about an absent worker above them the Train page still fits on 1280 x 800
MARKED_EPOCHS = 30  # with more, the dots of a line run together
MOST_TICKS = 8  # epochs that each get a tick
NO_TOOLBAR: dict[str, Any] = {"displayModeBar": False, "scrollZoom": False}
Point = Mapping[str, float | None]


def draw_learning_curves(
    epochs: Sequence[Mapping[str, Any]], pairs: Mapping[str, str], title: str, *, best_epoch: int | None = None
) -> go.Figure:
    """One line per measure over epochs (counted from 1); `pairs` names the key of each epoch's facts by its label.

    The labels stand in one line under the title: beside each other on a small screen a legend of three rows left the
    curves half their height, and words within the plot lay over them.
    """
    figure, colours = go.Figure(), theme.series_colours(light=theme.is_light())
    for at, (label, key) in enumerate(pairs.items()):
        points = [(epoch["epoch"], epoch[key]) for epoch in epochs if epoch.get(key) is not None]
        figure.add_scatter(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            name=label,
            mode="lines+markers" if len(epochs) <= MARKED_EPOCHS else "lines",
            line={"color": colours[at], "width": 2},
            marker={"size": 5},
            showlegend=False,
            hovertemplate=f"{label} %{{y:.4f}}<extra>epoch %{{x}}</extra>",
        )
    if best_epoch:
        figure.add_vline(x=best_epoch, line={"color": QUIET, "dash": "dot"})
    axis = f"epoch, dotted: the best, {best_epoch}" if best_epoch else "epoch"
    finished(figure, title, axis, "", height=LEARNING_HEIGHT)
    labels = [f'<span style="color:{colours[at]}">━</span> {label}' for at, label in enumerate(pairs)]
    quiet = theme.QUIET["light" if theme.is_light() else "dark"]
    figure.update_layout(
        title={
            "y": 0.97,
            "yanchor": "top",
            "subtitle": {"text": "  ".join(labels), "font": {"size": 11, "color": quiet}},
        },
        margin={"t": 58, "b": 36},
    )
    # Few epochs: a tick at each, for there is no epoch 1.5.
    few = {"dtick": 1} if len(epochs) <= MOST_TICKS else {}
    figure.update_xaxes(title={"standoff": 6}, **few)
    return figure


def draw_confusion_matrix(matrix: Sequence[Sequence[int]], classes: Sequence[str], *, share_of_row: bool) -> go.Figure:
    """Rows: reference. Columns: predicted. A click on a cell selects a marker that carries `[row, column]`.

    Plotly's heat-map cells cannot be selected, so transparent markers lie over them.
    """
    totals = [sum(row) for row in matrix]
    shares = [[cell / total if total else 0.0 for cell in row] for row, total in zip(matrix, totals, strict=True)]
    texts = [
        [f"{100 * share:.1f} %" if share_of_row else f"{cell:,}" for cell, share in zip(*pair, strict=True)]
        for pair in zip(matrix, shares, strict=True)
    ]
    figure, shades = go.Figure(), LIGHT_SHADES if theme.is_light() else DARK_SHADES
    scale = [[at / (len(shades) - 1), shade] for at, shade in enumerate(shades)]
    # The colour is always the share of the row: with counts a rare class would look empty whatever its recall.
    figure.add_heatmap(z=shares, zmin=0, zmax=1, colorscale=scale, showscale=False, xgap=3, ygap=3, hoverinfo="skip")
    cells = [(row, column) for row in range(len(classes)) for column in range(len(classes))]
    figure.add_scatter(
        x=[column for _, column in cells],
        y=[row for row, _ in cells],
        mode="markers+text",
        text=[texts[row][column] for row, column in cells],
        textfont={"size": 15, "color": [_ink(shares[row][column], shades) for row, column in cells]},
        marker={"symbol": "square", "size": max(26, 230 // max(1, len(classes))), "color": "rgba(0,0,0,0)"},
        selected={"marker": {"color": "rgba(255,255,255,0.14)", "opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        customdata=[[r, c, classes[r], classes[c], matrix[r][c], totals[r]] for r, c in cells],
        hovertemplate="reference %{customdata[2]}, predicted %{customdata[3]}<br>"
        "%{customdata[4]} of %{customdata[5]} cases<extra>open</extra>",
        showlegend=False,
    )
    names = ["<br>".join(wrap(name.replace("_", " "), 13)) for name in classes]
    marks = {
        "tickvals": list(range(len(classes))),
        "ticktext": names,
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
    }
    figure.update_xaxes(title="predicted", tickangle=0, range=[-0.5, len(classes) - 0.5], **marks)
    figure.update_yaxes(title="reference", range=[len(classes) - 0.5, -0.5], **marks)
    figure.update_layout(clickmode="event+select", dragmode=False, height=max(205, 60 + 62 * len(classes)))
    figure.update_layout(margin={"l": 10, "r": 10, "t": 10, "b": 10}, paper_bgcolor="rgba(0,0,0,0)")
    quieten(figure)
    return figure


def clicked_cell(event: Any) -> tuple[int, int] | None:
    """Row and column of the cell of a confusion matrix that was clicked, from `st.plotly_chart`'s answer."""
    points = event["selection"]["points"] if event else []
    if not points or not points[0].get("customdata"):
        return None
    row, column = points[0]["customdata"][:2]
    return int(row), int(column)


def draw_roc(
    curves: Mapping[str, Mapping[str, Sequence[float]]],
    names: Mapping[str, str],
    bands: Mapping[str, Any] | None = None,
) -> go.Figure:
    """Sensitivity over 1 - specificity, one curve per class, with its band where there is one; `names` gives each its
    legend (with AUC and n), `bands` are those of an evaluation's document."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": QUIET, "dash": "dot"}, hoverinfo="skip", showlegend=False
    )
    for at, (label, curve) in enumerate(curves.items()):
        _add_band(figure, label, bands, "roc", at)
        _add_curve(figure, label, names, curve["false_positive_rate"], curve["true_positive_rate"], at)
    return finished(figure, "ROC", "1 − specificity", "sensitivity", height=340, square=True)


def draw_precision_recall(
    curves: Mapping[str, Mapping[str, Sequence[float]]],
    names: Mapping[str, str],
    bands: Mapping[str, Any] | None = None,
) -> go.Figure:
    """Precision over recall, one curve per class, with its band where there is one."""
    figure = go.Figure()
    for at, (label, curve) in enumerate(curves.items()):
        _add_band(figure, label, bands, "precision_recall", at)
        _add_curve(figure, label, names, curve["recall"], curve["precision"], at)
    return finished(figure, "Precision and recall", "recall", "precision", height=340, square=True)


def draw_intervals(measures: Mapping[str, Point], title: str) -> go.Figure:
    """Each measure as a dot with its 95 % interval as whiskers, from the top down, on 0 to 1."""
    shown = {name: point for name, point in measures.items() if point.get("value") is not None}
    values = [float(point["value"] or 0) for point in shown.values()]
    upper = [
        max(0.0, float(point.get("high") or value) - value) for point, value in zip(shown.values(), values, strict=True)
    ]
    lower = [
        max(0.0, value - float(point.get("low") or value)) for point, value in zip(shown.values(), values, strict=True)
    ]
    figure, accent = go.Figure(), theme.series_colours(light=theme.is_light())[0]
    figure.add_scatter(
        x=values,
        y=list(shown),
        mode="markers",
        marker={"size": 9, "color": accent},
        showlegend=False,
        cliponaxis=False,  # a dot at 1 is whole
        error_x={"type": "data", "symmetric": False, "array": upper, "arrayminus": lower, "color": accent},
        hovertemplate="%{y} %{x:.3f}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", dtick=1)  # a name beside every row, however low the figure
    # With fewer than 15 pixels a row, names lie over one another; with more, Evaluate scrolls at three classes.
    finished(figure, title, "", "", height=50 + 16 * max(1, len(shown)), unit_range="x")
    return figure.update_layout(margin={"t": 28, "b": 22}, title={"y": 1, "yanchor": "top", "pad": {"t": 1}})


def draw_balance(counts: Mapping[str, Mapping[str, int]], colours: Mapping[str, str]) -> go.Figure:
    """Cases per class, one bar per split; a class keeps its colour."""
    figure = go.Figure()
    splits = list(counts)
    for label, colour in colours.items():
        figure.add_bar(
            y=splits,
            x=[counts[split].get(label, 0) for split in splits],
            name=label,
            orientation="h",
            marker={"color": theme.on_ground(colour, light=theme.is_light())},
            hovertemplate=f"{label}: %{{x:,}}<extra>%{{y}}</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_yaxes(autorange="reversed")
    return finished(figure, "", "", "", height=110 + 40 * len(splits))


def _ink(share: float, shades: Sequence[str]) -> str:
    """Black or white, whichever reads better on the shade of a cell; one of them always does."""
    shade = theme.between(shades, share)
    return max(("#000000", "#ffffff"), key=lambda ink: theme.contrast(ink, shade))


def _add_curve(
    figure: go.Figure, label: str, names: Mapping[str, str], x: Sequence[float], y: Sequence[float], at: int
) -> None:
    colours, name = theme.series_colours(light=theme.is_light()), names.get(label, label)
    figure.add_scatter(
        x=list(x),
        y=list(y),
        name=name,
        legendgroup=label,
        mode="lines",
        showlegend=True,  # a single curve has its area and n there too
        line={"color": colours[at % len(colours)], "width": 2},
        hovertemplate=f"{name}<br>%{{x:.3f}}, %{{y:.3f}}<extra></extra>",
    )


def _add_band(figure: go.Figure, label: str, bands: Mapping[str, Any] | None, kind: str, at: int) -> None:
    """Behind its curve, and hidden with it by a click on the legend."""
    band = (bands or {}).get(kind, {}).get(label)
    if not band or not bands:  # an evaluation of an earlier version has none
        return
    colours = theme.series_colours(light=theme.is_light())
    figure.add_scatter(
        x=[*bands["at"], *bands["at"][::-1]],
        y=[*band["low"], *band["high"][::-1]],
        name=f"{label}: 95 % band",
        legendgroup=label,
        mode="lines",
        fill="toself",
        opacity=0.2,
        line={"width": 0, "color": colours[at % len(colours)]},
        hoverinfo="skip",
        showlegend=False,
    )


def finished(
    figure: go.Figure, title: str, x: str, y: str, *, height: int, square: bool = False, unit_range: str = ""
) -> go.Figure:
    """Quiet margins, legend below, no ground of its own."""
    figure.update_layout(
        title={"text": title, "font": {"size": 14}} if title else None,
        height=height,
        margin={"l": 10, "r": 10, "t": 36 if title else 10, "b": 54 if x else 40},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        dragmode=False,
        font={"size": 12},
    )
    figure.update_xaxes(title=x, zeroline=False)
    figure.update_yaxes(title=y, zeroline=False)
    quieten(figure)
    if square:
        figure.update_xaxes(range=[-0.02, 1.02], constrain="domain")
        figure.update_yaxes(range=[-0.02, 1.02], constrain="domain", scaleanchor="x")
    if unit_range == "x":
        figure.update_xaxes(range=[0, 1.0])
    return figure


def quieten(figure: go.Figure) -> None:
    """Axes and legend step back behind the data, and stay readable in both themes."""
    quiet = theme.QUIET["light" if theme.is_light() else "dark"]
    figure.update_xaxes(tickfont={"color": quiet}, title={"font": {"color": quiet, "size": 12}})
    figure.update_yaxes(tickfont={"color": quiet}, title={"font": {"color": quiet, "size": 12}})
    figure.update_layout(legend={"font": {"size": 11, "color": quiet}})
