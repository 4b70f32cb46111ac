"""Train: choose a snapshot and a recipe, start, and watch."""

import streamlit as st

from core.datasets.records import list_snapshots
from core.errors import CoreError
from core.jobs.asking import ask_rate_test
from core.jobs.asking_series import ask_series, folds_of
from core.training.learning_curve import has_curve
from core.training.networks import check_weights
from core.training.recipe import Recipe
from core.training.records import list_runs
from dashboard import frame, jobs_panel, messages, once, places, session
from dashboard.augmented_view import draw_augmented
from dashboard.curve_view import draw_learning_curve
from dashboard.rate_view import draw_rate_test
from dashboard.recipe_form import draw_recipe
from dashboard.run_view import watch_run
from dashboard.series_form import draw_series, settle_for_fold
from dashboard.told_view import draw_told


def start_training(recipe: Recipe) -> None:
    with messages.refusals_shown():
        asked = ask_series(
            session.db(),
            session.files(),
            project,
            snapshot,
            lambda of: (recipe, choice) if of == fold else settle_for_fold(snapshot, of, recipe, choice),
            folds=folds_of(snapshot) if all_folds else [fold],
            seeds=seeds,
            name=name.strip(),
            ensemble=ensemble,
            actor=session.actor(),
        )
        places.go("train", project=project.id, run=asked[0][0].id)


def start_rate_test(recipe: Recipe) -> None:
    with messages.refusals_shown():
        ask_rate_test(session.db(), project, snapshot, recipe, fold=fold, files=session.files(), actor=session.actor())
        once.spend()
        st.rerun()


project = frame.need_project()
frame.draw_heading("Train", "It trains in the background; you may leave this page.", project=project)
frame.need_trainable(project, "training")
jobs_panel.warn_without_worker()
snapshots = {snapshot.id: snapshot for snapshot in list_snapshots(session.db(), project.id)}
if not snapshots:
    messages.end_empty(
        "No snapshot to train on",
        "Training reads a frozen snapshot, never live labels, so that a result can be repeated.",
        step="Freeze a snapshot",
        to="snapshots",
        project=project.id,
    )

form, watch = st.columns([5, 6], gap="large")
with form:
    wanted = places.asked_number("snapshot")
    left, right = st.columns([2, 1])
    chosen = left.selectbox(
        "Snapshot",
        list(snapshots),
        index=list(snapshots).index(wanted) if wanted in snapshots else 0,
        format_func=lambda number: snapshots[number].name,
        key="train_snapshot",
    )
    snapshot = snapshots[chosen]
    tested = right.selectbox(
        "Fold",
        ["", *map(str, range(snapshot.folds))],
        disabled=not snapshot.folds,
        key="train_fold",
        format_func=lambda k: f"test on fold {k}" if k else "own split",
        help="A snapshot with folds can be trained once for each fold, whose cases are then the test.",
    )
    fold = int(tested) if tested else None
    if snapshot.loss:
        st.warning(f"{snapshot.loss} Freeze a new snapshot to train.", icon=":material/delete_sweep:")
    if snapshot.leaks_allowed_because:
        st.warning(f"This snapshot leaks: {snapshot.leaks_allowed_because}", icon=":material/water_drop:")
    try:
        recipe, choice = draw_recipe(snapshot, fold)
        check_weights(recipe)
    except CoreError as error:
        recipe = choice = None
        st.error(str(error), icon=":material/error:")
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    name = left.text_input("Model name", key="train_name", placeholder="given automatically", max_chars=60)
    all_folds, seeds, ensemble = draw_series(right, snapshot)
    starts = st.container(horizontal=True)
    if (
        starts.button(
            "Start training",
            type="primary",
            icon=":material/play_arrow:",
            key=once.key("train_start"),
            disabled=recipe is None or bool(snapshot.loss),
            shortcut="ctrl+enter",
        )
        and recipe
    ):
        start_training(recipe)
    with starts.popover("Learning-rate test", icon=":material/speed:"):
        st.text(
            "Tries rising rates with this recipe on this snapshot and suggests one; a minute or so, nothing stored."
        )
        if (
            st.button(
                "Find a learning rate", key=once.key("train_find_rate"), disabled=recipe is None or bool(snapshot.loss)
            )
            and recipe
        ):
            start_rate_test(recipe)
        draw_rate_test(snapshot)

grows = has_curve(snapshot.task)
seen, augmented, *grown = watch.tabs(["Run", "Augmented images", *(["More cases"] if grows else [])])
if recipe:
    with augmented:
        draw_augmented(project, snapshot, recipe, fold)
    for tab in grown:
        with tab:
            draw_learning_curve(project, snapshot, recipe, fold)
with seen:
    runs = {run.id: run for run in list_runs(session.db(), project.id) if not {"ensemble", "point_of"} & set(run.told)}
    if not runs:
        messages.show_empty("No run yet", "Start one on the left; its curves appear here while it learns.")
    else:
        asked = places.asked_number("run")
        left, right = st.columns([3, 1], vertical_alignment="bottom")
        shown = left.selectbox(
            "Run",
            list(runs),
            index=list(runs).index(asked) if asked in runs else 0,
            format_func=lambda number: runs[number].name,
            key=f"train_run_{asked}",
            label_visibility="collapsed",  # the tab says it
        )
        places.remember(run=shown)
        with right:
            draw_told(runs[shown])
        watch_run(runs[shown])
