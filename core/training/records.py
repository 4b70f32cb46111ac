"""Runs, their epochs, and the models they leave. A run is one training job; a model belongs to one run."""

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from core.clock import utc_now
from core.errors import Conflict, InvalidInput, NotFound
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.store.numbers import next_number
from core.training.recipe import Recipe, recipe_from_json, recipe_hash, recipe_to_json


@dataclass(frozen=True)
class Run:
    """One training: what it stands on, where and in what environment it ran.

    `told` is what it says of itself: `choice` where `auto` chose its recipe (`core.training.fingerprint`), and
    `preflight`, what was found before its first step (`core.training.preflight`), and `sources`, what it begins from
    (`core.training.sources`).
    """

    id: int
    project: int
    snapshot: int
    fold: int | None
    job: int | None
    name: str
    recipe: Recipe
    recipe_hash: str
    device: str | None
    environment: dict[str, Any]
    created_at: str
    created_by: str
    finished_at: str | None
    seconds: float | None
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """What a run leaves. `facts` hold what prediction and explanation need to know (see `describe_model`)."""

    id: int
    project: int
    run: int
    name: str
    keras_hash: str
    onnx_hash: str | None
    onnx_left_out_because: str | None
    parameters: int
    file_bytes: int
    facts: dict[str, Any]
    created_at: str

    @property
    def task(self) -> str:
        """What it answers. Models of the first version do not say so: all of them were classifiers."""
        return str(self.facts.get("task", "classification"))

    @property
    def calibration(self) -> dict[str, Any]:
        """What was chosen on its validation split; nothing for models from before that was done."""
        return dict(self.facts.get("calibration") or {})


def add_run(
    connection: sqlite3.Connection,
    *,
    project: int,
    snapshot: int,
    recipe: Recipe,
    name: str | None = None,
    fold: int | None = None,
    told: Mapping[str, Any] | None = None,
    actor: Actor,
) -> Run:
    """A run that has not begun. Without a name it is called after its network and number: "resnet 3".

    Raises:
        Conflict: the project has a run of this name.
        InvalidInput: the name is empty, or a number (which would be taken for an id).
    """
    if name is not None and (not name.strip() or name.strip().isdecimal()):
        raise InvalidInput(f"A model needs a name that is not a number. Received: {name!r}")
    with writing(connection):
        chosen = name.strip() if name is not None else _next_name(connection, project, recipe.network)
        if connection.execute("SELECT 1 FROM runs WHERE project = ? AND name = ?", (project, chosen)).fetchone():
            raise Conflict(f"Choose another name: this project has a run of that name. Received: {chosen}")
        row = connection.execute(
            """INSERT INTO runs (id, project, snapshot, fold, name, recipe, recipe_hash, told, created_at, created_by)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id""",
            (
                next_number(connection, "runs"),
                project,
                snapshot,
                fold,
                chosen,
                json.dumps(recipe_to_json(recipe), sort_keys=True),
                recipe_hash(recipe),
                json.dumps(told or {}, sort_keys=True),
                utc_now(),
                actor.name,
            ),
        ).fetchone()
        add_audit(
            connection, actor, "asked for training", f"run {row['id']}", name=chosen, snapshot=snapshot, fold=fold
        )
    return get_run(connection, row["id"])


def free_name(name: str, taken: Collection[str]) -> str:
    """The name itself where it is free, else `NAME 2`, `NAME 3` and so on."""
    numbered = (f"{name} {number}" for number in count(2))
    return next(one for one in chain([name], numbered) if one not in taken)


def _next_name(connection: sqlite3.Connection, project: int, network: str) -> str:
    taken = {row["name"] for row in connection.execute("SELECT name FROM runs WHERE project = ?", (project,))}
    number = len(taken) + 1
    while f"{network} {number}" in taken:
        number += 1
    return f"{network} {number}"


def get_run(connection: sqlite3.Connection, run_id: int) -> Run:
    """
    Raises:
        NotFound: there is no such run.
    """
    row = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise NotFound("run", run_id)
    return _run(row)


def get_run_of_weights(connection: sqlite3.Connection, run: Run) -> Run:
    """The run that trained: of another operating point, which has the weights of an earlier model, that model's."""
    while "point_of" in run.told:
        run = get_run(connection, get_model(connection, run.project, run.told["point_of"]).run)
    return run


