"""What the page Train tells of a run, and the learning-rate test."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from streamlit.testing.v1 import AppTest

from core.datasets.records import Snapshot
from core.datasets.splits import list_view
from core.images.records import Case
from core.jobs.asking import ask_training
from core.jobs.records import claim_job, finish_job, list_jobs, report_job
from core.projects.records import Project
from core.store.audit import Actor
from core.store.files import Files, array_bytes
from core.training.advice import advise
from core.training.augmented import samples_key
from core.training.fingerprint import settle_auto, take_fingerprint
from core.training.gap import Gap, Measured
from core.training.learning_curve import forecast_of
from core.training.recipe import named_recipe, recipe_from_json
from core.training.records import Model, add_run, get_run, list_runs, set_model_fact, set_watched, start_run
from dashboard.curve_view import draw_curve
from tests.pages.conftest import said

OpenPage = Callable[..., AppTest]
SENTENCE = "The loss is lowest at a rate of about 0.02 and leaves beyond it; take a tenth of that, 0.002."


def test_a_learning_rate_is_looked_for_with_the_recipe_on_screen_and_its_curve_is_shown(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, snapshot: Snapshot
) -> None:
    app = open_page("train", project=project.id, recipe="cnn")
    app.number_input(key="recipe_cnn_batch").set_value(4)
    app.button(key="train_find_rate").click().run()
    assert not app.exception
    (job,) = list_jobs(connection, kinds=("find_rate",))
    assert (job.arguments["snapshot"], job.arguments["recipe"]["batch"]) == (snapshot.id, 4)
    assert not list_runs(connection, project.id)
    claimed = claim_job(connection, "train", "cpu")
    assert claimed is not None
    found = {"rates": [1e-3, 1e-2, 1e-1], "losses": [0.7, 0.5, 3.0], "suggested": 0.002, "sentence": SENTENCE}
    finish_job(connection, claimed, "done", result=found)
    app = open_page("train", project=project.id)
    assert not app.exception
    assert SENTENCE in said(app)
    assert "with cnn, batches of 4 and adam; with others the rate is another." in said(app)
    (curve,) = app.get("plotly_chart")
    assert json.loads(curve.proto.spec)["layout"]["xaxis"]["exponentformat"] == "power", "1μ is no learning rate"


def test_a_run_says_why_its_recipe_was_chosen_and_what_was_found_before_it_began(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, snapshot: Snapshot, actor: Actor
) -> None:
    recipe, choice = settle_auto(take_fingerprint(connection, snapshot), {"weight_decay": 0.5})
    found = {
        "batch": 4, "seconds_a_step": 0.107, "memory_bytes": 10**8, "estimated_seconds": 246.0,
        "precision": "mixed_float16",
        "notes": ["No validation case is of pneumonia: how well it is told cannot be followed."],
    }  # fmt: skip
    run = add_run(
        connection, project=project.id, snapshot=snapshot.id, recipe=recipe, name="told",
        told={"choice": choice, "preflight": found}, actor=actor,
    )  # fmt: skip
    shown = said(open_page("train", project=project.id, run=run.id, recipe="cnn"))
    assert "not mirrored" in shown
    assert "Changed by whoever asked: weight decay 0.5." in shown
    assert "No validation case is of pneumonia" in shown
    assert "107 ms a step in batches of 4, 0.1 GB; expected to take 4.1 minutes." in shown
    assert "It learns in mixed precision (float16 where it is faster, float32 for weights and answers)." in shown


def test_a_model_says_in_which_precision_it_learnt(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model
) -> None:
    start_run(connection, model.run, device="gpu:0", environment={"precision": "mixed_float16"})
    shown = said(open_page("models", project=project.id, model=model.id))
    assert "<dt>precision</dt><dd>mixed precision (float16 where it is faster" in shown


def test_a_run_that_learns_says_how_busy_its_device_is_as_far_as_that_is_known(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, snapshot: Snapshot, actor: Actor
) -> None:
    run, _ = ask_training(connection, project, snapshot, named_recipe("cnn"), actor=actor)
    job = claim_job(connection, "train", "cpu")
    assert job
    known = {"epoch": 1, "epochs": 3, "memory_bytes": 10**9, "processor_share": 0.87}
    report_job(connection, job, fraction=0.3, note="Epoch 1 of 3", facts=known)
    shown = said(open_page("train", project=project.id, run=run.id))
    assert "<small>processor</small><b>87 %</b>" in shown
    assert "<small>GPU" not in shown
    gpu = {"gpu_share": 0.93, "gpu_memory_bytes": 5e9, "gpu_memory_whole_bytes": 8e9}
    report_job(connection, job, fraction=0.3, note="Epoch 1 of 3", facts=known | gpu)
    shown = said(open_page("train", project=project.id, run=run.id))
    assert "<small>GPU</small><b>93 %</b>" in shown
    assert "<small>GPU memory</small><b>5.0 GB of 8.0 GB</b>" in shown


def test_a_network_of_absurd_size_is_refused_on_screen_while_it_is_chosen(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, snapshot: Snapshot
) -> None:
    app = open_page("train", project=project.id, recipe="resnet")
    app.text_input(key="recipe_resnet_filters").set_value("1024,1024,1024")
    app.number_input(key="recipe_resnet_kernel_size").set_value(11)
    app.number_input(key="recipe_resnet_blocks").set_value(8).run()
    assert not app.exception
    assert any("Make filters or kernel_size or blocks smaller" in error.value for error in app.error)
    assert app.button(key="train_start").disabled
    assert not list_runs(connection, project.id)


def test_augmented_images_are_asked_for_with_the_recipe_on_screen_and_shown(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, project: Project, snapshot: Snapshot
) -> None:
    app = open_page("train", project=project.id, recipe="cnn")
    app.number_input(key="recipe_cnn_rotation").set_value(31.0)
    app.button(key="train_augmented").click().run()
    assert not app.exception
    (job,) = list_jobs(connection, kinds=("augmented",))
    assert job.arguments["recipe"]["rotation"] == 31
    assert "not mirrored" in said(app)
    recipe = recipe_from_json(job.arguments["recipe"])
    files.put_under("prepared", samples_key(snapshot, recipe, None), array_bytes(np.zeros((8, 8, 3), np.uint8)))
    assert "rr-samples" in said(app.run())
    assert "Each row shows one image: first unchanged, as the finished model will see it, then 5 times as" in said(app)
    assert not app.exception


def test_a_model_says_on_both_pages_whether_it_overfits_and_what_to_try(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model
) -> None:
    training = Measured(0.1, 0.99, 0.97, 1.0, 300, 150)
    validation = Measured(0.6, 0.8, 0.7, 0.88, 100, 50)
    gap = Gap("balanced_accuracy", training, validation, 0.98, 0.38, 0.2, 0.55)
    set_model_fact(connection, model.id, "gap", gap.to_json())
    advice = advise(gap, [], get_run(connection, model.run).recipe, training_cases=300, parameters=10)
    set_model_fact(connection, model.id, "advice", advice.to_json())
    for page in (
        open_page("train", project=project.id, run=model.run),
        open_page("models", project=project.id, model=model.id),
    ):
        assert not page.exception
        shown = said(page)
        assert "0.800 (0.700 to 0.880)" in shown
        assert "100 cases, 50 patients" in shown
        assert "It overfits" in shown
        assert "38 % (95 % interval 20 % to 55 %)" in shown
        assert "more data" in shown


def test_the_gap_of_numbers_has_their_unit(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model
) -> None:
    side = Measured(0.1, 0.3, 0.2, 0.4, 50, 50)
    gap = Gap("mae", side, side, 0.9, 0.0, -0.1, 0.1)
    advice = advise(gap, [], get_run(connection, model.run).recipe, training_cases=50, parameters=10)
    for further, unit in ((None, "nuclei"), ([{"target": "area"}], "standard deviations")):
        facts = {"task": "regression", "unit": "nuclei", "gap": gap.to_json(), "advice": advice.to_json()}
        facts |= {"further": further} if further else {}
        app = AppTest.from_function(draw_gap_alone, args=(replace(model, facts=facts),)).run()
        assert f"<th>mean absolute error, {unit} (95 %)</th>" in said(app)


def draw_gap_alone(model):  # type: ignore[no-untyped-def]
    """A page of the table alone."""
    from dashboard.gap_view import draw_gap

    draw_gap(model)


def test_a_learning_curve_is_asked_for_and_says_what_more_cases_would_bring(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, snapshot: Snapshot
) -> None:
    app = open_page("train", project=project.id, recipe="cnn")
    app.button(key="train_learning_curve").click().run()
    assert not app.exception
    (job,) = list_jobs(connection, kinds=("learning_curve",))
    claimed = claim_job(connection, "train", "cpu")
    assert claimed is not None
    points = [
        {"cases": n, "patients": n, "value": 0.95 - 2 * n**-0.6, "low": 0.7, "high": 0.99} for n in (100, 200, 300, 400)
    ]
    curve = {
        "metric": "balanced_accuracy", "is_error": False, "span": 0.5, "points": points, "law": [0.95, 2.0, 0.6],
        "laws": [[0.95, b, 0.6] for b in np.linspace(1.5, 2.5, 200)], "patients": 50, "network": "cnn",
        "snapshot": snapshot.id,
    }  # fmt: skip
    told = forecast_of(curve, 100)
    finish_job(connection, claimed, "done", result={**curve, "forecast": told, "sentence": told["sentence"]})
    app = open_page("train", project=project.id)
    assert not app.exception
    assert told["sentence"] in said(app)
    app.number_input(key=f"curve_more_{job.id}").set_value(40).run()
    assert forecast_of(curve, 40)["sentence"] in said(app)


def test_a_learning_curve_has_the_unit_of_its_errors_and_intervals_that_reach_zero() -> None:
    points = [{"cases": n, "value": value, "low": 0.0, "high": None} for n, value in ((100, 3.0), (200, 2.0))]
    curve = {"metric": "mae", "unit": "years", "is_error": True, "points": points, "law": [0, 1, 1], "laws": []}
    figure = draw_curve(curve, 250)
    assert figure.layout.yaxis.title.text == "mean absolute error, years"
    assert list(figure.data[-1].error_y.arrayminus) == [3.0, 2.0]
    assert list(figure.data[-1].error_y.array) == [0.0, 0.0]


def test_the_watched_cases_stand_on_the_run_with_both_answers(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, cases: list[Case]
) -> None:
    set_watched(connection, model.run, 2, {cases[0].id: {"scores": [0.9, 0.1]}, cases[1].id: {"scores": [0.2, 0.8]}})
    app = open_page("train", project=project.id, run=model.run)
    assert not app.exception
    shown = said(app)
    assert "After epoch 2" in shown
    assert "90 % normal" in shown
    assert "rr-watched right" in shown
    assert "rr-watched wrong" in shown


def test_all_folds_and_several_seeds_are_asked_for_at_once_each_fold_with_what_was_changed(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, snapshot: Snapshot
) -> None:
    app = open_page("train", project=project.id, recipe="auto")
    app.checkbox(key=f"train_all_folds_{snapshot.id}").check()
    app.number_input(key="train_seeds").set_value(2)
    app.text_input(key="train_name").set_value("m")
    app.number_input(key=f"recipe_auto_{snapshot.id}_epochs").set_value(7)
    app.button(key="train_start").click().run()
    assert not app.exception
    runs = sorted(list_runs(connection, project.id), key=lambda run: run.id)
    assert [run.name for run in runs] == [f"m fold {fold} seed {seed}" for fold in (0, 1) for seed in (0, 1)]
    assert [(run.fold, run.recipe.seed, run.recipe.epochs) for run in runs] == [
        (fold, seed, 7) for fold in (0, 1) for seed in (0, 1)
    ]
    assert all(run.told["choice"]["changed"] == {"epochs": "7"} for run in runs)
    training = [run.told["choice"]["fingerprint"]["training"] for run in runs]
    assert training == [
        sum(case.split == "train" for case in list_view(connection, snapshot.id, run.fold)) for run in runs
    ]


def test_several_trainings_become_one_model_where_it_is_given_a_name(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model
) -> None:
    before = {run.id for run in list_runs(connection, project.id)}
    app = open_page("train", project=project.id, recipe="cnn")
    assert app.text_input(key="train_ensemble").disabled, "one training has nothing to become one with"
    app.number_input(key="train_seeds").set_value(2).run()
    app.text_input(key="train_ensemble").set_value(model.name)
    app.button(key="train_start").click().run()
    assert "Choose another name" in said(app)
    assert {run.id for run in list_runs(connection, project.id)} == before, "all of them are asked for, or none"
    app.text_input(key="train_ensemble").set_value(" both ")
    app.button(key="train_start").click().run()
    assert not app.exception
    runs = [run for run in list_runs(connection, project.id) if run.id not in before]
    assert len(runs) == 2
    ids = sorted(run.id for run in runs)
    assert [run.told["joins"] for run in runs] == [{"name": "both", "runs": ids}] * 2


def test_a_model_is_trained_again_from_its_page_and_says_whether_it_is_the_same(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model
) -> None:
    app = open_page("models", project=project.id, model=model.id)
    app.button(key=f"repeat_{model.id}").click().run()
    assert not app.exception
    (job,) = list_jobs(connection, kinds=("train",))
    assert job.arguments["repeats"] == model.id
    set_model_fact(connection, model.id, "repetition", {"sentence": "The weights are bit-identical to those of first."})
    assert "bit-identical to those of first" in said(open_page("models", project=project.id, model=model.id))


def test_a_run_that_failed_ends_in_a_card_what_happened_why_and_what_to_do(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, snapshot: Snapshot, actor: Actor
) -> None:
    run, _ = ask_training(connection, project, snapshot, named_recipe("cnn"), actor=actor)
    claimed = claim_job(connection, "train", "cpu")
    assert claimed is not None
    told = {"error": "The GPU was lost.", "why": "The driver no longer answers.", "remedy": "Look at it, then resume."}
    finish_job(connection, claimed, "failed", **told)
    app = open_page("train", project=project.id, run=run.id)
    shown = said(app)
    for words in ("The GPU was lost.", "**Why:** The driver no longer answers.", "**What to do:** Look at it"):
        assert words in shown
    assert app.button(key=f"resume_{claimed.id}").label == "Resume"
    app.button(key=f"resume_{claimed.id}").click().run()
    assert list_jobs(connection, kinds=("train",))[0].state == "queued"


def test_a_run_that_would_end_in_the_same_way_offers_no_resuming_at_first(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, snapshot: Snapshot, actor: Actor
) -> None:
    run, _ = ask_training(connection, project, snapshot, named_recipe("cnn"), actor=actor)
    claimed = claim_job(connection, "train", "cpu")
    assert claimed is not None
    finish_job(connection, claimed, "failed", error="Changed.", remedy="Freeze a new snapshot.", would_repeat=True)
    app = open_page("train", project=project.id, run=run.id)
    assert not app.exception
    assert [one.label for one in app.button if one.key == f"resume_{claimed.id}"] == ["Resume all the same"]
    assert "would end in the same way" in said(app)
