"""Several models as one: the mean of what they say, each calibrated on its own validation split.

An ensemble (Lakshminarayanan et al. 2017, arXiv:1612.01474) has no weights of its own. It is a model like any other
whose facts name its `members`; the file that stands for it lists them by the hashes of theirs. With `views` it is
test-time augmentation: what its members say of an image moved a little in several ways, averaged.

Thresholds are the mean of those that the members chose on their own validation splits, and the interval of a number
is that of the least sure member: the cases that one fold validates on are those that another has learnt, so that an
ensemble has no validation split of its own.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.errors import Conflict, InvalidInput
from core.images.render import SCALED, TRAINING_SET
from core.images.volume_input import PatchSpec
from core.people.roles import demand_of
from core.store.audit import Actor
from core.store.database import writing
from core.store.files import Files
from core.tasks import task_module
from core.training.networks import input_of
from core.training.recipe import Recipe
from core.training.records import (
    Model,
    Run,
    add_model,
    add_run,
    find_model_of_run,
    free_name,
    get_model,
    get_run,
    get_run_of_weights,
    list_earlier_runs,
    list_models,
    list_runs,
    set_run_told,
)
from core.training.request import cases_of_run
from core.training.settling import settle_spacing
from core.training.stored import learnt_singles

NO_FILE = "An ensemble has no file of its own; download those of its members."
MOST_MEMBERS = 50
HALF = 0.5
UNSAID = "chosen on its own validation split"
OWN_RULE = "by a rule of its own, on its own validation split"
VIEWED = "with test-time augmentation"

# Shares of the side to the right and down, degrees of a turn and in what proportions, 1 where mirrored.
View = dict[str, float]


def make_ensemble(
    connection: sqlite3.Connection,
    files: Files,
    project: int,
    name: str,
    members: Sequence[Model],
    *,
    views: Sequence[View] = (),
    actor: Actor,
) -> Model:
    """Store an ensemble under a name.

    Raises:
        InvalidInput: one member only, one twice, an ensemble among them, or they see or answer something else.
        Conflict: the name is taken.
        NotAllowed: the actor may not train here.
    """
    _check_members(members, alone=bool(views))
    runs = [get_run(connection, member.run) for member in members]
    alike = len({(run.snapshot, run.fold) for run in runs}) == 1
    named = [
        {"id": member.id, "name": member.name, "keras_hash": member.keras_hash, "onnx_hash": member.onnx_hash}
        for member in members
    ]
    facts = _question(members[0])
    calibration = combine_calibrations([member.calibration for member in members], same_cases=alike)
    facts |= {"members": named, "calibration": calibration}
    facts |= {"learnt_singles": all(map(learnt_singles, members))}
    facts |= {"views": [dict(view) for view in views]} if views else {}
    listed = json.dumps({"ensemble": named, "views": facts.get("views", [])}, sort_keys=True).encode()
    with writing(connection):
        demand_of(connection, actor, "train", project)
        run = add_run(
            connection,
            project=project,
            snapshot=runs[0].snapshot,
            recipe=runs[0].recipe,
            name=name,
            fold=runs[0].fold if alike else None,
            told={"ensemble": [member.id for member in members]},
            actor=actor,
        )
        return add_model(
            connection,
            run,
            keras_hash=files.put_bytes("models", listed),
            onnx_left_out_because=NO_FILE,
            parameters=sum(member.parameters for member in members),
            file_bytes=sum(member.file_bytes for member in members),
            facts=facts,
            seconds=sum(run.seconds or 0.0 for run in runs),
            actor=actor,
        )


def _check_members(members: Sequence[Model], *, alone: bool) -> None:
    names = ", ".join(member.name for member in members) or "none"
    if not (1 if alone else 2) <= len({member.id for member in members}) == len(members) <= MOST_MEMBERS:
        raise InvalidInput(f"An ensemble has 2 to {MOST_MEMBERS} different models. Received: {names}")
    if drawing := [member.name for member in members if task_module(member.task).DRAWS]:
        raise InvalidInput(f"What draws has no answers to take the mean of. Received: {', '.join(drawing)}")
    if nested := [member.name for member in members if member_ids(member)]:
        raise InvalidInput(f"The members of an ensemble are single models. Received: {', '.join(nested)}")
    first = _question(members[0])
    for member in members[1:]:
        its = _question(member)
        if different := [key for key in first if first[key] != its.get(key)]:
            raise InvalidInput(
                f"The members of an ensemble see the same input and answer the same question; these differ in "
                f"{', '.join(different)}. Received: {members[0].name}, {member.name}"
            )


def _question(model: Model) -> dict[str, Any]:
    """How images reach a model and what it is asked of them."""
    task = task_module(model.task)
    return {"input": model.facts.get("input"), "task": model.task, **task.describe_schema(task.schema_of(model.facts))}


def combine_calibrations(parts: Sequence[Mapping[str, Any]], *, same_cases: bool = False) -> dict[str, Any]:
    """The mean of the members' thresholds (one half where one chose none), the widest interval, exclusive if all are.

    Temperatures are left out: they are in the members' own answers.

    Args:
        same_cases: all members have one validation split, as those have that differ in their seed; its cases are
            counted once.
    """
    combined: dict[str, Any] = {}
    chosen = [part.get("thresholds") or {} for part in parts]
    rules: dict[str, set[str]] = {}
    for of_member in chosen:
        for name, threshold in of_member.items():
            rules.setdefault(name, set()).add(threshold.get("rule", UNSAID))
    if names := {name: said.pop() if len(said) == 1 else OWN_RULE for name, said in rules.items()}:
        combined["thresholds"] = {
            name: {
                "value": float(np.mean([one[name]["value"] if name in one else HALF for one in chosen])),
                "rule": f"the mean of {len(parts)} members' thresholds, each {rule}"
                if len(parts) > 1
                else f"that of the model without test-time augmentation, {rule}",
                **_counted(name, chosen, same_cases=same_cases),
            }
            for name, rule in names.items()
        }
    if any("interval" in part for part in parts):
        combined["interval"] = _widest([part.get("interval") for part in parts])
    if quantities := {name: None for part in parts for name in part.get("intervals") or {}}:
        combined["intervals"] = {
            name: _widest([(part.get("intervals") or {}).get(name) for part in parts]) for name in quantities
        }
    if any("exclusive" in part for part in parts):
        combined["exclusive"] = all(part.get("exclusive") for part in parts)
    return combined


def _counted(name: str, chosen: Sequence[Mapping[str, Any]], *, same_cases: bool) -> dict[str, int]:
    """On how many cases the members chose; nothing where they do not say so, as of painted structures."""
    counts = [int(one[name].get("n", 0)) for one in chosen if name in one]
    n = max(counts) if same_cases else sum(counts)
    return {"n": n} if n else {}


def _widest(intervals: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    """The widest of the members' intervals; None where one of them has none."""
    known = [one for one in intervals if one]
    return max(known, key=lambda one: float(one["half_width"])) if len(known) == len(intervals) else None


