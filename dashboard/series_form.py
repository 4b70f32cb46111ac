"""Several trainings at once on the page Train: all folds of a snapshot, several seeds."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.datasets.records import Snapshot
from core.tasks import module_of, trainable_schema
from core.training.fingerprint import settle_auto, take_fingerprint
from core.training.recipe import Recipe
from dashboard import session

MOST_SEEDS = 20


def draw_series(place: Any, snapshot: Snapshot) -> tuple[bool, int, str]:
    """Whether all folds are asked for, how many seeds of each, and the name of the one model that they become."""
    with place.popover("Folds, seeds", icon=":material/stacks:", width="stretch"):
        st.text("One model for each fold and seed, trained one after another.")
        all_folds = st.checkbox(
            f"All {snapshot.folds} folds" if snapshot.folds else "All folds (this snapshot has none)",
            key=f"train_all_folds_{snapshot.id}",
            disabled=not snapshot.folds,
        )
        seeds = st.number_input(
            "Seeds", 1, MOST_SEEDS, 1, key="train_seeds", help="The first is the recipe's, each further one the next."
        )
        several = bool(all_folds) or seeds > 1
        draws = module_of(trainable_schema(snapshot.schema)).DRAWS  # there are no answers to take the mean of
        ensemble = st.text_input(
            "As one model, under this name",
            key="train_ensemble",
            placeholder="stay models of their own",
            max_chars=60,
            disabled=not several or draws,
            help="An ensemble: it answers with the mean of what they say, and is made as soon as all are there.",
        )
    return bool(all_folds), int(seeds), ensemble.strip() if several and not draws else ""


def settle_for_fold(
    snapshot: Snapshot, fold: int | None, recipe: Recipe, choice: Mapping[str, Any] | None
) -> tuple[Recipe, Mapping[str, Any] | None]:
    """The recipe for another fold than the one on the form: where `auto` chose, it looks at that fold, and what was
    changed on the form is changed there too."""
    if choice is None:
        return recipe, None
    changes = {key: getattr(recipe, key) for key in choice["changed"]}
    return settle_auto(take_fingerprint(session.db(), snapshot, fold), changes)
