"""The learning curve by training-set size on the page Train: what more cases are expected to bring."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core.datasets.records import Snapshot
from core.jobs.asking_trials import ask_learning_curve
from core.jobs.records import list_jobs
from core.projects.records import Project
from core.training.headline import WORDS
from core.training.learning_curve import FRACTIONS, expected_seconds, forecast_of
from core.training.power_law import FARTHEST
from core.training.recipe import Recipe
from dashboard import charts, jobs_panel, messages, once, session, theme, wording

HEIGHT_PX = 260


def draw_learning_curve(project: Project, snapshot: Snapshot, recipe: Recipe, fold: int | None) -> None:
    """What it does and costs, the button, and the curve that runs now or was made last of this snapshot."""
    seconds = expected_seconds(session.db(), snapshot, recipe)
    cost = (
        f"About {wording.duration(seconds)} in all, by an earlier run of this network."
        if seconds
        else "How long it takes is said after its first steps."
    )
    shares = ", ".join(f"{100 * fraction:.0f}" for fraction in FRACTIONS)
    st.caption(
        f"Trains the recipe on {shares} % of the training patients, measures each on the same validation split and "
        f"looks ahead. No model is stored. {cost}"
    )
    seer = session.current_user()
    jobs = list_jobs(session.db(), project=snapshot.project, kinds=("learning_curve",), seen_by=seer, limit=50)
    last = next((job for job in jobs if job.arguments["snapshot"] == snapshot.id), None)
    if st.button(
        "Make a learning curve",
        icon=":material/trending_up:",
        key=once.key("train_learning_curve"),
        disabled=bool(snapshot.loss) or bool(last and last.is_active),
    ):
        with messages.refusals_shown():
            ask_learning_curve(
                session.db(), project, snapshot, recipe, fold=fold, files=session.files(), actor=session.actor()
            )
            once.spend()
            st.rerun()
    if last and not last.result:
        jobs_panel.watch_job(last)
    elif last:
        _draw_curve(last.id, dict(last.result or {}), last.arguments.get("fold"))


def _draw_curve(job: int, curve: dict[str, Any], fold: int | None) -> None:
    n = max((point["cases"] for point in curve["points"]), default=1)
    left, right = st.columns([1, 3], vertical_alignment="center")
    more = left.number_input(
        "More cases", 1, max(1, int((FARTHEST - 1) * n)), min(n, curve["forecast"]["more"]), key=f"curve_more_{job}"
    )
    right.markdown(f"**{forecast_of(curve, int(more))['sentence']}**")
    figure = draw_curve(curve, n + int(more))
    st.plotly_chart(figure, config=charts.NO_TOOLBAR, key=f"curve_{job}", alt="The metric over training cases")
    made_of = curve["network"] if fold is None else f"{curve['network']}, fold {fold}"
    st.caption(
        f"{made_of}; dots with 95 % intervals over {curve['patients']:,} validation patients; line and band: "
        "inverse power law (Figueroa 2012). The band says what other validation patients would, not what another draw "
        "of training cases would."
    )


def draw_curve(curve: Mapping[str, Any], ahead: int) -> go.Figure:
    """The points with their intervals, the law through them, and the band of the resamples' laws, up to `ahead`."""
    colour = theme.series_colours(light=theme.is_light())[0]
    points, sign = curve["points"], -1.0 if curve["is_error"] else 1.0
    figure = go.Figure()
    if len(points) > 1:
        n = np.linspace(min(point["cases"] for point in points), ahead, 60)
        line = sign * _values(np.array([curve["law"]]), n)[0]
        if curve["laws"]:
            low, high = np.quantile(sign * _values(np.array(curve["laws"]), n), [0.025, 0.975], axis=0)
            figure.add_scatter(x=[*n, *n[::-1]], y=[*low, *high[::-1]], fill="toself", mode="lines", opacity=0.2,
                               line={"width": 0, "color": colour}, hoverinfo="skip")  # fmt: skip
        figure.add_scatter(x=n, y=line, mode="lines", line={"color": colour, "width": 2}, hoverinfo="skip")
    figure.add_scatter(
        x=[point["cases"] for point in points],
        y=[point["value"] for point in points],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [_reach(point, "high") for point in points],
            "arrayminus": [_reach(point, "low") for point in points],
        },
        mode="markers",
        marker={"color": colour, "size": 8},
        hovertemplate="%{x:,} cases<br>%{y:.3f}<extra></extra>",
    )
    figure.update_layout(height=HEIGHT_PX, margin={"l": 8, "r": 8, "t": 8, "b": 8}, showlegend=False)
    figure.update_xaxes(title="training cases")
    unit = f", {curve['unit']}" if curve.get("unit") else ""
    figure.update_yaxes(title=WORDS.get(curve["metric"], curve["metric"]) + unit)
    return figure


def _reach(point: Mapping[str, Any], end: str) -> float:
    """From the value to an end of its interval; 0 where it has none."""
    return 0.0 if point[end] is None else abs(float(point[end]) - float(point["value"]))


def _values(laws: np.ndarray, n: np.ndarray) -> np.ndarray:
    a, b, c = (laws[:, at, None] for at in range(3))
    return np.asarray(a - b * n[None] ** -c)
