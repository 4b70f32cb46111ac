"""Commands about PACS: which there are, what they hold, and how studies come from there; and the receiver."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.collection import ProjectArgument, waiting_text
from core.cli.door import HomeOption, JsonOption, answer, become, entered, tell, wait_and_tell
from core.errors import InvalidInput
from core.images.import_files import list_named_files
from core.images.pacs.client import client_of
from core.images.pacs.credentials import Credentials, variable_of
from core.images.pacs.questions import Answer, Question, Study
from core.images.pacs.records import (
    OUR_TITLE,
    OVER_TLS,
    NewPacs,
    Pacs,
    add_pacs,
    change_credentials,
    get_pacs,
    list_pacs,
    remove_pacs,
)
from core.images.pacs.search import search_studies
from core.jobs.asking import ask_pull
from core.projects.records import get_project

PASSWORD_VARIABLE = "READROOM_PACS_PASSWORD"
PORT = 11112  # registered for DICOM
NameArgument = Annotated[str, typer.Argument(help="The PACS, as it is called here.")]
ModalityOption = Annotated[str, typer.Option(help="A code: CT, MR, DX ...")]
SinceOption = Annotated[str, typer.Option(metavar="DAY", help="The first day of the study: 2026-01-31.")]
UntilOption = Annotated[str, typer.Option(metavar="DAY", help="The last day of the study.")]
DescriptionOption = Annotated[str, typer.Option(help="A part of the study's description.")]
PatientOption = Annotated[str, typer.Option(help="The patient's number; asked for and not kept.")]


def add(
    name: Annotated[str, typer.Argument(help="What it is called here.")],
    url: Annotated[str, typer.Option(help="DICOMweb: the address, https://pacs.example/dicom-web")] = "",
    host: Annotated[str, typer.Option(metavar="HOST:PORT", help="DIMSE: where it listens.")] = "",
    their_title: Annotated[str, typer.Option(help="DIMSE: the AE title of the PACS.")] = "",
    our_title: Annotated[str, typer.Option(help="DIMSE: the AE title by which it knows this Readroom.")] = OUR_TITLE,
    move_port: Annotated[
        int | None, typer.Option(help="DIMSE: let studies come by C-MOVE to this port of ours [default: by C-GET].")
    ] = None,
    user: Annotated[
        str, typer.Option(help=f"Who signs in; the password is asked for, or in {PASSWORD_VARIABLE}.")
    ] = "",
    tls: Annotated[bool, typer.Option("--tls", help="DIMSE: through TLS.")] = False,
    authority: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The authority of its certificate, PEM, where this system does not know it."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a PACS by DICOMweb (--url) or DIMSE (--host). Its password is kept outside the database."""
    if bool(url) == bool(host):
        raise typer.BadParameter("Give either --url (DICOMweb) or --host (DIMSE).")
    if tls and url:
        raise typer.BadParameter("--tls belongs to --host; an address with https:// is over TLS.")
    address = url or f"{OVER_TLS if tls else ''}{host}"
    new = NewPacs(
        name, "dicomweb" if url else "dimse", address, their_title, our_title, move_port,
        str(authority.absolute()) if authority else "",
    )  # fmt: skip
    with entered(home) as door:
        credentials = Credentials(user, _password()) if user else None
        made = add_pacs(door.connection, door.settings, new, credentials, door.actor)
    answer(_row(made), f"{made.name} is added; try it with: readroom pacs test {made.name}", as_json=as_json)


