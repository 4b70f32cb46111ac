"""The series of an import on screen: what each became or would become, with its slices drawn along their normal."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from statistics import median

import streamlit as st

from core.images.import_files import ToldSeries
from core.images.series_report import Part
from dashboard import places, wording

STRIP_WIDTH, STRIP_HEIGHT = 260, 22
WIDE_GAP = 1.5  # times the usual one: something may be missing there
SHOWN_AT_MOST = 60
CASES_SHOWN = 6
STATUS_WORDS = {
    "imported": "imported",
    "joined": "joined",
    "held": "held for a check",
    "skipped": "skipped",
    "waiting": "waiting",
    "failed": "refused",
}


def draw_series(series: Sequence[ToldSeries], project: int | None) -> None:
    """All series of an import, those with something odd first."""
    ordered = sorted(series, key=lambda one: (not one.series.is_odd, one.series.number))
    st.html(
        '<div class="rr-series">' + "".join(_row(one, project) for one in ordered[:SHOWN_AT_MOST]) + "</div>",
    )
    if len(ordered) > SHOWN_AT_MOST:
        st.caption(f"{len(ordered) - SHOWN_AT_MOST:,} further series are in the CSV.")


def draw_choice(series: Sequence[ToldSeries], project: int | None, key: str) -> list[int]:
    """The series that wait, each with a box to tick; the numbers of those that are left out."""
    left_out = []
    for one in series[:SHOWN_AT_MOST]:
        box, row = st.columns([1, 24], vertical_alignment="top", gap="small")
        chosen = box.checkbox(
            f"Series {one.series.number}", value=True, key=f"{key}_{one.series.number}", label_visibility="collapsed"
        )
        row.html(f'<div class="rr-series">{_row(one, project)}</div>')
        if not chosen:
            left_out.append(one.series.number)
    if len(series) > SHOWN_AT_MOST:
        st.caption(f"{len(series) - SHOWN_AT_MOST:,} further series wait too, and go with these.")
    return left_out


def _row(one: ToldSeries, project: int | None) -> str:
    series = one.series
    counts = "".join(
        f'<span class="rr-chip {word}">{amount:,} {STATUS_WORDS.get(word, word)}</span>'
        for word, amount in one.counts.items()
        if amount
    )
    cases = ", ".join(
        f'<a href="{places.address("case", project=project, case=case)}" target="_self">case {case}</a>'
        for case in one.cases[:CASES_SHOWN]
    )
    if len(one.cases) > CASES_SHOWN:
        cases += f" and {len(one.cases) - CASES_SHOWN:,} more"
    odd = "".join(f'<p class="rr-odd">{escape(sentence)}</p>' for sentence in series.oddities)
    copies = f"; {wording.count(series.copies, 'file is a copy', 'files are copies')}" if series.copies else ""
    strips = "".join(_strip(part) for part in series.parts if len(part.depths_mm) > 1)
    return (
        f"<article><header><b>{series.number}. {escape(one.what)}</b><span>{counts} {cases}</span></header>"
        f'<p class="rr-quiet">{escape(one.becomes)}{copies}</p>{odd}<div class="rr-strips">{strips}</div></article>'
    )


def _strip(part: Part) -> str:
    """Each slice as a line where it lies; the wide gaps between them are filled."""
    depths = sorted(part.depths_mm)
    length = depths[-1] - depths[0] or 1.0
    scale = (STRIP_WIDTH - 4) / length
    at = [2 + (depth - depths[0]) * scale for depth in depths]
    usual = median(second - first for first, second in pairwise(depths))
    gaps = "".join(
        f'<rect class="gap" x="{at[number]:.1f}" y="3" width="{at[number + 1] - at[number]:.1f}" height="16"/>'
        for number, (first, second) in enumerate(pairwise(depths))
        if usual > 0 and second - first > WIDE_GAP * usual
    )
    lines = "".join(f'<path d="M{x:.1f} 3V19"/>' for x in at)
    name = f"{part.name}: " if part.name else ""
    step = f", every {part.slice_spacing_mm:g} mm" if part.slice_spacing_mm else ", uneven steps"
    said = f"{name}{wording.count(len(depths), 'slice')} over {length:g} mm{step}"
    return (
        f'<figure><svg viewBox="0 0 {STRIP_WIDTH} {STRIP_HEIGHT}" width="{STRIP_WIDTH}" height="{STRIP_HEIGHT}" '
        f'role="img" aria-label="{escape(said)}">{gaps}{lines}</svg><figcaption>{escape(said)}</figcaption></figure>'
    )
