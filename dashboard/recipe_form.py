"""The controls of a recipe: what matters first, everything else one click away.

Bounds, choices and sentences come from `core.training.recipe.FIELDS`, so that the screen
and the command line never say different things.
"""

from typing import Any

import streamlit as st

from core.datasets.records import Snapshot
from core.tasks import task_module
from core.training import auto
from core.training.fingerprint import part_networks, settle_auto, take_fingerprint
from core.training.recipe import FIELDS, RECIPES, Field, Recipe, change_recipe, named_recipe
from core.training.recipe_fields import LONGEST_TEXT
from core.training.records import get_run, list_models
from core.training.sources import NONE
from dashboard import places, session

SIZES = ("input_size", "patch_size")  # of which a network reads one
FIRST = ("epochs", "batch", "learning_rate", "class_weights", "early_stopping")
MOVES = ("zoom", "shift")
PER_ROW = 3
NAMES = {auto.AUTO: auto.WORDS, **RECIPES}
GROUPS = {"image": "Image", "network": "Network", "training": "Training", "augmentation": "Augmentation"}


def draw_recipe(snapshot: Snapshot, fold: int | None) -> tuple[Recipe, dict[str, Any] | None]:
    """The recipe as chosen on screen, of the networks that can learn the task, and, where `auto` chose it, the choice
    with its reasons. What a training for the task does not read is not asked.

    Raises:
        CoreError: values that do not fit together, such as more halvings than the image has pixels; a snapshot that
            nothing can be learnt from.
    """
    seen = _seen(snapshot.hash, snapshot.incomplete_since, fold, snapshot)
    fitting, left_out = part_networks(seen)
    wanted, names = places.asked("recipe"), (auto.AUTO, *fitting)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    name = row.segmented_control(
        "Recipe",
        names,
        default=wanted if wanted in names else auto.AUTO,
        required=True,
        key="recipe",
        help=f"A recipe is everything that decides the result besides the snapshot. auto {auto.EXPLANATION}."
        + _say_left_out(left_out, seen),
    )
    if name != auto.AUTO:
        base = named_recipe(name)
        st.caption(f"{name} · {NAMES[name]}")
        return change_recipe(base, _draw_changes(base, snapshot.task, name)), None
    base, sentences = auto.choose_recipe(seen)
    st.caption(f"{name} · {NAMES[name]}: {base.network}, {NAMES[base.network]}")
    with row.popover("Why these settings", icon=":material/lightbulb:"):
        st.text(" ".join(sentences))
    # What auto chooses hangs on the snapshot, so controls of another one must not keep their values.
    keys = "_".join(map(str, (name, snapshot.id, *([] if fold is None else [fold]))))
    return settle_auto(seen, _draw_changes(base, snapshot.task, keys))


def _say_left_out(names: tuple[str, ...], seen: auto.Fingerprint) -> str:
    kind = "for single images, and here are volumes" if seen.volumes else "for volumes, and here are single images"
    return f"\n\nLeft out: {', '.join(names)}, {kind}." if names else ""


@st.cache_data(max_entries=32, show_spinner=False)
def _seen(content_hash: str, incomplete_since: str | None, fold: int | None, _snapshot: Snapshot) -> auto.Fingerprint:
    """The fingerprint, looked for once for what the hash stands for: a page is drawn at every click."""
    return take_fingerprint(session.db(), _snapshot, fold)


def _draw_changes(base: Recipe, task: str, keys: str) -> dict[str, Any]:
    """All controls, each with the base recipe's value to begin with; `keys` keeps those of recipes apart."""
    fields = {field.key: field for field in FIELDS if field.key != "network" and field.is_read(base.network, task)}
    first = [next(key for key in SIZES if key in fields)]
    first += [key if key in fields else "loss" for key in FIRST]  # without classes there is nothing to weigh
    changes: dict[str, Any] = {}
    changes |= _draw_fields([fields.pop(key) for key in first], base, task, keys)
    with st.expander("More settings"):
        for group, title in GROUPS.items():
            members = [field for field in fields.values() if field.group == group]
            st.markdown(f"**{title}**")
            changes |= _draw_fields(members, base, task, keys)
    if task == "regression" and any(changes[key] for key in MOVES):
        st.caption(
            "Augmentation zooms or shifts the images: set Zoom and Shift to 0 (More settings) where the number is a "
            "size or a count, which that would change."
        )
    return _settled(changes, base)


