"""What a report says, section by section, as plain blocks that a page and a PDF draw each in their way."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.clock import utc_now
from core.datasets.records import get_snapshot
from core.evaluation.records import Evaluation
from core.evaluation.stated_doubt import ERRORS_NEED_NONE, MAPS_UNCHECKED, DoubtEvidence, gather_doubt_evidence
from core.explain.methods import METHODS
from core.explain.records import DoubtMaps, find_doubt_maps, find_evidence
from core.explain.run import is_explainable
from core.explain.verdict import RULES, RULES_OF_DOUBT
from core.measures.terms import term
from core.projects.records import Project
from core.reviews.checklists import NOT_REPORTED, cover, load_checklists
from core.reviews.criteria import Outcome
from core.reviews.decisions import Decision, find_decision, find_faults
from core.reviews.failures import count_causes
from core.reviews.flow import FLOW_NOTE, Flow, describe_flow
from core.reviews.meetings import Review, count_test_looks, get_evaluation_of
from core.reviews.model_card import NOT_STATED, describe_card, describe_comparison, describe_verdict, list_limits
from core.reviews.operating_point import describe_operating_point
from core.reviews.population import describe_population, list_missing
from core.reviews.reference_standard import ReferenceStandard, describe_reference
from core.tasks import trainable_schema
from core.training.device import PRECISIONS
from core.training.records import Model, Run, get_model, get_run, get_run_of_weights

PARTS_A_TABLE = 4  # classes or structures side by side on a page of paper


@dataclass(frozen=True)
class Table:
    """Rows under their titles; every cell is text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figures:
    """Here stand the figures of the numbers: curves or matrix, whatever the task has."""


Block = str | Table | Figures | Flow | tuple[str, ...]  # a paragraph, a table, figures, a list of sentences


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]


def describe_report(
    connection: sqlite3.Connection, project: Project, review: Review
) -> tuple[list[Section], dict[str, Any]]:
    """The sections in their order, and the document of the evaluation that the figures are drawn from."""
    evaluation = get_evaluation_of(connection, review)
    model = get_model(connection, project.id, review.model)
    run = get_run_of_weights(connection, get_run(connection, model.run))
    snapshot = get_snapshot(connection, project.id, review.snapshot)
    fold = evaluation.result.get("fold")
    decision, looks = find_decision(connection, review), count_test_looks(connection, review)
    reference = describe_reference(connection, snapshot)
    limits = list_limits(connection, project, review, evaluation, looks)
    card = describe_card(connection, project, review)
    population = [(row.title, *row.cells) for row in describe_population(connection, snapshot, fold)]
    flow = describe_flow(connection, snapshot, model, fold)
    causes = count_causes(connection, review)
    point = describe_operating_point(trainable_schema(snapshot.schema), evaluation.result)
    sections = [
        Section("Decision", _decision(decision, find_faults(connection, review))),
        Section("Model card", (_facts(card),)),
        Section("Limits", (tuple(limits) or "None are known beyond what stands in this report.",)),
        Section("Acceptance criteria", (_criteria(review.outcomes or ()), *filter(None, [point]), looks.sentence)),
        Section(
            "Numbers on the test split",
            (*_numbers(evaluation.result), *_compared(connection, review), *_bands(evaluation.result), Figures()),
        ),
        Section("Flow of cases", (flow, FLOW_NOTE)),
        Section("Population", (Table(("", "train", "validation", "test"), tuple(population)),)),
        Section("Reference standard", _reference(reference)),
        *([] if "n_samples" in evaluation.result else [Section("Failures", (_causes(causes),))]),
        *_explanations(connection, model, evaluation),
        Section("Lineage", (_facts(_lineage(review, run, snapshot.hash, evaluation.id)),)),
    ]
    by_subgroup = any(one.criterion.by and one.parts for one in review.outcomes or ())
    is_explained = "per_structure" in evaluation.result or (
        is_explainable(model) and find_evidence(connection, model.id)
    )
    told = {
        "intended_use": project.intended_use and "model card",
        "description": project.description and "model card: what the project says of itself",
        "question": "model card",
        "model": "model card",
        "deidentification": "imports are de-identified" if project.deidentification.enabled else "",
        "recipe": "lineage: recipe and seed",
        "software": run.environment and "lineage: versions",
        "choice": "model card: chosen on validation",
        "reference": "reference standard",
        "readers": "reference standard",
        "agreement": reference.pairs and "reference standard: agreement of the readers",
        "split": "" if snapshot.leaks_allowed_because else "population: split by patient, no patient in two splits",
        "numbers": "numbers, with 95 % intervals over patients",
        "subgroups": by_subgroup and "acceptance criteria by subgroup",
        "numbers_by_subgroup": by_subgroup and "numbers, with 95 % intervals; acceptance criteria by subgroup",
        "ensemble": "model card: of what its answers are the mean"
        if model.facts.get("members")
        else "model card: one network",
        "explanations": is_explained and "explanations: methods with their evidence on this model",
        "population": "flow of cases, population",
        "demographics": len(list_missing(connection, snapshot)) < 3 and "population",
        "failures": causes and "failures",
        "limits": limits and "limits",
        "lineage": "lineage",
        "decision": decision and "decision",
    }
    sections += _checklists({key: str(text) if text else "" for key, text in told.items()})
    return sections, evaluation.result


