"""The tables of snapshots: frozen lists of cases with their reference answers and splits.

Never changed, with one exception: cases that were erased are missing from then on, and the snapshot says so.
"""

import json
import sqlite3
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.clock import utc_now
from core.datasets.leaks import Leak
from core.errors import Conflict, InvalidInput, NotFound, some_of
from core.labels.answers import value_text
from core.labels.mask_store import KeptMask
from core.projects.records import Project, ReferenceRule
from core.projects.schema import (
    Classification,
    LabelSchema,
    Regression,
    Segmentation,
    quantity_names,
    schema_from_json,
    schema_to_json,
)
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.store.numbers import next_number

NAMED_HELD = 5
FOLD_VALIDATION = "validation_of_folds"  # in the split rule of an incomplete snapshot


@dataclass(frozen=True)
class Snapshot:
    """What a training stood on. `split_rule` says how cases came to their splits, what was left out, and `notes`."""

    id: int
    project: int
    name: str
    hash: str
    task: str
    schema: LabelSchema
    reference_rule: ReferenceRule
    split_rule: dict[str, Any]
    seed: int
    folds: int
    leaks: tuple[Leak, ...]
    leaks_allowed_because: str | None
    created_at: str
    created_by: str
    incomplete_since: str | None = None
    erased_cases: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever reads results on this snapshot should know, in sentences."""
        return tuple(self.split_rule.get("notes", ()))

    @property
    def loss(self) -> str:
        """What was erased from it, as a sentence; "" where it is whole."""
        if not self.incomplete_since:
            return ""
        cases = "1 case was" if self.erased_cases == 1 else f"{self.erased_cases:,} cases were"
        return f"Incomplete since {self.incomplete_since[:10]}: {cases} erased."


@dataclass(frozen=True)
class SnapshotCase:
    """One frozen case. Cases of one `group` (patient, same pixels, near-duplicates) must never be parted.

    Of a segmentation `masks` has every structure, in the order of the schema, those with nothing painted included.
    """

    position: int
    case_id: int
    patient: str
    split: str
    fold: int | None
    value: dict[str, Any]
    label_ids: tuple[int, ...]
    pixel_hash: str
    group: int
    masks: tuple[KeptMask, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A case with a reference answer, about to be frozen. `split` is what its table column says, then what it gets."""

    case_id: int
    source: str
    patient: str
    pixel_hash: str
    perceptual_hash: str | None
    split: str
    value: dict[str, Any]
    label_ids: tuple[int, ...]
    masks: tuple[KeptMask, ...] = ()


def list_candidates(connection: sqlite3.Connection, project_id: int, *, column: str | None = None) -> list[Candidate]:
    """All cases of a project with a reference answer, by source, with what the split column says of them.

    The order does not depend on when a case was imported: another home with the same images splits them alike.

    Args:
        column: `split` for the split of the label table, or the name of an attribute.
    """
    asked = "NULL" if column is None else "given_split" if column == "split" else "case_attributes.value"
    rows = connection.execute(
        f"""SELECT cases.id, source, patient, pixel_hash, perceptual_hash, {asked} AS asked,
                   reference_labels.value AS answer, reference_labels.labels AS labels
            FROM reference_labels JOIN cases ON cases.id = reference_labels.case_id
            LEFT JOIN case_attributes ON case_attributes.case_id = cases.id AND case_attributes.name = :column
            WHERE reference_labels.project = :project AND state = 'labelled' AND cases.held = 0
                  AND cases.synthetic IS NULL
            ORDER BY source, pixel_hash""",
        {"project": project_id, "column": column},
    )
    return [
        Candidate(
            row["id"],
            row["source"],
            row["patient"],
            row["pixel_hash"],
            row["perceptual_hash"],
            row["asked"] or "",
            json.loads(row["answer"]),
            tuple(json.loads(row["labels"])),
        )
        for row in rows
    ]


def count_left_out(connection: sqlite3.Connection, project_id: int) -> dict[str, int]:
    """How many cases are not to be frozen, and why: `unlabelled`, `tied`, `unusable`, or held for a pixel check."""
    cases, held = connection.execute(
        "SELECT count(*), coalesce(sum(held), 0) FROM cases WHERE project = ? AND synthetic IS NULL", (project_id,)
    ).fetchone()
    states = dict(
        connection.execute(
            """SELECT state, count(*) FROM reference_labels JOIN cases ON cases.id = case_id
               WHERE reference_labels.project = ? AND held = 0 GROUP BY state""",
            (project_id,),
        ).fetchall()
    )
    left = {"unlabelled": cases - held - sum(states.values()), "tied": states.get("tied", 0)}
    left["unusable"] = states.get("unusable", 0)
    return left | ({"held for a pixel check": held} if held else {})


