"""Commands about what is seen and said: projects, images, labels."""

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from core.cli.door import LARGEST, Door, HomeOption, JsonOption, answer, case_named, entered, tell, wait_and_tell
from core.errors import InvalidInput, NotFound
from core.images.import_files import MERE, read_report
from core.images.label_table import map_columns, read_label_table
from core.jobs.asking import ask_import, ask_import_again
from core.jobs.records import Job, get_job
from core.labels.answers import parse_label_text
from core.labels.box_import import PREFIX as BOXES
from core.labels.exchange import import_labels
from core.labels.mask_import import PREFIX as MASKS
from core.labels.records import NewLabel, add_label, new_event
from core.labels.worklist import label_progress
from core.people.accounts import ensure_user
from core.projects.deidentification import Deidentification
from core.projects.records import (
    Project,
    ReferenceRule,
    add_project,
    get_project,
    list_projects,
    set_deidentification,
)
from core.projects.schema import (
    TASKS,
    Classification,
    ClassLabel,
    LabelSchema,
    Measure,
    Quantity,
    Regression,
    Task,
    make_classification,
    make_generation,
    make_segmentation,
    quantity_names,
    schema_to_json,
)

KEEP_NOTES = "--columns note=note keeps it."
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
BESIDE = {"masks": MASKS, "boxes": BOXES}  # what comes in beside images, and how its rows of a report begin
ProjectArgument = Annotated[str, typer.Argument(help="The project's name or number.")]