def list_earlier_runs(connection: sqlite3.Connection, sources: Mapping[str, Any], snapshot_id: int) -> list[Run]:
    """The trainings before one that begins from `sources` (`core.training.sources`) on a snapshot: those of the models
    that it goes on from, of the models that drew some of its images, and so on. What they have learnt, it learns too.
    """
    found, left = dict[int, Run](), [(sources, snapshot_id)]
    while left:
        for run in _runs_before(connection, *left.pop()):
            if run.id not in found:
                found[run.id] = run
                left.append((get_run_of_weights(connection, run).told.get("sources", {}), run.snapshot))
    return list(found.values())


def _runs_before(connection: sqlite3.Connection, sources: Mapping[str, Any], snapshot_id: int) -> list[Run]:
    """A model is known by the hash of its file, however that was named."""
    rows = connection.execute(
        """SELECT DISTINCT run FROM models WHERE keras_hash IN (SELECT value FROM json_each(?)) OR keras_hash IN (
               SELECT json_extract(synthetic, '$.model_hash') FROM cases
               WHERE synthetic IS NOT NULL AND project = (SELECT project FROM snapshots WHERE id = ?)
               AND EXISTS (SELECT 1 FROM snapshot_cases WHERE case_id = cases.id AND snapshot = ?))
           ORDER BY run""",
        (json.dumps([source["hash"] for source in sources.values()]), snapshot_id, snapshot_id),
    )
    return [get_run(connection, row["run"]) for row in rows]


def find_source(connection: sqlite3.Connection, address: str) -> str | None:
    """The hash of the file that some run fetched from this address; None where none did."""
    row = connection.execute(
        "SELECT json_extract(told, '$.sources.weights.hash') FROM runs "
        "WHERE json_extract(told, '$.sources.weights.from') = ? ORDER BY id DESC LIMIT 1",
        (address,),
    ).fetchone()
    return row[0] if row else None


def list_runs(connection: sqlite3.Connection, project_id: int) -> list[Run]:
    """The project's runs, the newest first."""
    rows = connection.execute("SELECT * FROM runs WHERE project = ? ORDER BY id DESC", (project_id,))
    return [_run(row) for row in rows]


def set_run_job(connection: sqlite3.Connection, run_id: int, job_id: int) -> None:
    """Note which job trains the run."""
    with writing(connection):
        connection.execute("UPDATE runs SET job = ? WHERE id = ?", (job_id, run_id))


def start_run(connection: sqlite3.Connection, run_id: int, *, device: str, environment: Mapping[str, Any]) -> None:
    """Note where the run is being trained; after a resumption, where it went on."""
    with writing(connection):
        connection.execute(
            "UPDATE runs SET device = ?, environment = ? WHERE id = ?",
            (device, json.dumps(environment, sort_keys=True), run_id),
        )


def set_run_told(connection: sqlite3.Connection, run_id: int, key: str, value: Any) -> None:
    """Add or replace one of the things that a run says of itself."""
    with writing(connection):
        told = json.dumps({**get_run(connection, run_id).told, key: value}, sort_keys=True)
        connection.execute("UPDATE runs SET told = ? WHERE id = ?", (told, run_id))


def add_epoch(connection: sqlite3.Connection, run_id: int, epoch: int, facts: Mapping[str, Any]) -> None:
    """The facts of an epoch (from 1). An epoch repeated after a crash replaces itself."""
    with writing(connection):
        connection.execute(
            "INSERT INTO run_epochs (run, epoch, facts) VALUES (?, ?, ?) "
            "ON CONFLICT (run, epoch) DO UPDATE SET facts = excluded.facts",
            (run_id, epoch, json.dumps(facts)),
        )


def remove_epochs(connection: sqlite3.Connection, run_id: int, *, after: int) -> None:
    """Take back the epochs behind the one that a run goes on from, and what was said of watched cases after one: a kill
    undid them, and a run that is stopped before it has repeated them never had them."""
    with writing(connection):
        for table in ("run_epochs", "run_watched"):
            connection.execute(f"DELETE FROM {table} WHERE run = ? AND epoch > ?", (run_id, after))


def list_epochs(connection: sqlite3.Connection, run_id: int) -> list[dict[str, Any]]:
    """The facts of each epoch in order: epoch, loss, accuracy, validation_*, learning_rate, seconds, ..."""
    rows = connection.execute("SELECT facts FROM run_epochs WHERE run = ? ORDER BY epoch", (run_id,))
    return [json.loads(row["facts"]) for row in rows]


def set_watched(connection: sqlite3.Connection, run_id: int, epoch: int, answers: Mapping[int, Any]) -> None:
    """What the network says of the watched cases after an epoch, instead of what it said before."""
    with writing(connection):
        connection.executemany(
            "INSERT INTO run_watched (run, case_id, epoch, answer) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (run, case_id) DO UPDATE SET epoch = excluded.epoch, answer = excluded.answer",
            [(run_id, case_id, epoch, json.dumps(answer)) for case_id, answer in answers.items()],
        )