def member_ids(model: Model) -> list[int]:
    """The numbers of an ensemble's members; none where the model is a single one."""
    return [int(member["id"]) for member in model.facts.get("members", ())]


def joins_several(model: Model) -> bool:
    """Whether it is the mean of several models; one with test-time augmentation alone is not."""
    return len(member_ids(model)) > 1


def runs_behind(connection: sqlite3.Connection, model: Model) -> list[Run]:
    """The trainings that a model stands on: its own, or those of its members."""
    models = [get_model(connection, None, number) for number in member_ids(model)] or [model]
    return [get_run(connection, one.run) for one in models]


def runs_learnt(connection: sqlite3.Connection, model: Model) -> list[Run]:
    """`runs_behind`, and the trainings before each of them: a model has learnt the cases of all."""
    behind = runs_behind(connection, model)
    found = {run.id: run for run in behind}
    for run in behind:
        sources = get_run_of_weights(connection, run).told.get("sources", {})
        found |= {one.id: one for one in list_earlier_runs(connection, sources, run.snapshot)}
    return list(found.values())


def views_of(recipe: Recipe, proportions: float = 1.0) -> list[View]:
    """How an image is moved for test-time augmentation: as it is, and within what the recipe moved it in training.

    Turned in the `proportions` (height to width) in which training turned it; they stand in a view unless they are 1.

    Half of the recipe's shift each way, half of its turn each way, mirrored only where it mirrored. Never zoomed, for
    that would change a size.
    """
    still = {"right": 0.0, "down": 0.0, "turn": 0.0, "mirrored": 0.0, "inverted": 0.0}
    found = [still]
    for way in (-1, 1):
        if recipe.shift:
            found += [{**still, "right": way * recipe.shift / 2}, {**still, "down": way * recipe.shift / 2}]
        if recipe.rotation:
            turned = {**still, "turn": way * recipe.rotation / 2}
            found.append(turned if proportions == 1.0 else {**turned, "proportions": proportions})
    if recipe.flip in ("left-right", "both"):
        found.append({**still, "mirrored": 1.0})
    if recipe.flip in ("up-down", "both"):
        found.append({**still, "inverted": 1.0})
    return found


