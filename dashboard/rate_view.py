"""The learning-rate test on the page Train: what was found on a snapshot last, as a curve and a sentence."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.datasets.records import Snapshot
from core.jobs.records import list_jobs
from dashboard import charts, jobs_panel, session, theme, wording

HEIGHT_PX = 200


def draw_rate_test(snapshot: Snapshot) -> None:
    """The test that runs now, else the last one of this snapshot; its place where there was none."""
    seer = session.current_user()
    jobs = list_jobs(session.db(), project=snapshot.project, kinds=("find_rate",), seen_by=seer, limit=50)
    last = next((job for job in jobs if job.arguments["snapshot"] == snapshot.id), None)
    if last is None:
        # The popover opens where it has room; one that grew later would be cut at the foot of a small screen.
        st.html('<div class="rr-waiting">The curve appears here.</div>')
        return
    if not last.result:
        jobs_panel.watch_job(last)
        return
    st.text(last.result["sentence"])
    tried = last.arguments["recipe"]
    st.caption(
        f"Tried on {wording.moment(last.created_at)} with {tried['network']}, batches of {tried['batch']} and "
        f"{tried['optimiser']}; with others the rate is another."
    )
    st.plotly_chart(
        _curve(last.result), config=charts.NO_TOOLBAR, key=f"rate_{last.id}", alt="Loss over the learning rate"
    )


def _curve(found: Mapping[str, Any]) -> go.Figure:
    """The smoothed loss over the rate, with the suggested one dotted."""
    colour = theme.series_colours(light=theme.is_light())[0]
    figure = go.Figure()
    figure.add_scatter(
        x=found["rates"],
        y=found["losses"],
        mode="lines",
        line={"color": colour, "width": 2},
        hovertemplate="rate %{x:.2g}<br>loss %{y:.4f}<extra></extra>",
    )
    if found["suggested"]:
        figure.add_vline(x=found["suggested"], line={"color": charts.QUIET, "dash": "dot"})
    lowest = min(found["losses"])
    figure.update_layout(height=HEIGHT_PX, margin={"l": 8, "r": 8, "t": 8, "b": 8}, showlegend=False)
    figure.update_xaxes(type="log", dtick=1, exponentformat="power", title="learning rate, dotted: suggested")
    figure.update_yaxes(title="loss", range=[0.9 * lowest, max(1.5 * found["losses"][0], 2 * lowest)])
    return figure
