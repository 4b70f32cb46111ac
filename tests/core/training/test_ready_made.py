"""Networks that are ready made: any size, their own layer names, settings that reach them, weights from files."""

import hashlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from core.errors import CoreError, InvalidInput
from core.projects.schema import make_classification
from core.settings import PROJECT_ROOT
from core.training import starting_child
from core.training.networks import NETWORKS, build_network, feature_layers
from core.training.recipe import change_recipe, named_recipe
from core.training.sources import fetch_weights
from core.training.starting import Learnt, read_layers, take_over

READY = [name for name, network in NETWORKS.items() if "weights" in network.FIELDS]
TWO, ONES = make_classification(["a", "b"]), np.ones((2, 2))


@pytest.mark.parametrize("name", READY)
def test_settings_reach_a_ready_made_network(name: str) -> None:
    recipe = change_recipe(named_recipe(name), {"stages": 1, "input_size": 33, "l2": 0.01, "dropout": 0.2})
    network = build_network(recipe, TWO, ONES)
    kernels = [layer for layer in network.layers if getattr(layer, "kernel", None) is not None]
    assert len(network.losses) == len(kernels) > 2
    assert network.get_layer("dropout").rate == 0.2
    assert network.get_layer(feature_layers(recipe)[-1]).output.shape[1] in (8, 9, 17)
    more = build_network(change_recipe(recipe, {"stages": 2}), TWO, ONES)
    assert more.count_params() > network.count_params()
    # Its input is what ImageNet's weights expect: mean 0 and deviation 1 over the images that they learnt from.
    grey = np.full((1, 33, 33, 1), 118, np.uint8)
    seen = keras.Model(network.input, network.get_layer("scale").output)(grey)
    np.testing.assert_allclose(
        seen[0, 0, 0], (118 / 255 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], 1e-4
    )


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("densenet", {"stages": 5}, "has 4 stages"),
        ("densenet", {"weights": "imagenet", "start_from": "squares"}, "not from both"),
        ("efficientnet", {"weights": "imagenet", "start_from": "squares"}, "not from both"),
        ("resnet", {"weights": "imagenet"}, "are for densenet or efficientnet"),
        ("densenet", {"freeze_epochs": 1}, "Only what was learnt before"),
        ("densenet", {"weights": "imagenet", "freeze_epochs": 26}, "no more epochs"),
        ("densenet", {"weights": "a\nb"}, "on one line"),
        ("densenet", {"weights": "x" * 1001}, "at most 1000"),
        ("densenet", {"fine_tune_rate": 0}, "from 0.0001 to 1"),
        ("densenet", {"freeze_epochs": -1}, "from 0 to"),
    ],
)
def test_what_does_not_go_with_a_beginning_is_refused(name: str, changes: dict, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        change_recipe(named_recipe(name), changes)


def test_a_rate_is_lower_where_something_was_learnt_before() -> None:
    recipe = change_recipe(named_recipe("densenet"), {"learning_rate": 0.01})
    assert recipe.highest_rate == 0.01
    assert change_recipe(recipe, {"weights": "imagenet"}).highest_rate == pytest.approx(0.001)
    assert change_recipe(recipe, {"start_from": "a", "fine_tune_rate": 1}).highest_rate == 0.01


def test_weights_of_the_whole_reach_its_first_stages_by_name(tmp_path: Path) -> None:
    """From a file of weights (HDF5); the same numbers are no weights of another network."""
    whole = NETWORKS["efficientnet"].ready_made()
    whole.save_weights(tmp_path / "ready.weights.h5")
    (tmp_path / "ready.weights.h5").rename(tmp_path / "start.keras")
    starting_child.main(["weights", "efficientnet", str(tmp_path / "start.keras"), str(tmp_path / "out.npz")])
    learnt = Learnt("the file ready.weights.h5", read_layers(tmp_path / "out.npz"), by_name=True, head=False)
    small = {"stages": 1, "input_size": 16}
    network = build_network(change_recipe(named_recipe("efficientnet"), small), TWO, ONES)
    take_over(network, learnt, "logits")
    for layer in ("stem_conv", "block1a_project_conv"):
        assert np.array_equal(network.get_layer(layer).get_weights()[0], whole.get_layer(layer).get_weights()[0])
    with pytest.raises(CoreError, match=r"built differently from .* the file ready\.weights\.h5\. Received: no layer"):
        take_over(build_network(change_recipe(named_recipe("densenet"), {"stages": 1}), TWO, ONES), learnt, "logits")


def test_a_file_of_weights_that_points_to_another_file_is_not_opened(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "start.keras", "w") as made:
        made["a"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(ValueError, match="points to another file"):
        starting_child.main(["weights", "densenet", str(tmp_path / "start.keras"), str(tmp_path / "out.npz")])


def test_the_child_that_reads_a_file_from_elsewhere_brings_no_database_along() -> None:
    script = "import sys, core.training.starting_child; sys.exit(sorted({'sqlite3', 'psutil'} & {*sys.modules}) or 0)"
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_weights_are_fetched_and_checked_or_a_sentence_says_why_not(tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(b"some weights")
    address = (tmp_path / "weights.h5").as_uri()
    assert fetch_weights(address, hashlib.md5(b"some weights").hexdigest()) == b"some weights"
    with pytest.raises(CoreError, match="is not the weights"):
        fetch_weights(address, hashlib.md5(b"others").hexdigest())
    with pytest.raises(CoreError, match=r"cannot be fetched from here .*name a file that you have \(weights=PATH\)"):
        fetch_weights("http://127.0.0.1:9/weights.h5", "")


@pytest.mark.parametrize(
    "answer", [b"<html>blocked</html>\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc"]
)
def test_a_proxy_that_answers_nonsense_or_breaks_off_ends_in_a_sentence(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def answer_once() -> None:
            asked, _ = proxy.accept()
            with asked:
                asked.recv(4096)
                asked.sendall(answer)

        answering = threading.Thread(target=answer_once)
        answering.start()
        with pytest.raises(CoreError, match=r"cannot be fetched from here \(\S.*\); name a file"):
            fetch_weights(f"http://127.0.0.1:{proxy.getsockname()[1]}/weights.h5", "")
        answering.join()
