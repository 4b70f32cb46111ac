"""Commands about numbers: snapshots, models, evaluation, predictions, explanations."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import (
    Door,
    HomeOption,
    JsonOption,
    answer,
    ask_model,
    case_named,
    demand_place,
    entered,
    estimate_text,
    model_named,
    tell,
    wait_and_tell,
    written_to,
)
from core.cli.predicting import answer_cases, model_or_production
from core.datasets.freeze import freeze_snapshot, import_snapshot
from core.datasets.leaks import Leak, LeaksFound
from core.datasets.records import Snapshot, get_snapshot, noun_of_cases, snapshot_counts
from core.errors import InvalidInput
from core.evaluation.batch import WITHHELD
from core.evaluation.cross_validation import describe_folds, value_text
from core.explain.methods import METHODS
from core.explain.told_scores import describe_scores
from core.images.names import name_parts
from core.images.sealed_paths import read_paths, seal_arguments
from core.jobs.asking_folds import ask_cross_validation
from core.jobs.context import job_folder
from core.jobs.explaining import ask_explanation
from core.jobs.records import add_job
from core.measures.metrics import predictive_values
from core.progress import Silent
from core.projects.records import get_project
from core.reviews.meetings import Review, note_shown
from core.tasks import task_module
from core.training.ensemble import with_views
from core.training.recipe import recipe_to_json
from core.training.records import Model, get_run, list_models

TtaOption = Annotated[
    bool,
    typer.Option("--tta", help="With test-time augmentation: the mean over each image moved a little, as in training."),
]
NUMBER_LENGTH = 5  # of the numbers that stand for files in a job's folder


def snapshot(
    project: ProjectArgument,
    name: Annotated[str, typer.Argument(help="What to call it.")] = "",
    split: Annotated[str, typer.Option(help="Shares of train, validation and test.")] = "0.7,0.15,0.15",
    split_column: Annotated[str, typer.Option(help="Take the split from this column of the label table instead.")] = "",
    folds: Annotated[int, typer.Option(help="Also deal the patients into this many folds.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same split.", min=0, max=2**31 - 1)] = 0,
    allow_leaks: Annotated[str, typer.Option(help="Freeze despite leaks, and keep this reason for ever.")] = "",
    synthetic: Annotated[
        int, typer.Option(help="Add so many drawn images of the project to train (generate … --into).", min=0)
    ] = 0,
    exported: Annotated[Path | None, typer.Option("--from", help="Bring back this exported snapshot instead.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze the labelled cases into a hashed snapshot, split by patient and checked for leaks."""
    if bool(name) == bool(exported):
        raise typer.BadParameter("Name the new snapshot, or with --from a file that has its name in it.")
    with entered(home) as door:
        found = get_project(door.connection, project)
        if exported:
            made = import_snapshot(door.connection, door.files, found, _exported_text(exported), door.actor)
        else:
            try:
                made = freeze_snapshot(
                    door.connection,
                    door.files,
                    found,
                    name,
                    ratios=None if split_column else _ratios(split),
                    split_column=split_column or None,
                    folds=folds,
                    seed=seed,
                    allow_leaks=allow_leaks or None,
                    synthetic=synthetic,
                    actor=door.actor,
                    progress=Silent(),
                )
            except LeaksFound as refusal:
                _tell_leaks(refusal, as_json=as_json)
                raise typer.Exit(1) from refusal
        noun = noun_of_cases(door.connection, made.id)
        _tell_snapshot(made, snapshot_counts(door.connection, made), noun, as_json=as_json)


def _exported_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"Name a file that readroom export has written. Received: {path} ({error})") from error


def _tell_snapshot(made: Snapshot, counts: dict[str, Any], noun: str, *, as_json: bool) -> None:
    leaks = _leak_rows(made.leaks)
    for leak in leaks:
        tell(f"Leak allowed: {leak['reason']}")
    for note in made.notes:
        tell(note)
    document = {"snapshot": made.name, "hash": made.hash, "counts": counts, "leaks": leaks, "notes": made.notes}
    sizes = ", ".join(f"{part} {numbers['images']} {noun}" for part, numbers in counts.items())
    answer(document, f"Snapshot {made.name} frozen: {sizes}. Hash {made.hash[:12]}.", as_json=as_json)


