"""Cases to look at again where answers are numbers or painted structures: as `doubtful_view` for classes."""

from collections.abc import Mapping

import streamlit as st

from core.datasets.records import Snapshot
from core.evaluation.doubtful import Doubtful, pair_twins
from core.evaluation.doubtful_numbers import (
    SaidNumbers,
    apart_by_numbers,
    far_from_readers,
    read_said_numbers,
    suspect_readings,
)
from core.evaluation.records import Evaluation
from core.measures.label_errors import TOO_FAR
from core.progress import Silent
from core.projects.records import Project
from core.training.records import Model
from dashboard import places, session, wording
from dashboard.doubtful_view import EXPLAINED, Listing, draw_listings, find_unlike, in_a_row

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
        "labels": Listing("Suspected label errors", _explain_readings(said), lambda: suspect_readings(said)),
        "readers": Listing("Far from readers", _explain_readers(said), lambda: far_from_readers(session.db(), said)),
        "unlike": Listing("Unlike training", EXPLAINED["unlike"], lambda: find_unlike(project, model, said.case_ids)),
        "twins": Listing(
            "Near-duplicates",
            "Pairs that show nearly the same image; those whose readings are furthest apart come first.",
            lambda: in_a_row(_number_twins(home, model.id, snapshot.id, at, tuple(said.case_ids), said)),
        ),
    }
    draw_listings(project, listings, model, view, of=said.quantity.target if said.schema.further else "")


def _explain_readings(said: SaidNumbers) -> str:
    if said.half_width is None:
        return NO_INTERVAL
    reach, unit = wording.measured(said.half_width), said.quantity.unit
    return (
        f"The reading lies more than {TOO_FAR:g} times as far from the model's number as its interval reaches "
        f"(± {reach} {unit}, conformal, {wording.percent(said.level)} of cases): 1 in 1,000 does where errors are "
        f"normal, 1 in 100 where large ones are common. It may be the model that is wrong: look before you relabel. "
        f"{_tell_left_out(len(said.new), len(said.pairs))}"
    )


def _explain_readers(said: SaidNumbers) -> str:
    if said.half_width is None:
        return NO_INTERVAL
    return (
        f"A reader's number lies outside the model's interval, ± {wording.measured(said.half_width)} "
        f"{said.quantity.unit}, most such readers first; then cases on which readers are further apart than it is "
        f"wide. {_tell_left_out(len(said.new), len(said.pairs))}"
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