def _decision(decision: Decision | None, faults: Sequence[str]) -> tuple[Block, ...]:
    if decision is None:
        return ("Nothing was decided yet.",)
    blocks: list[Block] = [f"{decision.verdict.capitalize()}, {decision.made_at[:10]}.", decision.rationale]
    if decision.conditions:
        blocks.append(f"On condition: {decision.conditions}")
    if decision.actions:
        rows = tuple((one.what, one.owner, one.due) for one in decision.actions)
        blocks.append(Table(("action", "owner", "due"), rows))
    signed = tuple((one.name, one.meaning, one.at, one.dissent or "–", one.hash[:32]) for one in decision.signatures)
    blocks.append(Table(("signed", "as", "time (UTC)", "dissent", "signature"), signed))
    bound = {key.replace("_hash", ""): value for key, value in vars(decision.bound).items()}
    blocks.append("Bound by SHA-256 to:")
    blocks.append(_facts({**bound, "decision": decision.hash}))
    blocks.append(tuple(faults) or "All that was signed is as it was signed.")
    return tuple(blocks)


def _criteria(outcomes: Sequence[Outcome]) -> Block:
    if not outcomes:
        return "No criteria were set before the test results were opened."
    rows = []
    for one in outcomes:
        for at, part in enumerate(one.parts or (None,)):
            name = one.criterion.sentence + (f" · {part.group}" if part and part.group else "")
            found = interval(vars(part)) if part else "undefined"
            of = f"{part.n_of:,} of " if part and part.n_of is not None else ""
            patients = f"{part.n_patients:,} patient{'' if part.n_patients == 1 else 's'}" if part else ""
            n = f"{of}{part.n_cases:,} ({patients})" if part else "0"
            small = " (small group)" if part and part.group and part.is_small else ""
            state, reason = (part.state, part.reason) if part else (one.state, one.reason if at == 0 else "")
            rows.append((name, found, n + small, state + (f": {reason}" if reason else "")))
    return Table(("criterion", "found, 95 % interval", "n", "verdict"), tuple(rows))


def _compared(connection: sqlite3.Connection, review: Review) -> list[str]:
    return [told for told in (describe_comparison(connection, review), *describe_verdict(connection, review)) if told]


def _numbers(result: Mapping[str, Any]) -> list[Block]:
    sample = (
        f"{result['n_cases']:,} cases of {result['n_patients']:,} patients. {100 * result['level']:.0f} % intervals by "
        f"bootstrap over patients, {result['resamples']:,} resamples, seed {result['seed']}, where the tables name no "
        "other way."
    )
    blocks: list[Block] = [
        _drawn(result) if "n_samples" in result else sample,
        Table(
            ("metric", "value, 95 % interval", "interval by", "to mind"),
            tuple(
                (term(name), interval(one), _method(one), str(one.get("reason") or one.get("note") or ""))
                for name, one in result["metrics"].items()
            ),
        ),
    ]
    for name, told in result.get("per_target", {}).items():
        blocks += numbers_of_parts({f"{name}, {told['unit']}": told["metrics"]})
    parts = result.get("per_class") or result.get("per_structure")
    if parts:
        titled = [(f"{name}{_support(result, name)}", row) for name, row in parts.items()]
        for at in range(0, len(titled), PARTS_A_TABLE):
            blocks += numbers_of_parts(dict(titled[at : at + PARTS_A_TABLE]))
    return blocks


