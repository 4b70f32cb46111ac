"""A snapshot as one JSON document that another home with the same images reads back to the same hash."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from core.datasets.conditions import check_frozen
from core.datasets.leaks import Leak, LeaksFound, find_leaks
from core.datasets.masks import export_masks_of, keeping_masks, masks_of_row, unpack_masks
from core.datasets.records import (
    Candidate,
    Snapshot,
    SnapshotCase,
    add_snapshot,
    demand_whole,
    find_snapshot,
    list_snapshot_cases,
    map_contents,
    map_events,
    map_sources,
)
from core.datasets.splits import SPLITS
from core.errors import Conflict, InvalidInput
from core.images.home_secret import secret_of
from core.images.pseudonyms import path_token
from core.images.records import set_of_synthetic
from core.people.roles import demand_of
from core.projects.records import Project, ReferenceRule
from core.projects.schema import LabelSchema, Segmentation, schema_to_json, without_retired
from core.store.audit import Actor
from core.store.files import Files

FORMAT = "readroom snapshot 1"


def content_hash(schema: LabelSchema, cases: Sequence[SnapshotCase], sources: Sequence[str]) -> str:
    """SHA-256 of everything that training and evaluation read, and of nothing else.

    Ids of cases and labels differ from home to home and are left out; so are names, dates and the way to the split.
    """
    digest = hashlib.sha256(_line([FORMAT, schema_to_json(schema)]))
    for case, source in zip(cases, sources, strict=True):
        masks = [[mask.structure, mask.mask_hash] for mask in case.masks]
        told = [source, case.pixel_hash, case.patient, case.split, case.fold, case.group, case.value]
        digest.update(_line([*told, masks] if masks else told))
    return digest.hexdigest()


def export_snapshot(connection: sqlite3.Connection, files: Files, snapshot: Snapshot) -> str:
    """The snapshot as JSON text: cases by source and pixel hash, labels by event id, masks with their content.

    Raises:
        Conflict: cases of it were erased, or it came from a home where its files have other names: its hash stands for
            those, which are not known here.
    """
    demand_whole(snapshot, "export it")
    cases = list_snapshot_cases(connection, snapshot.id)
    sources = map_sources(connection, snapshot.id)
    if content_hash(snapshot.schema, cases, [sources[case.case_id] for case in cases]) != snapshot.hash:
        raise Conflict(
            f"Where this snapshot was frozen its files have other names than here; pass on the file that it came by. "
            f"Received: {snapshot.name}"
        )
    events = map_events(connection, snapshot.project)
    drawn = set_of_synthetic(connection, [case.case_id for case in cases])
    position_of = {case.case_id: case.position for case in cases}
    document = {
        "format": FORMAT,
        "name": snapshot.name,
        "hash": snapshot.hash,
        "task": snapshot.task,
        "schema": schema_to_json(snapshot.schema),
        "reference_rule": asdict(snapshot.reference_rule),
        "split_rule": snapshot.split_rule,
        "seed": snapshot.seed,
        "folds": snapshot.folds,
        "leaks": [
            {**asdict(leak), "case_ids": [position_of[case_id] for case_id in leak.case_ids]} for leak in snapshot.leaks
        ],
        "leaks_allowed_because": snapshot.leaks_allowed_because,
        "created_at": snapshot.created_at,
        "created_by": snapshot.created_by,
        "cases": [
            {
                "source": sources[case.case_id],
                "pixel_hash": case.pixel_hash,
                "patient": case.patient,
                "split": case.split,
                "fold": case.fold,
                "group": case.group,
                "value": case.value,
                "labels": [events[label] for label in case.label_ids if label in events],
                **({"synthetic": True} if case.case_id in drawn else {}),
                **({"masks": {mask.structure: mask.mask_hash for mask in case.masks}} if case.masks else {}),
            }
            for case in cases
        ],
    }
    if packed := export_masks_of(files, cases):
        document["masks"] = packed
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def import_snapshot(
    connection: sqlite3.Connection, files: Files, project: Project, text: str, actor: Actor
) -> Snapshot:
    """Bring an exported snapshot into a project that has the same images. The same snapshot again is left as it is.

    Raises:
        InvalidInput: it is no snapshot, was altered, has other classes, or names images that the project lacks or
            holds for a check of their pixels.
        Conflict: the project has another snapshot of this name.
        LeaksFound: its splits leak, and it does not say why that was allowed.
        NotAllowed: the actor may not freeze in this project.
    """
    demand_of(connection, actor, "freeze", project.id)
    document = _read(text)
    known = find_snapshot(connection, project.id, str(document["name"]))
    if known is not None:
        if known.hash == document["hash"]:
            demand_whole(known, "bring it back")
            return known
        raise Conflict(f"There is another snapshot of this name; rename one in its file. Received: {known.name}")
    project = replace(project, schema=without_retired(project.schema))
    if document["schema"] != json.loads(json.dumps(schema_to_json(project.schema))):
        raise InvalidInput(
            f"The snapshot was made under another label schema than that of project {project.name}. "
            f"Received: {json.dumps(document['schema'], ensure_ascii=False)[:300]}"
        )
    rows = document["cases"]
    contents = unpack_masks(document.get("masks") or {})
    cases = _cases(connection, project, rows, contents)
    found = content_hash(project.schema, cases, [row["source"] for row in rows])
    if found != document["hash"]:
        raise InvalidInput(
            f"The file was altered after the export; export it again. Received: hash {document['hash']}, found {found}"
        )
    leaks = _leaks(document, cases, rows)
    origin = {"exported_from": {"created_at": document["created_at"], "created_by": document["created_by"]}}
    with keeping_masks(connection, files, contents):
        return add_snapshot(
            connection,
            project,
            name=str(document["name"]),
            content_hash=found,
            split_rule={**document["split_rule"], **origin},
            seed=int(document["seed"]),
            folds=int(document["folds"]),
            cases=cases,
            actor=actor,
            reference_rule=ReferenceRule(**document["reference_rule"]),
            leaks=leaks,
            leaks_allowed_because=document["leaks_allowed_because"],
        )


def _read(text: str) -> dict[str, Any]:
    """The document, with everything there and of the right kind."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise InvalidInput(f"This is not an export that this version reads. Received: {document['format']!r}")
        kinds = {"name": str, "hash": str, "schema": dict, "reference_rule": dict, "split_rule": dict, "seed": int,
                 "folds": int, "leaks": list, "cases": list, "created_at": str, "created_by": str}  # fmt: skip
        wrong = [key for key, kind in kinds.items() if not isinstance(document[key], kind)]
        reason = document["leaks_allowed_because"]
        if wrong or not (reason is None or isinstance(reason, str)) or not document["cases"]:
            raise InvalidInput(f"The export is damaged; export the snapshot again. Received: {wrong or 'no cases'}")
        ReferenceRule(**document["reference_rule"])
        for row in document["cases"]:
            _check_row(row)
        for leak in document["leaks"]:
            Leak(
                leak["kind"],
                tuple(document["cases"][at]["source"] for at in leak["case_ids"]),
                tuple(leak["splits"]),
                leak["sentence"],
            )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InvalidInput(f"This is not an exported snapshot. Received: {text[:60]!r} ({error})") from error
    return dict(document)


