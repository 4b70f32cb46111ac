"""Freezing: labelled cases become a snapshot, split by patient or by the table, checked for leaks, hashed."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.datasets.conditions import with_conditions
from core.datasets.duplicates import pair_near_duplicates
from core.datasets.exchange import content_hash, export_snapshot, import_snapshot
from core.datasets.leaks import Leak, LeaksFound, find_drawn_leaks, find_leaks
from core.datasets.masks import code_masks, keeping_masks
from core.datasets.records import (
    Candidate,
    Snapshot,
    SnapshotCase,
    add_snapshot,
    count_left_out,
    find_snapshot,
    list_candidates,
    list_snapshot_cases,
    list_split_columns,
    map_drew,
    map_learnt,
)
from core.datasets.splits import (
    SPLITS,
    VALIDATION_SHARE,
    assign_folds,
    carve_validation,
    check_ratios,
    link_groups,
    split_groups,
    strata_of,
)
from core.datasets.synthetic import add_synthetic, same_synthetic, take_synthetic
from core.errors import Conflict, InvalidInput
from core.labels.answers import label_text, value_text
from core.people.roles import demand_of
from core.progress import Portion, Progress, stop_if_asked
from core.projects.records import Project, get_project
from core.projects.schema import Classification, Generation, Segmentation, without_retired
from core.store.audit import Actor
from core.store.database import one_view
from core.store.files import Files

__all__ = ["DEFAULT_RATIOS", "export_snapshot", "find_split_columns", "freeze_snapshot", "import_snapshot"]

LEFT_OUT_WORDS = {"tied": "undecided between readers"}  # the other states say it by their own names
DEFAULT_RATIOS = (0.7, 0.15, 0.15)
SPELLINGS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


def freeze_snapshot(
    connection: sqlite3.Connection,
    files: Files,
    project: Project,
    name: str,
    *,
    ratios: Sequence[float] | None = DEFAULT_RATIOS,
    use_given_split: bool = False,
    split_column: str | None = None,
    like: Snapshot | None = None,
    folds: int = 0,
    seed: int = 0,
    allow_leaks: str | None = None,
    synthetic: int = 0,
    actor: Actor,
    progress: Progress,
) -> Snapshot:
    """Freeze every case that has a reference answer; of a segmentation with the masks of the reader who gave it.

    Args:
        ratios: shares of train, validation and test, dealt by patient; not looked at when a column says the split.
        use_given_split: the same as `split_column="split"`.
        split_column: take the split from the label table: `split`, or the attribute that its column was kept as.
            Where it names no validation, 15 % of train are taken for it, by patient.
        like: an earlier snapshot: its cases only, drawn ones too, each in the split that it has there, with today's
            answers.
        folds: also deal all cases into this many folds, by patient; see `splits.fold_view`.
        allow_leaks: the reason for which leaks are allowed; it is stored and shown for ever.
        synthetic: so many of the project's drawn images go into train, and into no other split.

    Raises:
        LeaksFound: a patient or an image is in two splits, or a model drew images of train that has learnt from
            another split, and no reason was given to allow it.
        InvalidInput: there is nothing to freeze, there are volumes to be classified, or it cannot be split as asked.
        Conflict: the project has a snapshot of this name.
        NotAllowed: the actor may not freeze in this project.
    """
    demand_of(connection, actor, "freeze", project.id)
    column = split_column or ("split" if use_given_split else None)
    name = _free_name(connection, project, name)
    shares = check_ratios(ratios or DEFAULT_RATIOS) if column is None else None
    contents: dict[str, bytes] = {}
    with one_view(connection):  # a class renamed or a rule changed meanwhile would freeze a mixture
        project = get_project(connection, project.id)
        left_out = count_left_out(connection, project.id)
        drawn = (
            same_synthetic(connection, project, like) if like else take_synthetic(connection, project, synthetic, folds)
        )
        candidates = list_candidates(connection, project.id, column=column)
        project, candidates = _without_retired(project, candidates, left_out)
        _check_answers(project, candidates, left_out)
        if isinstance(project.schema, Generation):
            candidates = with_conditions(connection, candidates)
        if isinstance(project.schema, Segmentation):
            part = Portion(progress, 0.0, 0.05)
            candidates, contents = code_masks(connection, project, project.schema, candidates, part)
    if column is not None:
        columns = find_split_columns(connection, project)
        candidates = _with_known_split(candidates, column, columns, left_out, needs_train=not drawn)
    if like is not None:
        candidates = _split_as_in(connection, like, candidates, left_out)
    pairs = pair_near_duplicates(connection, files, candidates, Portion(progress, 0.05, 0.9))
    stop_if_asked(progress)
    progress.report(0.9, "dealing cases to splits")
    groups = link_groups([some.patient for some in candidates], [some.pixel_hash for some in candidates], pairs=pairs)
    if like is not None:
        split_rule: dict[str, Any] = {"kind": "as before", "snapshot": like.name, "hash": like.hash}
    else:
        candidates, split_rule = _split(candidates, groups, column, shares, seed)
    leaks = find_leaks(candidates, pairs)
    reason = (allow_leaks or "").strip() or None
    _demand_allowed(leaks, reason)
    real = candidates
    cases = _frozen(real, groups, folds, seed)
    told = Portion(progress, 0.95, 1.0)
    cases, candidates, notes = add_synthetic(connection, files, cases, real, drawn, told)
    if like is None:  # what an earlier snapshot has was looked at when that was frozen
        leaks += _leaks_of_drawn(connection, real, candidates[len(real) :])
    _demand_allowed(leaks, reason)
    with keeping_masks(connection, files, contents):
        return add_snapshot(
            connection,
            project,
            name=name,
            content_hash=content_hash(project.schema, cases, [candidate.source for candidate in candidates]),
            split_rule=split_rule | {"left_out": left_out, "notes": notes + _notes(project, cases, left_out)},
            seed=seed,
            folds=folds,
            cases=cases,
            actor=actor,
            leaks=leaks,
            leaks_allowed_because=reason if leaks else None,
        )


def _demand_allowed(leaks: Sequence[Leak], reason: str | None) -> None:
    if leaks and reason is None:
        raise LeaksFound(leaks)


def _leaks_of_drawn(
    connection: sqlite3.Connection, real: Sequence[Candidate], drawn: Sequence[Candidate]
) -> list[Leak]:
    """Of the drawn images that go into train."""
    drew = map_drew(connection, [one.case_id for one in drawn])
    return find_drawn_leaks(real, drawn, map_learnt(connection, set(drew.values())), drew) if drew else []


def find_split_columns(connection: sqlite3.Connection, project: Project) -> list[str]:
    """What can be given as `split_column`: `split`, or an attribute, if all its values name a split."""
    values: dict[str, set[str]] = {}
    for column, value in list_split_columns(connection, project.id):
        values.setdefault(column, set()).add(value.strip().lower())
    return [column for column, said in values.items() if said <= set(SPELLINGS)]


def _free_name(connection: sqlite3.Connection, project: Project, name: str) -> str:
    name = name.strip()
    if not name:
        raise InvalidInput(f"A snapshot needs a name. Received: {name!r}")
    if find_snapshot(connection, project.id, name):
        raise Conflict(f"There is a snapshot of this name already; choose another. Received: {name}")
    return name


def _check_answers(project: Project, candidates: Sequence[Candidate], left_out: dict[str, int]) -> None:
    if not candidates:
        why = ", ".join(f"{count} {state}" for state, count in left_out.items())
        raise InvalidInput(f"No case has a reference answer yet; label some first. Received: {why}")
    if isinstance(project.schema, (Segmentation, Generation)):
        return  # all cases may have one answer: where the structures are, and what images look like, is learnt
    answers = {value_text(candidate.value) for candidate in candidates}
    if len(answers) == 1:
        raise InvalidInput(
            f"All cases have the same answer, so there is nothing to tell apart; label cases with another answer. "
            f"Received: {len(candidates)} cases, {label_text(candidates[0].value)}"
        )


def _without_retired(
    project: Project, candidates: list[Candidate], left_out: dict[str, int]
) -> tuple[Project, list[Candidate]]:
    """The project and its candidates without the classes that are no longer offered: no model shall learn them."""
    schema = without_retired(project.schema)
    if schema == project.schema:
        return project, candidates
    if isinstance(schema, Segmentation):
        return replace(project, schema=schema), candidates  # the other structures of a case stay as they are painted
    names = set(schema.names) if isinstance(schema, Classification) else set()
    kept = [candidate for candidate in candidates if set(candidate.value["classes"]) <= names]
    if len(kept) < len(candidates):
        left_out["of a retired class"] = len(candidates) - len(kept)
    return replace(project, schema=schema), kept


def _with_known_split(
    candidates: Sequence[Candidate],
    column: str,
    columns: Sequence[str],
    left_out: dict[str, int],
    *,
    needs_train: bool,
) -> list[Candidate]:
    """Candidates whose column names a split, in our spelling; those with an empty cell are left out and counted.

    Without synthetic images there must be something for train.
    """
    unknown = sorted({some.split for some in candidates if some.split and some.split.strip().lower() not in SPELLINGS})
    if unknown:
        raise InvalidInput(
            f"The column {column} must say train, validation (or val, valid) or test. "
            f"Received: {', '.join(unknown[:5])}"
        )
    named = [replace(some, split=SPELLINGS[some.split.strip().lower()]) for some in candidates if some.split]
    if needs_train and not any(some.split == "train" for some in named):
        there = f"columns that say a split are: {', '.join(columns)}" if columns else "no column says a split"
        raise InvalidInput(
            f"The column {column} names no case for train; {there}. Import the images with a label table that has it. "
            f"Received: {len(candidates)} cases, {len(named)} of them with a split"
        )
    left_out["without a split"] = len(candidates) - len(named)
    return named


def _split_as_in(
    connection: sqlite3.Connection, like: Snapshot, candidates: Sequence[Candidate], left_out: dict[str, int]
) -> list[Candidate]:
    """Those candidates that are in an earlier snapshot, each in its split there: a test case never becomes train."""
    split_of = {case.case_id: case.split for case in list_snapshot_cases(connection, like.id)}
    known = [replace(some, split=split_of[some.case_id]) for some in candidates if some.case_id in split_of]
    left_out["not in the snapshot before"] = len(candidates) - len(known)
    if not known:
        raise InvalidInput(f"No case of snapshot {like.name} has an answer any more. Received: {like.name}")
    return known


def _split(
    candidates: Sequence[Candidate], groups: Sequence[int], column: str | None, shares: list[float] | None, seed: int
) -> tuple[list[Candidate], dict[str, Any]]:
    """The candidates with their final splits, and the rule that gave them."""
    classes = strata_of([candidate.value for candidate in candidates])
    rule: dict[str, Any]
    splits: list[str]
    if column is None:
        splits = [*split_groups(groups, classes, ratios=shares or DEFAULT_RATIOS, seed=seed)]
        rule = {"kind": "by patient", "ratios": shares}
    else:
        splits = [candidate.split for candidate in candidates]
        rule = {"kind": "column", "column": column}
        if "validation" not in splits:
            at = [position for position, split in enumerate(splits) if split == "train"]
            carved = carve_validation([groups[i] for i in at], [classes[i] for i in at], seed=seed)
            for position, split in zip(at, carved, strict=True):
                splits[position] = split
            rule["validation"] = f"{VALIDATION_SHARE:.0%} of train, by patient"
    return [replace(some, split=split) for some, split in zip(candidates, splits, strict=True)], rule


def _frozen(candidates: Sequence[Candidate], groups: Sequence[int], folds: int, seed: int) -> list[SnapshotCase]:
    classes = strata_of([candidate.value for candidate in candidates])
    dealt: Sequence[int | None] = (
        assign_folds(groups, classes, folds=folds, seed=seed) if folds else [None] * len(candidates)
    )
    return [
        SnapshotCase(position, some.case_id, some.patient, some.split, fold, some.value, some.label_ids,
                     some.pixel_hash, group, some.masks)
        for position, (some, fold, group) in enumerate(zip(candidates, dealt, groups, strict=True))
    ]  # fmt: skip


def _notes(project: Project, cases: Sequence[SnapshotCase], left_out: dict[str, int]) -> list[str]:
    """What whoever reads results should know: what was left out, and what a split cannot tell."""
    notes = _note_of_left_out({state: count for state, count in left_out.items() if count})
    if isinstance(project.schema, Segmentation):
        return notes + _notes_of_masks(project.schema, cases)
    if not isinstance(project.schema, Classification):
        return notes
    used = [split for split in SPLITS if any(case.split == split for case in cases)]
    for name in project.schema.names:
        has = [case for case in cases if name in case.value["classes"]]
        missing = [split for split in used if not any(case.split == split for case in has)]
        if not has:
            notes.append(f"Nobody answered {name}: a model cannot learn it.")
        elif missing:
            patients = len({case.patient for case in has})
            notes.append(
                f"{name} is absent from {' and '.join(missing)}: it has images of {patients} "
                f"{'patient' if patients == 1 else 'patients'}. Label it in more patients to learn and to test it."
            )
    return notes


def _note_of_left_out(left_out: dict[str, int]) -> list[str]:
    total = sum(left_out.values())
    were = "1 case was" if total == 1 else f"{total:,} cases were"
    words = {LEFT_OUT_WORDS.get(state, state): count for state, count in left_out.items()}
    said = ", ".join(f"{count:,} {word}" if len(words) > 1 else word for word, count in words.items())
    return [f"{were} left out: {said}."] if total else []


def _notes_of_masks(schema: Segmentation, cases: Sequence[SnapshotCase]) -> list[str]:
    notes = []
    used = [split for split in SPLITS if any(case.split == split for case in cases)]
    for name in schema.names:
        painted = {case.split for case in cases for mask in case.masks if mask.structure == name and mask.pixels}
        missing = [split for split in used if split not in painted]
        if not painted:
            notes.append(f"Nobody painted {name}: a model cannot learn it.")
        elif missing:
            notes.append(f"{name} is painted on no case of {' and '.join(missing)}.")
    empty = sum(not any(mask.pixels for mask in case.masks) for case in cases)
    if empty:
        on = "1 case" if empty == 1 else f"{empty:,} cases"
        notes.append(f"On {on} nothing is painted, as their reader confirmed; they go in so.")
    return notes
