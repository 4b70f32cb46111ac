"""The command that asks whether explanations of a model can be trusted."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import HomeOption, JsonOption, answer, entered, estimate_text, model_named, wait_and_tell
from core.explain.methods import DOUBT, METHODS, method_named
from core.explain.records import DoubtMaps, find_doubt_maps, find_evidence
from core.explain.verdict import CASES_NEEDED, CASES_OF_DOUBT, RULES, RULES_OF_DOUBT
from core.jobs.explaining import ask_evidence
from core.tasks import task_module
from core.training.records import Model

QUICK = tuple(name for name, method in METHODS.items() if method.is_quick)


def evidence(
    project: ProjectArgument,
    model: str,
    method: Annotated[
        list[str] | None, typer.Option(help="A method, as often as needed, or all [default: the quick ones].")
    ] = None,
    split: Annotated[str, typer.Option(help="validation or train.")] = "validation",
    cases: Annotated[
        int | None,
        typer.Option(
            help=f"On how many cases [default: {CASES_NEEDED}, of a model that paints {CASES_OF_DOUBT}].", min=2
        ),
    ] = None,
    known: Annotated[bool, typer.Option("--known", help="Only show what was gathered before.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check whether each method of explanation can be trusted on a model, over many cases, with intervals; of a model
    that paints its own map of doubt."""
    with entered(home) as door:
        trained = model_named(door, project, model)
        paints = task_module(trained.task).PAINTS
        chosen = _chosen(method, paints=paints)
        if not known:
            wait_and_tell(
                door, ask_evidence(door.connection, trained, chosen, split=split, cases=cases, actor=door.actor)
            )
        found = find_evidence(door.connection, trained.id)
        maps = find_doubt_maps(door.connection, trained.id) if paints else None
    if paints:
        _answer_doubt(trained, maps, as_json=as_json)
        return
    told = {
        name: one.told | {"verdict": one.standing.verdict, "sentence": one.standing.sentence, "made_at": one.made_at}
        for name, one in found.items()
    }
    lines = [line for name, one in told.items() for line in _lines(name, one)]
    document = {"model": trained.name, "rules": RULES, "methods": told}
    answer(document, "\n".join(lines) or f"Nothing was gathered yet for {trained.name}.", as_json=as_json)


def _chosen(method: list[str] | None, *, paints: bool) -> list[str]:
    if paints:
        return [DOUBT] if method in (None, [], ["all"]) else method
    return list(METHODS) if method == ["all"] else [method_named(name).name for name in method or QUICK]


def _answer_doubt(model: Model, found: DoubtMaps | None, *, as_json: bool) -> None:
    told, lines = found.judged if found else {}, list[str]()
    for name, one in told.items():
        lines += [f"Doubt about {name}: {one['sentence']}", *_measure_lines(one["measures"])]
    document = {"model": model.name, "rules": RULES_OF_DOUBT, "structures": told}
    answer(document, "\n".join(lines) or f"Nothing was gathered yet for {model.name}.", as_json=as_json)


def _lines(name: str, told: Mapping[str, Any]) -> list[str]:
    return [f"{METHODS[name].words}: {told['sentence']}", *_measure_lines(told["measures"])]


def _measure_lines(measures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"    {measure:<20} {estimate_text(estimate)}"
        for measure, estimate in measures.items()
        if estimate["value"] is not None
    ]
