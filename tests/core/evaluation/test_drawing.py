"""A model that draws is judged by what a classifier sees, and held against the images that it was shown."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import CoreError, InvalidInput
from core.evaluation import drawing
from core.evaluation.predict_files import predict_files
from core.evaluation.run import evaluate_model
from core.explain.run import refuse_painting
from core.progress import Silent
from core.training import judge
from core.training.networks import build_network
from core.training.recipe import change_recipe, named_recipe, recipe_to_json
from core.training.records import add_model, add_run
from core.training.request import training_cases
from core.training.stored import network_bytes


def test_a_model_that_repeats_what_it_was_shown_is_found_out(
    connection, files, settings, actor, sides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First as it draws; then with training images in the place of what it draws, which no number should forgive."""
    recipe = change_recipe(named_recipe("vae"), {"input_size": 16, "filters": "4", "stages": 1})
    run = add_run(connection, project=sides[0].id, snapshot=sides[1].id, recipe=recipe, name="untaught", actor=actor)
    network = build_network(recipe, sides[1].schema, np.ones((2, 2)))
    model = add_model(
        connection, run, keras_hash=files.put_bytes("models", network_bytes(network.get_layer("drawer"))),
        onnx_left_out_because="it draws", parameters=1, file_bytes=1, seconds=1.0, actor=actor,
        facts={"task": "generation", "classes": ["left", "right"],
               "input": {"size": 16, "channels": 1, "resize": "pad"}},
    )  # fmt: skip
    monkeypatch.setattr(judge, "MOST_EPOCHS", 12)
    monkeypatch.setattr(judge, "CHANGES", {**judge.CHANGES, "filters": "8,16", "stages": 2, "learning_rate": 0.01})
    asked = (connection, files, settings, model.id, sides[1].id, "validation", actor, Silent())
    told = evaluate_model(*asked)
    metrics = told["metrics"]
    assert (told["task"], told["n_cases"], told["n_samples"], told["classes"]) == (
        "generation", 12, 12, ["left", "right"],
    )  # fmt: skip
    assert metrics["fid_like"]["low"] <= metrics["fid_like"]["value"] <= metrics["fid_like"]["high"]
    assert metrics["judge_accuracy"]["value"] > 0.8
    assert metrics["memorised"]["value"] == 0
    assert told["judge"]["trained_on"] == told["n_training"] == 24
    first = told["pairs"][0]
    assert Image.open(io.BytesIO(base64.b64decode(first["png"]))).text["Synthetic"]

    train = training_cases(connection, sides[1], None)[0]

    def repeat(connection, files, model, conditions, progress, *, seed):
        shown = drawing.prepare_images(connection, files, train, drawing.image_spec(model), progress)
        of = np.array([case.value["classes"] == ["right"] for case in train])
        return shown.read([int(np.flatnonzero(of == bool(one[1]))[at % 12]) for at, one in enumerate(conditions)])

    monkeypatch.setattr(drawing, "draw_with", repeat)
    caught = evaluate_model(*asked)
    assert caught["metrics"]["memorised"]["value"] == 1
    assert caught["metrics"]["class_consistency"]["value"] > 0.8
    assert caught["metrics"]["fid_like"]["value"] < metrics["fid_like"]["value"]
    assert caught["pairs"][0]["case"] in {case.case_id for case in train}

    # Mirrored, they are as they were shown where the recipe mirrors, and strangers where it does not.
    monkeypatch.setattr(drawing, "draw_with", lambda *given, **options: np.flip(repeat(*given, **options), 2))
    strangers = evaluate_model(*asked)
    assert (strangers["mirrored"], strangers["metrics"]["memorised"]["value"]) == ("none", 0)
    recipe = json.dumps(recipe_to_json(change_recipe(recipe, {"flip": "left-right"})))
    connection.execute("UPDATE runs SET recipe = ? WHERE id = ?", (recipe, run.id))
    caught = evaluate_model(*asked)
    assert (caught["mirrored"], caught["metrics"]["memorised"]["value"]) == ("left-right", 1)
    # Real images and the limits are held to the same: each has more that it can be close to.
    assert caught["limits"]["pixels"] <= strangers["limits"]["pixels"]
    assert caught["limits"]["features"] <= strangers["limits"]["features"]
    for refused in (
        lambda: predict_files(files, settings, model, [tmp_path], Silent(), tmp_path),
        lambda: refuse_painting(model),
    ):
        with pytest.raises((CoreError, InvalidInput), match="Received: untaught"):
            refused()