def list_split_columns(connection: sqlite3.Connection, project_id: int) -> list[tuple[str, str]]:
    """What could hold a split: (column, value) for the table's split and every attribute with few values."""
    rows = connection.execute(
        """SELECT 'split', given_split FROM cases WHERE project = :project AND given_split IS NOT NULL
           GROUP BY given_split
           UNION ALL
           SELECT name, value FROM case_attributes WHERE project = :project GROUP BY name, value""",
        {"project": project_id},
    )
    return [(row[0], row[1]) for row in rows]


def list_attributes(connection: sqlite3.Connection, snapshot_id: int) -> dict[str, int]:
    """{attribute: how many values it has} among the cases of a snapshot."""
    rows = connection.execute(
        """SELECT name, count(DISTINCT case_attributes.value) AS n FROM case_attributes
           JOIN snapshot_cases USING (case_id) WHERE snapshot = ? GROUP BY name ORDER BY name""",
        (snapshot_id,),
    )
    return {row["name"]: row["n"] for row in rows}


def list_attribute_values(connection: sqlite3.Connection, snapshot_id: int, name: str) -> list[str]:
    """The different values that the cases of a snapshot have of an attribute."""
    rows = connection.execute(
        """SELECT DISTINCT case_attributes.value FROM case_attributes JOIN snapshot_cases USING (case_id)
           WHERE snapshot = ? AND name = ? ORDER BY case_attributes.value""",
        (snapshot_id, name),
    )
    return [row["value"] for row in rows]


def map_attribute(connection: sqlite3.Connection, name: str, case_ids: Sequence[int]) -> dict[int, str]:
    """{case: value} of those of the cases that say something of an attribute."""
    rows = connection.execute(
        """SELECT case_id, value FROM case_attributes
           WHERE name = ? AND case_id IN (SELECT value FROM json_each(?))""",
        (name, json.dumps(list(case_ids))),
    )
    return {row["case_id"]: row["value"] for row in rows}


def map_contents(connection: sqlite3.Connection, project_id: int) -> dict[tuple[str, str], int]:
    """{(source, pixel hash): case id} of a project: how an exported snapshot finds its cases again."""
    rows = connection.execute("SELECT source, pixel_hash, id FROM cases WHERE project = ?", (project_id,))
    return {(row[0], row[1]): row[2] for row in rows}


def map_sources(connection: sqlite3.Connection, snapshot_id: int) -> dict[int, str]:
    """{case id: source} of a snapshot's cases."""
    rows = connection.execute(
        "SELECT cases.id, source FROM snapshot_cases JOIN cases ON cases.id = case_id WHERE snapshot = ?",
        (snapshot_id,),
    )
    return {row[0]: row[1] for row in rows}


def map_shapes(connection: sqlite3.Connection, snapshot_id: int) -> dict[int, tuple[int, int, int, int]]:
    """{case id: (frames, rows, columns, channels)} of a snapshot's cases."""
    rows = connection.execute(
        """SELECT cases.id, frames, rows, columns, channels FROM snapshot_cases JOIN cases ON cases.id = case_id
           WHERE snapshot = ?""",
        (snapshot_id,),
    )
    return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows}


def noun_of_cases(connection: sqlite3.Connection, snapshot_id: int) -> str:
    """What a snapshot's cases are called: `images`, `volumes`, or `cases` where it holds both."""
    rows = connection.execute(
        """SELECT DISTINCT frames > 1 FROM snapshot_cases JOIN cases ON cases.id = case_id WHERE snapshot = ?""",
        (snapshot_id,),
    )
    several = {bool(row[0]) for row in rows}
    return "cases" if len(several) == 2 else "volumes" if several == {True} else "images"


def map_events(connection: sqlite3.Connection, project_id: int) -> dict[int, str]:
    """{label id: event} of a project; the event names a label in every home, the id only in this one."""
    rows = connection.execute("SELECT id, event FROM labels WHERE project = ?", (project_id,))
    return {row[0]: row[1] for row in rows}


