"""Several trainings at once on the page Train: all folds of a snapshot, several seeds."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.datasets.records import Snapshot
from core.training.fingerprint import settle_auto, take_fingerprint
from core.training.recipe import Recipe
from dashboard import session

MOST_SEEDS = 20


def draw_series(place: Any, snapshot: Snapshot) -> tuple[bool, int]:
    """Whether all folds are asked for, and how many seeds of each."""
    with place.popover("Several", icon=":material/stacks:", width="stretch"):
        st.text("One model for each fold and seed, trained one after another.")
        all_folds = st.checkbox(
            f"All {snapshot.folds} folds" if snapshot.folds else "All folds (this snapshot has none)",
            key=f"train_all_folds_{snapshot.id}",
            disabled=not snapshot.folds,
        )
        seeds = st.number_input(
            "Seeds", 1, MOST_SEEDS, 1, key="train_seeds", help="The first is the recipe's, each further one the next."
        )
    return bool(all_folds), int(seeds)


def settle_for_fold(
    snapshot: Snapshot, fold: int | None, recipe: Recipe, choice: Mapping[str, Any] | None
) -> tuple[Recipe, Mapping[str, Any] | None]:
    """The recipe for another fold than the one on the form: where `auto` chose, it looks at that fold, and what was
    changed on the form is changed there too."""
    if choice is None:
        return recipe, None
    changes = {key: getattr(recipe, key) for key in choice["changed"]}
    return settle_auto(take_fingerprint(session.db(), snapshot, fold), changes)
