"""What a step shows beside which step it is: class, attribute, prevalence, tab, overlay. Presented, and followed.

The controls of a step keep what is chosen under keys of their own; in the record that whoever follows reads
(`core.reviews.remarks`) it stands under short names.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from core.evaluation.operating import classes_with_threshold
from core.projects.schema import Classification
from core.reviews.remarks import Choices
from dashboard.threshold_view import prevalence_key

if TYPE_CHECKING:
    from dashboard.meeting_view import Meeting

FAILED_CLASS, MAP_SHOWN, OVERLAY_SHOWN = "meeting_failed", "meeting_map_shown", "meeting_overlay_shown"
POPULATION_TAB, GROUPS_TAB = "meeting_population_tab", "meeting_groups_tab"
_PENDING = "meeting_to_show"


def controls_of(meeting: "Meeting", step: str) -> Mapping[str, str]:
    """The keys of a step's controls by the names of the record."""
    own = f"meeting_{meeting.review.evaluation}"
    of_step: Mapping[str, Mapping[str, str]] = {
        "population": {"tab": POPULATION_TAB},
        "numbers": {"class": f"{own}_class", "quantity": f"{own}_quantity"},
        "threshold": {"class": "threshold_class", "prevalence": _prevalence_key(meeting)},
        "calibration": {"class": "meeting_calibrated"},
        "subgroups": {
            "tab": GROUPS_TAB, "attribute": "meeting_groups_by", "attributes": "groups_of", "metric": "groups_metric",
            "class": "groups_class", "quantity": "meeting_groups_quantity",
        },
        "comparison": {"class": "changed_label", "structure": "changed_part"},
        "failures": {"class": FAILED_CLASS},
        "explanations": {
            "class": FAILED_CLASS, "case": f"meeting_map_case_{_chosen(FAILED_CLASS)}",
            "overlay": MAP_SHOWN if meeting.project.task == "segmentation" else OVERLAY_SHOWN,
        },
    }  # fmt: skip
    return of_step.get(step, {})


def read_choices(meeting: "Meeting", step: str) -> Choices:
    """What this screen shows of the step."""
    there = {name: st.session_state.get(key) for name, key in controls_of(meeting, step).items()}
    return {name: value for name, value in there.items() if value is not None}


def differs(meeting: "Meeting", step: str, choices: Choices) -> bool:
    """Whether whoever presents shows another class, case or picture of the step than this screen."""
    controls = controls_of(meeting, step)
    return any(st.session_state.get(controls[name]) != value for name, value in choices.items() if name in controls)


def show_next(step: str, choices: Choices) -> None:
    """Show these when the page is next drawn: a control that is drawn takes no other value."""
    st.session_state[_PENDING] = (step, dict(choices))


def take_pending(meeting: "Meeting") -> None:
    """Before the controls are drawn. The class first: other controls have it in their key."""
    step, choices = st.session_state.pop(_PENDING, ("", {}))
    for name in sorted(choices, key=lambda name: name != "class"):
        if key := controls_of(meeting, step).get(name):
            st.session_state[key] = choices[name]


def _chosen(key: str) -> str:
    return str(st.session_state.get(key, ""))


def _prevalence_key(meeting: "Meeting") -> str:
    offered = classes_with_threshold(meeting.schema) if isinstance(meeting.schema, Classification) else []
    chosen = st.session_state.get("threshold_class")
    return prevalence_key(meeting.model, "test", chosen or (offered[0] if offered else ""))