def map_readers(connection: sqlite3.Connection, project_id: int) -> dict[int, str]:
    """{label id: reader} of a project: whose masks an answer stands for."""
    rows = connection.execute(
        "SELECT labels.id, users.name FROM labels JOIN users ON users.id = reader WHERE project = ?", (project_id,)
    )
    return {row[0]: row[1] for row in rows}


def add_snapshot(
    connection: sqlite3.Connection,
    project: Project,
    *,
    name: str,
    content_hash: str,
    split_rule: dict[str, Any],
    seed: int,
    folds: int,
    cases: Sequence[SnapshotCase],
    actor: Actor,
    reference_rule: ReferenceRule | None = None,
    leaks: Sequence[Leak] = (),
    leaks_allowed_because: str | None = None,
) -> Snapshot:
    """Store a snapshot with its cases, in one transaction.

    Raises:
        Conflict: the project has a snapshot of this name, or cases were erased or changed meanwhile.
    """
    with writing(connection):
        if find_snapshot(connection, project.id, name):
            raise Conflict(f"There is a snapshot of this name already; choose another. Received: {name}")
        _demand_unchanged(connection, cases)
        _demand_real(connection, cases, folds)
        _demand_checked(connection, cases)
        cursor = connection.execute(
            """INSERT INTO snapshots (id, project, name, hash, task, label_schema, reference_rule, split_rule, seed,
                                      folds, leaks, leaks_allowed_because, created_at, created_by)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                next_number(connection, "snapshots"),
                project.id,
                name,
                content_hash,
                project.task,
                json.dumps(schema_to_json(project.schema)),
                json.dumps(asdict(reference_rule or project.reference_rule)),
                json.dumps(split_rule),
                seed,
                folds,
                json.dumps([asdict(leak) for leak in leaks]),
                leaks_allowed_because,
                utc_now(),
                actor.name,
            ),
        )
        snapshot_id = int(cursor.lastrowid or 0)
        connection.executemany(
            """INSERT INTO snapshot_cases (snapshot, position, case_id, patient, split, fold, value, labels, pixel_hash,
                                           linked)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                (
                    snapshot_id,
                    case.position,
                    case.case_id,
                    case.patient,
                    case.split,
                    case.fold,
                    value_text(case.value),
                    json.dumps(case.label_ids),
                    case.pixel_hash,
                    case.group,
                )
                for case in cases
            ),
        )
        connection.executemany(
            "INSERT INTO snapshot_masks (snapshot, case_id, structure, mask_hash, pixels) VALUES (?, ?, ?, ?, ?)",
            (
                (snapshot_id, case.case_id, mask.structure, mask.mask_hash, mask.pixels)
                for case in cases
                for mask in case.masks
            ),
        )
        told = {"name": name, "hash": content_hash, "cases": len(cases), "leaks": len(leaks)}
        add_audit(connection, actor, "freeze snapshot", f"snapshot {snapshot_id}", **told)
        return get_snapshot(connection, project.id, snapshot_id)


def _demand_real(connection: sqlite3.Connection, cases: Sequence[SnapshotCase], folds: int) -> None:
    """Refuse to validate or test on drawn images: such numbers would say nothing of patients."""
    asked = json.dumps([case.case_id for case in cases if folds or case.split != "train"])
    drawn = connection.execute(
        "SELECT id FROM cases WHERE synthetic IS NOT NULL AND id IN (SELECT value FROM json_each(?))", (asked,)
    ).fetchone()
    if drawn is not None:
        raise InvalidInput(
            f"Synthetic images are only learnt from: they belong to no fold and to no split but train. "
            f"Received: case {drawn[0]}"
        )


def _demand_unchanged(connection: sqlite3.Connection, cases: Sequence[SnapshotCase]) -> None:
    """Refuse cases that were erased, or whose pixels were changed, while they were compared with one another."""
    asked = json.dumps([case.case_id for case in cases])
    rows = connection.execute("SELECT id, pixel_hash FROM cases WHERE id IN (SELECT value FROM json_each(?))", (asked,))
    now = {row["id"]: row["pixel_hash"] for row in rows}
    if others := [str(case.case_id) for case in cases if now.get(case.case_id) != case.pixel_hash]:
        raise Conflict(
            f"Freeze it once more: cases were erased, or their pixels changed, meanwhile. "
            f"Received: {len(others):,} of {len(cases):,} cases, case {some_of(others, NAMED_HELD)}"
        )


