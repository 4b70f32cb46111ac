"""The command that holds models against each other on the same cases."""

from typing import Annotated, Any

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import HomeOption, JsonOption, answer, entered, estimate_text, model_named
from core.datasets.records import get_snapshot
from core.evaluation.comparison import compare_models
from core.evaluation.paired_errors import PairedErrors, compare_errors
from core.jobs.kind import action_of_split
from core.people.roles import demand_of
from core.reviews.meetings import note_shown
from core.training.records import get_run


def compare(
    project: ProjectArgument,
    first: Annotated[str, typer.Argument(help="The model that the others are held against.")],
    others: Annotated[list[str], typer.Argument(metavar="SECOND...", help="One model, or several.")],
    snapshot: Annotated[str, typer.Option(help="The snapshot [default: that of the first].")] = "",
    split: str = "test",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """How much better a model is than another on the same cases, with a paired interval over patients.

    All must have been evaluated on the split. So the effect of synthetic images is told. Of several the verdicts stand
    on intervals that hold all together; as JSON they are a list, `comparisons`.
    """
    with entered(home) as door:
        one, *rest = [model_named(door, project, name) for name in (first, *dict.fromkeys(others))]
        frozen = get_snapshot(door.connection, one.project, snapshot or get_run(door.connection, one.run).snapshot)
        demand_of(door.connection, door.actor, action_of_split(split), frozen.project)
        paired = compare_models if frozen.task == "classification" else compare_errors
        told = [paired(door.connection, one, other, frozen, split, comparisons=len(rest)) for other in rest]
        for model in (one, *rest) if split == "test" else ():
            note_shown(door.connection, model.id, frozen.id, actor=door.actor)
    found = [one.to_json() if isinstance(one, PairedErrors) else one for one in told]
    document = found[0] if len(found) == 1 else {"first": found[0]["first"], "comparisons": found}
    lines = [_paired_lines(one) if isinstance(one, PairedErrors) else _compared_lines(one) for one in told]
    answer(document, "\n\n".join("\n".join(some) for some in lines), as_json=as_json)


def _compared_lines(told: dict[str, Any]) -> list[str]:
    first, second, turned = told["first"], told["second"], told["mcnemar"]
    drawn = ", ".join(f"{name} {count:,}" for name, count in zip((first, second), told["synthetic"], strict=True))
    return [
        f"{told['split']}: {told['n_cases']} cases of {told['n_patients']} patients; {second} less {first}",
        *(f"{name:<20} {estimate_text(metric)}" for name, metric in told["metrics"].items()),
        *(line for name, one in told.get("per_label", {}).items() for line in _label_lines(name, one)),
        f"synthetic images in training: {drawn}",
        f"newly right {len(turned['fixed'])}, newly wrong {len(turned['broken'])}, McNemar {_p(turned['p'])}",
        told["sentence"],
    ]


def _paired_lines(told: PairedErrors) -> list[str]:
    """Two models that say numbers or paint: each difference, what it stands on, and how many cases changed."""
    lines = [f"{told.split}: {told.n_cases} cases of {told.n_patients} patients; {told.second} less {told.first}"]
    for part in told.parts:
        lines.append(f"{part.name}, n = {part.n_cases}: {estimate_text(part.difference.to_json())}")
        lines.append(
            f"  newly better {len(part.better)}, newly worse {len(part.worse)} (by {part.changed_by:.3g} or more), "
            f"sign test {_p(part.p)}"
        )
    return [*lines, *told.sentences, *filter(None, [told.note])]


def _label_lines(name: str, told: dict[str, Any]) -> list[str]:
    """What is told of one label: its differences, and McNemar's test on its own decisions."""
    turned, reason = told["mcnemar"], told.get("verdict_reason", "")
    return [
        f"{name}, on {told['n']} cases: newly right {len(turned['fixed'])}, newly wrong {len(turned['broken'])}, "
        f"McNemar {_p(turned['p'])}; AUC: {told['verdict']}{f': {reason}' if reason else ''}",
        *(f"  {metric:<28} {estimate_text(found)}" for metric, found in told["metrics"].items()),
    ]


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
