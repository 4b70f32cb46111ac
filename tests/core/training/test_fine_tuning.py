"""Fine-tuning: from an earlier model or a file, with the body held for some epochs, and the same twice."""

import subprocess

import keras
import numpy as np
import pytest

from core.errors import CoreError, InvalidInput, NotAllowed, Stopped
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.progress import Silent
from core.projects.schema import Quantity, Regression
from core.store.audit import Actor
from core.store.stock import list_stored
from core.tasks.regression import RAW
from core.training.networks import build_network
from core.training.recipe import change_recipe, named_recipe
from core.training.records import add_model, add_run, get_model, get_run, list_epochs
from core.training.request import request_training
from core.training.sources import settle_sources
from core.training.starting import read_learnt, take_over
from core.training.starting_child import main
from core.training.stored import load_network, network_bytes

pytestmark = pytest.mark.usefixtures("no_onnx")


def test_a_model_is_taken_further_with_its_body_held_and_goes_on_after_a_kill(
    connection, files, train, small_recipe, checkpoint_of_epoch, tmp_path
) -> None:
    first = train(change_recipe(small_recipe, {"epochs": 1}), name="first")
    before = get_model(connection, None, first["model_id"])
    held = change_recipe(small_recipe, {"start_from": "first", "freeze_epochs": 1, "epochs": 1})
    model = get_model(connection, None, train(held, folder="held")["model_id"])
    run = get_run(connection, model.run)
    assert model.facts["sources"]["start_from"]["said"] == "model first"
    assert run.recipe.start_from == before.keras_hash
    assert "begins from model first and learns at a rate of 0.001, 0.1 of 0.01, the first epoch with" in str(run.told)
    for old, new in zip(load_network(files, before).layers, load_network(files, model).layers, strict=True):
        same = all(map(np.array_equal, old.get_weights(), new.get_weights()))
        assert same == (new.name != "logits"), new.name

    # Asked again by the hash, whatever the name stands for by then; killed after its held epoch, with an average.
    recipe, sources = change_recipe(run.recipe, {"epochs": 3, "ema": 0.9}), run.told["sources"]
    checkpoint_of_epoch(2, tmp_path / "broken")
    whole = train(recipe, folder="whole", sources=sources)
    again = train(recipe, folder="broken", sources=sources)
    assert [epoch["epoch"] for epoch in list_epochs(connection, again["run"])] == [3]
    pair = [load_network(files, get_model(connection, None, one["model_id"])).get_weights() for one in (whole, again)]
    assert all(map(np.array_equal, *pair))


def test_another_network_or_a_stranger_s_file_is_refused_by_name(
    connection, files, planted, train, small_recipe, tmp_path, actor
) -> None:
    run = add_run(
        connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=small_recipe, name="first",
        actor=actor,
    )  # fmt: skip
    add_model(
        connection, run, keras_hash="0" * 64, onnx_left_out_because="none", parameters=1, file_bytes=1, facts={},
        seconds=1.0, actor=actor,
    )  # fmt: skip
    for changes, sentence in (
        ({"filters": "4,16"}, "its own network: --set filters=8 --set stages=1. Received: filters 4,16, stages 2"),
        ({"network": "cnn", "dense_units": 8}, "--recipe resnet"),
        ({"start_from": "nobody"}, "no model or file of this name"),
        ({"start_from": "~nobody-of-this-name/a.keras"}, "no model or file of this name"),
    ):
        with pytest.raises(InvalidInput, match=sentence):
            train(change_recipe(small_recipe, {"start_from": "first", **changes}))
    ensure_user(connection, "ben")
    set_member(connection, planted.project.id, "ben", "scientist", actor=Actor("anna", "command line"))
    for name in (str(tmp_path / "a.keras"), "frist"):  # a mistyped model looks like a file
        with pytest.raises(NotAllowed, match="There is no model of this name in the project to begin from, and files"):
            request_training(
                connection, planted.project, planted.snapshot, change_recipe(small_recipe, {"start_from": name}),
                files=files, actor=Actor("ben", "screen"),
            )  # fmt: skip


