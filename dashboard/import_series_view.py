"""The series of an import on screen: what each became or would become, with its slices drawn along their normal."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from statistics import median

import streamlit as st

from core.images.import_files import ToldSeries
from core.images.series_report import Part
from dashboard import places, wording

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
    """The series that wait, each with a box to tick, those with something odd first; those that are left out."""
    odd, plain = [one for one in series if one.series.is_odd], [one for one in series if not one.series.is_odd]
    left_out = _choose(odd[:SHOWN_AT_MOST], project, key)
    if plain:
        words = wording.count(len(plain), "series", "series")
        with st.expander(f"{words} with nothing odd" if odd else words, expanded=not odd and len(plain) <= 5):
            left_out += _choose(plain[:SHOWN_AT_MOST], project, key)
    further = sum(max(0, len(some) - SHOWN_AT_MOST) for some in (odd, plain))
    if further:
        st.caption(f"{further:,} further series wait too, and go with these.")
    return left_out


def _choose(series: Sequence[ToldSeries], project: int | None, key: str) -> list[int]:
    left_out = []
    for one in series:
        box, row = st.columns([1, 24], vertical_alignment="center", gap="small")
        chosen = box.checkbox(
            f"Series {one.series.number}", value=True, key=f"{key}_{one.series.number}", label_visibility="collapsed"
        )
        row.html(f'<div class="rr-series">{_row(one, project)}</div>')
        if not chosen:
            left_out.append(one.series.number)
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
    length = depths[-1] - depths[0]
    percent = 99.4 / (length or 1.0)
    at = [(depth - depths[0]) * percent for depth in depths]
    usual = median(second - first for first, second in pairwise(depths))
    gaps = "".join(
        f'<s style="left:{first:.2f}%;width:{second - first:.2f}%"></s>'
        for first, second in pairwise(at)
        if usual > 0 and second - first > WIDE_GAP * usual * percent
    )
    lines = "".join(f'<i style="left:{x:.2f}%"></i>' for x in at)
    name = f"{part.name}: " if part.name else ""
    step = f", every {part.slice_spacing_mm:.4g} mm" if part.slice_spacing_mm else ", uneven steps"
    said = escape(f"{name}{wording.count(len(depths), 'slice')} over {length:.4g} mm{step}")
    return (
        f'<figure><div class="rr-strip" aria-hidden="true">{gaps}{lines}</div><figcaption>{said}</figcaption></figure>'
    )