def list_watched(connection: sqlite3.Connection, run_id: int) -> dict[int, tuple[int, dict[str, Any]]]:
    """The epoch and the answer of each watched case (`core.training.watched`); cases erased since are not there."""
    rows = connection.execute("SELECT case_id, epoch, answer FROM run_watched WHERE run = ?", (run_id,))
    return {row["case_id"]: (row["epoch"], json.loads(row["answer"])) for row in rows}


def add_model(
    connection: sqlite3.Connection,
    run: Run,
    *,
    keras_hash: str,
    onnx_left_out_because: str | None,
    parameters: int,
    file_bytes: int,
    facts: Mapping[str, Any],
    seconds: float,
    actor: Actor,
) -> Model:
    """Store what the run left, under the run's name, and close the run: both or neither.

    Raises:
        Conflict: the run has left a model already.
    """
    with writing(connection):
        if find_model_of_run(connection, run.id) is not None:
            raise Conflict(f"This run has left a model already. Received: run {run.id}")
        now = utc_now()
        row = connection.execute(
            """INSERT INTO models (id, project, run, name, keras_hash, onnx_left_out_because, parameters, file_bytes,
                                   facts, created_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id""",
            (
                next_number(connection, "models"),
                run.project,
                run.id,
                run.name,
                keras_hash,
                onnx_left_out_because,
                parameters,
                file_bytes,
                json.dumps(facts, sort_keys=True),
                now,
            ),
        ).fetchone()
        connection.execute("UPDATE runs SET finished_at = ?, seconds = ? WHERE id = ?", (now, seconds, run.id))
        add_audit(connection, actor, "trained a model", f"model {row['id']}", run=run.id, keras_hash=keras_hash)
    return get_model(connection, run.project, row["id"])


def set_onnx(
    connection: sqlite3.Connection, model_id: int, onnx_hash: str | None, left_out_because: str | None
) -> None:
    """Note the model's ONNX file, or why there is none."""
    with writing(connection):
        connection.execute(
            "UPDATE models SET onnx_hash = ?, onnx_left_out_because = ? WHERE id = ?",
            (onnx_hash, left_out_because, model_id),
        )


def set_model_fact(connection: sqlite3.Connection, model_id: int, key: str, value: Any) -> None:
    """Add or replace one of the model's facts."""
    with writing(connection):
        row = connection.execute("SELECT facts FROM models WHERE id = ?", (model_id,)).fetchone()
        if row is None:
            raise NotFound("model", model_id)
        facts = json.dumps({**json.loads(row["facts"]), key: value}, sort_keys=True)
        connection.execute("UPDATE models SET facts = ? WHERE id = ?", (facts, model_id))


def get_model(connection: sqlite3.Connection, project_id: int | None, name_or_id: str | int) -> Model:
    """A model by id, or by its name within the project. With `project_id` None, by id alone.

    Raises:
        NotFound: there is no such model in the project.
    """
    text = str(name_or_id)
    row = None
    if text.isdecimal():
        # as text, which SQLite takes for the number it is: one of forty digits is none that it could be given
        row = connection.execute("SELECT * FROM models WHERE id = ?", (text,)).fetchone()
        if row is not None and project_id is not None and row["project"] != project_id:
            row = None
    elif project_id is not None:
        row = connection.execute("SELECT * FROM models WHERE project = ? AND name = ?", (project_id, text)).fetchone()
    if row is None:
        raise NotFound("model", name_or_id)
    return _model(row)


def find_model_of_run(connection: sqlite3.Connection, run_id: int) -> Model | None:
    row = connection.execute("SELECT * FROM models WHERE run = ?", (run_id,)).fetchone()
    return None if row is None else _model(row)


def list_models(connection: sqlite3.Connection, project_id: int) -> list[Model]:
    """The project's models, the newest first."""
    rows = connection.execute("SELECT * FROM models WHERE project = ? ORDER BY id DESC", (project_id,))
    return [_model(row) for row in rows]


def _run(row: sqlite3.Row) -> Run:
    fields = dict(row)
    recipe = json.loads(row["recipe"])
    if recipe["schedule"] != "cosine":
        recipe.setdefault("warm_up", 0.0)  # before it could be set, only the cosine climbed
    fields["recipe"] = recipe_from_json(recipe)
    fields["environment"] = json.loads(row["environment"])
    fields["told"] = json.loads(row["told"])
    return Run(**fields)


def _model(row: sqlite3.Row) -> Model:
    return Model(**{**dict(row), "facts": json.loads(row["facts"])})