def test_a_model_is_taken_further_however_volumes_are_shown_to_it(connection, planted, actor) -> None:
    """On new volumes `auto` finds another spacing; and what is asked at low resolutions is no part of the network."""
    first = change_recipe(named_recipe("unet3d"), {"spacing_mm": "1,1,1", "deep_supervision": 2})
    run = add_run(
        connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=first, name="first", actor=actor
    )
    add_model(
        connection, run, keras_hash="0" * 64, onnx_left_out_because="none", parameters=1, file_bytes=1, facts={},
        seconds=1.0, actor=actor,
    )  # fmt: skip
    changes = {"spacing_mm": "2,1,1", "deep_supervision": 0, "patches": 4, "painted_share": 0.8, "start_from": "first"}
    recipe, begun = settle_sources(
        connection, None, planted.snapshot, change_recipe(named_recipe("unet3d"), changes), {}, actor
    )
    assert recipe.start_from == "0" * 64
    assert begun["start_from"]["said"] == "model first"
    with pytest.raises(InvalidInput, match="its own network: --set patch_size=32,64,64"):  # it says what is halved
        settle_sources(connection, None, planted.snapshot, change_recipe(recipe, {"patch_size": "8,64,64"}), {}, actor)


def test_a_model_of_whole_volumes_is_taken_further_on_more_or_fewer_frames(connection, files, planted, actor) -> None:
    """As on another input size: its weights are the same, however long its input is."""
    networks = []
    for depth in (8, 16):
        recipe = change_recipe(named_recipe("cnn3d"), {"input_depth": depth, "input_size": 16, "filters": "2,4"})
        networks.append(build_network(recipe, planted.snapshot.schema, np.ones((2, 2), np.float32)))
    shapes = [[weight.shape for weight in network.get_weights()] for network in networks]
    assert shapes[0] == shapes[1]
    run = add_run(
        connection, project=planted.project.id, snapshot=planted.snapshot.id, name="first", actor=actor,
        recipe=change_recipe(recipe, {"input_depth": 8}),
    )  # fmt: skip
    first = add_model(
        connection, run, keras_hash=files.put_bytes("models", network_bytes(networks[0])), onnx_left_out_because="none",
        parameters=1, file_bytes=1, facts={}, seconds=1.0, actor=actor,
    )  # fmt: skip
    asked = change_recipe(recipe, {"start_from": "first"})
    recipe, begun = settle_sources(connection, None, planted.snapshot, asked, {}, actor)
    assert recipe.start_from == first.keras_hash
    (learnt,) = read_learnt(files, recipe, begun, Silent())
    take_over(networks[1], learnt, "logits")
    bodies = [[layer for layer in one.layers if layer.weights and layer.name != "logits"] for one in networks]
    for old, new in zip(*bodies, strict=True):
        assert all(map(np.array_equal, old.get_weights(), new.get_weights()))


@pytest.mark.parametrize("further", [(), (Quantity("area", "µm²", 0.0, None),)])
def test_a_model_of_a_number_says_the_same_numbers_where_it_is_taken_further(files, small_recipe, further) -> None:
    """Also on answers of another mean and another spread, in which its last layer is told anew."""
    schema = Regression("count", "nuclei", 0.0, None, None, further)
    terms = [np.array([[30.0, 900.0], [10.0, 300.0]]), np.array([[80.0, 400.0], [25.0, 50.0]])]
    there, here = (build_network(small_recipe, schema, one[:, : 1 + len(further)].astype(np.float32)) for one in terms)
    source = {"hash": files.put_bytes("models", network_bytes(there)), "said": "", "model": 1, "same_answer": True}
    (learnt,) = read_learnt(files, small_recipe, {"start_from": source}, Silent())
    take_over(here, learnt, RAW)
    images = np.random.default_rng(0).integers(0, 256, (4, *here.input_shape[1:]), np.uint8)
    np.testing.assert_allclose(here(images), there(images), rtol=1e-4)


