"""Predictions of cases that are in the project, and when a model says nothing."""

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
    cases_named,
    entered,
    estimate_text,
    model_named,
    tell,
    wait_and_tell,
    written_to,
)
from core.errors import InvalidInput
from core.evaluation.abstention import freeze_rule, limit_widths, try_limit
from core.evaluation.batch import answers_csv, describe_answers, list_new_cases
from core.evaluation.drafts import model_classes
from core.jobs.records import add_job
from core.people.roles import demand_of
from core.projects.records import get_project
from core.reviews.drift import REMEDY, find_drift, settle_few
from core.reviews.registry import find_production
from core.store.files import write_whole
from core.training.records import Model

PRODUCTION = "production"


def model_or_production(door: Door, project: str, name: str) -> Model:
    """The model of this name; of the name `production` the one that the registry has there.

    Raises:
        InvalidInput: none is in production.
        NotFound: there is no such model.
    """
    if name != PRODUCTION:
        return model_named(door, project, name)
    found = find_production(door.connection, get_project(door.connection, project).id)
    if found is None:
        raise InvalidInput(f"No model of this project is in production; name one. Received: {project}")
    return found


def answer_cases(door: Door, model: Model, cases: str, out: Path | None, *, as_json: bool) -> None:
    """Ask for answers to `new` cases, or to those named between commas, and print one row for each."""
    is_new = cases == "new"
    numbers = list_new_cases(door.connection, model) if is_new else cases_named(door, model.project, cases)
    if not numbers:
        raise InvalidInput(f"Every case is in a snapshot that the model was trained on. Received: {cases}")
    result = ask_model(door, "predict_cases", model, {"cases": numbers})
    names = model_classes(door.connection, get_project(door.connection, model.project), model)
    rows = describe_answers(door.connection, model, numbers, names=names)
    if out is not None:
        with written_to(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            write_whole(out, answers_csv(model, rows).encode())
        tell(f"{len(rows)} answers written to {out}.")
    refused = {row["case"]: row["reason"] for row in result["refused"]}
    lines = [f"{row['source']}: {row['answer']}{_because(row['withheld'])}" for row in rows]
    lines += [f"case {number}: {reason}" for number, reason in refused.items()]
    answer({**result, "answers": rows}, "\n".join(lines), as_json=as_json)


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def abstain(
    project: ProjectArgument,
    model: str,
    aim: Annotated[
        float | None, typer.Option(help="Of classes: the share of its answers that shall be right, as 0.95.")
    ] = None,
    most: Annotated[
        float | None,
        typer.Option(help="Of a number: answer while half its interval is at most this, in its unit."),
    ] = None,
    most_of: Annotated[
        list[str] | None,
        typer.Option(help="Of several quantities: NAME=NUMBER, the same of one of them in its unit; once for each."),
    ] = None,
    unlike: Annotated[bool, typer.Option(help="Also keep back cases unlike all that it was trained on.")] = True,
    freeze: Annotated[bool, typer.Option("--freeze", help="Freeze the rule with the model, for ever.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose on validation when a model says nothing; with --freeze the rule holds in page, command line and CSV."""
    with entered(home) as door:
        found = model_or_production(door, project, model)
        rule: dict[str, Any] = {"unlike": unlike}
        widths = _widths(most_of or ())
        if freeze:
            rule = freeze_rule(
                door.connection, found, aim=aim, most_half_width=most, most_half_widths=widths, unlike=unlike,
                actor=door.actor,
            )  # fmt: skip
        elif aim is not None:
            rule |= try_limit(door.connection, found, aim)
        else:
            rule |= limit_widths(found, most, widths)
    answer({"model": found.name, "frozen": freeze, **rule}, "\n".join(rule_lines(rule)), as_json=as_json)


def _widths(told: Sequence[str]) -> dict[str, float]:
    """`body weight=3` as a widest interval by the name of its quantity."""
    found: dict[str, float] = {}
    for text in told:
        name, _, width = text.partition("=")
        try:
            found[name.strip()] = float(width)
        except ValueError as error:
            raise InvalidInput(
                f"A widest interval of one quantity reads NAME=NUMBER. Received: {text[:120]!r}"
            ) from error
    return found


def rule_lines(rule: dict[str, Any]) -> list[str]:
    """A rule in words, each number with its n and interval."""
    lines = []
    if "limit" in rule:
        n = f"n = {rule['n']} cases of {rule['n_patients']} patients, validation"
        lines.append(f"answers where it is sure at {rule['limit']:.3f} or more (aim: {rule['aim']:.0%} right)")
        lines.append(f"answered {estimate_text(rule['coverage'])}, {n}")
        lines.append(
            f"right among the answered {estimate_text(rule['accuracy'])}, n = {rule['n_answered']}, validation: the "
            "limit was chosen there, so this flatters; evaluate on test once it is frozen"
        )
    if "most_half_width" in rule:
        lines.append(f"answers while half its interval is at most {rule['most_half_width']:g}")
    lines += [
        f"answers while half the interval of {name} is at most {most['value']:g} {most['unit']}"
        for name, most in rule.get("most_half_widths", {}).items()
    ]
    if rule["unlike"]:
        lines.append("says nothing about cases unlike all that it was trained on")
    return lines


def drift(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Compare the cases imported since promotion with those that the model in production was made with."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        demand_of(door.connection, door.actor, "open test results", found.id)
        model = find_production(door.connection, found.id)
        # what too few new cases cannot answer is not queued
        few = model is not None and settle_few(door.connection, found.id)
        kept = find_drift(door.connection, found.id) if few else None
        if kept is not None:
            told = kept.told
        else:
            job = add_job(door.connection, "drift", {"project": found.id}, project=found.id, actor=door.actor)
            told = wait_and_tell(door, job)
    lines = [told["sentence"], *told["notes"], *(_shift_line(one) for one in told["quantities"])]
    if told["state"] == "drifted":
        lines.append(REMEDY)
    answer(told, "\n".join(lines), as_json=as_json)


def _shift_line(one: dict[str, Any]) -> str:
    mark = "!" if one["alarms"] else " "
    n = f"n = {one['n_before']} and {one['n_now']}"
    p = "p < 0.001" if one["p"] < 0.001 else f"p = {one['p']:.3f}"
    return (
        f"{mark} {one['name']:<28} distance {one['distance']:.2f} ({one['low']:.2f} to {one['high']:.2f}), "
        f"{p}, {one['before']} before, {one['now']} now, {n}"
    )