def _tell_leaks(refusal: LeaksFound, *, as_json: bool) -> None:
    """Every leak by name, where the sentence of the refusal names a few: a script mends them all at once."""
    tell(str(refusal))
    leaks = _leak_rows(refusal.leaks)
    for leak in leaks:
        tell(f"Leak: {leak['reason']}")
    if as_json:
        answer({"snapshot": None, "hash": None, "counts": {}, "leaks": leaks, "notes": []}, "", as_json=True)


def _leak_rows(leaks: Sequence[Leak]) -> list[dict[str, Any]]:
    return [{"kind": leak.kind, "cases": list(leak.case_ids), "reason": leak.sentence} for leak in leaks]


def _ratios(text: str) -> tuple[float, float, float]:
    try:
        train, validation, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidInput(f"A split reads 0.7,0.15,0.15. Received: {text}") from error
    return train, validation, test


def models(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the models of a project, newest first."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        rows: list[dict[str, Any]] = []
        for model in list_models(door.connection, found.id):
            run = get_run(door.connection, model.run)
            rows.append(
                {
                    "model": model.name,
                    "run": run.id,
                    "snapshot": run.snapshot,
                    "fold": run.fold,
                    "network": run.recipe.network,
                    "task": model.task,
                    "recipe": recipe_to_json(run.recipe),
                    "choice": run.told.get("choice"),
                    "parameters": model.parameters,
                    "seconds": run.seconds,
                    "onnx": model.onnx_hash is not None,
                    "members": [member["name"] for member in model.facts.get("members", ())],
                    "views": model.facts.get("views", []),
                    "created_at": model.created_at,
                }
            )
    lines = []
    for row in rows:
        lines.append(f"{row['model']:<24} {row['network']:<8} {row['parameters']:>11,} parameters")
        if row["members"]:
            views = f", over {len(row['views'])} views of each image" if row["views"] else ""
            lines.append(f"    The mean of {', '.join(row['members'])}{views}")
        if row["choice"]:
            lines.append("    " + " ".join(row["choice"]["sentences"]))
            if changed := row["choice"]["changed"]:
                lines.append("    Changed: " + ", ".join(f"{key} {value}" for key, value in changed.items()))
    answer({"models": rows}, "\n".join(lines) or "No model yet: readroom train PROJECT …", as_json=as_json)


def _answering(door: Door, named: Model, *, tta: bool) -> Model:
    """The model, or the one that answers with test-time augmentation for it."""
    if not tta:
        return named
    made = with_views(door.connection, door.files, named, actor=door.actor)
    tell(f"{made.name}: the mean over {len(made.facts['views'])} views of each image.")
    return made


def evaluate(
    project: ProjectArgument,
    model: str,
    snapshot: Annotated[str, typer.Option(help="The snapshot [default: the one it was trained on].")] = "",
    split: str = "test",
    tta: TtaOption = False,
    all_folds: Annotated[
        bool,
        typer.Option("--all-folds", help="All folds together: each case as the model answers that never saw it."),
    ] = False,
    prevalence: Annotated[
        float | None, typer.Option(help="Also predictive values where this share of patients is of a class, as 0.02.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a model on a split, with 95 % intervals over patients. Every use of the test split is counted."""
    if prevalence is not None and not 0 < prevalence < 1:
        raise InvalidInput(f"A prevalence is a share between 0 and 1. Received: {prevalence}")
    if all_folds and (snapshot or tta or split != "test"):
        raise typer.BadParameter(
            "All folds together are measured on their own test cases, without --snapshot or --tta."
        )
    with entered(home) as door:
        named = model_named(door, project, model)
        if prevalence is not None and named.task != "classification":
            raise InvalidInput(f"Predictive values are of classes. Received: --prevalence for a {named.task}")
        if all_folds:
            job = ask_cross_validation(door.connection, named, actor=door.actor)
            _tell_measured(wait_and_tell(door, job), prevalence, as_json=as_json)
            return
        trained = _answering(door, named, tta=tta)
        frozen = (
            get_snapshot(door.connection, trained.project, snapshot).id
            if snapshot
            else get_run(door.connection, trained.run).snapshot
        )
        result = ask_model(door, "evaluate", trained, {"snapshot": frozen, "split": split})
        if split == "test":
            _tell_locked(note_shown(door.connection, trained.id, frozen, actor=door.actor))
    _tell_measured(result, prevalence, as_json=as_json)


def _tell_measured(result: dict[str, Any], prevalence: float | None, *, as_json: bool) -> None:
    if prevalence is not None:
        result["at_prevalence"] = predictive_values(result, prevalence)
    for warning in result["warnings"]:
        tell(warning)
    answer(result, _metric_lines(result), as_json=as_json)


def _tell_locked(locked: Sequence[Review]) -> None:
    for review in locked:
        tell(f"The criteria of review {review.id}, {review.name}, are locked: its test results are open now.")


def _rule_lines(told: dict[str, Any] | None) -> list[str]:
    """What a model that keeps answers back answers of these cases, and how much of that wrongly."""
    if told is None:
        return []
    answered = (
        f"answers {told['n_answered']} of {told['n']} cases on {told['split']}: {estimate_text(told['coverage'])}"
    )
    if "error" not in told:
        return [
            answered,
            *(
                f"{name} among the {group} on {told['split']}, n = {one[group]['n']}: {estimate_text(one[group])}"
                for name, one in told.get("parts", {}).items()
                for group in ("answered", "withheld")
            ),
        ]
    wrong, of_all = estimate_text(told["error"]), estimate_text(told["error_of_all"])
    return [answered, f"wrong among the answered on {told['split']} {wrong}; of all, had it answered each, {of_all}"]


def _metric_lines(result: dict[str, Any]) -> str:
    unit = f", {result['target']} in {result['unit']}" if "target" in result else ""
    if "targets" in result:
        unit = f"; of {', '.join(result['targets'])} together, errors in {result['unit']}"
    drawn = f", {result['n_samples']} images drawn for the same" if "n_samples" in result else ""
    lines = [f"{result['split']}: {result['n_cases']} cases of {result['n_patients']} patients{unit}{drawn}"]
    lines += [f"{name:<20} {estimate_text(metric)}" for name, metric in result["metrics"].items()]
    lines += _rule_lines(result.get("abstention"))
    for name, told in result.get("per_target", {}).items():
        lines += [f"{name}, {told['unit']}: {key} {estimate_text(metric)}" for key, metric in told["metrics"].items()]
    for structure, metrics in result.get("per_structure", {}).items():
        counts = result["counts"][structure]
        lines.append(f"{structure}, painted on {counts['painted']}: Dice {estimate_text(metrics['dice'])}")
        if counts["missed"]:
            lines.append(f"{structure}, missed on {counts['missed']} of {counts['painted']}")
        if counts["empty"]:
            lines.append(f"{structure}, rightly left empty on {counts['left_empty']} of {counts['empty']}")
    for name, values in result.get("at_prevalence", {}).get("per_class", {}).items():
        at = f"{result['at_prevalence']['prevalence']:g}"
        lines.append(f"{name}, prevalence {at}: PPV {estimate_text(values['ppv'])}, NPV {estimate_text(values['npv'])}")
    if folds := result.get("folds"):
        lines.append(describe_folds(folds))
    if members := result.get("members"):
        said = ", ".join(f"{one['name']}: {value_text(one['value'])}" for one in members)
        spread = result["spread"]
        lines.append(
            f"members, {members[0]['metric']}: {said}; they are {value_text(spread['value'])} apart on a case "
            f"(mean standard deviation, n = {spread['n']})"
        )
    return "\n".join(lines)


def predict(
    project: ProjectArgument,
    model: str,
    paths: Annotated[list[Path] | None, typer.Argument(help="Image files or folders.")] = None,
    cases: Annotated[
        str,
        typer.Option(help="Instead of files: new cases of the project, or some of them: 1,5,10-20, or file names."),
    ] = "",
    csv: Annotated[Path | None, typer.Option(help="With --cases: also write the answers here.")] = None,
    out: Annotated[Path, typer.Option(help="Where masks go, of a model that paints.")] = Path("predicted-masks"),
    tta: TtaOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict files that need not be imported: one row for each, or for the slices of a series together, with the
    answer or the reason why not.

    With --cases the answers to cases of the project are kept. MODEL may read production.
    """
    if bool(paths) == bool(cases):
        raise typer.BadParameter("Name files, or with --cases new or cases of the project.")
    if csv and not cases:
        raise typer.BadParameter("--csv belongs to --cases; of files --json prints the answers.")
    with entered(home) as door:
        named = model_or_production(door, project, model)
        if csv:
            demand_place(csv)
        if paths and task_module(named.task).PAINTS:
            demand_place(out, folder=True)
        trained = _answering(door, named, tta=tta)
        if not paths:
            answer_cases(door, trained, cases, csv, as_json=as_json)
            return
        given = {"model": trained.id, "paths": [str(path.absolute()) for path in paths]}
        asked = seal_arguments(door.settings, given)  # names of files stay out of the database
        job = add_job(door.connection, "predict", asked, project=trained.project, actor=door.actor)
        result = wait_and_tell(door, job)
        real = read_paths(door.settings, job.id)
        result["cases"] = [{**row, "path": real.get(row["path"], row["path"])} for row in result["cases"]]
        with written_to(out):
            fetch_masks(result["cases"], job_folder(door.settings, job.id) / "masks", out)
    answer(result, "\n".join(f"{_called(row)}: {_said_of(row)}" for row in result["cases"]), as_json=as_json)


def fetch_masks(rows: Sequence[dict[str, Any]], folder: Path, out: Path) -> None:
    """Move the masks of a prediction out of its job's folder, called as the files that they belong to."""
    taken: set[str] = set()
    for row in rows:
        if "files" not in row:
            continue
        stem, _ = name_parts(Path(row["path"]).name)
        while stem.casefold() in taken:
            stem += "-again"
        taken.add(stem.casefold())
        out.mkdir(parents=True, exist_ok=True)
        moved = {name: str(out / (stem + name[NUMBER_LENGTH:])) for name in row["files"]}
        for name, target in moved.items():
            shutil.move(folder / name, target)
        row["files"] = list(moved.values())
        for told in row["structures"].values():
            told["file"] = moved[told["file"]]


def _called(row: dict[str, Any]) -> str:
    """A file, or a series by its first slice and how many they are."""
    if "slices" not in row:
        return str(row["path"])
    said = " ".join(row[key] for key in ("left_out", "note") if key in row)
    return f"{row['path']} and its series, {row['slices']} slices{f' ({said})' if said else ''}"


def _said_of(row: dict[str, Any]) -> str:
    """What a model says of one file, or why it says nothing."""
    if "reason" in row:
        return str(row["reason"])
    if row.get("withheld"):
        return f"{WITHHELD} ({row['withheld']})"
    if "value" in row:
        return _number_of(row)
    if "numbers" in row:
        return ", ".join(f"{one['target']} {_number_of(one)}" for one in row["numbers"])
    if "structures" in row:
        painted = ", ".join(f"{name} {told['pixels']:,} pixels" for name, told in row["structures"].items())
        return f"{painted}; {', '.join(row['files'])}"
    return ", ".join(f"{name} {score:.3f}" for name, score in row["probabilities"].items())


def _number_of(row: dict[str, Any]) -> str:
    interval = row["interval"]
    around = f" ({interval['level']:.0%}: {interval['low']:.4g} to {interval['high']:.4g})" if interval else ""
    return f"{row['value']:.4g} {row['unit']}{around}"


def explain(
    project: ProjectArgument,
    model: str,
    case: str,
    out: Annotated[Path, typer.Option(help="Where the overlay goes (PNG).")],
    method: Annotated[
        str, typer.Option(help=f"One of {', '.join(METHODS)}; of painted structures doubt.")
    ] = "grad_cam",
    target: Annotated[
        str,
        typer.Option(
            "--class", help="The class or structure to explain [default: the predicted, the number, the first]."
        ),
    ] = "",
    frame: Annotated[
        int, typer.Option(help="Of a volume the frame to show, from 1 [default: where the map is highest].", min=0)
    ] = 0,
    scores: Annotated[
        bool, typer.Option("--scores", help="Also how good this one map is, against random places and under noise.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw what a model looked at, as an overlay, with the check that says whether to trust it.

    Of a volume: one frame, and the planes through its middle row and column.
    """
    demand_place(out)
    with entered(home) as door:
        trained = model_named(door, project, model)
        seen = case_named(door, trained.project, case)
        asked = {"case": seen.id, "class": target or None, "method": method, "overlay": True}
        asked |= {"model": trained.id, **({"frame": frame} if frame else {}), **({"scores": True} if scores else {})}
        result = wait_and_tell(door, ask_explanation(door.connection, asked, project=trained.project, actor=door.actor))
        with written_to(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(result["overlay"], out)
    words = METHODS[method].words if method in METHODS else method.capitalize()
    document = {**result, "overlay": str(out)}
    lines = [f"{words} for “{result['class']}” written to {out}. {result['check']['sentence']}"]
    lines += [f"{name}: {value} ({against})" for name, value, against in _scores_lines(result)]
    answer(document, "\n".join(lines), as_json=as_json)


def _scores_lines(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    return describe_scores(result["scores"]) if "scores" in result else []
