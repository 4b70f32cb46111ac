"""The commands, gathered, and the exit codes: 0 done, 1 refused with a sentence, 2 called wrongly."""

import logging
import sys
from collections.abc import Callable

import typer

from core.cli import collection, keeping, modelling, service
from core.errors import CoreError

app = typer.Typer(
    name="readroom",
    help="The reading room for medical-imaging AI.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
project_app = typer.Typer(help="Create and list projects.", no_args_is_help=True)
jobs_app = typer.Typer(help="See, stop and resume background work.")

TOP_LEVEL: dict[str, Callable[..., None]] = {
    "up": service.up,
    "worker": service.worker,
    "link": service.link,
    "demo": service.demo,
    "doctor": service.doctor,
    "import": collection.import_images,
    "label": collection.label,
    "snapshot": modelling.snapshot,
    "train": modelling.train,
    "models": modelling.models,
    "evaluate": modelling.evaluate,
    "predict": modelling.predict,
    "explain": modelling.explain,
    "export": keeping.export,
    "backup": keeping.backup,
    "restore": keeping.restore,
}
for name, command in TOP_LEVEL.items():
    app.command(name)(command)
app.add_typer(project_app, name="project")
project_app.command("create")(collection.create_project)
project_app.command("list")(collection.show_projects)
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
        typer.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
