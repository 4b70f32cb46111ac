"""Groups of a split's cases on screen, each against the rest, and the choice of one of the worst slices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from core.evaluation.appearance import FEWEST_CASES, NAME, Appearance
from core.measures.groups import FEWEST_PATIENTS, FEWEST_POSITIVES, Group
from dashboard import numbers_view, wording

Say = Callable[[Mapping[str, float | None]], str]


@dataclass(frozen=True)
class Scale:
    """How a metric is written, and the ends of the lines that its whiskers and those of differences are drawn on."""

    top: float = 1.0
    reach: float = 0.5
    say: Say = wording.interval
    say_difference: Say = wording.difference


SHARES = Scale()


def draw_groups(
    groups: Sequence[Group],
    title: str,
    *,
    how: str,
    counted: str = "",
    scale: Scale = SHARES,
    highest_first: bool = False,
) -> None:
    """A row a group, the worst first and small ones greyed at the end.

    Args:
        how: where the intervals come from.
        counted: the title of the column of the cases that the metric stands on; "" where that is all of them.
    """
    sign = -1.0 if highest_first else 1.0
    ordered = sorted(
        groups,
        key=lambda group: (group.small, group.estimate.value is None, sign * (group.estimate.value or 0.0)),
    )
    rows = "".join(_row(group, scale, counted=bool(counted)) for group in ordered)
    column = f"<th>{counted}</th>" if counted else ""
    st.html(
        '<div class="rr-scroll"><table class="rr-numbers rr-whole"><tr><th>group</th><th>n</th><th>patients</th>'
        f'{column}<th colspan="2">{escape(title)}</th><th colspan="2">difference to the rest</th></tr>{rows}'
        "</table></div>"
    )
    compared = sum(not group.small for group in groups)
    by_chance = (
        f"{wording.count(compared, 'comparison')}: by chance about {0.05 * compared:.1f} of their 95 % intervals leave "
        "zero out; a mark ▲▼ is set only where it is left out by intervals that hold all together (Bonferroni)."
        if compared
        else "None is large enough for a mark ▲▼, which takes intervals that hold all together (Bonferroni)."
    )
    few = f" or {FEWEST_POSITIVES} cases of the class" if counted else ""
    st.caption(
        f"{'Highest' if highest_first else 'Lowest'} first. Greyed: fewer than {FEWEST_PATIENTS} patients{few}. "
        f"{by_chance} {how}; images of a patient count for what they are worth."
    )


def _row(group: Group, scale: Scale, *, counted: bool) -> str:
    few = ' class="few"' if group.small else ""
    mark = "" if not group.differs else " ▼" if (group.difference.value or 0) < 0 else " ▲"
    positive = f"<td>{group.n_positive:,}</td>" if counted else ""
    return (
        f"<tr{few}><td>{escape(group.name)}{mark}</td><td>{group.n_cases:,}</td><td>{group.n_patients:,}</td>"
        f"{positive}{numbers_view.cells(vars(group.estimate), 0, scale.top, scale.say)}"
        f"{numbers_view.cells(vars(group.difference), -scale.reach, scale.reach, scale.say_difference)}</tr>"
    )


def choose_worst(worst: Sequence[Group], tried: int, told: Callable[[Group], str]) -> Group | None:
    """The slice that is looked at, the worst to begin with; None where there is none, which is said.

    Args:
        told: the metric of a slice and its difference to the rest, in words.
    """
    st.markdown("##### Worst slices")
    if not tried:
        st.caption("No slice by one attribute or two is large enough to be tried.")
        return None
    if not worst:
        st.caption(f"Of {wording.count(tried, 'slice')} by one attribute or two that are large enough, none is worse.")
        return None

    def named(at: int) -> str:
        group = worst[at]
        sure = "beyond chance" if group.differs else "may be chance"
        return f"{group.name}: {told(group)}, n = {group.n_cases:,}; {sure}"

    at = st.selectbox(
        f"The worst of {tried:,} tried; the more are tried, the worse the worst looks by chance alone",
        range(len(worst)),
        format_func=named,
        key="worst_slice",
    )
    return worst[at]


def describe_appearance(looks: Appearance | None, n: int) -> str:
    """How groups by appearance were found, or why there are none."""
    if looks:
        return (
            f"{NAME.capitalize()}: {wording.count(len(set(looks.groups)), 'group')} of cases that the network sees as "
            "alike beside what it answers, group 1 the largest (k-means on its last features less their linear fit on "
            "the answer, seed 0; the number of groups by the largest silhouette). No label takes part; what a group "
            "has in common only its cases tell."
        )
    if n < FEWEST_CASES:
        return f"Groups by appearance take {FEWEST_CASES} cases or more."
    return "Groups by appearance are not kept, or all cases look alike to the network: evaluate again to look for them."