def _drawn(result: Mapping[str, Any]) -> str:
    """What the numbers of drawn images stand on."""
    judge = result["judge"]
    return (
        f"{result['n_samples']:,} images drawn for the classes of {result['n_cases']:,} real images of "
        f"{result['n_patients']:,} patients, judged by a small {judge['network']} trained on the same "
        f"{judge['trained_on']:,} training images. {100 * result['level']:.0f} % intervals: Wilson's of shares of "
        f"drawn images, which are independent; else bootstrap over patients, seed {result['seed']}. Drawn images are "
        f"synthetic: they show no patient."
    )


def numbers_of_parts(parts: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """A row for each metric and a column for each class or structure: the metrics are many, and paper is narrow. Below
    it why a number is undefined, and what is to be minded of one."""
    named = [key for key in next(iter(parts.values())) if key != "support"]
    rows = tuple(
        (term(key), *(interval(row[key]) for row in parts.values()), _method(*(row[key] for row in parts.values())))
        for key in named
    )
    reasons = tuple(
        f"{term(key)} of {name} is undefined: {row[key]['reason']}"
        for key in named
        for name, row in parts.items()
        if row[key]["value"] is None and row[key].get("reason")
    )
    notes = tuple(
        f"{term(key)} of {name}: {row[key]['note']}"
        for key in named
        for name, row in parts.items()
        if row[key]["value"] is not None and row[key].get("note")
    )
    return [Table(("metric", *parts, "interval by"), rows), *filter(None, [reasons, notes])]


def _method(*measures: Mapping[str, Any]) -> str:
    """How the intervals came about: several ways where the parts of a row differ."""
    ways = [one.get("method") or "bootstrap" for one in measures if one.get("low") is not None]
    return ", ".join(dict.fromkeys(ways))


def _support(result: Mapping[str, Any], name: str) -> str:
    n = result["per_class"][name]["support"]["value"] if "per_class" in result else result["counts"][name]["painted"]
    return f" (n = {int(n):,})"


def interval(measure: Mapping[str, Any]) -> str:
    """`0.912 (0.880 to 0.944)`; undefined is said so."""
    if measure.get("value") is None:
        return "undefined"
    if measure.get("low") is None or measure.get("high") is None:
        return f"{measure['value']:.3f} (no interval)".replace("-", "−")
    return f"{measure['value']:.3f} ({measure['low']:.3f} to {measure['high']:.3f})".replace("-", "−")


def _bands(result: Mapping[str, Any]) -> list[str]:
    """What is shaded around the curves, where there are such."""
    if "bands" not in result:
        return []
    return [
        f"Shaded around the curves: pointwise {100 * result['bands']['level']:.0f} % bands by bootstrap over patients, "
        f"{result['bands']['resamples']:,} resamples, seed {result['seed']}; they hold at one place at a time."
    ]


def legend(result: Mapping[str, Any], kind: str, name: str) -> str:
    """`pneumonia: AUC 0.912 (0.880 to 0.944)`; of a precision-recall curve its average precision."""
    short, metric = ("AUC", "auc") if kind == "roc" else ("AP", "average_precision")
    return f"{name}: {short} {interval(result['per_class'][name][metric])}"


def band_of(result: Mapping[str, Any], kind: str, name: str) -> tuple[list[float], list[float], list[float]] | None:
    """Of a curve the places along the x axis, and the lower and the upper end of its band there; None where there is
    none, as of an evaluation of an earlier version."""
    bands = result.get("bands") or {}
    band = bands.get(kind, {}).get(name)
    return (bands["at"], band["low"], band["high"]) if band else None


def _reference(told: ReferenceStandard) -> tuple[Block, ...]:
    readers = ", ".join(f"{name} ({n:,} cases)" for name, n in told.readers)
    blocks: list[Block] = [f"The reference of a case is {told.rule}. Readers: {readers or 'none'}."]
    blocks.append(f"{told.read_by_several:,} of {told.cases:,} cases were read by more than one reader.")
    if told.pairs:
        numbers = any(one.difference for one in told.pairs)
        rows = tuple(
            (
                f"{one.one} and {one.other}{f': {one.of}' if one.of else ''}",
                f"{one.n:,}",
                interval(vars(one)),
                *([interval(vars(one.difference))] if one.difference else []),
                one.reason,
            )
            for one in told.pairs
        )
        head = ("readers", "n", told.measure, *(["mean difference"] if numbers else []), "to mind")
        blocks.append(Table(head, rows))
        if numbers:
            blocks.append("The mean difference is the first reader's less the second's.")
    for of, alpha in told.alphas:
        blocks.append(
            f"Krippendorff's alpha of all readers{f', {of}' if of else ''}: {interval(vars(alpha))} "
            f"(n = {told.alpha_cases:,}). Intervals of agreement: jackknife over patients. "
            f"{alpha.reason} {alpha.note}".strip()
        )
    return tuple(blocks)


def _causes(causes: Mapping[str, int]) -> Block:
    if not causes:
        return "No mistake was tagged with a cause."
    return Table(("cause that people saw", "cases"), tuple((cause, str(n)) for cause, n in causes.items()))


def _explanations(connection: sqlite3.Connection, model: Model, evaluation: Evaluation) -> list[Section]:
    """How far maps of the model may be believed, of one that paints its doubt; nothing of one that draws."""
    if "per_structure" in evaluation.result:
        stated, maps = gather_doubt_evidence(connection, evaluation), find_doubt_maps(connection, model.id)
        return [Section("Explanations", (*_doubt(stated), *_doubt_maps(maps), ERRORS_NEED_NONE))]
    if not is_explainable(model):
        return []
    found = find_evidence(connection, model.id)
    rows = tuple(
        (METHODS[name].words, one.standing.verdict, f"{one.told['n_cases']:,}, {one.told['split']}", "; ".join(one.why))
        for name, one in found.items()
    )
    if not rows:
        return [Section("Explanations", ("No evidence was gathered, so no map of this model is known to be true.",))]
    return [Section("Explanations", (Table(("method", "on this model", "n", "why"), rows), RULES))]


def _doubt(found: Sequence[DoubtEvidence]) -> tuple[Block, ...]:
    rows = tuple(
        (one.structure, one.verdict, interval(vars(one.follows)), f"{one.n_cases:,} ({one.n_patients:,} patients)")
        for one in found
    )
    head = ("structure", "its doubt on test", "sureness and Dice, rank correlation, 95 % interval", "n (patients)")
    return (Table(head, rows),)


def _doubt_maps(found: DoubtMaps | None) -> tuple[Block, ...]:
    if found is None:
        return (MAPS_UNCHECKED,)
    rows = tuple(
        (name, found.standing(name).verdict, f"{one['n_wrong']:,}, {found.told['split']}", "; ".join(found.why(name)))
        for name, one in found.told["structures"].items()
    )
    return (Table(("structure", "its map of doubt", "n", "why"), rows), RULES_OF_DOUBT)


def _lineage(review: Review, run: Run, snapshot_hash: str, evaluation: int) -> dict[str, str]:
    """`run` is the one that trained, which names device and versions."""
    packages = run.environment.get("packages") or {}
    return {
        "Review": f"{review.id}, prepared {review.prepared_at[:10]} by {review.prepared_by}, test results first opened "
        f"{(review.locked_at or '')[:10]} by {review.locked_by}",
        "Snapshot": snapshot_hash,
        "Run": f"{run.id}, recipe {run.recipe.network} {run.recipe_hash[:32]}, seed {run.recipe.seed}",
        "Device": run.device or NOT_STATED,
        "Precision": PRECISIONS.get(run.environment.get("precision", ""), NOT_STATED),
        "Versions": ", ".join(f"{name} {version}" for name, version in sorted(packages.items())) or NOT_STATED,
        "Evaluation": str(evaluation),
        "Report written": utc_now(),
    }


def _checklists(told: Mapping[str, str]) -> list[Section]:
    sections = []
    for one in load_checklists():
        covered = cover(one, told)
        missing = sum(where == NOT_REPORTED for _, where in covered)
        lead = (
            f"{len(covered) - missing} of {len(covered)} items are told of here, {missing} are not reported. "
            f"{one.source}, doi:{one.doi}. Items in our words."
        )
        rows = tuple((item.number, f"{item.section}: {item.item}", where) for item, where in covered)
        sections.append(Section(f"{one.name} coverage", (lead, Table(("item", "what", "where"), rows))))
    return sections


def _facts(facts: Mapping[str, str]) -> Table:
    return Table((), tuple(facts.items()))
