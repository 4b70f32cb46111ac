"""The tables of predictions and evaluations. Rows of an evaluation are only added: each is one use of a split."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.clock import utc_now
from core.labels.answers import value_text
from core.labels.mask_store import KeptMask
from core.measures.segmentation import Compared
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.tasks import TrainableSchema, module_of
from core.training.records import Model


@dataclass(frozen=True)
class Evaluation:
    """One model measured on one split of one snapshot; `result` is the document of `evaluate --json`.

    `erased_cases` of those it was measured on were erased since; its numbers stay as they were.
    """

    id: int
    model: int
    snapshot: int
    split: str
    result: dict[str, Any]
    created_at: str
    created_by: str
    erased_cases: int = 0

    @property
    def loss(self) -> str:
        """What was erased since it was made, as a sentence; "" where nothing was."""
        return say_erased(self.erased_cases, "its", "Evaluate") if self.erased_cases else ""


@dataclass(frozen=True)
class MeasuredMask:
    """One structure on one case of an evaluation; None where `core.measures.segmentation` defines no number."""

    case_id: int
    source: str
    patient: str
    structure: str
    dice: float | None
    iou: float | None
    hd95: float | None  # in the unit that the evaluation's result names
    surface_dice: float | None
    reference_pixels: int
    predicted_pixels: int
    reference_ml: float | None
    predicted_ml: float | None


def store_predictions(
    connection: sqlite3.Connection, model: Model, schema: TrainableSchema, scores: Mapping[int, Sequence[float]]
) -> None:
    """Keep one answer per case, `{case id: scores}` as the task has them, with the decision it amounts to.

    A model never changes, so a second prediction of a case changes nothing and the first is kept.
    """
    task, now = module_of(schema), utc_now()
    rows = [
        (
            model.id,
            case_id,
            json.dumps([float(score) for score in row]),
            value_text(task.decode_scores(schema, np.asarray(row), model.calibration)),
            task.confidence_of(schema, np.asarray(row), model.calibration),
            now,
        )
        for case_id, row in scores.items()
    ]
    with writing(connection):
        connection.executemany(
            """INSERT INTO predictions (model, case_id, scores, predicted, confidence, made_at)
               VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (model, case_id) DO NOTHING""",
            rows,
        )


def find_predictions(
    connection: sqlite3.Connection, model_id: int, case_ids: Iterable[int]
) -> dict[int, tuple[float, ...]]:
    """The stored scores of those of the cases that have some."""
    rows = connection.execute(
        """SELECT case_id, scores FROM predictions
           WHERE model = ? AND case_id IN (SELECT value FROM json_each(?))""",
        (model_id, json.dumps([int(case_id) for case_id in case_ids])),
    )
    return {row["case_id"]: tuple(json.loads(row["scores"])) for row in rows}


def store_painted(
    connection: sqlite3.Connection,
    model: Model,
    schema: TrainableSchema,
    case_id: int,
    masks: Sequence[KeptMask],
    scores: Sequence[float],
) -> None:
    """Keep what a model has painted on a case, with its prediction; a second time changes nothing."""
    with writing(connection):
        store_predictions(connection, model, schema, {case_id: scores})
        connection.executemany(
            """INSERT INTO predicted_masks (model, case_id, structure, mask_hash, pixels) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT (model, case_id, structure) DO NOTHING""",
            [(model.id, case_id, mask.structure, mask.mask_hash, mask.pixels) for mask in masks],
        )


def find_predicted_masks(connection: sqlite3.Connection, model_id: int, case_id: int) -> tuple[KeptMask, ...]:
    """What a model has painted on a case, by structure; nothing where it was not asked yet."""
    rows = connection.execute(
        "SELECT structure, mask_hash, pixels FROM predicted_masks WHERE model = ? AND case_id = ? ORDER BY structure",
        (model_id, case_id),
    )
    return tuple(KeptMask(**dict(row)) for row in rows)


def list_painting_models(connection: sqlite3.Connection, case_id: int) -> list[int]:
    """The models that have painted on a case, the newest first."""
    rows = connection.execute(
        "SELECT DISTINCT model FROM predicted_masks WHERE case_id = ? ORDER BY model DESC", (case_id,)
    )
    return [row["model"] for row in rows]


def store_measured(
    connection: sqlite3.Connection, evaluation_id: int, measured: Mapping[int, Mapping[str, Compared]]
) -> None:
    """Keep how well masks agree, `{case id: {structure: ...}}`, in the caller's transaction."""
    connection.executemany(
        """INSERT INTO measured_masks (evaluation, case_id, structure, dice, iou, hd95, surface_dice, reference_pixels,
                                       predicted_pixels, reference_ml, predicted_ml)
           VALUES (:evaluation, :case_id, :structure, :dice, :iou, :hd95, :surface_dice, :reference_pixels,
                   :predicted_pixels, :reference_ml, :predicted_ml)""",
        (
            {"evaluation": evaluation_id, "case_id": case_id, "structure": name}
            | {key: None if value != value else value for key, value in vars(one).items()}  # NaN is no number
            for case_id, structures in measured.items()
            for name, one in structures.items()
        ),
    )