def _demand_checked(connection: sqlite3.Connection, cases: Sequence[SnapshotCase]) -> None:
    """Refuse what waits for a check of its pixels, which may hold a name: an exported snapshot may name it."""
    asked = json.dumps([case.case_id for case in cases])
    held = connection.execute(
        "SELECT id FROM cases WHERE held = 1 AND id IN (SELECT value FROM json_each(?)) ORDER BY id", (asked,)
    ).fetchall()
    if held:
        raise InvalidInput(
            f"Look at the pixels of what is held for a check first; no snapshot takes it before. "
            f"Received: {len(held):,} held, case {some_of([str(row[0]) for row in held], NAMED_HELD)}"
        )


def list_synthetic(connection: sqlite3.Connection, project_id: int, names: Mapping[str, str]) -> list[Candidate]:
    """The drawn images of a project, of each class in turn, as candidates for the training split.

    Args:
        names: {what a class was called when an image was drawn: what it is called today}, of the classes wanted.
    """
    rows = connection.execute(
        """SELECT cases.id, source, patient, pixel_hash, perceptual_hash, named.value AS name,
                  row_number() OVER (PARTITION BY named.value ORDER BY cases.id) AS turn
           FROM cases JOIN json_each(:names) AS named ON named.key = synthetic ->> 'class'
           WHERE project = :project AND synthetic IS NOT NULL AND held = 0 ORDER BY turn, named.id""",
        {"project": project_id, "names": json.dumps(names)},
    )
    return [
        Candidate(
            row["id"], row["source"], row["patient"], row["pixel_hash"], row["perceptual_hash"], "train",
            {"classes": [row["name"]]}, (),
        )
        for row in rows
    ]  # fmt: skip


def map_drew(connection: sqlite3.Connection, case_ids: Sequence[int]) -> dict[int, str]:
    """{case: hash of the model that drew it} of the drawn ones among these cases."""
    rows = connection.execute(
        """SELECT id, synthetic ->> 'model_hash' AS hash FROM cases
           WHERE synthetic IS NOT NULL AND hash IS NOT NULL AND id IN (SELECT value FROM json_each(?))""",
        (json.dumps(list(case_ids)),),
    )
    return {row["id"]: row["hash"] for row in rows}


def map_learnt(connection: sqlite3.Connection, hashes: Collection[str]) -> dict[str, tuple[set[str], set[str]]]:
    """{hash: (patients, pixels)} that models, by the hashes of their files, were trained on, or those that they began
    from. Of a fold that is all but the fold: its few cases of validation are not told apart here."""
    rows = connection.execute(
        """WITH RECURSIVE taught (hash, run) AS (
               SELECT keras_hash, run FROM models WHERE keras_hash IN (SELECT value FROM json_each(?))
               UNION SELECT hash, earlier.run FROM taught JOIN runs ON runs.id = taught.run
                     JOIN json_each(told, '$.sources') AS source
                     JOIN models AS earlier ON earlier.keras_hash = source.value ->> 'hash')
           SELECT DISTINCT hash, patient, pixel_hash FROM taught JOIN runs ON runs.id = taught.run
           JOIN snapshot_cases ON snapshot_cases.snapshot = runs.snapshot
           WHERE CASE WHEN runs.fold IS NULL THEN split = 'train' ELSE snapshot_cases.fold IS NOT runs.fold END""",
        (json.dumps(sorted(hashes)),),
    )
    learnt: dict[str, tuple[set[str], set[str]]] = {}
    for row in rows:
        patients, pixels = learnt.setdefault(row["hash"], (set(), set()))
        patients.add(row["patient"])
        pixels.add(row["pixel_hash"])
    return learnt


def find_snapshot(connection: sqlite3.Connection, project_id: int, name_or_id: str | int) -> Snapshot | None:
    """A snapshot of a project by name or id, or None; a name of digits only is found by name first."""
    row = None
    if isinstance(name_or_id, str):
        row = connection.execute(
            "SELECT * FROM snapshots WHERE project = ? AND name = ?", (project_id, name_or_id)
        ).fetchone()
    if row is None:
        row = connection.execute(
            "SELECT * FROM snapshots WHERE project = ? AND id = ?", (project_id, name_or_id)
        ).fetchone()
    return _snapshot(row) if row else None


def get_snapshot(connection: sqlite3.Connection, project_id: int, name_or_id: str | int) -> Snapshot:
    """A snapshot of a project by name or id.

    Raises:
        NotFound: there is none.
    """
    found = find_snapshot(connection, project_id, name_or_id)
    if found is None:
        raise NotFound("snapshot", name_or_id)
    return found


