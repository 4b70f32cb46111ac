"""The command that trains: one model, one for each fold and seed, one again, or only a test of learning rates."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import Door, HomeOption, JsonOption, answer, entered, model_named, tell, wait_and_tell
from core.datasets.records import Snapshot, get_snapshot
from core.errors import InvalidInput
from core.jobs.asking import ask_rate_test, ask_repetition
from core.jobs.asking_series import ask_series, folds_of
from core.jobs.records import Job
from core.projects.records import Project, get_project
from core.training.auto import AUTO
from core.training.fingerprint import settle_auto, take_fingerprint
from core.training.recipe import RECIPE_NAMES, Recipe, change_recipe, named_recipe, recipe_from_json
from core.training.records import Run


def train(
    project: ProjectArgument,
    snapshot: Annotated[str, typer.Option(help="The snapshot's name.")] = "",
    recipe: Annotated[str, typer.Option(help=f"{', '.join([AUTO, *RECIPE_NAMES])}, or a JSON file.")] = AUTO,
    change: Annotated[list[str] | None, typer.Option("--set", help="key=value, as often as needed.")] = None,
    fold: Annotated[
        int | None, typer.Option(help="Train for this fold of the snapshot; its cases are the test.")
    ] = None,
    all_folds: Annotated[bool, typer.Option("--all-folds", help="One model for each fold of the snapshot.")] = False,
    seeds: Annotated[int, typer.Option(help="So many models, each with the next seed.", min=1, max=100)] = 1,
    ensemble: Annotated[
        str, typer.Option(help="With --all-folds or --seeds: one model of this name that is the mean of them all.")
    ] = "",
    name: Annotated[str, typer.Option(help="The model's name.")] = "",
    repeat: Annotated[
        str, typer.Option(help="Train this model again from the same snapshot, recipe and seed, and compare.")
    ] = "",
    find_rate: Annotated[
        bool, typer.Option("--find-rate", help="Only try which learning rates teach something, and suggest one.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the model is there.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model in the background; or one for each fold and seed, or one again, or only try learning rates."""
    if bool(snapshot) == bool(repeat):
        raise typer.BadParameter("Name a snapshot, or with --repeat a model to train again.")
    several = all_folds or seeds > 1 or ensemble
    if repeat and (change or name or find_rate or several or fold is not None or recipe != AUTO):
        raise typer.BadParameter("A repetition takes everything from its model.")
    if find_rate and (several or name):
        raise typer.BadParameter("A test of learning rates is of one training and leaves no model.")
    if all_folds and fold is not None:
        raise typer.BadParameter("Name one fold, or take --all-folds.")
    if ensemble and not all_folds and seeds == 1:
        raise typer.BadParameter("An ensemble is of several models: take --all-folds or --seeds.")
    changes = _changes(change or [])
    named = None if recipe == AUTO else change_recipe(_recipe(recipe), changes)  # refused before anything is opened
    with entered(home) as door:
        found = get_project(door.connection, project)
        if repeat:
            asked = [ask_repetition(door.connection, found, model_named(door, project, repeat), actor=door.actor)]
        else:
            frozen = get_snapshot(door.connection, found.id, snapshot)
            if find_rate:
                settled, _ = (named, None) if named else _choose(door, frozen, fold, changes)
                job = ask_rate_test(
                    door.connection, found, frozen, settled, fold=fold, files=door.files, actor=door.actor
                )
                tried = wait_and_tell(door, job)
                answer(tried, tried["sentence"], as_json=as_json)
                return
            folds = folds_of(frozen) if all_folds else [fold]
            asked = _ask_all(door, found, frozen, named, changes, folds, seeds, name, ensemble)
        if wait:
            _tell_models([wait_and_tell(door, job) for _, job in asked], as_json=as_json)
        else:
            _tell_queued(asked, as_json=as_json)


def _ask_all(
    door: Door,
    project: Project,
    frozen: Snapshot,
    named: Recipe | None,
    changes: dict[str, object],
    folds: list[int | None],
    seeds: int,
    name: str,
    ensemble: str,
) -> list[tuple[Run, Job]]:
    """Queue a training for each fold and seed, which become one model where an ensemble is named, and tell what was
    noticed."""
    asked = ask_series(
        door.connection,
        door.files,
        project,
        frozen,
        lambda fold: (named, None) if named else _choose(door, frozen, fold, changes),
        folds=folds,
        seeds=seeds,
        name=name,
        ensemble=ensemble,
        actor=door.actor,
    )
    for note in dict.fromkeys(note for run, _ in asked for note in run.told.get("preflight", {}).get("notes", ())):
        tell(note)
    return asked


def _tell_queued(asked: list[tuple[Run, Job]], *, as_json: bool) -> None:
    documents: list[dict[str, Any]] = [{"run": run.id, "job": job.id, "model": run.name} for run, job in asked]
    text = "\n".join(f"Run {run.id} “{run.name}” queued as job {job.id}." for run, job in asked)
    answer(documents[0] if len(documents) == 1 else {"runs": documents}, text, as_json=as_json)


def _tell_models(results: list[dict[str, Any]], *, as_json: bool) -> None:
    """One model as ever; of several each, and how much they differ is for an evaluation of each to say."""
    lines = []
    for result in results:
        lines.append(f"Model {result['model']} trained in {result['seconds']:.0f} s, {result['epochs']} epochs.")
        if "repetition" in result:
            lines.append(result["repetition"]["sentence"])
        if "ensemble" in result:
            lines.append(f"Ensemble {result['ensemble']} is the mean of them.")
        if "no_ensemble" in result:
            lines.append(f"The ensemble was not made: {result['no_ensemble']}")
    answer(results[0] if len(results) == 1 else {"models": results}, "\n".join(lines), as_json=as_json)


def settle_recipe(door: Door, frozen: Snapshot, fold: int | None, recipe: str, pairs: list[str]) -> Recipe:
    """The recipe of this name or file, or what `auto` chooses, with what `--set` changed of it."""
    changes = _changes(pairs)
    if recipe == AUTO:
        return _choose(door, frozen, fold, changes)[0]
    return change_recipe(_recipe(recipe), changes)


def _choose(
    door: Door, frozen: Snapshot, fold: int | None, changes: dict[str, object]
) -> tuple[Recipe, dict[str, Any]]:
    """What `auto` chooses, with what was changed of it; the reasons are told."""
    settled, choice = settle_auto(take_fingerprint(door.connection, frozen, fold), changes)
    tell(" ".join(choice["sentences"]))
    if choice["changed"]:
        tell("Changed: " + ", ".join(f"{key} {value}" for key, value in choice["changed"].items()))
    return settled, choice


def _recipe(text: str) -> Recipe:
    path = Path(text)
    if path.suffix != ".json":
        return named_recipe(text)
    try:
        return recipe_from_json(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, RecursionError) as error:  # no JSON, no text, or thousands of brackets or digits
        raise InvalidInput(f"Name a readable JSON file as recipe: {error}. Received: {text}") from error


def _changes(pairs: list[str]) -> dict[str, object]:
    changes: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidInput(f"--set reads key=value. Received: {pair}")
        changes[key.strip()] = value.strip()
    return changes