def list_measured(connection: sqlite3.Connection, evaluation_id: int) -> list[MeasuredMask]:
    """How well each structure of each case was painted, the worst first; empty references come last."""
    rows = connection.execute(
        """SELECT measured_masks.*, source, patient FROM measured_masks JOIN cases ON cases.id = case_id
           WHERE evaluation = ? ORDER BY dice IS NULL, dice, predicted_pixels DESC, case_id, structure""",
        (evaluation_id,),
    )
    return [MeasuredMask(**{key: row[key] for key in MeasuredMask.__dataclass_fields__}) for row in rows]


def find_decision(
    connection: sqlite3.Connection, model_id: int, case_id: int
) -> tuple[dict[str, Any], tuple[float, ...]] | None:
    """What a model decided about a case, in the words it learned, and its probabilities; None where it never looked."""
    row = connection.execute(
        "SELECT predicted, scores FROM predictions WHERE model = ? AND case_id = ?", (model_id, case_id)
    ).fetchone()
    return (json.loads(row["predicted"]), tuple(json.loads(row["scores"]))) if row else None


def list_unpredicted(
    connection: sqlite3.Connection, project_id: int, model_id: int, *, volumes: bool = False
) -> list[int]:
    """The images of a project that a model has not looked at; of a model that sees volumes those too."""
    rows = connection.execute(
        """SELECT id FROM cases WHERE project = ? AND (frames = 1 OR ?) AND held = 0 AND synthetic IS NULL
           AND id NOT IN (SELECT case_id FROM predictions WHERE model = ?) ORDER BY id""",
        (project_id, volumes, model_id),
    )
    return [row["id"] for row in rows]


def list_unlearnt(
    connection: sqlite3.Connection,
    project_id: int,
    snapshots: Iterable[int],
    *,
    since: str | None = None,
    volumes: bool = False,
) -> list[int]:
    """The real images of a project that are in none of the snapshots, the first imported first; with `volumes` those
    too, with `since` only what was imported after it."""
    rows = connection.execute(
        """SELECT id FROM cases WHERE project = :project AND (frames = 1 OR :volumes) AND held = 0 AND synthetic IS NULL
           AND (:since IS NULL OR imported_at > :since) AND id NOT IN (
               SELECT case_id FROM snapshot_cases WHERE snapshot IN (SELECT value FROM json_each(:snapshots)))
           ORDER BY id""",
        {"project": project_id, "snapshots": json.dumps(sorted(snapshots)), "since": since, "volumes": volumes},
    )
    return [row["id"] for row in rows]


def store_abstention(connection: sqlite3.Connection, model: Model, rule: Mapping[str, Any], actor: Actor) -> None:
    """Keep a model's rule, in the caller's transaction; there is one, which never changes."""
    connection.execute(
        "INSERT INTO abstention_rules (model, project, rule, made_at, made_by) VALUES (?, ?, ?, ?, ?)",
        (model.id, model.project, json.dumps(rule, allow_nan=False), utc_now(), actor.name),
    )


def find_abstention(connection: sqlite3.Connection, model_id: int) -> dict[str, Any] | None:
    """The rule by which a model says nothing, with `made_at` and `made_by`; None where it has none."""
    row = connection.execute("SELECT * FROM abstention_rules WHERE model = ?", (model_id,)).fetchone()
    return {**json.loads(row["rule"]), "made_at": row["made_at"], "made_by": row["made_by"]} if row else None


def list_predictions_of_case(connection: sqlite3.Connection, case_id: int) -> dict[int, tuple[float, ...]]:
    """What each model that has seen the case says, by model id."""
    rows = connection.execute("SELECT model, scores FROM predictions WHERE case_id = ? ORDER BY model", (case_id,))
    return {row["model"]: tuple(json.loads(row["scores"])) for row in rows}


