"""A fresh network takes over what was learnt before: the weights of a file, read in a child."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import CoreError
from core.progress import Progress, stop_if_asked
from core.settings import PROJECT_ROOT
from core.store.files import Files
from core.tasks.generation import DRAWER
from core.tasks.regression import QUANTITY
from core.training.networks import leaves_of
from core.training.onnx_export import watch_child
from core.training.recipe import Recipe
from core.training.stored import network_of

MOST_MEMORY = 4 << 30
SECONDS = 300.0
LAST_WORDS = 200

Layers = list[tuple[str, list[np.ndarray]]]
Terms = tuple[np.ndarray, np.ndarray]  # mean and standard deviation, a number each or one for each quantity


@dataclass(frozen=True)
class Learnt:
    """Weights of one source, by layer in its order; `by_name` where layers have the names of the network itself.

    `head`: whether the last layer answers the same question. `terms`: of a number, the mean and the standard deviation
    in which that layer says it.
    """

    said: str
    layers: Layers
    by_name: bool
    head: bool
    terms: Terms | None = None


def read_learnt(files: Files, recipe: Recipe, sources: Mapping[str, Any], progress: Progress) -> list[Learnt]:
    """What a run begins from, nothing where it begins from nothing.

    Raises:
        CoreError: a file was altered or is gone, or Keras cannot read it.
        Stopped: somebody asked to stop.
    """
    learnt = []
    for key, source in sources.items():
        if "model" in source:  # Readroom's own
            network = network_of(files.read_bytes("models", source["hash"]))
            layers = [(layer.name, layer.get_weights()) for layer in leaves_of(network) if layer.weights]
            terms = _terms_of(network)
        else:
            layers, terms = _read(files, recipe.network, source, progress), None
        learnt.append(Learnt(source["said"], layers, key == "weights", bool(source.get("same_answer")), terms))
    return learnt


def _terms_of(network: Any) -> Terms | None:
    """The mean and the standard deviation that a network's last layer turns into a number in its unit."""
    last = next((layer for layer in network.layers if layer.name == QUANTITY), None)
    return None if last is None else (np.asarray(last.offset, np.float64), np.asarray(last.scale, np.float64))


def _read(files: Files, network: str, source: Mapping[str, Any], progress: Progress) -> Layers:
    end = time.monotonic() + SECONDS
    with tempfile.TemporaryDirectory() as place:
        copy, out, log = (Path(place) / name for name in ("start.keras", "start.npz", "log"))
        copy.write_bytes(files.read_bytes("models", source["hash"]))
        command = [sys.executable, "-m", "core.training.starting_child", source["form"], network, str(copy), str(out)]
        with log.open("wb") as stream:
            child = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=stream, stderr=subprocess.STDOUT)
            broken_off = watch_child(child, MOST_MEMORY, lambda: progress.should_stop() or time.monotonic() > end)
        stop_if_asked(progress)
        if broken_off or child.returncode != 0:
            said = (log.read_text("utf-8", "replace").strip().splitlines() or ["nothing"])[-1][-LAST_WORDS:]
            why = f"it took too long or more than {MOST_MEMORY >> 30} GB" if broken_off else said
            raise CoreError(
                f"What this training should begin from cannot be read ({why}). Received: {source['said']}",
                remedy="Start a new run that begins from another model or file, or from nothing.",
                would_repeat=not broken_off,  # another time there may be more time and memory
            )
        return read_layers(out)


def read_layers(path: Path) -> Layers:
    """What the child has written: each layer's name and weights, in order."""
    with np.load(path, allow_pickle=False) as saved:
        names = json.loads(str(saved["names"]))
        counts = [sum(key.startswith(f"{at}_") for key in saved.files) for at in range(len(names))]
        return [
            (name, [saved[f"{at}_{place}"] for place in range(count)])
            for at, (name, count) in enumerate(zip(names, counts, strict=True))
        ]


def take_over(network: Any, learnt: Learnt, raw: str) -> None:
    """Put the weights into a fresh network; its last layer (`raw`) stays fresh unless it answers the same question.

    Of a network that draws only the part that draws takes them, as it is all that a model holds.

    Raises:
        CoreError: the layers are others.
    """
    kept = next((layer for layer in network.layers if layer.name == DRAWER), network)
    layers = [layer for layer in leaves_of(kept) if layer.weights]
    body, head = [layer for layer in layers if layer.name != raw], network.get_layer(raw)
    pairs: list[tuple[Any, list[np.ndarray]]]
    if learnt.by_name:
        given = dict(learnt.layers)
        if missing := [layer.name for layer in body if layer.name not in given]:
            raise _differs(learnt, f"no layer {missing[0]}")
        pairs = [(layer, given[layer.name]) for layer in body]
    else:
        if len(learnt.layers) not in (len(body), len(layers)):
            raise _differs(learnt, f"{len(learnt.layers)} layers with weights for {len(layers)}")
        values = [weights for _, weights in learnt.layers]
        pairs = list(zip(body, values[: len(body)], strict=True))
        if learnt.head and len(values) == len(layers) and _shapes(head.weights) == _shapes(values[-1]):
            pairs.append((head, _in_terms(values[-1], learnt.terms, _terms_of(network))))
    for layer, weights in pairs:
        if _shapes(layer.weights) != _shapes(weights):
            raise _differs(learnt, f"weights {_shapes(weights)} for {_shapes(layer.weights)} of layer {layer.name}")
    for layer, weights in pairs:
        layer.set_weights(weights)


def _in_terms(weights: list[np.ndarray], old: Terms | None, new: Terms | None) -> list[np.ndarray]:
    """The last layer's weights so that it says the same numbers, where the training answers have another mean and
    another standard deviation."""
    if old is None or new is None or all(map(np.array_equal, old, new)):
        return weights  # to the bit
    kernel, bias = weights
    (old_mean, old_deviation), (mean, deviation) = old, new
    return [kernel * (old_deviation / deviation), (bias * old_deviation + old_mean - mean) / deviation]


def _shapes(weights: Any) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in weights]


def _differs(learnt: Learnt, how: str) -> CoreError:
    return CoreError(
        f"This network is built differently from what it should begin from, {learnt.said}. Received: {how}",
        remedy="Start a new run with the network fields of the model to begin from, or from nothing.",
        would_repeat=True,
    )