def with_views(connection: sqlite3.Connection, files: Files, model: Model, *, actor: Actor) -> Model:
    """The model that answers with test-time augmentation for this one, made where there is none yet.

    It is a model of its own, so that each keeps its predictions and numbers.

    Raises:
        InvalidInput: its recipe neither moved nor mirrored images.
    """
    if model.facts.get("views"):
        return model
    single = [get_model(connection, None, number) for number in member_ids(model)] or [model]
    recipe = get_run(connection, model.run).recipe
    views = views_of(recipe, single[0].facts.get("proportions", 1.0))
    if len(views) == 1:
        raise InvalidInput(
            f"Test-time augmentation moves images as training did, and this recipe neither shifted, turned nor "
            f"mirrored any. Received: {model.name}"
        )
    if known := _find_made(connection, model.project, single, views):
        return known
    return make_ensemble(connection, files, model.project, f"{model.name} {VIEWED}", single, views=views, actor=actor)


def demand_free_name(connection: sqlite3.Connection, project: int, name: str) -> None:
    """Raise unless an ensemble can be called so later, when its members are there."""
    if not name.strip() or name.strip().isdecimal():
        raise InvalidInput(f"An ensemble needs a name that is not a number. Received: {name!r}")
    if any(run.name == name.strip() for run in list_runs(connection, project)):
        raise Conflict(f"Choose another name: this project has a run of that name. Received: {name}")


def plan_ensemble(connection: sqlite3.Connection, name: str, runs: Sequence[Run]) -> None:
    """Note with each run that they become one model as soon as all of them have left theirs.

    Raises:
        InvalidInput: they are too many, or would see different input, such as a window, scale or spacing of their own,
            measured on the training cases of their own fold.
    """
    if len(runs) > MOST_MEMBERS:
        raise InvalidInput(
            f"An ensemble has 2 to {MOST_MEMBERS} models; ask for fewer seeds. Received: {len(runs)} trainings"
        )
    if len({run.fold for run in runs}) > 1 and any(
        run.recipe.window == TRAINING_SET and not any(run.recipe.window_values) for run in runs
    ):
        raise InvalidInput(
            f"The members of an ensemble see the same input, and the folds would each measure a window of their own; "
            f"give one for all (window_values), or take another. Received: window {TRAINING_SET}"
        )
    # Volumes in patches are brought to a spacing instead, which is compared below.
    scaled = [run for run in runs if run.recipe.resize == SCALED and not isinstance(input_of(run.recipe), PatchSpec)]
    scales = {(run.recipe.pixel_mm, None if run.recipe.pixel_mm else run.fold) for run in scaled}
    if len(scales) > 1:
        raise InvalidInput(
            f"The members of an ensemble see the same input, and the folds would each have a pixel size of their own; "
            f"give one for all (pixel_mm). Received: resize {SCALED}"
        )
    seen = [_input_of(connection, run) for run in runs]
    if different := sorted({key for one in seen for key in one if one[key] != seen[0].get(key)}):
        raise InvalidInput(
            f"The members of an ensemble see the same input, and the folds would differ in {', '.join(different)}; "
            f"give one for all. Received: {seen[0]}, {next(one for one in seen if one != seen[0])}"
        )
    with writing(connection):
        for run in runs:
            set_run_told(connection, run.id, "joins", {"name": name.strip(), "runs": [one.id for one in runs]})


def _input_of(connection: sqlite3.Connection, run: Run) -> dict[str, Any]:
    """How cases will reach the network of a run, with the spacing that its training cases settle."""
    recipe = run.recipe
    if isinstance(input_of(recipe), PatchSpec) and not all(recipe.spacing_mm):
        recipe = settle_spacing(connection, recipe, cases_of_run(connection, run)[0])
    return input_of(recipe).to_json()


def join_ensemble(connection: sqlite3.Connection, files: Files, run_id: int, actor: Actor) -> Model | None:
    """The ensemble that a run was planned for, made by whichever of its runs ends last; None before that."""
    planned = get_run(connection, run_id).told.get("joins")
    if not planned:
        return None
    with writing(connection):  # two runs may end at once
        models = [find_model_of_run(connection, number) for number in planned["runs"]]
        members = [model for model in models if model]
        if len(members) < len(models):
            return None
        project = get_run(connection, run_id).project
        if known := _find_made(connection, project, members):
            return known
        # Nothing has kept the name since it was asked for.
        name = free_name(planned["name"], {run.name for run in list_runs(connection, project)})
        return make_ensemble(connection, files, project, name, members, actor=actor)


def _find_made(
    connection: sqlite3.Connection, project: int, members: Sequence[Model], views: Sequence[View] = ()
) -> Model | None:
    """What `make_ensemble` has made of these members before; no later operating point of it."""
    ids = [member.id for member in members]
    for known in list_models(connection, project):
        same = member_ids(known) == ids and known.facts.get("views", []) == list(views)
        if same and not known.facts.get("point_of"):
            return known
    return None
