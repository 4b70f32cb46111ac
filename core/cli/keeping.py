"""Commands that carry things out of a home and back: exports and backups."""

from pathlib import Path
from typing import Annotated

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import Door, HomeOption, JsonOption, answer, entered
from core.datasets.freeze import export_snapshot
from core.datasets.records import get_snapshot
from core.errors import InvalidInput
from core.labels.exchange import export_labels
from core.projects.records import Project, get_project
from core.settings import load_settings
from core.store.audit import add_audit
from core.store.backup import make_backup, restore_backup
from core.store.files import write_whole
from core.training.records import get_model

FORMATS = {"labels": ("csv",), "snapshot": ("json",), "model": ("keras", "onnx")}


def export(
    project: ProjectArgument,
    what: Annotated[str, typer.Argument(help="labels, snapshot or model.")],
    name: Annotated[str, typer.Argument(help="Which snapshot or model.")] = "",
    file_format: Annotated[str, typer.Option("--format", help="csv; json; keras or onnx.")] = "",
    out: Annotated[Path | None, typer.Option(help="The file to write.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write labels (CSV), a snapshot (JSON) or a model (Keras, ONNX) to a file."""
    if what not in FORMATS:
        raise InvalidInput(f"Export one of {', '.join(FORMATS)}. Received: {what}")
    chosen = file_format or FORMATS[what][0]
    if chosen not in FORMATS[what]:
        raise InvalidInput(f"{what} can be exported as {', '.join(FORMATS[what])}. Received: {chosen}")
    if (what != "labels") != bool(name):
        raise InvalidInput(f"Name the {what} to export; labels need no name. Received: {name!r}")
    with entered(home) as door:
        found = get_project(door.connection, project)
        content = _content(door, found, what, name, chosen)
        target = out or Path(f"{name or found.name}-{what}.{chosen}")
        write_whole(target.absolute(), content)
        add_audit(door.connection, door.actor, f"export {what}", f"project {found.id}", name=name, format=chosen)
    answer({"path": str(target), "bytes": len(content)}, f"Written to {target}.", as_json=as_json)


def _content(door: Door, project: Project, what: str, name: str, chosen: str) -> bytes:
    if what == "labels":
        return export_labels(door.connection, project).encode()
    if what == "snapshot":
        return export_snapshot(door.connection, get_snapshot(door.connection, project.id, name)).encode()
    model = get_model(door.connection, project.id, name)
    content_hash = model.keras_hash if chosen == "keras" else model.onnx_hash
    if content_hash is None:
        raise InvalidInput(f"{model.onnx_left_out_because} Export it as keras instead. Received: {chosen}")
    return door.files.read_bytes("models", content_hash)


def backup(out: Path, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Copy the whole home into a folder, while it is in use; a second time only what is new."""
    made = make_backup(load_settings(home), out.absolute())
    text = f"Backed up to {out}: {made.files_copied} new files, {made.files_kept} already there."
    answer({"path": str(out), "copied": made.files_copied, "kept": made.files_kept}, text, as_json=as_json)


def restore(
    source: Annotated[Path, typer.Argument(metavar="IN")], home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Fill an empty home from a backup."""
    settings = load_settings(home)
    made = restore_backup(source.absolute(), settings)
    text = f"Restored {made.files_copied} files into {settings.home}."
    answer({"home": str(settings.home), "copied": made.files_copied}, text, as_json=as_json)
