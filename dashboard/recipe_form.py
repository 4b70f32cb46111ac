"""The controls of a recipe: what matters first, everything else one click away.

Bounds, choices and sentences come from `core.training.recipe.FIELDS`, so that the screen
and the command line never say different things.
"""

from typing import Any

import streamlit as st

from core.datasets.records import Snapshot
from core.training import auto
from core.training.fingerprint import settle_auto, take_fingerprint
from core.training.recipe import FIELDS, RECIPES, Field, Recipe, change_recipe, named_recipe
from dashboard import places, session

FIRST = ("input_size", "epochs", "batch", "learning_rate", "class_weights", "early_stopping")
PER_ROW = 3
NAMES = {auto.AUTO: auto.WORDS, **RECIPES}
GROUPS = {"image": "Image", "network": "Network", "training": "Training", "augmentation": "Augmentation"}


def draw_recipe(snapshot: Snapshot, fold: int | None) -> tuple[Recipe, dict[str, Any] | None]:
    """The recipe as chosen on screen and, where `auto` chose it, the choice with its reasons.

    Raises:
        CoreError: values that do not fit together, such as more halvings than the image has pixels; a snapshot that
            nothing can be learnt from.
    """
    wanted = places.asked("recipe")
    name = st.segmented_control(
        "Recipe",
        list(NAMES),
        default=wanted if wanted in NAMES else auto.AUTO,
        required=True,
        format_func=lambda known: f"{known} · {NAMES[known]}",
        key="recipe",
        help=f"A recipe is everything that decides the result besides the snapshot. auto {auto.EXPLANATION}.",
    )
    if name != auto.AUTO:
        base = named_recipe(name)
        return change_recipe(base, _draw_changes(base, name)), None
    seen = _seen(snapshot.hash, snapshot.incomplete_since, fold, snapshot)
    base, sentences = auto.choose_recipe(seen)
    with st.expander("Why these settings", icon=":material/lightbulb:"):
        st.text(" ".join(sentences))
    # What auto chooses hangs on the snapshot, so controls of another one must not keep their values.
    changes = _draw_changes(base, "_".join(map(str, (name, snapshot.id, *([] if fold is None else [fold])))))
    return settle_auto(seen, changes)


@st.cache_data(max_entries=32, show_spinner=False)
def _seen(content_hash: str, incomplete_since: str | None, fold: int | None, _snapshot: Snapshot) -> auto.Fingerprint:
    """The fingerprint, looked for once for what the hash stands for: a page is drawn at every click."""
    return take_fingerprint(session.db(), _snapshot, fold)


def _draw_changes(base: Recipe, keys: str) -> dict[str, Any]:
    """All controls, each with the base recipe's value to begin with; `keys` keeps those of recipes apart."""
    fields = {field.key: field for field in FIELDS if field.key != "network" and base.network in field.networks}
    changes: dict[str, Any] = {}
    changes |= _draw_fields([fields.pop(key) for key in FIRST], base, keys)
    with st.expander("More settings"):
        for group, title in GROUPS.items():
            members = [field for field in fields.values() if field.group == group]
            st.markdown(f"**{title}**")
            changes |= _draw_fields(members, base, keys)
    return _settled(changes, base)


def _settled(changes: dict[str, Any], base: Recipe) -> dict[str, Any]:
    """Stages and filters describe one thing: the one that was changed decides, where only one was."""
    filters = tuple(part.strip() for part in str(changes["filters"]).split(",") if part.strip())
    untouched = filters == tuple(map(str, base.filters))
    if untouched and changes["stages"] != base.stages:
        return {key: value for key, value in changes.items() if key != "filters"}
    if not untouched and changes["stages"] == base.stages:
        return {key: value for key, value in changes.items() if key != "stages"}
    return changes


def _draw_fields(fields: list[Field], base: Recipe, keys: str) -> dict[str, Any]:
    """Three controls in a row, standing on one line however long their titles are."""
    values = {}
    for start in range(0, len(fields), PER_ROW):
        row = fields[start : start + PER_ROW]
        for column, field in zip(st.columns(PER_ROW, vertical_alignment="bottom"), row, strict=False):
            values[field.key] = _draw_field(column, field, base, keys)
    return values


def _draw_field(column: Any, field: Field, base: Recipe, keys: str) -> Any:
    """One control with its two sentences; its key holds the recipe, so that each recipe keeps its own values."""
    value, key = getattr(base, field.key), f"recipe_{keys}_{field.key}"
    sentences = f"{field.explanation}\n\n*Over- and underfitting:* {field.effect}"
    if field.kind == "choice":
        options = list(field.choices)
        return column.selectbox(field.title, options, index=options.index(value), key=key, help=sentences)
    if field.kind == "integers":
        return column.text_input(field.title, ", ".join(map(str, value)), key=key, help=sentences)
    if field.kind == "integer":
        return column.number_input(
            field.title, int(field.low or 0), int(field.high or 2**31 - 1), int(value), key=key, help=sentences
        )
    return column.number_input(
        field.title,
        float(field.low or 0),
        float(field.high or 1),
        float(value),
        step=_step(float(value)),
        format="%g",
        key=key,
        help=sentences,
    )


def _step(value: float) -> float:
    """A tenth to one of the value's own size: 0.002 moves by 0.001, 7 by 1."""
    if value == 0:
        return 0.01
    return float(f"1e{int(f'{value:e}'.split('e')[1])}")