def test_a_file_of_another_shape_ends_in_a_sentence_and_is_kept_with_its_run(
    connection, files, train, small_recipe, tmp_path
) -> None:
    image = keras.Input((16, 16, 1))
    keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image))).save(tmp_path / "theirs.keras")
    with pytest.raises(CoreError, match=r"built differently from .* the file theirs\.keras\. Received: 1 layers"):
        train(change_recipe(small_recipe, {"start_from": str(tmp_path / "theirs.keras")}))
    kept = get_run(connection, 1).told["sources"]["start_from"]["hash"]
    assert (tmp_path / "theirs.keras").read_bytes() == files.read_bytes("models", kept)
    assert kept in {item.content_hash for item in list_stored(connection)}
    (tmp_path / "theirs.keras").write_bytes(b"no model")
    with pytest.raises(InvalidInput, match="not a Keras file"):
        train(change_recipe(small_recipe, {"start_from": str(tmp_path / "theirs.keras")}))


def test_a_file_that_others_made_with_keras_is_taken_further_to_the_end(
    connection, files, train, tmp_path, monkeypatch
) -> None:
    """Its layers have names of their own; it is read in a child, in Keras's safe mode, and its weights stay while the
    body is held."""
    asked = []
    really = subprocess.Popen
    monkeypatch.setattr(
        "core.training.starting.subprocess.Popen", lambda *a, **k: asked.append(a[0]) or really(*a, **k)
    )
    image = keras.Input((16, 16, 1), name="their_image")
    x = keras.layers.Rescaling(1 / 255)(image)
    for filters in (4, 8):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Dense(16, activation="relu", name="theirs")(keras.layers.Flatten()(x))
    foreign = keras.Model(image, keras.layers.Dense(5, "softmax", name="five_classes")(x))
    foreign.save(tmp_path / "theirs.keras")
    changes = {
        "input_size": 16, "filters": "4,8", "dense_units": 16, "batch": 8, "epochs": 1, "freeze_epochs": 1,
        "start_from": str(tmp_path / "theirs.keras"),
    }  # fmt: skip
    model = get_model(connection, None, train(change_recipe(named_recipe("cnn"), changes))["model_id"])
    assert model.facts["sources"]["start_from"]["said"] == "the file theirs.keras"
    assert sum("core.training.starting_child" in command for command in asked) == 1
    given = [layer.get_weights() for layer in foreign.layers if layer.weights][:-1]
    kept = [layer.get_weights() for layer in load_network(files, model).layers if layer.weights]
    assert len(kept) == len(given) + 1  # the last layer answers another question
    for theirs, ours in zip(given, kept, strict=False):
        assert all(map(np.array_equal, theirs, ours))


def test_a_stop_while_a_file_is_read_is_a_stop_and_no_failure(files, small_recipe) -> None:
    class Stopping(Silent):
        def should_stop(self) -> bool:
            return True

    source = {"hash": files.put_bytes("models", b"a large file"), "said": "the file a.keras", "form": "keras"}
    with pytest.raises(Stopped):
        read_learnt(files, small_recipe, {"start_from": source}, Stopping())


def test_the_child_reads_in_safe_mode(tmp_path) -> None:
    """Should a file with code in it ever come so far, Keras itself refuses it."""
    image = keras.Input((4, 4, 1))
    keras.Model(image, keras.layers.Lambda(lambda x: x + 1)(image)).save(tmp_path / "code.keras")
    with pytest.raises(ValueError, match=r"unsafe|safe_mode"):
        main(["keras", "cnn", str(tmp_path / "code.keras"), str(tmp_path / "out.npz")])
    assert not (tmp_path / "out.npz").exists()
