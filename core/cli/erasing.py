"""Commands that erase: each says what goes, and does it only when told so a second time."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import Door, HomeOption, JsonOption, answer, case_named, entered
from core.erasing.erase import erase
from core.erasing.plan import ErasurePlan, describe_plan, plan_erasure
from core.erasing.records import list_case_ids
from core.errors import InvalidInput
from core.images.pseudonyms import load_secret, patient_name
from core.projects.records import get_project

YesOption = Annotated[bool, typer.Option("--yes", help="Erase; without it, only say what would go.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit for ever, so name nobody.")]
NOT_TOLD = ("paths", "emptied_jobs", "traces")  # hashes and words that are of no use to a person


def delete_case(
    project: ProjectArgument,
    case: Annotated[str, typer.Argument(help="Its number, path or file name.")],
    yes: YesOption = False,
    reason: ReasonOption = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase one case with everything that was said about it."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        ids = [case_named(door, found.id, case).id]
        plan = plan_erasure(door.connection, door.files, found, case_ids=ids)
        _erase_or_tell(door, plan, yes=yes, reason=reason, as_json=as_json)


def delete_patient(
    project: ProjectArgument,
    patient: Annotated[str, typer.Argument(help="The patient as the list of cases names them.")],
    yes: YesOption = False,
    reason: ReasonOption = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase every trace of one patient in a project."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        if not list_case_ids(door.connection, found.id, patient):  # his own number, of which the pseudonym is stored
            patient = patient_name(load_secret(door.settings), patient)
        plan = plan_erasure(door.connection, door.files, found, patient=patient)
        _erase_or_tell(door, plan, yes=yes, reason=reason, as_json=as_json)


def delete_project(
    project: ProjectArgument,
    yes: YesOption = False,
    reason: ReasonOption = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase a project: cases, labels, snapshots, models, everything."""
    with entered(home) as door:
        plan = plan_erasure(door.connection, door.files, get_project(door.connection, project))
        _erase_or_tell(door, plan, yes=yes, reason=reason, as_json=as_json)


def _erase_or_tell(door: Door, plan: ErasurePlan, *, yes: bool, reason: str, as_json: bool) -> None:
    goes, stays = describe_plan(plan)
    lines = [f"Erasing {plan.title}. This cannot be undone.", "Goes:", *(f"  {line}" for line in goes), "Stays:"]
    text = "\n".join([*lines, *(f"  {line}" for line in stays)])
    document: dict[str, Any] = {key: value for key, value in asdict(plan).items() if key not in NOT_TOLD}
    if not yes:
        answer({**document, "erased": False, "goes": goes, "stays": stays}, text, as_json=as_json)
        raise InvalidInput(f"Nothing was erased yet; say --yes to erase it. Received: {plan.title}")
    complete = erase(door.connection, door.files, plan, actor=door.actor, reason=reason)
    rest = "" if complete else "\nSome files wait until nothing reads them; the worker removes them then."
    told = {**document, "erased": True, "complete": complete, "goes": goes, "stays": stays}
    answer(told, f"{text}\nErased.{rest}", as_json=as_json)