def create_project(
    name: str,
    task: Annotated[str, typer.Option(help=f"One of {', '.join(TASKS)}.")] = "classification",
    classes: Annotated[str, typer.Option(help="Class names: normal,pneumonia")] = "",
    structures: Annotated[str, typer.Option(help="Structures of a segmentation: liver,lesion")] = "",
    target: Annotated[str, typer.Option(help="The quantity of a regression: age")] = "",
    unit: Annotated[str, typer.Option(help="Its unit: years")] = "",
    further_target: Annotated[
        list[str] | None,
        typer.Option(help="Another quantity of the same cases, with its range where there is one: weight,kg,20,200"),
    ] = None,
    low: Annotated[float | None, typer.Option(help="The least that it can be.")] = None,
    high: Annotated[float | None, typer.Option(help="The most that it can be.")] = None,
    measure: Annotated[str, typer.Option(help="Readers draw it, and the number follows: length, angle or area.")] = "",
    multi_label: Annotated[bool, typer.Option("--multi-label", help="Any number of classes for each case.")] = False,
    keys: Annotated[str, typer.Option(help="The digit of each class [default: 1,2,3 and so on].")] = "",
    colours: Annotated[str, typer.Option(help="The colour of each class: #56b4e9,#e69f00")] = "",
    digit_advances: Annotated[
        bool, typer.Option("--digit-advances/--digit-stays", help="A digit saves and goes to the next case.")
    ] = True,
    description: str = "",
    intended_use: str = "",
    reference_reader: Annotated[
        str,
        typer.Option(help="The reference is this reader's newest label [default: majority, of numbers the median]."),
    ] = "",
    blind_first: Annotated[
        bool, typer.Option("--blind-first", help="A reader sees what others and models say after their own answer.")
    ] = False,
    without_deidentification: Annotated[
        bool,
        typer.Option(
            "--without-deidentification",
            help="Keep headers, patients' numbers and file names as they are. Written into the audit.",
        ),
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a project: one question asked of one collection of images."""
    if task not in TASKS:
        raise InvalidInput(f"A task is one of {', '.join(TASKS)}. Received: {task}")
    if task == "regression":
        drawn = cast(Measure, measure) if measure else None
        others = tuple(_quantity(text) for text in further_target or ())
        schema: LabelSchema = Regression(target.strip(), unit.strip(), low, high, drawn, others)
    elif low is not None or high is not None or measure or target or unit or further_target:
        raise InvalidInput(
            f"--target, --unit, --low, --high, --further-target and --measure belong to a regression. Received: {task}"
        )
    else:
        schema = _schema(task, classes, structures, multi_label)
    if isinstance(schema, Classification):
        schema = replace(schema, classes=_dressed(schema.classes, _names(keys), _names(colours)))
    elif keys or colours:
        raise InvalidInput(f"--keys and --colours belong to classes. Received: {task}")
    rule = ReferenceRule("reader", reference_reader) if reference_reader else None
    with entered(home) as door:
        project = add_project(
            door.connection,
            name=name,
            task=task,
            schema=schema,
            description=description,
            intended_use=intended_use,
            reference_rule=rule,
            digit_advances=digit_advances,
            blind_first=blind_first,
            actor=door.actor,
        )
        if without_deidentification:
            project = set_deidentification(door.connection, project, Deidentification(enabled=False), door.actor)
    document = {"project": project.id, "name": project.name, "task": task, "schema": schema_to_json(project.schema)}
    answer(document, f"Project {project.id} “{project.name}” created.", as_json=as_json)


def _quantity(text: str) -> Quantity:
    """`weight,kg,20,200`; without a range `weight,kg`, with one end alone `weight,kg,20,` or `weight,kg,,200`."""
    name, *rest = (part.strip() for part in text.split(","))
    try:
        unit, low, high = (*rest, *[""] * (3 - len(rest)))
        return Quantity(name, unit, float(low) if low else None, float(high) if high else None)
    except ValueError as error:
        raise InvalidInput(
            f"A further quantity reads name,unit,least,most, for example weight,kg,20,200. Received: {text}"
        ) from error


def _schema(task: Task, classes: str, structures: str, multi_label: bool) -> LabelSchema:
    if task == "classification":
        return make_classification(_names(classes), multi_label=multi_label)
    if task == "segmentation":
        return make_segmentation(_names(structures))
    return make_generation(_names(classes))


def _dressed(classes: Sequence[ClassLabel], keys: list[str], colours: list[str]) -> tuple[ClassLabel, ...]:
    """Classes with the keys and colours that were asked for, in order, else with those they were given."""
    for word, given in (("key", keys), ("colour", colours)):
        if given and len(given) != len(classes):
            raise InvalidInput(f"Give one {word} for each of {len(classes)} classes. Received: {','.join(given)}")
    dressed = [replace(label, key=key) for label, key in zip(classes, keys, strict=True)] if keys else list(classes)
    for colour in colours:
        if not COLOUR.fullmatch(colour):
            raise InvalidInput(f"A colour reads #56b4e9. Received: {colour}")
    if colours:
        dressed = [replace(label, colour=colour) for label, colour in zip(dressed, colours, strict=True)]
    return tuple(dressed)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def show_projects(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the projects with their progress."""
    with entered(home) as door:
        rows: list[dict[str, Any]] = []
        for project in list_projects(door.connection):
            progress = label_progress(door.connection, project, door.actor.name)
            rows.append(
                {
                    "project": project.id,
                    "name": project.name,
                    "task": project.task,
                    "cases": progress.total,
                    "referenced": progress.referenced,
                }
            )
    lines = [
        f"{row['project']:>4}  {row['name']}  ({row['referenced']} of {row['cases']} cases answered)" for row in rows
    ]
    answer({"projects": rows}, "\n".join(lines) or "No project yet: readroom project create NAME …", as_json=as_json)


def import_images(
    project: ProjectArgument,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Images (PNG, JPEG, TIFF, DICOM), volumes (DICOM series, multi-frame DICOM, .nii, .nii.gz, .nrrd, "
            "TIFF of several pages), folders or zips; the slices of a series become one case; "
            "none brings in labels, masks or boxes of images that are there."
        ),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="A label table (CSV).")] = None,
    columns: Annotated[
        str,
        typer.Option(
            help="Which column is what: path=filename,patient=patient_id,label=label; keep=a|b keeps columns of free "
            "words, which are left out else."
        ),
    ] = "",
    patient_from: Annotated[
        str, typer.Option(help="A pattern that finds the patient in a path; its first group counts.")
    ] = "",
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Masks: label maps called as their images (PNG, TIFF, NIfTI, NRRD), or DICOM SEG and RTSTRUCT, which "
            "name theirs; a file for each structure or one for all."
        ),
    ] = None,
    mask_values: Annotated[
        str, typer.Option(help="What their numbers mean: 1=anterior,2=posterior [default: the project's order]")
    ] = "",
    mask_threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Which fraction of a fractional SEG is enough.")
    ] = 0.5,
    boxes: Annotated[
        Path | None, typer.Option(help="Boxes of the images: COCO (JSON) or Pascal VOC (XML), a file or a folder.")
    ] = None,
    reader: Annotated[str, typer.Option(help="In whose name masks and boxes come in.")] = "",
    volume: Annotated[
        int | None, typer.Option(min=1, help="Of volumes of four dimensions only this time point [default: each].")
    ] = None,
    look: Annotated[
        bool, typer.Option("--look", help="Only look: what would become of each file and series; nothing is stored.")
    ] = False,
    hold_odd: Annotated[
        bool, typer.Option("--hold-odd", help="Let series wait in which something is odd, until --accept.")
    ] = False,
    accept: Annotated[
        int | None, typer.Option(help="Bring in what waits from this import, by its job.", min=1, max=LARGEST)
    ] = None,
    again: Annotated[
        int | None, typer.Option(help="Try again what this import refused, by its job.", min=1, max=LARGEST)
    ] = None,
    leave_out: Annotated[str, typer.Option(help="Series that stay out, by their numbers: 2,5")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import images, with a label table if given; every file is imported, skipped or refused with a reason."""
    if accept is not None or again is not None:
        if paths or labels or masks or boxes or look or hold_odd or (accept is not None and again is not None):
            raise typer.BadParameter("--accept and --again take what that import was given; name nothing else.")
        with entered(home) as door:
            found = get_project(door.connection, project)
            before = get_job(door.connection, accept if accept is not None else again or 0)
            if before.project != found.id:
                raise NotFound("import of this project", before.id)
            status: Literal["waiting", "failed"] = "failed" if accept is None else "waiting"
            out = _numbers(leave_out)
            job = ask_import_again(
                door.connection, door.settings, before, status, left_out=out, actor=door.actor
            )  # fmt: skip
            _wait_for_import(door, job, as_json=as_json)
        return
    if leave_out:
        raise typer.BadParameter("--leave-out belongs to --accept or --again.")
    if labels is None and (columns or not (paths or masks or boxes)):
        raise typer.BadParameter("Name images to import, or a label table with --labels; --columns belongs to a table.")
    if (mask_values and masks is None) or (reader and masks is None and boxes is None):
        raise typer.BadParameter("--mask-values belongs to --masks, and --reader to --masks or --boxes.")
    with entered(home) as door:
        found = get_project(door.connection, project)
        if labels and not (paths or masks or boxes):
            _import_labels(door, found, labels, _columns(columns), as_json=as_json)
            return
        if labels:  # what is wrong with a table is told here; a job's row must not quote it
            map_columns(read_label_table(labels), _columns(columns), quantities=quantity_names(found.schema))
        job = ask_import(
            door.connection,
            door.settings,
            found,
            [str(path.absolute()) for path in paths or ()],
            labels=str(labels.absolute()) if labels else None,
            columns=_columns(columns),
            patient_from=patient_from or None,
            masks=str(masks.absolute()) if masks else None,
            mask_values=mask_values,
            mask_threshold=mask_threshold,
            boxes=str(boxes.absolute()) if boxes else None,
            reader=reader or None,
            volume=volume,
            hold_back="all" if look else "odd" if hold_odd else "nothing",
            actor=door.actor,
        )
        _wait_for_import(door, job, as_json=as_json)


def _wait_for_import(door: Door, job: Job, *, as_json: bool) -> None:
    """Wait for an import and tell what became of each file and series."""
    result = wait_and_tell(door, job)
    report = read_report(door.connection, door.settings, job.id, warnings=result.get("warnings", []))
    result["files"] = [file for file in report.files if not file.path.startswith(tuple(BESIDE.values()))]
    result["series"] = report.series
    for kind, prefix in BESIDE.items():
        if kind in result:
            its = [file for file in report.files if file.path.startswith(prefix)]
            result[kind]["files"] = [replace(file, path=file.path.removeprefix(prefix)) for file in its]
    result["warnings"] = list(report.warnings)
    for one in report.series:
        if one.counts.get("waiting") or one.series.oddities:
            tell(f"series {one.series.number} ({one.what}): {' '.join(one.series.oddities) or one.becomes}")
    beside = [row for kind in BESIDE for row in result.get(kind, {}).get("files", ())]
    refused = [file for file in beside if file.status == "failed" or "refused" in file.reason]
    for file in (*result["files"], *refused):
        if file.status == "failed" or (file.reason and not as_json and not MERE.fullmatch(file.reason)):
            status = "refused" if file.status == "failed" else file.status
            tell(f"{file.path}: {status}. {file.reason}")
    for warning in result.get("warnings", []):
        tell(warning)
    text = f"{result['imported']} imported, {result['skipped']} skipped, {result['failed']} refused."
    text += waiting_text(result["waiting"], job)
    for kind in (kind for kind in BESIDE if kind in result):
        counts = result[kind]
        text += (
            f" {kind.capitalize()}: {counts['added']} stored on {counts['cases']} cases, {counts['unchanged']} were "
            f"there already, {counts['failed']} files refused."
        )
    answer({"job": job.id, **result}, text, as_json=as_json)


def waiting_text(waiting: int, job: Job) -> str:
    """How what an import or a pull let wait is brought in, after a sentence; "" where nothing waits."""
    if not waiting:
        return ""
    return f" {waiting} wait for your word: readroom import {job.project} --accept {job.id} brings them in."


def _numbers(text: str) -> list[int]:
    """`2,5` as numbers.

    Raises:
        InvalidInput: it is something else.
    """
    names = _names(text)
    if not all(name.isascii() and name.isdigit() for name in names):
        raise InvalidInput(f"Series are named by their numbers, such as 2,5. Received: {text}")
    return [int(name) for name in names]


def _import_labels(door: Door, project: Project, table: Path, columns: dict[str, str], *, as_json: bool) -> None:
    """Labels alone, as `readroom export PROJECT labels` writes them or as anybody's table has them."""
    try:
        content = table.read_bytes()
    except OSError as error:
        raise InvalidInput(f"The label table cannot be read; check its path. Received: {table}") from error
    done = import_labels(door.connection, project, content, door.actor, columns=columns)
    for reason in done.refused:
        tell(f"Refused: {reason}")
    told = asdict(done)
    if not told["without_note"]:
        del told["without_note"]  # said only where there is something to say
    else:
        tell(f"{done.without_note} answers came in without their note, in which a name may stand; {KEEP_NOTES}")
    kinds = (
        "imported", "joined", "held", "skipped", "waiting", "failed", "cases", "same_pixels", "opposite_labels",
    )  # fmt: skip
    document = {**dict.fromkeys(kinds, 0), "files": [], "series": [], "labels": told}
    text = f"{done.added} labels added, {done.unchanged} were there already, {len(done.refused)} refused."
    answer(document, text, as_json=as_json)


def _columns(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in _names(text)]
    for role, equals, column in pairs:
        if not (role and equals and column):
            raise InvalidInput(f"Columns read role=column, for example path=filename. Received: {text}")
    return {role.strip(): column.strip() for role, _, column in pairs}


def label(
    project: ProjectArgument,
    case: Annotated[str, typer.Argument(help="A case's number, path or file name.")],
    reader: Annotated[str, typer.Option(help="Whose answer this is.")],
    value: Annotated[
        str,
        typer.Argument(
            help="A class, a number, or the structures found; several separated by |, none of them: |. "
            "Several numbers: age=62|weight=70.5."
        ),
    ] = "",
    note: str = "",
    unsure: Annotated[bool, typer.Option("--unsure")] = False,
    unusable: Annotated[bool, typer.Option("--unusable", help="The image cannot be read; give no value then.")] = False,
    confidence: Annotated[int | None, typer.Option(help="From 1 (a guess) to 5 (certain).")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Store one label from a script."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        labelled = case_named(door, found.id, case)
        said = parse_label_text(found.schema, value)
        if (said is None) != unusable:
            raise InvalidInput(
                f"Name a class, a number or structures, or | for none of several, or --unusable alone. "
                f"Received: {value!r}{' and --unusable' if unusable else ''}"
            )
        ensure_user(door.connection, reader)
        new = NewLabel(
            event=new_event(),
            case_id=labelled.id,
            reader=reader,
            value=said,
            unsure=unsure,
            unusable=unusable,
            note=note,
            confidence=confidence,
            schema_version=found.schema_version,
            made_in="command line",
        )
        stored = add_label(door.connection, new, door.actor)
    document = {
        "label": stored.id,
        "case": stored.case_id,
        "reader": reader,
        "value": stored.value,
        "unusable": stored.unusable,
    }
    answer(document, f"Label {stored.id} stored for case {stored.case_id}.", as_json=as_json)