def change(
    name: NameArgument,
    user: Annotated[str, typer.Option(help="Who signs in from now on [default: nobody].")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign in to a PACS as another user, or with another password."""
    with entered(home) as door:
        found = get_pacs(door.connection, name)
        credentials = Credentials(user, _password()) if user else None
        change_credentials(door.connection, door.settings, found, credentials, door.actor)
    text = f"{found.name} is asked as {user}." if user else f"{found.name} is asked without signing in."
    answer(_row(found), text, as_json=as_json)


def remove(name: NameArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Forget a PACS and its password; what came from it stays."""
    with entered(home) as door:
        found = get_pacs(door.connection, name)
        remove_pacs(door.connection, door.settings, found, door.actor)
    answer(_row(found), f"{found.name} is forgotten.", as_json=as_json)


def show_all(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the PACS that are known here."""
    with entered(home) as door:
        known = list_pacs(door.connection)
    lines = [f"{one.name:<20} {one.way:<14} {one.place}" for one in known]
    answer({"pacs": [_row(one) for one in known]}, "\n".join(lines) or "No PACS yet: readroom pacs add NAME …",
           as_json=as_json)  # fmt: skip


def try_out(name: NameArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Ask a PACS whether it answers, and lets this Readroom in."""
    with entered(home) as door:
        said = client_of(door.settings, get_pacs(door.connection, name)).test()
    answer({"pacs": name, "answers": True, "said": said}, said, as_json=as_json)


def find(
    name: NameArgument,
    modality: ModalityOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    description: DescriptionOption = "",
    patient: PatientOption = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List studies of a PACS, newest first. What it answers is printed with names, and stored nowhere."""
    question = _question(modality, since, until, description, patient)
    with entered(home) as door:
        pacs = get_pacs(door.connection, name)
        found = search_studies(door.connection, door.settings, pacs, question, None, door.actor)
    _tell_of_more(found)
    lines = "\n".join(map(_line, found.studies)) or "No study fits."
    answer({"studies": [asdict(study) for study in found.studies], "more": found.more}, lines, as_json=as_json)


def pull(
    project: ProjectArgument,
    name: NameArgument,
    studies: Annotated[
        list[str] | None, typer.Argument(metavar="[STUDY]...", help="Study UIDs, as `find --json` tells them.")
    ] = None,
    modality: ModalityOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    description: DescriptionOption = "",
    patient: PatientOption = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch and import studies: those that are named, or all that a search finds. What is here is not fetched again.

    Series in which something is odd wait until somebody has seen them."""
    question = _question(modality, since, until, description, patient)
    if bool(studies) == (question != Question()):
        raise typer.BadParameter("Name studies, or say by --modality and so on which to search for.")
    with entered(home) as door:
        found, pacs = get_project(door.connection, project), get_pacs(door.connection, name)
        chosen: Sequence[str] = studies or ()
        if not chosen:
            searched = search_studies(door.connection, door.settings, pacs, question, found.id, door.actor)
            _tell_of_more(searched)
            chosen = [study.uid for study in searched.studies]
        job = ask_pull(door.connection, door.settings, found, pacs, chosen, actor=door.actor)
        result = {"job": job.id, **wait_and_tell(door, job)}
        result["files"] = [asdict(file) for file in list_named_files(door.connection, door.settings, job.id)]
    for file in result["files"]:
        if file["status"] == "failed":
            tell(f"{file['path']}: refused. {file['reason']}")
        elif file["status"] == "waiting":
            tell(f"{file['path']}: waiting. {file['reason']}")
    for warning in result["warnings"]:
        tell(warning)
    text = (
        f"{result['fetched']} images fetched, {result['known']} were here already: {result['imported']} imported, "
        f"{result['skipped']} skipped, {result['failed']} refused.{waiting_text(result['waiting'], job)}"
    )
    answer(result, text, as_json=as_json)


def receive(
    project: ProjectArgument,
    callers: Annotated[
        list[str], typer.Option("--from", metavar="TITLE", help="The AE title of a sender that is let in; repeatable.")
    ],
    title: Annotated[str, typer.Option(help="The AE title of this receiver.")] = OUR_TITLE,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = PORT,
    quiet: Annotated[float, typer.Option(help="Seconds without a file after which a study is imported.")] = 30.0,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Listen over TLS with this certificate (PEM), and")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="its key (PEM).")] = None,
    tls_authority: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Let in only who shows a certificate of this authority (PEM).")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Let modalities and PACS send into a project by C-STORE, until Ctrl-C. A study is imported once it is quiet.

    Series in which something is odd wait until somebody has seen them."""
    if bool(tls_cert) != bool(tls_key) or (tls_authority and not tls_cert):
        raise typer.BadParameter("Give --tls-cert and --tls-key together; --tls-authority belongs to them.")
    with entered(home) as door:
        found, settings = get_project(door.connection, project), door.settings
    options = ["--home", str(settings.home), "--project", str(found.id), "--title", title, "--host", host]
    options += ["--port", str(port), "--quiet", str(quiet), *(word for one in callers for word in ("--from", one))]
    for name, file in (("--tls-cert", tls_cert), ("--tls-key", tls_key), ("--tls-authority", tls_authority)):
        options += [name, str(file.absolute())] if file else []
    become("core.jobs.receiving", options)


def _question(modality: str, since: str, until: str, description: str, patient: str) -> Question:
    return Question(modality.strip().upper(), _day(since), _day(until), description.strip(), patient.strip())


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput(f"Give a day such as 2026-01-31. Received: {text}") from None


def _password() -> str:
    """From the environment, for scripts, or from the keyboard; never from the command line, which others can read."""
    return os.environ.get(PASSWORD_VARIABLE) or str(typer.prompt("Password", hide_input=True, err=True))


def _row(pacs: Pacs) -> dict[str, Any]:
    return {**asdict(pacs), "variable": variable_of(pacs.name)}


def _line(study: Study) -> str:
    images = "?" if study.instances is None else study.instances
    return (
        f"{study.dated:<8}  {'/'.join(study.modalities):<8} {images:>6}  {study.description[:32]:<32}  "
        f"{study.patient:<14} {study.patient_name[:28]:<28}  {study.uid}"
    )


def _tell_of_more(found: Answer) -> None:
    if found.more:
        tell(f"There are more than these {len(found.studies)} studies; narrow the search.")
