"""Ensembles and what a model began from, on the Models page."""

import sqlite3

from core.store.audit import Actor
from core.store.files import Files
from core.training.ensemble import make_ensemble
from core.training.recipe import change_recipe, named_recipe
from core.training.records import Model, add_model, add_run, get_model, list_models, set_model_fact
from tests.pages.conftest import OpenPage, said


def test_an_ensemble_shows_its_members_and_their_spread(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, model: Model, actor: Actor
) -> None:
    for at, value in ((1, 0.75), (2, 0.5)):
        recipe = change_recipe(named_recipe("cnn"), {"seed": at})
        run = add_run(connection, project=model.project, snapshot=1, recipe=recipe, name=f"seed {at}", actor=actor)
        facts = {**model.facts, "validation": {"balanced_accuracy": value}}
        add_model(
            connection, run, keras_hash=f"{at}" * 64, onnx_left_out_because="none", parameters=5, file_bytes=4,
            facts=facts, seconds=1.0, actor=actor,
        )  # fmt: skip
    members = [get_model(connection, model.project, name) for name in ("seed 1", "seed 2")]
    both = make_ensemble(connection, files, model.project, "both", members, actor=actor)
    page = open_page("models", project=model.project, model=both.id)
    assert not page.exception
    shown = said(page)
    assert "2 members" in shown
    assert "From 0.500 to 0.750 over 2 members" in shown
    assert "An ensemble has no file of its own" in shown
    assert "Keras (" not in shown
    page.button(key=f"model_views_{both.id}").click().run()
    assert not page.exception
    moved = list_models(connection, model.project)[0]
    assert moved.name == "both with test-time augmentation"
    assert (
        "the mean over 7 views of each image: as it is, shifted by 2.5 % of its side each way, turned by 3.5°"
        in said(open_page("models", project=model.project, model=moved.id))
    )


def test_numbers_of_an_epoch_are_said_to_be_of_before_the_threshold(
    open_page: OpenPage, connection: sqlite3.Connection, model: Model
) -> None:
    set_model_fact(connection, model.id, "validation", {"accuracy": 0.75})
    shown = said(open_page("models", project=model.project, model=model.id))
    assert "accuracy 0.750 (n = " in shown
    assert "decided at 0.5" not in shown
    set_model_fact(connection, model.id, "calibration", {"thresholds": {"pneumonia": {"value": 0.3}}})
    assert "decided at 0.5" in said(open_page("models", project=model.project, model=model.id))


def test_a_model_says_what_it_began_from(open_page: OpenPage, connection: sqlite3.Connection, model: Model) -> None:
    begun = {"start_from": {"hash": "ab" * 32, "said": "the file theirs<b>.keras", "form": "keras"}}
    set_model_fact(connection, model.id, "sources", begun)
    shown = said(open_page("models", project=model.project, model=model.id))
    assert "Begun from" in shown
    assert "the file theirs&lt;b&gt;.keras" in shown
