"""Cases to look at again: lists that lead to the case, and with one click to a worklist."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import streamlit as st

from core.datasets.records import Snapshot, get_snapshot
from core.errors import CoreError
from core.evaluation.doubtful import (
    Doubtful,
    disagreed_with,
    far_from_training,
    find_twins,
    least_sure,
    suspect_references,
    unlike_training,
)
from core.evaluation.far import BEYOND, FEWEST, NEAREST, Distances, read_distances
from core.evaluation.operating import Scored
from core.evaluation.subgroups import is_a_name, read_known
from core.progress import Silent
from core.projects.records import Project
from core.projects.schema import Classification
from core.training.records import Model, get_run
from core.training.request import training_cases
from dashboard import places, remembered, session
from dashboard.case_strip import draw_cases

LISTS = {
    "labels": "Suspected label errors",
    "readers": "Against readers",
    "unsure": "Least sure",
    "far": "Far from training",
    "unlike": "Unlike training",
    "twins": "Near-duplicates",
}
EXPLAINED = {
    "labels": "The model contradicts the reference as surely as it usually is of the other class (confident learning). "
    "It may be the model that is wrong: look before you relabel.",
    "readers": "The model decides otherwise than readers did, most readers first.",
    "unsure": "The twentieth of the cases of which the model is least sure, by its highest probability. An unusual "
    "image of which it is sure is not among them; the next list may have it.",
    "unlike": "What is known of these cases is so of no training case: a word that never occurs there, or a number "
    "beyond all of theirs.",
    "twins": "Pairs that show nearly the same image; those with different references come first.",
}


@dataclass(frozen=True)
class Listing:
    """One list under its title: what it holds, and how it is found; both are asked for once the list is open."""

    title: str
    explained: Callable[[], str]
    find: Callable[[], Sequence[Doubtful] | None]  # None: not looked for, as `explained` says


def draw_doubtful(
    project: Project, schema: Classification, model: Model, snapshot: Snapshot, view: Mapping[str, places.Query]
) -> None:
    """The lists of a classifier."""
    split = str(view["split"])
    try:
        home = str(session.settings().home)
        seen = remembered.scored(home, model.id, snapshot.id, split, snapshot.erased_cases)
    except CoreError as refusal:
        st.info(str(refusal), icon=":material/info:")
        return
    finding: dict[str, Callable[[], Sequence[Doubtful] | None]] = {
        "labels": lambda: suspect_references(schema, seen),
        "readers": lambda: disagreed_with(session.db(), project, model, schema, seen),
        "unsure": lambda: least_sure(schema, seen),
        "unlike": lambda: find_unlike(project, model, seen.case_ids),
        "twins": lambda: in_a_row(_twins(home, model.id, snapshot.id, tuple(seen.case_ids), seen)),
    }
    beside = "These are training cases: a network learns wrong labels by heart and then agrees with them."
    draw_listings(
        project,
        {
            key: far_listing(model, seen.case_ids)
            if key == "far"
            else Listing(title, partial(EXPLAINED.__getitem__, key), finding[key])
            for key, title in LISTS.items()
        },
        model,
        view,
        beside=beside if split == "train" else "",
    )


def draw_listings(
    project: Project,
    listings: Mapping[str, Listing],
    model: Model,
    view: Mapping[str, places.Query],
    *,
    beside: str = "",
    of: str = "",
) -> None:
    """One list at a time: the others are not computed.

    Args:
        of: the quantity or the structure, in the name of the worklist.
    """
    which = st.segmented_control(
        "List", list(listings), default="labels", required=True, format_func=lambda key: listings[key].title,
        key="doubtful_list", label_visibility="collapsed",
    )  # fmt: skip
    chosen = listings[which]
    st.caption(f"{chosen.explained()} {beside}".strip())
    found = chosen.find()
    if found is None:
        return
    draw_cases(
        project,
        list(dict.fromkeys(one.case_id for one in found)),
        view=view,
        name=", ".join(filter(None, [chosen.title, of, model.name, str(view["split"])])),
        key=f"doubtful_{which}",
        said={one.case_id: one.why for one in reversed(found)},
    )


def far_listing(model: Model, case_ids: Sequence[int]) -> Listing:
    """Cases that the network sees far from all that it was trained on, the most distant first; nothing to find where
    nothing was measured."""
    read = cache(partial(read_distances, session.files(), model, case_ids))
    return Listing(
        LISTS["far"],
        lambda: _explain_far(read()),
        lambda: far_from_training(found, case_ids) if (found := read()) else None,
    )


def _explain_far(found: Distances | None) -> str:
    """What was measured, and on how many cases; or why nothing was."""
    if found is None:
        return (
            "The distance to the training cases is not kept: evaluate again (of the test split one use more). It takes "
            f"{FEWEST} training and {FEWEST} validation cases, and a network with a dense layer before its answer."
        )
    return (
        f"What the network sees of these images (its last features) lies further from the {NEAREST} nearest of "
        f"{found.n_training:,} training cases than {BEYOND} % of {found.n_validation:,} validation cases do, the most "
        "distant first. How sure it was plays no part; about 1 in 100 usual cases is here by chance."
    )


def find_unlike(project: Project, model: Model, case_ids: Sequence[int]) -> list[Doubtful]:
    """Cases of which something is known that is so of no case that the model was trained on."""
    run = get_run(session.db(), model.run)
    learnt = get_snapshot(session.db(), project.id, run.snapshot)
    train, _ = training_cases(session.db(), learnt, run.fold)
    known = {name: values for name, values in read_known(session.db(), case_ids).items() if not is_a_name(values)}
    return unlike_training(case_ids, known, read_known(session.db(), [case.case_id for case in train]))


def in_a_row(pairs: Sequence[tuple[Doubtful, Doubtful]]) -> list[Doubtful]:
    """Both of each pair beside each other."""
    return [one for pair in pairs for one in pair]


@st.cache_data(max_entries=8, ttl=3600, show_spinner="Comparing images…")
def _twins(
    home: str, model: int, snapshot: int, case_ids: tuple[int, ...], _seen: Scored
) -> list[tuple[Doubtful, Doubtful]]:
    return find_twins(session.db(), session.files(), _seen, Silent())