def _check_row(row: Mapping[str, Any]) -> None:
    fold = row["fold"]
    right = (
        all(isinstance(row[key], str) for key in ("source", "pixel_hash", "patient"))
        and row["split"] in SPLITS
        and isinstance(row["value"], dict)
        and isinstance(row["group"], int)
        and (fold is None or isinstance(fold, int))
        and all(isinstance(event, str) for event in row["labels"])
    )
    if not right:
        raise InvalidInput(f"The export is damaged; export the snapshot again. Received: {dict(row)!r}")


def _found_again(
    connection: sqlite3.Connection, project: Project, rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], int]:
    """The cases by source and pixels as the export names them. Files may go by tokens here, or by those of another
    home there; then the pixels decide, where only one case shows them."""
    here = map_contents(connection, project.id)
    secret = secret_of(connection)
    by_pixels: dict[str, set[int]] = {}
    for (_, pixel_hash), case_id in here.items():
        by_pixels.setdefault(pixel_hash, set()).add(case_id)
    found = dict(here)
    for source, pixel_hash in {(row["source"], row["pixel_hash"]) for row in rows} - set(here):
        by_token = here.get((path_token(secret, source), pixel_hash)) if secret else None
        alone = by_pixels.get(pixel_hash, set())
        match = by_token or (next(iter(alone)) if len(alone) == 1 else None)
        if match is not None:
            found[source, pixel_hash] = match
    return found


def _cases(
    connection: sqlite3.Connection,
    project: Project,
    rows: Sequence[Mapping[str, Any]],
    contents: Mapping[str, bytes],
) -> list[SnapshotCase]:
    here = _found_again(connection, project, rows)
    missing = [row["source"] for row in rows if (row["source"], row["pixel_hash"]) not in here]
    if missing:
        named = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        raise InvalidInput(f"Import these images into the project first. Received: {len(missing)} unknown: {named}")
    _demand_one_each(rows, here)
    label_of = {event: label for label, event in map_events(connection, project.id).items()}
    return [
        SnapshotCase(
            position=position,
            case_id=here[row["source"], row["pixel_hash"]],
            patient=row["patient"],
            split=row["split"],
            fold=row["fold"],
            value=check_frozen(project.schema, row["value"]),
            label_ids=tuple(label_of[event] for event in row["labels"] if event in label_of),
            pixel_hash=row["pixel_hash"],
            group=row["group"],
            masks=masks_of_row(
                connection, project.schema, here[row["source"], row["pixel_hash"]], row.get("masks"), contents
            )
            if isinstance(project.schema, Segmentation)
            else (),
        )
        for position, row in enumerate(rows)
    ]


def _demand_one_each(rows: Sequence[Mapping[str, Any]], here: Mapping[tuple[str, str], int]) -> None:
    """Refuse two rows that would be one case, which would count twice: images of the same pixels, of which only one is
    here."""
    first_of: dict[int, str] = {}
    for row in rows:
        first = first_of.setdefault(here[row["source"], row["pixel_hash"]], row["source"])
        if first != row["source"]:
            raise InvalidInput(
                f"Import each image of the snapshot into the project first: two show the same pixels, and one of them "
                f"is there. Received: {first} and {row['source']}"
            )


def _leaks(document: Mapping[str, Any], cases: Sequence[SnapshotCase], rows: Sequence[Mapping[str, Any]]) -> list[Leak]:
    """The leaks that the export names; those that can be seen without opening an image must be among them."""
    placed = [
        Candidate(case.case_id, row["source"], case.patient, case.pixel_hash, None, case.split, case.value, ())
        for case, row in zip(cases, rows, strict=True)
    ]
    seen = find_leaks(placed)
    if seen and not document["leaks_allowed_because"]:
        raise LeaksFound(seen)
    return [
        replace(
            Leak(leak["kind"], (), tuple(leak["splits"]), leak["sentence"]),
            case_ids=tuple(cases[at].case_id for at in leak["case_ids"]),
        )
        for leak in document["leaks"]
    ]


def _line(row: Sequence[Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"
