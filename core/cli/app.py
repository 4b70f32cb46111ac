"""The commands, gathered, and the exit codes: 0 done, 1 refused with a sentence, 2 called wrongly."""

import logging
import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from core.cli import (
    auditing,
    collection,
    comparing,
    connecting,
    deciding,
    deidentifying,
    drawing,
    ensembles,
    erasing,
    evidence,
    examining,
    keeping,
    modelling,
    people,
    predicting,
    reading,
    registering,
    reviewing,
    service,
    training,
    trying,
    watching,
)
from core.errors import CoreError

app = typer.Typer(
    name="readroom",
    help="The reading room for medical-imaging AI.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
delete_app = typer.Typer(help="Erase a case, a patient or a project with every trace.", no_args_is_help=True)
project_app = typer.Typer(help="Create and list projects.", no_args_is_help=True)
audit_app = typer.Typer(help="Who did what: check the chain, list it, export it.", no_args_is_help=True)
crosswalk_app = typer.Typer(help="From a pseudonym back to the patient's number.", no_args_is_help=True)
pacs_app = typer.Typer(help="PACS: add, test, search, and pull studies from there.", no_args_is_help=True)
user_app = typer.Typer(help="Accounts: invite, list, new password, deactivate.", no_args_is_help=True)
member_app = typer.Typer(help="Who is what in which project.", no_args_is_help=True)
registry_app = typer.Typer(help="Which model is in production, and which was.", no_args_is_help=True)
review_app = typer.Typer(help="Review meetings: criteria, test results, decisions.", no_args_is_help=True)
jobs_app = typer.Typer(help="See, stop and resume background work.")

TOP_LEVEL: dict[str, Callable[..., None]] = {
    "up": service.up,
    "worker": service.worker,
    "link": service.link,
    "demo": service.demo,
    "doctor": examining.doctor,
    "import": collection.import_images,
    "watch": watching.watch,
    "receive": connecting.receive,
    "label": collection.label,
    "assign": reading.assign,
    "assist": reading.assist,
    "snapshot": modelling.snapshot,
    "train": training.train,
    "augmented": trying.augmented,
    "learning-curve": trying.learning_curve,
    "ensemble": ensembles.ensemble,
    "models": modelling.models,
    "evaluate": modelling.evaluate,
    "compare": comparing.compare,
    "threshold": deciding.threshold,
    "predict": modelling.predict,
    "abstain": predicting.abstain,
    "drift": predicting.drift,
    "explain": modelling.explain,
    "generate": drawing.generate,
    "evidence": evidence.evidence,
    "export": keeping.export,
    "backup": keeping.backup,
    "restore": keeping.restore,
    "migrate": keeping.migrate,
}
for name, command in TOP_LEVEL.items():
    app.command(name)(command)
app.add_typer(project_app, name="project")
project_app.command("create")(collection.create_project)
project_app.command("list")(collection.show_projects)
project_app.command("classes")(reading.change_classes)
project_app.command("deidentification")(deidentifying.deidentification)
app.add_typer(crosswalk_app, name="crosswalk")
crosswalk_app.command("on")(deidentifying.crosswalk_on)
crosswalk_app.command("off")(deidentifying.crosswalk_off)
crosswalk_app.command("show")(deidentifying.crosswalk_show)
app.add_typer(pacs_app, name="pacs")
pacs_app.command("add")(connecting.add)
pacs_app.command("list")(connecting.show_all)
pacs_app.command("test")(connecting.try_out)
pacs_app.command("find")(connecting.find)
pacs_app.command("pull")(connecting.pull)
pacs_app.command("password")(connecting.change)
pacs_app.command("remove")(connecting.remove)
app.add_typer(audit_app, name="audit")
audit_app.command("verify")(auditing.verify)
audit_app.command("list")(auditing.list_rows)
audit_app.command("export")(auditing.export)
app.add_typer(delete_app, name="delete")
delete_app.command("case")(erasing.delete_case)
delete_app.command("patient")(erasing.delete_patient)
delete_app.command("project")(erasing.delete_project)
app.add_typer(user_app, name="user")
user_app.command("invite")(people.invite)
user_app.command("list")(people.show_users)
user_app.command("reset")(people.reset)
user_app.command("deactivate")(people.deactivate)
app.add_typer(member_app, name="member")
# A single command would take its group's place; the callback keeps `member set` as it is written.
member_app.callback()(lambda: None)
member_app.command("set")(people.give_role)
app.add_typer(review_app, name="review")
review_app.command("create")(reviewing.create)
review_app.command("list")(reviewing.show_all)
review_app.command("show")(reviewing.show)
review_app.command("criteria")(reviewing.criteria)
review_app.command("open")(reviewing.open_test)
review_app.command("decide")(reviewing.decide)
review_app.command("sign")(reviewing.sign)
review_app.command("retrain")(reviewing.retrain)
app.add_typer(registry_app, name="registry")
registry_app.command("show")(registering.show)
registry_app.command("promote")(registering.promote)
registry_app.command("retire")(registering.retire)
registry_app.command("rollback")(registering.rollback)
app.add_typer(jobs_app, name="jobs")
jobs_app.callback(invoke_without_command=True)(service.jobs_or_list)
jobs_app.command("list")(service.list_all_jobs)
jobs_app.command("show")(service.show_job)
jobs_app.command("logs")(service.show_log)
jobs_app.command("stop")(service.stop_job)
jobs_app.command("resume")(service.resume_job)


def main() -> None:
    """Run the command line; a refusal is its sentence on standard error and exit code 1."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except CoreError as error:
        _refuse(str(error))
    except UnicodeEncodeError as error:  # bytes of the shell that are no text: the database cannot even look them up
        if not any("\udc80" <= letter <= "\udcff" for letter in error.object):
            raise
        _refuse(f"Names here are text in UTF-8, and this is none. Received: {error.object!a}")


def _refuse(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
