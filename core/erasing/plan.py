"""What goes when a case, a patient or a project is erased, and what stays and may remember: counted before the deed."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from core.erasing.leftovers import find_leftovers
from core.erasing.records import (
    count_drawn_by_taught,
    count_evaluations_hit,
    count_project_rows,
    count_rows,
    find_case_rows,
    list_audit_paths,
    list_case_ids,
    list_headers_alone,
    list_jobs_of,
    list_masks_alone,
    list_model_files_alone,
    list_models_of,
    list_models_taught,
    list_other_patients,
    list_other_projects,
    list_pixels_kept,
    list_readers,
    list_snapshots_hit,
)
from core.erasing.traces import Traces, make_traces
from core.errors import InvalidInput, NotFound, some_of
from core.projects.records import Project
from core.store.files import Files, Shelf

Extent = Literal["case", "patient", "project"]
NAMED_AT_MOST = 8


@dataclass(frozen=True)
class LostCases:
    """A snapshot that becomes incomplete: how many of its cases go, and how many are left."""

    snapshot: int
    name: str
    lost: int
    left: int


@dataclass(frozen=True)
class ErasurePlan:
    """What goes and what stays. Counts are of rows and files; `paths` are relative to the home."""

    extent: Extent
    project: int
    title: str  # what is erased, as a person says it
    case_ids: tuple[int, ...]
    patients: int
    images: int
    images_kept: int  # other cases show the same pixels
    labels: int
    readers: tuple[str, ...]
    drawn: int  # marks and strokes of masks, all earlier ones included
    comments: int
    predictions: int
    masks: int  # files of masks, frozen in snapshots or painted by models
    import_rows: int
    snapshots: tuple[LostCases, ...]
    models: tuple[str, ...]  # stay, except with their project
    synthetic: int  # images that such models drew, and that stay
    evaluations: int
    runs: int
    overlays: int
    prepared: int
    jobs: int
    logs: int
    uploads: int
    copies: int
    also_in: tuple[str, ...]
    audit_rows: int
    paths: tuple[str, ...] = field(repr=False)
    emptied_jobs: tuple[int, ...] = field(repr=False)
    traces: Traces = field(repr=False)

    @property
    def promise(self) -> tuple[object, ...]:
        """What somebody agreed to: if any of it is different by the time of the deed, they are asked again."""
        said = (self.labels, self.drawn, self.comments)
        return (self.extent, self.project, self.case_ids, *said, self.snapshots, self.models)

    @property
    def confirmation(self) -> str:
        """What a person types to show that they mean it."""
        return self.title.split(" ", 1)[1]


def plan_erasure(
    connection: sqlite3.Connection,
    files: Files,
    project: Project,
    *,
    case_ids: Sequence[int] | None = None,
    patient: str | None = None,
) -> ErasurePlan:
    """Plan to erase one or more cases or a patient; with neither, the whole project. Nothing is changed.

    Raises:
        NotFound: the project has no such case or patient.
        InvalidInput: cases and a patient were named.
    """
    if case_ids is not None and patient is not None:
        raise InvalidInput(f"Erase cases or a patient, not both at once. Received: {patient}")
    extent: Extent = "case" if case_ids is not None else "patient" if patient is not None else "project"
    ids = sorted(set(case_ids)) if case_ids is not None else list_case_ids(connection, project.id, patient)
    rows = find_case_rows(connection, ids)
    strangers = set(ids) - {row["id"] for row in rows if row["project"] == project.id}
    if strangers or (not ids and extent != "project"):
        raise NotFound(extent, patient if patient is not None else min(strangers, default="of no number"))
    whole = extent == "project"
    patients = sorted({row["patient"] for row in rows})
    gone = set(patients) - list_other_patients(connection, project.id, ids)
    hashes = {row["pixel_hash"] for row in rows}
    kept = list_pixels_kept(connection, ids)
    words = [] if whole else [*gone, *(row["source"] for row in rows)]
    traces = make_traces(words, hashes | {row["file_hash"] for row in rows})
    jobs = list_jobs_of(connection, project.id)
    found = find_leftovers(files, jobs, traces, set(ids), project=project.id if whole else None)
    counts = count_rows(connection, ids)
    of_project = count_project_rows(connection, project.id) if whole else {}
    model_files = list_model_files_alone(connection, project.id) if whole else []
    masks = list_masks_alone(connection, ids)
    return ErasurePlan(
        extent=extent,
        project=project.id,
        title=f"project {project.name}" if whole else f"patient {patient}" if patient is not None else _cases(ids),
        case_ids=tuple(ids),
        patients=len(patients),
        images=len(hashes - kept),
        images_kept=len(kept),
        labels=counts["labels"],
        readers=tuple(list_readers(connection, ids)),
        drawn=counts["marks"] + counts["mask_edits"],
        comments=counts["comments"],
        predictions=counts["predictions"],
        masks=len(masks),
        import_rows=counts["import_files"],
        snapshots=tuple(LostCases(*row) for row in list_snapshots_hit(connection, ids)),
        models=tuple(list_models_of(connection, project.id) if whole else list_models_taught(connection, ids)),
        synthetic=0 if whole else count_drawn_by_taught(connection, ids),
        evaluations=of_project.get("evaluations", len(count_evaluations_hit(connection, ids))),
        runs=of_project.get("runs", 0),
        overlays=len(found.overlays),
        prepared=len(found.prepared),
        jobs=len(found.emptied) + len(found.cleaned),
        logs=len(found.logs),
        uploads=len(found.uploads),
        copies=len(found.copies),
        also_in=() if whole else tuple(list_other_projects(connection, project.id, sorted(gone))),
        audit_rows=_count_audit(connection, traces, {row["id"] for row in jobs if row["project"]} if whole else None),
        paths=tuple(
            [_relative(files, "pixels", one) for one in hashes - kept]
            + [_relative(files, "thumbnails", one) for one in hashes - kept]
            + [_relative(files, "models", one) for one in model_files]
            + [_relative(files, "headers", one) for one in list_headers_alone(connection, ids)]
            + [_relative(files, "masks", one) for one in masks]
            + [*found.overlays, *found.prepared, *found.logs, *found.uploads, *found.folders, *found.copies]
        ),
        emptied_jobs=found.emptied,
        traces=traces,
    )


def describe_plan(plan: ErasurePlan) -> tuple[list[str], list[str]]:
    """What goes and what stays, in sentences."""
    whole = plan.extent == "project"
    goes = [f"{_count(len(plan.case_ids), 'case')} of {_count(plan.patients, 'patient')}"]
    goes.append(f"{_count(plan.images, 'image')} with pixels and thumbnail")
    if plan.labels:
        goes.append(f"{_count(plan.labels, 'label')} by {_named(plan.readers)}, all earlier answers included")
    if plan.drawn:
        goes.append(_count(plan.drawn, "mark or stroke of the brush", "marks and strokes of the brush"))
    for amount, word in ((plan.comments, "comment"), (plan.predictions, "prediction of a model"),
                         (plan.masks, "mask kept in a snapshot or by a model"),
                         (plan.overlays, "explanation overlay")):  # fmt: skip
        if amount:
            many = {"prediction of a model": "predictions of models",
                    "mask kept in a snapshot or by a model": "masks kept in snapshots or by models"}  # fmt: skip
            goes.append(_count(amount, word, many.get(word)))
    if whole:
        goes.append(f"{_count(plan.runs, 'training run')}, {_count(plan.evaluations, 'evaluation')}")
        if plan.models:
            goes.append(f"Models with their files: {_named(plan.models)}")
        if plan.snapshots:
            goes.append(f"Snapshots: {_named([lost.name for lost in plan.snapshots])}")
    if plan.prepared:
        goes.append(f"{_count(plan.prepared, 'file')} of images prepared for training (made anew when needed)")
    if plan.copies:
        goes.append(_count(plan.copies, "copy of the database from before an update", "copies from before updates"))
    traces = ((plan.import_rows, "import row"), (plan.jobs, "job record"), (plan.logs, "log"),
              (plan.uploads, "left upload"))  # fmt: skip
    told = [_count(amount, word) for amount, word in traces if amount]
    if told:
        goes.append("What names them in " + ", ".join(told))
    return goes, _stays(plan)


def _stays(plan: ErasurePlan) -> list[str]:
    stays = []
    if plan.extent != "project":
        stays += [
            f"Snapshot {lost.name} becomes incomplete: {_count(lost.lost, 'case')} of {lost.lost + lost.left:,} go. "
            f"It can no longer be trained on or exported; evaluating it measures what is left."
            for lost in plan.snapshots
        ]
        if plan.models:
            stays.append(
                f"Models trained on them stay: {_named(plan.models)}. Their weights may remember what they have seen."
            )
        if plan.synthetic:
            stays.append(
                f"{_count(plan.synthetic, 'synthetic image')} that such models drew: what these have learnt may "
                f"show in them; erase them as well if they must not stay."
            )
        if plan.evaluations:
            stays.append(f"{_count(plan.evaluations, 'evaluation')} keep their stored numbers, marked as of before.")
    if plan.images_kept:
        stays.append(f"{_count(plan.images_kept, 'image')} stay because other cases show the same pixels.")
    if plan.also_in:
        stays.append(f"The same patient has cases in {_named(plan.also_in)}; those stay.")
    if plan.audit_rows:
        stays.append(
            f"{_count(plan.audit_rows, 'row')} of the audit, written by an earlier version, hold paths of an import; "
            f"the audit cannot be changed."
        )
    return [
        *stays,
        "Backups made before keep all of it until their retention ends.",
        "Files outside this Readroom stay: the folder imported from, exports, a browser's own copy of an image "
        "until its cache is cleared.",
    ]


def _cases(ids: Sequence[int]) -> str:
    return f"case {ids[0]}" if len(ids) == 1 else f"cases {', '.join(map(str, ids))}"


def _count(amount: int, one: str, many: str | None = None) -> str:
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def _named(names: Sequence[str]) -> str:
    return some_of(names, NAMED_AT_MOST)


def _relative(files: Files, shelf: Shelf, content_hash: str) -> str:
    return files.path(shelf, content_hash).relative_to(files.root).as_posix()


def _count_audit(connection: sqlite3.Connection, traces: Traces, jobs: set[int] | None) -> int:
    """Rows that cannot be changed and still name something; of a project, those of its jobs."""
    rows = list_audit_paths(connection)
    if jobs is not None:
        subjects = {f"job {job}" for job in jobs}
        return sum(row["subject"] in subjects for row in rows)
    return sum(traces.named_in(row["detail"]) for row in rows)
