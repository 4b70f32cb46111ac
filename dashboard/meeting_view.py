"""A meeting on screen: which step it is at, the keys that move it, and the gate before the test results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

import streamlit as st

from core.datasets.records import Snapshot
from core.evaluation.operating import classes_with_threshold
from core.evaluation.records import Evaluation, find_evaluation
from core.projects.records import Project
from core.projects.schema import Classification, Generation
from core.reviews.decisions import find_decision
from core.reviews.meetings import Review, TestUse, get_evaluation_of, open_results
from core.reviews.remarks import find_presented, present_step
from core.tasks import TrainableSchema
from core.training.records import Model
from dashboard import meeting_shown, messages, places, session, wording
from dashboard.shown_results import note_opened

FOLLOW_SECONDS = 2.0


@dataclass(frozen=True)
class Meeting:
    """Everything that the steps of one meeting draw from."""

    project: Project
    schema: TrainableSchema
    review: Review
    model: Model
    snapshot: Snapshot
    fold: int | None
    looks: TestUse

    @property
    def view(self) -> dict[str, places.Query]:
        """The address of its test results on the pages that show cases."""
        return {
            "project": self.project.id, "model": self.model.id, "snapshot": self.snapshot.id, "split": "test",
        }  # fmt: skip

    @property
    def evaluation(self) -> Evaluation:
        return get_evaluation_of(session.db(), self.review)


@dataclass(frozen=True)
class Step:
    """One screen: `opens` says that it shows test results."""

    key: str
    title: str
    opens: bool = True


CARD = Step("card", "Card", opens=False)
STEPS = (
    CARD,
    Step("population", "Population", opens=False),
    Step("reference", "Reference", opens=False),
    Step("criteria", "Criteria"),
    Step("numbers", "Numbers"),
    Step("curves", "Curves"),
    Step("threshold", "Threshold"),
    Step("calibration", "Calibration"),
    Step("subgroups", "Subgroups"),
    Step("comparison", "Comparison"),
    Step("failures", "Failures"),
    Step("explanations", "Explanations"),
    Step("discussion", "Discussion", opens=False),
    Step("decision", "Decision"),
)
WITH_CASES = ("failures", "explanations")
OF_CLASSES = ("curves", "threshold", "calibration")
OF_CASES = ("subgroups", "failures", "explanations")  # of answers about single cases, which one that draws has not
Draw = Callable[[Meeting], None]


def steps_of(schema: TrainableSchema) -> tuple[Step, ...]:
    """The steps that this task has: numbers and painted structures have no curves, of three or more exclusive classes
    no threshold decides, and of drawn images there is nothing that tells of a case."""
    if isinstance(schema, Generation):
        left_out = {*OF_CLASSES, *OF_CASES}
    elif isinstance(schema, Classification):
        left_out = set() if classes_with_threshold(schema) else {"threshold"}
    else:
        left_out = set(OF_CLASSES)
    return tuple(step for step in STEPS if step.key not in left_out)


def find_step(schema: TrainableSchema) -> Step:
    """The step of the address; the first one without."""
    asked = places.asked("step")
    return next((step for step in steps_of(schema) if step.key == asked), CARD)


def draw_steps(meeting: Meeting, step: Step) -> None:
    """Back, the steps, next: arrows left and right walk along them."""
    steps = steps_of(meeting.schema)
    at = steps.index(step)
    back, middle, forward = st.columns([1.2, 12, 1.2], gap="small", vertical_alignment="center")
    back.button(
        "Back", key="meeting_back", shortcut="Left", on_click=_go_to, args=(meeting, steps[max(0, at - 1)]),
        disabled=at == 0, width="stretch",
    )  # fmt: skip
    key = f"meeting_step_{step.key}"
    middle.segmented_control(
        "Step",
        [one.key for one in steps],
        default=step.key,
        required=True,
        format_func={one.key: one.title for one in steps}.__getitem__,
        key=key,
        on_change=_go_where_chosen,
        args=(meeting, key),
        label_visibility="collapsed",
    )
    forward.button(
        "Next", key="meeting_next", shortcut="Right", on_click=_go_to,
        args=(meeting, steps[min(len(steps) - 1, at + 1)]), disabled=at == len(steps) - 1, width="stretch",
        type="primary",
    )  # fmt: skip


def draw_step(meeting: Meeting, step: Step, draws: Mapping[str, Draw]) -> None:
    """The step itself; before test results the gate, as long as nobody has opened them in this tab."""
    if step.opens and not st.session_state.get(_opened_key(meeting.review)):
        _draw_gate(meeting)
        return
    draws[step.key](meeting)


def _draw_gate(meeting: Meeting) -> None:
    """The test results are closed until somebody opens them, which is counted."""
    review = meeting.review
    with st.container(border=True, key="meeting_gate", horizontal_alignment="center", gap="small"):
        where = " in this tab" if review.is_locked else ""  # opened before, by somebody or in another one
        st.markdown(f"#### The test results are closed{where}", text_alignment="center")
        if not review.is_locked:
            told = "  \n".join(escape(one.sentence) for one in review.criteria) or "No criteria were set."
            st.markdown(f"Opening them locks the criteria for ever:  \n**{told}**", text_alignment="center")
        st.markdown(escape(meeting.looks.sentence), text_alignment="center")
        if review.is_locked or find_evaluation(session.db(), review.model, review.snapshot):
            st.button("Open the test results", key="meeting_open", type="primary", on_click=_open, args=(review,))
        else:
            st.markdown("The model was not measured on this test split yet.", text_alignment="center")
            places.link(
                "evaluate", "Evaluate it first", project=review.project, model=review.model, snapshot=review.snapshot
            )


def _open(review: Review) -> None:
    with messages.refusals_told():
        note_opened(open_results(session.db(), review, actor=session.actor()).evaluation)
        st.session_state[_opened_key(review)] = True


def _opened_key(review: Review) -> str:
    return f"meeting_opened_{review.id}"


def draw_presenting(meeting: Meeting, step: Step) -> None:
    """Present to others, or follow whoever presents; the two exclude each other."""
    review = meeting.review
    meeting_shown.take_pending(meeting)
    role = st.segmented_control(
        "Together",
        ("present", "follow"),
        default=None,
        format_func=str.capitalize,
        key=_role_key(review),
        on_change=_tell_others,
        args=(meeting, step),
        label_visibility="collapsed",
        help="Present: others who follow see the step that you show, what you choose in it and the case that you open. "
        "Follow: your screen goes where theirs goes.",
    )
    if role == "follow":
        _follow(meeting, step.key, open_case(step))
    elif role == "present":
        _present(meeting, step)


@st.fragment(run_every=FOLLOW_SECONDS)
def _follow(meeting: Meeting, here: str, case: int | None) -> None:
    """Asks every two seconds where the presenter is; the page moves only where that is elsewhere."""
    session.need("open test results", meeting.project.id)
    shown = find_presented(session.db(), meeting.review)
    if shown is None:
        st.caption("Nobody presents yet.")
        return
    st.caption(f"{shown.by} presents, {wording.clock(shown.at)}")
    elsewhere = (shown.step, shown.case_id) != (here, case)
    if elsewhere or meeting_shown.differs(meeting, here, shown.choices):
        places.remember(step=shown.step, case=shown.case_id)
        meeting_shown.show_next(shown.step, shown.choices)
        st.rerun()


@st.fragment(run_every=FOLLOW_SECONDS)
def _present(meeting: Meeting, step: Step) -> None:
    """What is chosen in parts of the page that draw themselves is seen by looking; told only when it has changed."""
    _tell_others(meeting, step)


def open_case(step: Step) -> int | None:
    """The case that is open in a step; failures and explanations have such."""
    return places.asked_number("case") if step.key in WITH_CASES else None


def show_case(meeting: Meeting, step: str, case: int | None) -> None:
    """Open a case among those of a step, or go back to its lists (None), for those who follow as well."""
    places.remember(case=case)
    _tell_others(meeting, next(one for one in STEPS if one.key == step))


def _tell_others(meeting: Meeting, step: Step) -> None:
    """Where this screen stands, for those who follow it; nothing is written where that is known."""
    if st.session_state.get(_role_key(meeting.review)) != "present":
        st.session_state.pop(_told_key(meeting), None)
        return
    now = (step.key, open_case(step), meeting_shown.read_choices(meeting, step.key))
    if st.session_state.get(_told_key(meeting)) != now:
        present_step(session.db(), meeting.review, now[0], case_id=now[1], choices=now[2], actor=session.actor())
        st.session_state[_told_key(meeting)] = now


def follows(meeting: Meeting) -> bool:
    """Whether this screen goes where the presenter's goes."""
    return st.session_state.get(_role_key(meeting.review)) == "follow"


def _role_key(review: Review) -> str:
    return f"meeting_role_{review.id}"


def _told_key(meeting: Meeting) -> str:
    return f"meeting_told_{meeting.review.id}"


def _go_to(meeting: Meeting, step: Step) -> None:
    places.remember(step=step.key, case=None)
    _tell_others(meeting, step)


def _go_where_chosen(meeting: Meeting, key: str) -> None:
    _go_to(meeting, next(step for step in STEPS if step.key == st.session_state[key]))


def draw_title(meeting: Meeting) -> None:
    """Which review, and where it stands."""
    review = meeting.review
    decision = find_decision(session.db(), review)
    state = decision.verdict if decision else "test results opened" if review.is_locked else "prepared"
    st.html(
        f'<div class="rr-at"><b>{escape(review.name)}</b> · {escape(meeting.model.name)} on test of '
        f'{escape(meeting.snapshot.name)} <span class="rr-quiet">· {state}</span></div>'
    )
