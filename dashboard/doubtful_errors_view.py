"""Cases to look at again where answers are numbers or painted structures: as `doubtful_view` for classes."""

from collections.abc import Mapping
from functools import partial

import streamlit as st

from core.datasets.records import Snapshot
from core.evaluation.doubtful import Doubtful, pair_twins
from core.evaluation.doubtful_masks import (
    SaidMasks,
    against_readers,
    apart_by_masks,
    least_sure_painted,
    read_said_masks,
    suspect_painting,
)
from core.evaluation.doubtful_numbers import (
    SaidNumbers,
    apart_by_numbers,
    far_from_readers,
    read_said_numbers,
    suspect_readings,
)
from core.evaluation.records import Evaluation
from core.measures.calibration import tell_reach
from core.measures.mask_errors import LEAST_SHARE, SURE
from core.progress import Silent
from core.projects.records import Project
from core.training.records import Model
from dashboard import places, session, wording
from dashboard.doubtful_view import EXPLAINED, Listing, draw_listings, far_listing, find_unlike, in_a_row

UNSURE = (
    "The twentieth of the cases on which it painted the structure of which the model is least sure, by the mean "
    "probability of what it painted. Of what it is wrongly sure of this says nothing."
)
NO_INTERVAL = "Its validation split was too small to say how far from its numbers the truth may lie: nothing is listed."


def draw_doubtful_numbers(
    project: Project,
    model: Model,
    snapshot: Snapshot,
    evaluation: Evaluation,
    at: int,
    view: Mapping[str, places.Query],
) -> None:
    """The lists of one quantity."""
    said = read_said_numbers(session.db(), model, snapshot, evaluation, at)
    home = str(session.settings().home)
    listings = {
        "labels": Listing("Suspected label errors", partial(_explain_readings, said), lambda: suspect_readings(said)),
        "readers": Listing(
            "Far from readers", partial(_explain_readers, said), lambda: far_from_readers(session.db(), said)
        ),
        "far": far_listing(model, said.case_ids),
        "unlike": Listing(
            "Unlike training", lambda: EXPLAINED["unlike"], lambda: find_unlike(project, model, said.case_ids)
        ),
        "twins": Listing(
            "Near-duplicates",
            lambda: "Pairs that show nearly the same image; those whose readings are furthest apart come first.",
            lambda: in_a_row(_number_twins(home, model.id, snapshot.id, at, tuple(said.case_ids), said)),
        ),
    }
    draw_listings(project, listings, model, view, of=said.quantity.target if said.schema.further else "")


def draw_doubtful_masks(
    project: Project,
    model: Model,
    snapshot: Snapshot,
    evaluation: Evaluation,
    structure: str,
    view: Mapping[str, places.Query],
) -> None:
    """The lists of one structure."""
    home, db = str(session.settings().home), session.db()
    said = _said_masks(home, evaluation.id, structure, snapshot.erased_cases, model, snapshot, evaluation)
    at = list(evaluation.result["structures"]).index(structure)
    listings = {
        "labels": Listing("Suspected label errors", partial(_explain_masks, said), lambda: suspect_painting(said)),
        "readers": Listing(
            "Against readers",
            lambda: (
                "The model paints the structure where readers say that it is not there, or the other way round, most "
                f"readers first. {_tell_left_out(len(said.new), len(said.cases))}"
            ),
            lambda: against_readers(db, project, said),
        ),
        "unsure": Listing("Least sure", lambda: UNSURE, lambda: least_sure_painted(db, model, said, at)),
        "unlike": Listing(
            "Unlike training", lambda: EXPLAINED["unlike"], lambda: find_unlike(project, model, said.case_ids)
        ),
        "twins": Listing(
            "Near-duplicates",
            lambda: "Pairs that show nearly the same image; those that were painted most differently come first.",
            lambda: in_a_row(_mask_twins(home, model.id, snapshot.id, structure, tuple(said.case_ids), said)),
        ),
    }
    draw_listings(project, listings, model, {**view, "structure": structure}, of=structure)


def _explain_masks(said: SaidMasks) -> str:
    if said.new and not said.looked_at:
        return (
            "How surely the model contradicts each mask is not kept any more, or was measured by an earlier version: "
            "evaluate again to find out."
        )
    partly = len(said.looked_at) < len(said.new)
    gone = f" Of {len(said.new) - len(said.looked_at):,} it is not kept; evaluate again." if partly else ""
    return (
        f"Pixels of which the model says the contrary with {SURE:g} or more, as a share of what reader and model have "
        f"painted: cases beyond the upper fence of the split (Tukey), and above {wording.percent(LEAST_SHARE)}. At "
        "edges, where both differ a little, a model is not sure. It may be the model that is wrong: look before you "
        f"relabel. {_tell_left_out(len(said.new), len(said.cases))}{gone}"
    )


def _explain_readings(said: SaidNumbers) -> str:
    if said.interval is None:
        return NO_INTERVAL
    reach = tell_reach(said.interval, said.quantity.unit)
    return (
        f"The reading lies more than twice as far from the model's number as its interval reaches "
        f"({reach}, conformal, {wording.percent(said.interval['level'])} of cases): 1 in 1,000 does where errors are "
        f"normal, 1 in 100 where large ones are common. It may be the model that is wrong: look before you relabel. "
        f"{_tell_left_out(len(said.new), len(said.pairs))}"
    )


def _explain_readers(said: SaidNumbers) -> str:
    if said.interval is None:
        return NO_INTERVAL
    return (
        f"A reader's number lies outside the model's interval, {tell_reach(said.interval, said.quantity.unit)}; "
        f"most such readers first, then cases on which readers are further apart than it is wide. "
        f"{_tell_left_out(len(said.new), len(said.pairs))}"
    )


def _tell_left_out(new: int, asked: int) -> str:
    """On which cases a list looks: what a network has learnt, wrong or not, it agrees with."""
    if new == asked:
        return f"Looked at: {wording.count(asked, 'case')}."
    return f"Looked at: {new:,} of {wording.count(asked, 'case')}; the model was trained on the others and agrees."


@st.cache_data(max_entries=8, ttl=3600, show_spinner="Comparing images…")
def _number_twins(
    home: str, model: int, snapshot: int, at: int, case_ids: tuple[int, ...], _said: SaidNumbers
) -> list[tuple[Doubtful, Doubtful]]:
    return pair_twins(session.db(), session.files(), case_ids, apart_by_numbers(_said), Silent())


@st.cache_data(max_entries=8, ttl=600, show_spinner=False)
def _said_masks(
    home: str, evaluation: int, structure: str, erased: int, _model: Model, _snapshot: Snapshot, _evaluation: Evaluation
) -> SaidMasks:
    """Home, the evaluation's number and erased cases are only what it is kept by."""
    return read_said_masks(session.db(), session.files(), _model, _snapshot, _evaluation, structure)


@st.cache_data(max_entries=8, ttl=3600, show_spinner="Comparing images…")
def _mask_twins(
    home: str, model: int, snapshot: int, structure: str, case_ids: tuple[int, ...], _said: SaidMasks
) -> list[tuple[Doubtful, Doubtful]]:
    apart = apart_by_masks(session.db(), session.files(), _said)
    return pair_twins(session.db(), session.files(), case_ids, apart, Silent())