def demand_whole(snapshot: Snapshot, deed: str) -> None:
    """Refuse what promises that a result can be repeated on just these cases.

    Raises:
        Conflict: some of them were erased, so that its hash no longer describes what is left.
    """
    if snapshot.incomplete_since:
        raise Conflict(
            f"Freeze a new snapshot to {deed}; what is left of this one is not what its hash stands for. "
            f"{snapshot.loss} Received: snapshot {snapshot.name}"
        )


def list_snapshots(connection: sqlite3.Connection, project_id: int) -> list[Snapshot]:
    """A project's snapshots, newest first."""
    rows = connection.execute("SELECT * FROM snapshots WHERE project = ? ORDER BY id DESC", (project_id,))
    return [_snapshot(row) for row in rows]


def list_snapshot_cases(
    connection: sqlite3.Connection,
    snapshot_id: int,
    *,
    split: str | None = None,
    only: Collection[int] | None = None,
) -> list[SnapshotCase]:
    """The cases of a snapshot, of one split of it, or of these cases those that are in it, by position."""
    masks = _list_masks(connection, snapshot_id, only)
    rows = connection.execute(
        f"""SELECT * FROM snapshot_cases WHERE snapshot = :snapshot AND (:split IS NULL OR split = :split)
            AND {_AMONG} ORDER BY position""",
        {"snapshot": snapshot_id, "split": split, "only": _listed(only)},
    )
    return [
        SnapshotCase(
            row["position"],
            row["case_id"],
            row["patient"],
            row["split"],
            row["fold"],
            json.loads(row["value"]),
            tuple(json.loads(row["labels"])),
            row["pixel_hash"],
            row["linked"],
            masks.get(row["case_id"], ()),
        )
        for row in rows
    ]


def list_trained_folds(connection: sqlite3.Connection, snapshot_id: int) -> list[int]:
    """The folds of a snapshot for which there are trainings."""
    rows = connection.execute(
        "SELECT DISTINCT fold FROM runs WHERE snapshot = ? AND fold IS NOT NULL ORDER BY fold", (snapshot_id,)
    )
    return [row[0] for row in rows]


def find_fold_validation(connection: sqlite3.Connection, snapshot_id: int) -> dict[int, Collection[int]]:
    """{fold: positions of the cases that are its validation}, where that was kept because cases were to be erased."""
    row = connection.execute(
        f"SELECT split_rule -> '$.{FOLD_VALIDATION}' FROM snapshots WHERE id = ?", (snapshot_id,)
    ).fetchone()
    kept = json.loads(row[0]) if row and row[0] else {}
    return {int(fold): frozenset(positions) for fold, positions in kept.items()}


def set_fold_validation(
    connection: sqlite3.Connection, snapshot_id: int, validation: Mapping[int, Collection[int]]
) -> None:
    """Keep that, in the caller's transaction."""
    told = json.dumps({str(fold): sorted(positions) for fold, positions in validation.items()})
    connection.execute(
        f"UPDATE snapshots SET split_rule = json_set(split_rule, '$.{FOLD_VALIDATION}', json(?)) WHERE id = ?",
        (told, snapshot_id),
    )


_AMONG = "(:only IS NULL OR case_id IN (SELECT value FROM json_each(:only)))"


def _listed(only: Collection[int] | None) -> str | None:
    return None if only is None else json.dumps(sorted(only))


def _list_masks(
    connection: sqlite3.Connection, snapshot_id: int, only: Collection[int] | None
) -> dict[int, tuple[KeptMask, ...]]:
    """The frozen masks of each case, in the order of the schema."""
    rows = connection.execute(
        f"""SELECT case_id, structure, mask_hash, pixels FROM snapshot_masks
            JOIN snapshots ON snapshots.id = snapshot
            JOIN json_each(label_schema, '$.structures') AS named ON named.value ->> 'name' = structure
            WHERE snapshot = :snapshot AND {_AMONG} ORDER BY case_id, named.key""",
        {"snapshot": snapshot_id, "only": _listed(only)},
    )
    masks: dict[int, tuple[KeptMask, ...]] = {}
    for row in rows:
        kept = KeptMask(row["structure"], row["mask_hash"], row["pixels"])
        masks[row["case_id"]] = (*masks.get(row["case_id"], ()), kept)
    return masks