def _settled(changes: dict[str, Any], base: Recipe) -> dict[str, Any]:
    """Stages and filters describe one thing: the one that was changed decides, where only one was."""
    if "filters" not in changes:
        return changes  # a network that is ready made has its own
    filters = tuple(part.strip() for part in str(changes["filters"]).split(",") if part.strip())
    untouched = filters == tuple(map(str, base.filters))
    if untouched and changes["stages"] != base.stages:
        return {key: value for key, value in changes.items() if key != "filters"}
    if not untouched and changes["stages"] == base.stages:
        return {key: value for key, value in changes.items() if key != "stages"}
    return changes


def _draw_fields(fields: list[Field], base: Recipe, task: str, keys: str) -> dict[str, Any]:
    """Three controls in a row, standing on one line however long their titles are."""
    values = {}
    for start in range(0, len(fields), PER_ROW):
        row = fields[start : start + PER_ROW]
        for column, field in zip(st.columns(PER_ROW, vertical_alignment="bottom"), row, strict=False):
            if field.key == "loss":
                values[field.key] = _draw_loss(column, field, task, keys)
            elif field.key == "start_from":
                values[field.key] = _draw_start(column, field, base, keys)
            else:
                values[field.key] = _draw_field(column, field, base, keys)
    return values


def _draw_start(column: Any, field: Field, base: Recipe, keys: str) -> Any:
    """The project's models of this network to begin from; a path can be written instead."""
    project = session.current_project()
    models = list_models(session.db(), project.id) if project else []
    alike = [
        model.name
        for model in models
        if not model.facts.get("members") and get_run(session.db(), model.run).recipe.network == base.network
    ]
    return column.selectbox(
        field.title,
        [NONE, *alike],
        key=f"recipe_{keys}_{field.key}",
        help=f"{field.explanation}\n\n*Over- and underfitting:* {field.effect}",
        accept_new_options=True,
    )


def _draw_loss(column: Any, field: Field, task: str, keys: str) -> Any:
    """The losses that go with the task, each with its sentence; the default is the first of them."""
    losses = task_module(task).LOSSES
    told = "\n\n".join(f"*{name}*: {sentence}." for name, sentence in losses.items())
    return column.selectbox(
        field.title,
        ["default", *losses],
        index=0,
        key=f"recipe_{keys}_loss_{task}",
        help=f"What a step makes smaller; by default {next(iter(losses))}.\n\n{told}\n\n"
        f"*Over- and underfitting:* {field.effect}",
    )


def _draw_field(column: Any, field: Field, base: Recipe, keys: str) -> Any:
    """One control with its two sentences; its key holds the recipe, so that each recipe keeps its own values."""
    value, key = getattr(base, field.key), f"recipe_{keys}_{field.key}"
    sentences = f"{field.explanation}\n\n*Over- and underfitting:* {field.effect}"
    if field.kind == "choice":
        options = list(field.choices)
        return column.selectbox(field.title, options, index=options.index(value), key=key, help=sentences)
    if field.kind == "text":
        return column.text_input(field.title, value, key=key, help=sentences, max_chars=LONGEST_TEXT)
    if field.kind in ("integers", "numbers"):
        return column.text_input(field.title, ", ".join(f"{part:g}" for part in value), key=key, help=sentences)
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
    """A tenth to a half of the value's own size: 0.002 moves by 0.001, and 0.001 by 0.0001, else it could not fall."""
    if value == 0:
        return 0.01
    first, exponent = f"{value:e}".split("e")
    return float(f"1e{int(exponent) - (float(first) < 2)}")
