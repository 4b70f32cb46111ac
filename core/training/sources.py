"""What a training begins from beside its snapshot: ready-made weights, or an earlier model.

Whoever asks names them: a model, a file, ImageNet. From then on a recipe knows them by the SHA-256 of the file, which
is kept in the store, so that a repetition begins from the very same weights whatever became of the name.
"""

import hashlib
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from core.datasets.records import Snapshot
from core.errors import CoreError, InvalidInput, NotAllowed, NotFound
from core.people.roles import demand_of
from core.store.audit import Actor
from core.store.files import Files
from core.tasks import task_module
from core.training.keras_files import check_keras_file
from core.training.networks import NETWORKS
from core.training.recipe import Recipe, change_recipe
from core.training.records import Model, find_source, get_model, get_run, list_models

NONE, IMAGENET = "none", "imagenet"
HDF5 = b"\x89HDF\r\n\x1a\n"  # how such a file begins
MOST_BYTES = 2 << 30
SECONDS_TO_ANSWER = 20
# Fields of a network that have no weights of their own: how it is held back, asked while it learns, and shown volumes.
MAY_DIFFER = (
    *("dropout", "l2", "pooling", "weights", "deep_supervision"),
    *("spacing_mm", "patches", "painted_share", "input_depth"),
)

Sources = dict[str, dict[str, Any]]  # by field: hash, said, and of a model its number


def settle_sources(
    connection: sqlite3.Connection,
    files: Files | None,
    snapshot: Snapshot,
    recipe: Recipe,
    known: Mapping[str, Any],
    actor: Actor,
) -> tuple[Recipe, Sources]:
    """The recipe with hashes for names, and what they stand for, by field.

    Args:
        files: where a file that is named goes; without it only what is there already can be named.
        known: what an earlier run began from, where this one repeats it.

    Raises:
        CoreError: there is no such model or file, it does not fit the network or is unsafe, the actor may not read
            files of this server, or ImageNet's weights cannot be fetched.
    """
    found: Sources = {}
    for key in ("weights", "start_from"):
        value = getattr(recipe, key)
        if value == NONE:
            continue
        if value == known.get(key, {}).get("hash"):
            found[key] = dict(known[key])
        elif key == "start_from" and (model := _find_model(connection, snapshot.project, value)):
            found[key] = _of_model(connection, model, snapshot, recipe)
        elif files is None:
            raise InvalidInput(f"There is no model of this name in the project to begin from. Received: {value}")
        elif key == "weights" and value == IMAGENET:
            found[key] = _of_imagenet(connection, files, recipe.network)
        else:
            found[key] = _of_file(connection, files, key, value, actor)
    return change_recipe(recipe, {key: source["hash"] for key, source in found.items()}), found


def fetch_ahead(connection: sqlite3.Connection, files: Files, recipe: Recipe) -> tuple[Recipe, Sources]:
    """The recipe with the hash of ready-made weights that have an address, and where they are from: for who asks within
    a transaction (`known` of `settle_sources`), in which everybody who writes would wait for a slow download.

    Raises:
        CoreError: they cannot be fetched.
    """
    if recipe.weights != IMAGENET:
        return recipe, {}
    source = _of_imagenet(connection, files, recipe.network)
    return change_recipe(recipe, {"weights": source["hash"]}), {"weights": source}


def describe_sources(recipe: Recipe, sources: Sources) -> tuple[str, ...]:
    """What somebody should know who asks for it: where it begins, and how carefully it goes on."""
    if not sources:
        return ()
    said = ", ".join(source["said"] for source in sources.values())
    epochs = "epoch" if recipe.freeze_epochs == 1 else f"{recipe.freeze_epochs} epochs"
    held = f", the first {epochs} with everything but the last layer held"
    anew = getattr(NETWORKS[recipe.network], "BEGINS_ANEW", "")
    return (
        f"It begins from {said} and learns at a rate of {recipe.highest_rate:g}, {recipe.fine_tune_rate:g} of "
        f"{recipe.learning_rate:g}{held if recipe.freeze_epochs else ''}.{anew}",
    )


def _find_model(connection: sqlite3.Connection, project: int, value: str) -> Model | None:
    try:
        return get_model(connection, project, value)
    except NotFound:
        return next((model for model in list_models(connection, project) if model.keras_hash == value), None)