def snapshot_counts(connection: sqlite3.Connection, snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """{split: {"images", "patients", "classes": {name: images}}} for the three splits, classes in schema order; of a
    measured number "lowest", "median" and "highest" instead of classes, absent where a split is empty; of a
    segmentation "structures": {name: {"images", "share"}}, the cases where it is painted and its share of all pixels
    of the split."""
    names = snapshot.schema.names if isinstance(snapshot.schema, Classification) else ()
    counts: dict[str, dict[str, Any]] = {
        split: {"images": 0, "patients": 0, "classes": dict.fromkeys(names, 0)}
        for split in ("train", "validation", "test")
    }
    for row in connection.execute(
        """SELECT split, count(*) AS images, count(DISTINCT patient) AS patients
           FROM snapshot_cases WHERE snapshot = ? GROUP BY split""",
        (snapshot.id,),
    ):
        counts[row["split"]] |= {"images": row["images"], "patients": row["patients"]}
    for row in connection.execute(
        "SELECT split, value, count(*) AS images FROM snapshot_cases WHERE snapshot = ? GROUP BY split, value",
        (snapshot.id,),
    ):
        for name in json.loads(row["value"]).get("classes", ()):
            counts[row["split"]]["classes"][name] += row["images"]
    if isinstance(snapshot.schema, Regression):
        _count_numbers(connection, snapshot, snapshot.schema, counts)
    if isinstance(snapshot.schema, Segmentation):
        _count_painted(connection, snapshot, counts)
    return counts


def list_numbers(connection: sqlite3.Connection, snapshot_id: int, of: str = "") -> dict[str, list[float]]:
    """{split: the measured numbers of its cases} for the three splits; `of` names one of several quantities."""
    numbers: dict[str, list[float]] = {"train": [], "validation": [], "test": []}
    for row in connection.execute(
        """SELECT split, json_extract(value, ?) AS number FROM snapshot_cases WHERE snapshot = ?
           ORDER BY position""",
        (f'$.values."{of}"' if of else "$.value", snapshot_id),
    ):
        numbers[row["split"]].append(row["number"])
    return numbers


def _count_painted(connection: sqlite3.Connection, snapshot: Snapshot, counts: dict[str, dict[str, Any]]) -> None:
    """Put how much is painted where a classification has its classes."""
    assert isinstance(snapshot.schema, Segmentation)
    for told in counts.values():
        del told["classes"]
        told["structures"] = {name: {"images": 0, "share": 0.0} for name in snapshot.schema.names}
    rows = connection.execute(
        """SELECT split, structure, sum(snapshot_masks.pixels > 0) AS images,
                  1.0 * sum(snapshot_masks.pixels) / sum(frames * rows * columns) AS share
           FROM snapshot_masks JOIN snapshot_cases USING (snapshot, case_id) JOIN cases ON cases.id = case_id
           WHERE snapshot = ? GROUP BY split, structure""",
        (snapshot.id,),
    )
    for row in rows:
        counts[row["split"]]["structures"][row["structure"]] = {"images": row["images"], "share": row["share"]}


def _count_numbers(
    connection: sqlite3.Connection, snapshot: Snapshot, schema: Regression, counts: dict[str, dict[str, Any]]
) -> None:
    """Put the spread of the numbers where a classification has its classes; of several quantities under `targets`."""
    for told in counts.values():
        del told["classes"]
    for name in quantity_names(schema) or ("",):
        for split, found in list_numbers(connection, snapshot.id, name).items():
            if not found:
                continue
            spread = {"lowest": min(found), "median": statistics.median(found), "highest": max(found)}
            told = counts[split]
            (told.setdefault("targets", {}).setdefault(name, {}) if name else told).update(spread)


def _snapshot(row: sqlite3.Row) -> Snapshot:
    leaks = [
        Leak(leak["kind"], tuple(leak["case_ids"]), tuple(leak["splits"]), leak["sentence"])
        for leak in json.loads(row["leaks"])
    ]
    return Snapshot(
        id=row["id"],
        project=row["project"],
        name=row["name"],
        hash=row["hash"],
        task=row["task"],
        schema=schema_from_json(row["task"], json.loads(row["label_schema"])),
        reference_rule=ReferenceRule(**json.loads(row["reference_rule"])),
        split_rule=json.loads(row["split_rule"]),
        seed=row["seed"],
        folds=row["folds"],
        leaks=tuple(leaks),
        leaks_allowed_because=row["leaks_allowed_because"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        incomplete_since=row["incomplete_since"],
        erased_cases=row["erased_cases"],
    )