def add_evaluation(
    connection: sqlite3.Connection,
    *,
    model_id: int,
    snapshot_id: int,
    split: str,
    result: Mapping[str, Any],
    actor: Actor,
) -> Evaluation:
    """Store a result; with it the use of the split is counted."""
    with writing(connection):
        cursor = connection.execute(
            """INSERT INTO evaluations (model, snapshot, split, result, created_at, created_by)
               VALUES (?, ?, ?, ?, ?, ?)""",
            (model_id, snapshot_id, split, json.dumps(result, allow_nan=False), utc_now(), actor.name),
        )
        evaluation_id = int(cursor.lastrowid or 0)
        add_audit(connection, actor, "evaluate", f"model {model_id}", snapshot=snapshot_id, split=split)
        row = connection.execute("SELECT * FROM evaluations WHERE id = ?", (evaluation_id,)).fetchone()
    return _evaluation(row)


def find_evaluation(
    connection: sqlite3.Connection, model_id: int, snapshot_id: int | None = None, split: str = "test"
) -> Evaluation | None:
    """The newest evaluation of a model on a split, of one snapshot or of any."""
    row = connection.execute(
        """SELECT * FROM evaluations WHERE model = :model AND split = :split
           AND (:snapshot IS NULL OR snapshot = :snapshot) ORDER BY id DESC LIMIT 1""",
        {"model": model_id, "snapshot": snapshot_id, "split": split},
    ).fetchone()
    return _evaluation(row) if row else None


def find_evaluation_of_job(connection: sqlite3.Connection, model_id: int, job: int) -> Evaluation | None:
    """What an earlier attempt of this job stored, or None."""
    row = connection.execute(
        "SELECT * FROM evaluations WHERE model = ? AND json_extract(result, '$.job') = ?", (model_id, job)
    ).fetchone()
    return _evaluation(row) if row else None


def find_evaluation_of_case(connection: sqlite3.Connection, model_id: int, case_id: int) -> Evaluation | None:
    """The newest evaluation of a model on the split that a case is in; else its newest on whatever."""
    row = connection.execute(
        """SELECT evaluations.* FROM evaluations
           LEFT JOIN snapshot_cases ON snapshot_cases.snapshot = evaluations.snapshot AND case_id = :case
           WHERE model = :model ORDER BY snapshot_cases.split IS evaluations.split DESC, evaluations.id DESC LIMIT 1""",
        {"model": model_id, "case": case_id},
    ).fetchone()
    return _evaluation(row) if row else None


def list_evaluations(connection: sqlite3.Connection, *, model_id: int) -> list[Evaluation]:
    """All evaluations of a model, newest first."""
    rows = connection.execute("SELECT * FROM evaluations WHERE model = ? ORDER BY id DESC", (model_id,))
    return [_evaluation(row) for row in rows]


def list_evaluated(connection: sqlite3.Connection, snapshot_id: int, split: str) -> list[int]:
    """The models that were measured on a split of a snapshot, by their numbers."""
    rows = connection.execute(
        "SELECT DISTINCT model FROM evaluations WHERE snapshot = ? AND split = ? ORDER BY model", (snapshot_id, split)
    )
    return [row["model"] for row in rows]


def say_erased(number: int, whose: str, again: str) -> str:
    """`2 of its cases were erased since; ...`: of numbers that were measured before."""
    cases = f"1 of {whose} cases was" if number == 1 else f"{number:,} of {whose} cases were"
    return f"{cases} erased since; the numbers still count what was erased. {again} again to measure what is left."


def say_times(number: int) -> str:
    """`never`, `once`, `2 times`: how often the test cases were used."""
    return "once" if number == 1 else "never" if number == 0 else f"{number:,} times"


def count_test_uses(connection: sqlite3.Connection, snapshot_id: int, fold: int | None = None) -> int:
    """How often the test cases of a snapshot (of this fold of it) have been looked at, by whichever model.

    Each look invites a choice that fits these cases, so the count stands beside every result.
    """
    row = connection.execute(
        """SELECT count(*) FROM evaluations JOIN models ON models.id = evaluations.model
           JOIN runs ON runs.id = models.run
           WHERE evaluations.snapshot = ? AND evaluations.split = 'test'
             AND iif(runs.snapshot = evaluations.snapshot, runs.fold, NULL) IS ?""",
        (snapshot_id, fold),
    ).fetchone()
    return int(row[0])


def _evaluation(row: sqlite3.Row) -> Evaluation:
    return Evaluation(
        id=row["id"],
        model=row["model"],
        snapshot=row["snapshot"],
        split=row["split"],
        result=json.loads(row["result"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
        erased_cases=row["erased_cases"],
    )
