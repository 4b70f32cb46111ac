"""Commands about review meetings: prepare, criteria, open the results, decide, sign."""

import sys
from dataclasses import asdict
from typing import Annotated, Any, cast

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import LARGEST, Door, HomeOption, JsonOption, answer, entered, wait_and_tell
from core.datasets.records import get_snapshot
from core.jobs.correcting import ask_retraining, list_followed
from core.progress import Silent
from core.projects.records import get_project
from core.reviews.criteria import Outcome, outcomes_json
from core.reviews.decisions import (
    VERDICTS,
    Decision,
    Meaning,
    NewDecision,
    Verdict,
    decide_review,
    find_decision,
    find_faults,
    get_decision,
    parse_action,
    sign_decision,
)
from core.reviews.meetings import (
    Review,
    add_review,
    change_criteria,
    count_test_looks,
    get_evaluation_of,
    get_review,
    list_asked,
    list_reviews,
    open_results,
)
from core.reviews.operating_point import describe_operating_point
from core.tasks import trainable_schema
from core.training.records import get_model, get_run

ReviewArgument = Annotated[int, typer.Argument(help="The review's number.", min=1, max=LARGEST)]
CriterionOption = Annotated[
    list[str] | None,
    typer.Option("--criterion", help='Such as "sensitivity of pneumonia at least 0.90, lower bound at least 0.85".'),
]
SignerOption = Annotated[str, typer.Option("--as", help="Who signs; their password is asked for.")]
DissentOption = Annotated[str, typer.Option(help="What the signer sees otherwise.")]
PasswordOption = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def create(
    project: ProjectArgument,
    model: str,
    criterion: CriterionOption = None,
    snapshot: Annotated[str, typer.Option(help="The snapshot [default: the one it was trained on].")] = "",
    production: Annotated[str, typer.Option(help="The model that it is compared with.")] = "",
    name: Annotated[str, typer.Option(help="What to call the review.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prepare a review with its acceptance criteria; they lock when the test results are first opened."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        reviewed = get_model(door.connection, found.id, model)
        chosen = get_snapshot(door.connection, found.id, snapshot or get_run(door.connection, reviewed.run).snapshot)
        made = add_review(
            door.connection,
            found,
            reviewed,
            criteria=list_asked(door.connection, chosen, criterion or []),
            snapshot=chosen,
            production=get_model(door.connection, found.id, production) if production else None,
            name=name,
            actor=door.actor,
        )
        _tell(door, made, as_json=as_json)


def show_all(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the reviews of a project, newest first."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        rows = [_facts(door, review) for review in list_reviews(door.connection, found.id)]
    text = "\n".join(f"{row['review']:>4}  {row['name']}  ({row['state']})" for row in rows)
    answer({"reviews": rows}, text or "No review yet: readroom review create PROJECT MODEL …", as_json=as_json)


def show(
    project: ProjectArgument, review: ReviewArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show a review: its criteria, what became of them, how often the test cases were looked at, and the decision."""
    with entered(home) as door:
        _tell(door, _review(door, project, review), as_json=as_json)


def criteria(
    project: ProjectArgument,
    review: ReviewArgument,
    criterion: CriterionOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the criteria of a review anew, as long as its test results were not opened."""
    with entered(home) as door:
        found = _review(door, project, review)
        asked = list_asked(
            door.connection, get_snapshot(door.connection, found.project, found.snapshot), criterion or []
        )
        _tell(door, change_criteria(door.connection, found, asked, actor=door.actor), as_json=as_json)


def open_test(
    project: ProjectArgument, review: ReviewArgument, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Open the test results of a review. The first time, this locks its criteria; every time is counted."""
    with entered(home) as door:
        found = _review(door, project, review)
        _tell(door, open_results(door.connection, found, actor=door.actor), as_json=as_json)


def decide(
    project: ProjectArgument,
    review: ReviewArgument,
    verdict: Annotated[str, typer.Option(help=f"One of: {', '.join(VERDICTS)}.")],
    rationale: Annotated[str, typer.Option(help="Why.")],
    signer: SignerOption,
    conditions: Annotated[str, typer.Option(help="What an approval depends on.")] = "",
    action: Annotated[list[str] | None, typer.Option("--action", help='"what|owner|2026-12-01"; repeatable.')] = None,
    dissent: DissentOption = "",
    password_stdin: PasswordOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write down what a review decided, with the first signature. It can never be changed."""
    new = NewDecision(cast(Verdict, verdict), rationale, conditions, tuple(parse_action(text) for text in action or []))
    with entered(home) as door:
        found = _review(door, project, review)
        password = _password(signer, password_stdin)
        decide_review(door.connection, found, new, signer=signer, password=password, dissent=dissent, actor=door.actor)
        _tell(door, found, as_json=as_json)


def sign(
    project: ProjectArgument,
    review: ReviewArgument,
    signer: SignerOption,
    meaning: Annotated[str, typer.Option(help="agreed by, witnessed by or dissented by.")] = "agreed by",
    read: Annotated[str, typer.Option(help="The hash of the decision that you have read [default: ask].")] = "",
    dissent: DissentOption = "",
    password_stdin: PasswordOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign the decision of a review as a further person."""
    with entered(home) as door:
        found = _review(door, project, review)
        decision = get_decision(door.connection, found)
        if not read:
            typer.echo("\n".join(_decision_lines(decision)), err=True)
        sign_decision(
            door.connection,
            found,
            read_hash=read or decision.hash,
            signer=signer,
            password=_password(signer, password_stdin),
            meaning=cast(Meaning, meaning),
            dissent=dissent,
            actor=door.actor,
        )
        _tell(door, found, as_json=as_json)


def retrain(
    project: ProjectArgument,
    review: ReviewArgument,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the new review is prepared.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Queue a training of the reviewed model with the labels that were corrected since, and what follows it.

    Both models are then measured on the corrected test cases and compared, and a new review is prepared with the
    criteria of this one and what changed as its first remark. With --wait its number is told; else `review show` of
    this one tells it once it is there.
    """
    with entered(home) as door:
        found = _review(door, project, review)
        asked = ask_retraining(
            door.connection,
            door.files,
            get_project(door.connection, project),
            get_model(door.connection, found.project, found.model),
            review=found,
            actor=door.actor,
            progress=Silent(),
        )
        followed: dict[str, Any] = {}
        if wait:
            wait_and_tell(door, asked.job)
            measuring = list_followed(door.connection, found)[0].measuring
            followed = wait_and_tell(door, measuring) if measuring else {}
    document = {
        "job": asked.job.id,
        "run": asked.run.name,
        "snapshot": asked.snapshot.name,
        "changed": list(asked.corrections.changed),
        "gone": list(asked.corrections.gone),
        "told": list(asked.corrections.told),
        "review": followed.get("review"),
        "comparison": followed.get("comparison"),
    }
    text = f"Job {asked.job.id} trains {asked.run.name} on {asked.snapshot.name}: {asked.corrections.sentence}."
    if followed:
        text = "\n".join(
            (text, f"Review {followed['review']} is prepared: {followed['name']}.", *followed["comparison"])
        )
    answer(document, text, as_json=as_json)


def _password(signer: str, from_stdin: bool) -> str:
    """Never an option of the command: other users of the machine see those."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt(f"Password of {signer}", hide_input=True, err=True))


def _review(door: Door, project: str, number: int) -> Review:
    return get_review(door.connection, get_project(door.connection, project).id, number)


def _facts(door: Door, review: Review) -> dict[str, Any]:
    looks = count_test_looks(door.connection, review)
    production = get_model(door.connection, None, review.production).name if review.production else None
    decision = find_decision(door.connection, review)
    return {
        "review": review.id,
        "name": review.name,
        "model": get_model(door.connection, review.project, review.model).name,
        "production": production,
        "snapshot": get_snapshot(door.connection, review.project, review.snapshot).name,
        "state": decision.verdict if decision else "opened" if review.is_locked else "prepared",
        "criteria": [one.sentence for one in review.criteria],
        "locked_at": review.locked_at,
        "outcomes": None if review.outcomes is None else outcomes_json(review.outcomes),
        "operating_point": _operating_point(door, review),
        "test_looks": asdict(looks),
        "decision": asdict(decision) if decision else None,
        "faults": find_faults(door.connection, review),
        "retrained_in": [one.review.id for one in list_followed(door.connection, review) if one.review],
        "prepared_by": review.prepared_by,
        "prepared_at": review.prepared_at,
    }


def _operating_point(door: Door, review: Review) -> str | None:
    """At which cut points it was measured; None before the test results were opened."""
    if not review.is_locked:
        return None
    snapshot = get_snapshot(door.connection, review.project, review.snapshot)
    return describe_operating_point(
        trainable_schema(snapshot.schema), get_evaluation_of(door.connection, review).result
    )


def _tell(door: Door, review: Review, *, as_json: bool) -> None:
    facts = _facts(door, review)
    lines = [f"Review {review.id}: {review.name}, {facts['model']} on {facts['snapshot']} ({facts['state']})"]
    if review.outcomes is None:
        lines += [f"  {sentence}" for sentence in facts["criteria"]] or ["  no criteria yet"]
    else:
        lines += [_outcome_line(one) for one in review.outcomes] or ["  no criteria were set"]
        lines += filter(None, [facts["operating_point"]])
    lines.append(count_test_looks(door.connection, review).sentence)
    lines += [f"Retrained with corrected labels: review {number}." for number in facts["retrained_in"]]
    if decision := find_decision(door.connection, review):
        lines += _decision_lines(decision)
        lines += facts["faults"] or ["All that was signed is as it was signed."]
    answer(facts, "\n".join(lines), as_json=as_json)


def _outcome_line(outcome: Outcome) -> str:
    reason = f": {outcome.reason}" if outcome.reason else ""
    return f"  {outcome.criterion.sentence}: {outcome.state}{reason}"


def _decision_lines(decision: Decision) -> list[str]:
    return [
        f"Decision: {decision.verdict}. {decision.rationale}",
        *([f"  on condition: {decision.conditions}"] if decision.conditions else []),
        *(f"  {one.what}: {one.owner}, until {one.due}" for one in decision.actions),
        *(f"  {one.meaning} {one.name}, {one.at}" + (f" ({one.dissent})" if one.dissent else "")
          for one in decision.signatures),
        f"  hash {decision.hash}",
    ]  # fmt: skip
