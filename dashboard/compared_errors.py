"""Two models or more that say numbers or paint structures, on screen: each quantity's or structure's paired difference,
and the cases that changed."""

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from core.evaluation.paired_errors import PairedErrors
from core.evaluation.paired_parts import Changed, PairedPart
from core.projects.records import Project
from core.projects.schema import Segmentation
from dashboard import numbers_view, places, wording
from dashboard.case_strip import draw_cases

HEAD = '<th>n</th><th>mean</th><th colspan="2">difference</th><th>newly better / worse</th><th>verdict</th>'


def draw_errors(project: Project, told: PairedErrors, view: Mapping[str, places.Query]) -> None:
    """The sentences, a row for each quantity or structure, and of the chosen one the cases that changed."""
    st.html("".join(f"<p><b>{escape(sentence)}</b></p>" for sentence in told.sentences))
    ends = _ends([told])
    rows = "".join(f"<tr><td>{escape(part.name)}</td>{_cells(part, ends[part.name])}</tr>" for part in told.parts)
    st.html(
        f'<div class="rr-scroll"><table class="rr-numbers rr-labels"><tr><th>{escape(told.second)} less '
        f"{escape(told.first)}</th>{HEAD}</tr>{rows}</table></div>"
    )
    st.caption(f"{describe_intervals(told)} {told.note}")
    part = _choose_part(told)
    between = f"{told.second} against {told.first}, {told.split}"
    if isinstance(project.schema, Segmentation):
        view = {**view, "structure": part.of}
    for column, cases, words in zip(
        st.columns(2, gap="large"), (part.better, part.worse), ("better", "worse"), strict=True
    ):
        with column:
            st.markdown(f"##### Newly {words}: {len(cases):,}")
            draw_cases(
                project, [one.case_id for one in cases], view=view, key=f"newly_{words}",
                name=f"Newly {words} by {part.name}, {between}",
                said={one.case_id: _say_change(one, words) for one in cases},
            )  # fmt: skip
    st.caption(_describe_change(project, part))


def rows_of(told: PairedErrors, ends: Mapping[str, float]) -> str:
    """The rows of a table that several comparisons share."""
    return "".join(
        f"<tr><td>{escape(told.first)}{f'<br><small>{escape(part.name)}</small>' if len(told.parts) > 1 else ''}</td>"
        f"{_cells(part, ends[part.name])}</tr>"
        for part in told.parts
    )


def draw_several(name: str, found: Sequence[PairedErrors], refused: Mapping[str, str]) -> None:
    """A row for each of the other models and each quantity or structure; why others have none."""
    ends = _ends(found)
    rows = "".join(rows_of(told, ends) for told in found) + "".join(
        f'<tr><td>{escape(other)}</td><td colspan="6"><small>{escape(why)}</small></td></tr>'
        for other, why in refused.items()
    )
    of = f"; {escape(found[0].parts[0].name)}" if found and len(found[0].parts) == 1 else ""
    st.html(
        f'<div class="rr-scroll"><table class="rr-numbers rr-labels"><tr><th>{escape(name)} against{of}</th>{HEAD}</tr>'
        f"{rows}</table></div>"
    )
    if found:
        st.caption(found[0].note + " Each interval and each p (sign test) shown is by itself.")


def describe_intervals(told: PairedErrors) -> str:
    """Which cases the differences stand on, and how their intervals are made."""
    return (
        f"On the same {wording.count(told.n_cases, 'case')} of {wording.count(told.n_patients, 'patient')}. 95 % "
        "intervals: paired bootstrap over patients, 2,000 resamples, seed 0, each by itself. p: exact sign test"
        + ("." if told.n_cases == told.n_patients else "; it takes images of one patient for independent.")
    )


def _choose_part(told: PairedErrors) -> PairedPart:
    if len(told.parts) == 1:
        return told.parts[0]
    by_name = {part.of: part for part in told.parts}
    names = list(by_name)
    return by_name[st.pills("Changed cases by", names, default=names[0], required=True, key="changed_part")]


def _cells(part: PairedPart, end: float) -> str:
    first, second = (wording.measured(one) for one in part.values)
    told = numbers_view.cells(vars(part.difference), -end, end, wording.difference)
    return (
        f"<td>{part.n_cases:,}</td><td>{first} → {second}</td>{told}"
        f"<td>{len(part.better):,} / {len(part.worse):,}, {wording.p_value(part.p)}</td>"
        f"<td>{verdict_cell(part.verdict, part.verdict_reason)}</td>"
    )


def verdict_cell(verdict: str, reason: str) -> str:
    """A verdict in a table, with the reason below it where it is undefined."""
    return escape(verdict) + (f"<br><small>{escape(reason)}</small>" if reason else "")


def _ends(found: Sequence[PairedErrors]) -> dict[str, float]:
    """Where the scale of each part's whiskers ends. Overlaps share a scale; quantities have a unit each."""
    ends: dict[str, float] = {}
    for told in found:
        for part in told.parts:
            one = part.difference
            ends[part.name] = max(
                [ends.get(part.name, 1e-9), *(abs(end) for end in (one.low, one.high, one.value) if end)]
            )
    if all(name.startswith("Dice") for name in ends) and ends:
        return dict.fromkeys(ends, max(ends.values()))
    return ends


def _say_change(one: Changed, words: str) -> str:
    if one.values is None:
        return "now left empty" if words == "better" else "now painted, rightly empty"
    first, second = (wording.measured(value) for value in one.values)
    return f"{first} → {second}"


def _describe_change(project: Project, part: PairedPart) -> str:
    if isinstance(project.schema, Segmentation):
        return (
            f"A case is newly better or worse where its Dice changed by {part.changed_by:g} or more, or where the "
            "reference is empty and one of the two painted something. The largest change first."
        )
    return (
        f"A case is newly better or worse where its error changed by {wording.measured(part.changed_by)} or more, half "
        "the mean error of both models. The largest change first."
    )