def _of_model(connection: sqlite3.Connection, model: Model, snapshot: Snapshot, recipe: Recipe) -> dict[str, Any]:
    """A model of the same network; its last layer is taken too where it answers the same question."""
    if "members" in model.facts:
        raise InvalidInput(f"Begin from one model, for example a member of this ensemble. Received: {model.name}")
    its = get_run(connection, model.run).recipe
    same = {"network", "channels", *NETWORKS[its.network].FIELDS} - set(MAY_DIFFER)
    if {"dense_units", "latent"} & same:
        same.add("input_size")  # a dense layer has weights for each pixel that is left
    if different := [key for key in sorted(same) if getattr(its, key) != getattr(recipe, key)]:
        wanted = " ".join(f"--set {key}={_text(getattr(its, key))}" for key in different)
        if its.network != recipe.network:
            wanted = f"--recipe {its.network}"
        raise InvalidInput(
            f"A model can only be taken further with its own network: {wanted}. "
            f"Received: {', '.join(f'{key} {_text(getattr(recipe, key))}' for key in different)} for {model.name}"
        )
    task = task_module(snapshot.task)
    said = task.describe_schema(snapshot.schema)
    same_answer = model.task == snapshot.task and all(model.facts.get(key) == value for key, value in said.items())
    if task.DRAWS and not same_answer:  # its classes are asked for in every layer, and not in the last alone
        raise InvalidInput(
            f"A model that draws can only be taken further with its own classes; begin from nothing, or freeze a "
            f"snapshot of those. Received: {', '.join(said['classes'])} for {model.name}, which draws "
            f"{', '.join(model.facts.get('classes', ()))}"
        )
    return {
        "hash": model.keras_hash,
        "said": f"model {model.name}",
        "model": model.id,
        "same_answer": same_answer,
        "form": "keras",
    }


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _of_file(connection: sqlite3.Connection, files: Files, key: str, value: str, actor: Actor) -> dict[str, Any]:
    try:  # the server reads files that the actor may not be meant to see
        demand_of(connection, actor, "administer", None)
    except NotAllowed as error:  # most often a model was meant, of which that says nothing
        what = "There is no model of this name in the project to begin from, and f" if key == "start_from" else "F"
        raise NotAllowed(f"{what}iles of this server are for its administrators to name. Received: {value}") from error
    path = Path(value)
    try:
        with suppress(RuntimeError):  # ~nobody: no home of such a person here, so it is a name like any other
            path = path.expanduser()
        if not path.is_file():
            raise InvalidInput(
                f"There is no {'model or ' if key == 'start_from' else ''}file of this name to begin from. "
                f"Received: {value}"
            )
        if path.stat().st_size > MOST_BYTES:
            raise InvalidInput(f"A file to begin from has at most {MOST_BYTES >> 30} GB. Received: {value}")
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"The file to begin from cannot be read: {error.strerror}. Received: {value}") from error
    form = "weights" if key == "weights" and content.startswith(HDF5) else "keras"
    if form == "keras":
        check_keras_file(content)
    return {"hash": files.put_bytes("models", content), "said": f"the file {path.name}", "form": form}


def _of_imagenet(connection: sqlite3.Connection, files: Files, network: str) -> dict[str, Any]:
    url, md5 = NETWORKS[network].IMAGENET  # type: ignore[attr-defined]  # of those that take ready-made weights
    kept = find_source(connection, url)
    if kept is None or not files.has("models", kept):
        kept = files.put_bytes("models", fetch_weights(url, md5))
    return {"hash": kept, "said": f"the ImageNet weights of {network}", "from": url, "form": "weights"}


def fetch_weights(url: str, md5: str) -> bytes:
    """The bytes behind an address, checked against the MD5 that keras.applications names for them.

    Raises:
        CoreError: there is no way to them, or they are others.
    """
    way_out = "name a file that you have (weights=PATH), or begin from nothing (weights=none)."
    try:
        with urllib.request.urlopen(url, timeout=SECONDS_TO_ANSWER) as answer:
            content: bytes = answer.read(MOST_BYTES)
    except (OSError, ValueError, HTTPException) as error:  # the last where a proxy answers by itself, or breaks off
        reason = getattr(error, "reason", None) or str(error).strip()
        raise CoreError(
            f"The ready-made weights cannot be fetched from here ({reason}); {way_out} Received: {url}"
        ) from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise CoreError(f"What was fetched is not the weights that were asked for; {way_out} Received: {url}")
    return content
